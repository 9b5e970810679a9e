// Where credentials come from: STS (web identity, assume role), IMDSv2 of EC2, and the containers' endpoint.
import { randomBytes } from 'node:crypto';
import { escapeXml, json, ServiceError } from './http.mjs';

const plain = (status, body) => ({ status, headers: { 'Content-Type': 'text/plain' }, body });

/** The credentials as IMDS and containers write them. */
const worded = (key) => ({
  AccessKeyId: key.accessKeyId, SecretAccessKey: key.secretAccessKey, Token: key.sessionToken,
  Expiration: key.expiration.toISOString().replace(/\.\d+Z/, 'Z'),
});

const unsignedErrors = {
  error: (status, code, message) => json(status, { code, message }),
  faultError: (kind) => ({
    429: [429, 'Throttled', 'too many'], 500: [500, 'InternalError', 'inside'], 503: [503, 'Unavailable', 'overloaded'],
    409: [503, 'Unavailable', 'overloaded'], expired: [401, 'Unauthorized', 'the token has expired'],
  })[kind],
};

export class Sts {
  name = 'sts';
  signingName = 'sts';

  /** `webToken`: the only web identity token that is good. */
  constructor({ region, keys, accountId = '123456789012', lifetimeMs = 3600000 }) {
    Object.assign(this, { region, keys, accountId, lifetimeMs, webToken: 'eyJ.test.' + randomBytes(8).toString('hex') });
  }

  route(request) {
    if (request.path !== '/') return null;
    // The action stands in the body of a POST, so it is not known yet; only web identity is unsigned.
    const unsigned = !request.headers.has('authorization');
    return { op: unsigned ? 'AssumeRoleWithWebIdentity' : 'Signed', unsigned };
  }

  error(status, code, message) {
    return {
      status, headers: { 'Content-Type': 'text/xml' },
      body: `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code>` +
        `<Message>${escapeXml(message)}</Message></Error><RequestId>0</RequestId></ErrorResponse>`,
    };
  }

  authError({ code, why }) {
    const name = code === 'ExpiredToken' ? 'ExpiredToken' : code === 'InvalidAccessKeyId' || code === 'InvalidToken' ? 'InvalidClientTokenId' : 'SignatureDoesNotMatch';
    return [403, name, why];
  }

  faultError(kind) {
    return {
      429: [400, 'Throttling', 'Rate exceeded'], 500: [500, 'InternalFailure', 'inside'], 503: [503, 'ServiceUnavailable', 'overloaded'],
      409: [503, 'ServiceUnavailable', 'overloaded'], expired: [400, 'ExpiredTokenException', 'The web identity token has expired'],
    }[kind];
  }

  handle(route, request, { accessKeyId }) {
    const form = new URLSearchParams(request.method === 'POST' ? request.body.toString() : request.query);
    const action = form.get('Action');
    const answer = (result) => ({
      status: 200, headers: { 'Content-Type': 'text/xml' },
      body: `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>${result}</${action}Result>` +
        `<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></${action}Response>`,
    });
    const arn = form.get('RoleArn') ?? '';
    const session = form.get('RoleSessionName') ?? '';
    if (route.unsigned) {
      if (action !== 'AssumeRoleWithWebIdentity') throw new ServiceError(403, 'MissingAuthenticationToken', `${action} must be signed`);
      if (form.get('WebIdentityToken') !== this.webToken) throw new ServiceError(400, 'InvalidIdentityToken', 'the web identity token is not good');
    } else if (action === 'GetCallerIdentity') {
      return answer(`<Arn>arn:aws:iam::${this.accountId}:user/${accessKeyId}</Arn><UserId>${accessKeyId}</UserId><Account>${this.accountId}</Account>`);
    } else if (action !== 'AssumeRole') {
      throw new ServiceError(400, 'InvalidAction', `${action} is no action here`);
    }
    if (!/^arn:aws:iam::\d{12}:role\/.+/.test(arn) || !/^[\w+=,.@-]{2,64}$/.test(session)) {
      throw new ServiceError(400, 'ValidationError', 'RoleArn or RoleSessionName is malformed');
    }
    const key = this.keys.issue(`${action} ${arn}`, this.lifetimeMs);
    return answer(`<Credentials><AccessKeyId>${key.accessKeyId}</AccessKeyId><SecretAccessKey>${escapeXml(key.secretAccessKey)}</SecretAccessKey>` +
      `<SessionToken>${escapeXml(key.sessionToken)}</SessionToken><Expiration>${worded(key).Expiration}</Expiration></Credentials>` +
      `<AssumedRoleUser><Arn>${arn}/${session}</Arn><AssumedRoleId>AROATEST:${session}</AssumedRoleId></AssumedRoleUser>`);
  }
}

/** The instance metadata service, version 2 only: a token first, then everything else. */
export class Imds {
  name = 'imds';
  signingName = null;

  constructor({ region, keys, role = 'caracola-worker', lifetimeMs = 3600000 }) {
    Object.assign(this, { region, keys, role, lifetimeMs, tokens: new Map() }, unsignedErrors);
  }

  route(request) {
    const op = {
      'PUT /latest/api/token': 'Token',
      'GET /latest/meta-data/iam/security-credentials/': 'Role',
      'GET /latest/meta-data/iam/security-credentials': 'Role',
      [`GET /latest/meta-data/iam/security-credentials/${this.role}`]: 'Credentials',
      'GET /latest/meta-data/placement/region': 'Region',
    }[`${request.method} ${request.path}`];
    return op ? { op, unsigned: true } : null;
  }

  handle({ op }, request) {
    if (op === 'Token') {
      const seconds = Number(request.header('x-aws-ec2-metadata-token-ttl-seconds'));
      if (!(seconds >= 1 && seconds <= 21600)) throw new ServiceError(400, 'BadRequest', 'the TTL is 1 to 21600 s');
      const token = randomBytes(24).toString('base64url');
      this.tokens.set(token, Date.now() + 1000 * seconds);
      return { ...plain(200, token), headers: { 'x-aws-ec2-metadata-token-ttl-seconds': String(seconds) } };
    }
    if (!(this.tokens.get(request.header('x-aws-ec2-metadata-token')) > Date.now())) throw new ServiceError(401, 'Unauthorized', 'no good token');
    if (op === 'Role') return plain(200, this.role);
    if (op === 'Region') return plain(200, this.region);
    const key = this.keys.issue('imds', this.lifetimeMs);
    return json(200, { Code: 'Success', Type: 'AWS-HMAC', LastUpdated: new Date().toISOString(), ...worded(key) });
  }
}

/** What ECS (relative URI) and EKS pod identity (full URI with a token) ask. */
export class Container {
  name = 'container';
  signingName = null;

  constructor({ region, keys, lifetimeMs = 3600000 }) {
    Object.assign(this, { region, keys, lifetimeMs, path: '/v2/credentials/caracola', token: null }, unsignedErrors);
  }

  route(request) {
    return request.method === 'GET' && request.path === this.path ? { op: 'Credentials', unsigned: true } : null;
  }

  handle(_route, request) {
    if (this.token !== null && request.header('authorization') !== this.token) throw new ServiceError(401, 'Unauthorized', 'the authorization token is not good');
    return json(200, { RoleArn: 'arn:aws:iam::123456789012:role/caracola-task', ...worded(this.keys.issue('container', this.lifetimeMs)) });
  }
}
