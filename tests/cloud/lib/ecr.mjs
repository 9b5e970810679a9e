// Doubles of Amazon ECR and of the registry behind it (OCI distribution API), as far as pushing needs them.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { json, ServiceError } from './http.mjs';

const sha256 = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const refuse = (status, code, message) => new ServiceError(status, code, message);

export class Ecr {
  name = 'ecr';
  signingName = 'ecr';

  constructor({ region, accountId = '123456789012' }) {
    Object.assign(this, { region, accountId });
    this.repositories = new Map(); // name -> {tags: Map of tag -> digest, manifests, blobs}
    this.passwords = new Set();
    this.registry = new Registry(this);
    this.endpoint = null; // of the registry, once it listens
  }

  createRepository(name) { this.repositories.set(name, { tags: new Map(), manifests: new Map(), blobs: new Map(), uploads: new Map() }); }

  deleteRepository(name, force) {
    if (this.repositories.get(name)?.tags.size && !force) throw new Error(`The repository with name '${name}' cannot be deleted because it still contains images`);
    this.repositories.delete(name);
  }

  /** Whether ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@DIGEST (or :TAG) is there. */
  has(uri) {
    const match = new RegExp(`^${this.accountId}\\.dkr\\.ecr\\.${this.region}\\.amazonaws\\.com/([^:@]+)(?:@(.+)|:(.+))$`).exec(uri);
    const repository = this.repositories.get(match?.[1]);
    return Boolean(repository && (match[2] ? repository.manifests.has(match[2]) : repository.tags.has(match[3])));
  }

  route(request) {
    const target = request.header('x-amz-target') ?? '';
    const op = target.startsWith('AmazonEC2ContainerRegistry_V20150921.') ? target.split('.')[1] : '';
    return ['GetAuthorizationToken', 'DescribeImages'].includes(op) ? { op, action: `ecr:${op}` } : null;
  }

  error(status, code, message) { return json(status, { __type: code, message }); }

  authError({ code, why }) {
    return [400, code === 'InvalidAccessKeyId' ? 'UnrecognizedClientException' : 'InvalidSignatureException', why];
  }

  faultError(kind) {
    return {
      429: [400, 'ThrottlingException', 'Rate exceeded'], 500: [500, 'ServerException', 'inside'], 503: [503, 'ServerException', 'overloaded'],
      409: [503, 'ServerException', 'overloaded'], expired: [400, 'ExpiredTokenException', 'The security token included in the request is expired'],
    }[kind];
  }

  handle({ op }, request) {
    const input = JSON.parse(request.body.toString() || '{}');
    if (op === 'GetAuthorizationToken') {
      const password = randomBytes(60).toString('base64');
      this.passwords.add(password);
      return json(200, {
        authorizationData: [{
          authorizationToken: Buffer.from(`AWS:${password}`).toString('base64'),
          expiresAt: Math.floor(Date.now() / 1000) + 43200, proxyEndpoint: this.endpoint,
        }],
      });
    }
    const repository = this.repositories.get(input.repositoryName);
    if (!repository) throw refuse(400, 'RepositoryNotFoundException', `The repository with name '${input.repositoryName}' does not exist`);
    const images = (input.imageIds ?? [...repository.tags.keys()].map((imageTag) => ({ imageTag }))).map(({ imageTag }) => {
      const imageDigest = repository.tags.get(imageTag);
      if (!imageDigest) throw refuse(400, 'ImageNotFoundException', `The image with imageId {imageDigest:'null', imageTag:'${imageTag}'} does not exist`);
      return { registryId: this.accountId, repositoryName: input.repositoryName, imageDigest, imageTags: [imageTag] };
    });
    return json(200, { imageDetails: images });
  }
}

/** Takes images under the names of the repositories that ECR knows, from clients that have one of its passwords. */
class Registry {
  name = 'registry';
  signingName = null;

  constructor(ecr) { this.ecr = ecr; }

