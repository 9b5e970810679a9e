// The access keys that the cloud knows, and the checks on a signed request that are not arithmetic.
import { randomBytes } from 'node:crypto';
import { bodyDigestDiffers, parseAuthorization, verify } from './sigv4.mjs';

const MAX_SKEW_MS = 15 * 60 * 1000;

export class Keys {
  constructor() {
    this.byId = new Map();
    // Long-lived credentials, for these tests alone.
    this.default = this.add({ accessKeyId: 'AKIDCARACOLATEST0001', secretAccessKey: 'caracola/test+secret' });
  }

  add(key) {
    this.byId.set(key.accessKeyId, key);
    return key;
  }

  /** Fresh temporary credentials, as STS, IMDS and containers give them. */
  issue(label, lifetimeMs = 3600 * 1000) {
    return this.add({
      accessKeyId: 'ASIA' + randomBytes(8).toString('hex').toUpperCase(),
      secretAccessKey: randomBytes(30).toString('base64'),
      sessionToken: randomBytes(96).toString('base64'),
      expiration: new Date(Date.now() + lifetimeMs),
      label,
    });
  }

  revoke(accessKeyId) {
    const key = this.byId.get(accessKeyId);
    if (key) key.expiration = new Date(0);
  }

  /**
   * Judges a request for `service`: {ok, code, why, canonical, accessKeyId}. `code` is one of
   * SignatureDoesNotMatch, InvalidAccessKeyId, MissingAuthentication, ExpiredToken, InvalidToken,
   * RequestTimeTooSkewed, WrongRegion, ContentSha256Mismatch.
   */
  judge(request, service, region, now) {
    const claim = parseAuthorization(request);
    const no = (code, why, canonical = '') =>
      ({ ok: false, code, why, canonical, accessKeyId: claim?.accessKeyId ?? '' });
    if (!claim) return no('MissingAuthentication', 'no Signature Version 4 in Authorization');
    const key = this.byId.get(claim.accessKeyId);
    if (!key) return no('InvalidAccessKeyId', `no key ${claim.accessKeyId}`);
    const { ok, why, canonical } = verify(request, claim, key.secretAccessKey, service);
    if (!ok) return no('SignatureDoesNotMatch', why, canonical);
    if (claim.region !== region) return no('WrongRegion', `signed for ${claim.region}`, canonical);
    const token = request.headers.get('x-amz-security-token')?.[0];
    if (token !== key.sessionToken) return no('InvalidToken', 'the session token is not this key\'s', canonical);
    if (key.expiration && key.expiration.getTime() <= Date.now()) {
      return no('ExpiredToken', 'the session has expired', canonical);
    }
    const stamp = request.headers.get('x-amz-date')[0].trim();
    const sent = Date.parse(stamp.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'));
    if (Math.abs(sent - now) > MAX_SKEW_MS) {
      return no('RequestTimeTooSkewed', `${Math.round((sent - now) / 1000)} s off`, canonical);
    }
    if (bodyDigestDiffers(request)) return no('ContentSha256Mismatch', 'body is not what was signed', canonical);
    return { ok: true, code: '', why: '', canonical, accessKeyId: claim.accessKeyId };
  }
}