  route(request) {
    if (request.path === '/v2/') return { op: 'Ping', unsigned: true };
    const match = /^\/v2\/(.+)\/(blobs|manifests)\/(.*)$/.exec(request.path);
    return match && { op: `${request.method} ${match[2]}`, unsigned: true, repository: match[1], what: match[2], reference: match[3] };
  }

  error(status, code, message, request) {
    const headers = status === 401 ? { 'WWW-Authenticate': 'Basic realm="ecr"' } : {};
    if (request.method === 'HEAD') return { status, headers, head: true };
    return json(status, { errors: [{ code, message }] }, headers);
  }

  faultError(kind) { return [kind === '429' ? 429 : 503, 'UNAVAILABLE', 'as the test asked']; }

  handle(route, request) {
    const [, password] = Buffer.from((request.header('authorization') ?? '').replace(/^Basic /, ''), 'base64').toString().split(/:(.*)/s);
    if (!this.ecr.passwords.has(password)) throw refuse(401, 'UNAUTHORIZED', 'authentication required');
    if (route.op === 'Ping') return json(200, {}, { 'Docker-Distribution-Api-Version': 'registry/2.0' });
    const repository = this.ecr.repositories.get(route.repository);
    if (!repository) throw refuse(404, 'NAME_UNKNOWN', `no repository ${route.repository}`);
    return route.what === 'blobs' ? this.blobs(repository, route, request) : this.manifests(repository, route, request);
  }

  blobs(repository, { repository: name, reference }, request) {
    if (request.method === 'HEAD') {
      const blob = repository.blobs.get(reference);
      if (!blob) throw refuse(404, 'BLOB_UNKNOWN', reference);
      return { status: 200, head: true, headers: { 'Content-Length': String(blob.length), 'Docker-Content-Digest': reference } };
    }
    const at = (id) => ({ Location: `/v2/${name}/blobs/uploads/${id}`, 'Docker-Upload-UUID': id });
    if (request.method === 'POST') {
      const id = randomUUID();
      repository.uploads.set(id, []);
      return { status: 202, headers: { ...at(id), Range: '0-0' }, body: '' };
    }
    const id = reference.replace('uploads/', '');
    const parts = repository.uploads.get(id);
    if (!parts) throw refuse(404, 'BLOB_UPLOAD_UNKNOWN', id);
    parts.push(request.body);
    const bytes = Buffer.concat(parts);
    if (request.method === 'PATCH') return { status: 202, headers: { ...at(id), Range: `0-${bytes.length - 1}` }, body: '' };
    const digest = new URLSearchParams(request.query).get('digest');
    if (sha256(bytes) !== digest) throw refuse(400, 'DIGEST_INVALID', `${digest} is not that of what came`);
    repository.blobs.set(digest, bytes);
    repository.uploads.delete(id);
    return { status: 201, headers: { Location: `/v2/${name}/blobs/${digest}`, 'Docker-Content-Digest': digest }, body: '' };
  }

  manifests(repository, { reference }, request) {
    if (request.method === 'PUT') {
      const digest = sha256(request.body);
      const manifest = JSON.parse(request.body);
      for (const { digest: blob } of [manifest.config, ...manifest.layers]) {
        if (!repository.blobs.has(blob)) throw refuse(400, 'MANIFEST_BLOB_UNKNOWN', blob);
      }
      repository.manifests.set(digest, request.body);
      if (!reference.startsWith('sha256:')) repository.tags.set(reference, digest);
      return { status: 201, headers: { 'Docker-Content-Digest': digest }, body: '' };
    }
    const bytes = repository.manifests.get(repository.tags.get(reference) ?? reference);
    if (!bytes) throw refuse(404, 'MANIFEST_UNKNOWN', reference);
    return { status: 200, head: request.method === 'HEAD', headers: { 'Content-Type': JSON.parse(bytes).mediaType ?? 'application/vnd.oci.image.manifest.v1+json' }, body: bytes };
  }
}
