// A double of Amazon S3 (path-style): what our client uses, with the checks that other doubles skip.
// Conditional writes, digests of every kind that the SDKs send, pages, ranges.
import { createHash, randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { escapeXml, ServiceError } from './http.mjs';
import { decode, encode, queryPairs } from './sigv4.mjs';

const CRC32C = new Uint32Array(256).map((_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0x82f63b78 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32c(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC32C[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const bigEndian = (n) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(n);
  return bytes;
};
const hash = (algorithm) => (bytes) => createHash(algorithm).update(bytes).digest();
const CHECKSUMS = {
  crc32: (bytes) => bigEndian(crc32(bytes)),
  crc32c: (bytes) => bigEndian(crc32c(bytes)),
  sha1: hash('sha1'),
  sha256: hash('sha256'),
};

const xml = (status, body, headers = {}) => ({
  status,
  headers: { 'Content-Type': 'application/xml', ...headers },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}`,
});
const XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

/** As S3's encoding-type=url writes keys: a space is '+', '/' stays. */
const listEncode = (key) => encode(Buffer.from(key)).replaceAll('%2F', '/').replaceAll('%20', '+');

const byBytes = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));

export class S3 {
  name = 's3';
  signingName = 's3';

  /** `pageLimit` caps the keys of a list page, as small max-keys would. */
  constructor({ region, pageLimit = 1000, listAllowed = true }) {
    Object.assign(this, { region, pageLimit, listAllowed });
    this.buckets = new Map(); // name -> {region, versioned, objects: Map of key -> object, versions: Map of key -> [{id, object}]}
    this.history = []; // every write and delete, in order
    this.lies = null; // see mutate()
    this.uploads = new Map(); // upload id -> {bucket, key, parts}
  }

  /** `versioned`: as a bucket with versioning enabled; its versions are kept, oldest first, a delete marker with `object` null. */
  createBucket(name, region = this.region, { versioned = false, owner = '123456789012' } = {}) {
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) throw new ServiceError(400, 'InvalidBucketName', name);
    this.buckets.set(name, { region, owner, versioned, created: new Date(), objects: new Map(), versions: new Map() });
  }

  /**
   * Puts a bug into the program under test from outside: `mutate.put({key, accessKeyId})` may give 'skip'
   * (answered as kept, never kept), and `mutate.key({key, accessKeyId})` another key to work on.
   */
  mutate(lies) { this.lies = lies; }

  // ---- inspection, for tests ----
  keys(bucket) { return [...this.bucket(bucket).objects.keys()].sort(byBytes); }
  object(bucket, key) { return this.bucket(bucket).objects.get(key); }
  text(bucket, key) { return this.object(bucket, key)?.body.toString(); }
  /** [key, what the version is: its text, or null for a delete marker], oldest first. */
  versions(bucket) { return [...this.bucket(bucket).versions].flatMap(([key, list]) => list.map(({ object }) => [key, object && object.body.toString()])); }

  /** Writes without HTTP: what another AWS service does on the caller's behalf. */
  put(bucketName, key, body, { contentType = 'binary/octet-stream', by = '' } = {}) {
    const bytes = Buffer.from(body);
    return this.store(this.bucket(bucketName), bucketName, key, bytes, {
      contentType, checksums: { crc32: CHECKSUMS.crc32(bytes).toString('base64') }, meta: {}, by,
    });
  }

  bucket(name) {
    const bucket = this.buckets.get(name);
    if (!bucket) throw new ServiceError(404, 'NoSuchBucket', 'The specified bucket does not exist');
    return bucket;
  }

  store(bucket, bucketName, key, body, { contentType, checksums, meta, by }) {
    const object = {
      body, contentType, checksums, meta, by, modified: new Date(),
      etag: `"${createHash('md5').update(body).digest('hex')}"`,
      writes: (bucket.objects.get(key)?.writes ?? 0) + 1,
    };
    this.addVersion(bucket, key, object);
    this.history.push({ what: 'put', bucket: bucketName, key, size: body.length, by, at: Date.now() });
    return object;
  }

  /** The newest version of a key is what the key is; without versioning there is only that one. Gives its id. */
  addVersion(bucket, key, object) {
    const id = bucket.versioned ? randomUUID().replaceAll('-', '') : 'null';
    const before = bucket.versions.get(key) ?? [];
    bucket.versions.set(key, [...(bucket.versioned ? before : []), { id, object }]);
    this.showNewest(bucket, key);
    return id;
  }

  showNewest(bucket, key) {
    const list = bucket.versions.get(key).filter(({ object }) => object || bucket.versioned);
    if (list.length > 0) bucket.versions.set(key, list);
    else bucket.versions.delete(key);
    if (list.at(-1)?.object) bucket.objects.set(key, list.at(-1).object);
    else bucket.objects.delete(key);
  }

  // ---- the service ----
  route(request) {
    const [, bucketPart, rest] = /^\/([^/]*)(?:\/(.*))?$/s.exec(request.path) ?? [];
    if (bucketPart === undefined) return null;
    const bucket = decode(bucketPart).toString();
    const key = rest === undefined ? '' : decode(rest).toString();
    const query = new Map(queryPairs(request.query).map(([k, v]) => [k.toString(), v.toString()]));
    const base = { bucket, key, params: query };
    const method = request.method;
    const part = this.routeMore(method, base, query);
    if (part) return part;
    const conditional = request.headers.has('if-none-match') || request.headers.has('if-match');
    if (key !== '') {
      const known = {
        GET: ['GetObject', 's3:GetObject'], HEAD: ['HeadObject', 's3:GetObject'],
        PUT: ['PutObject', 's3:PutObject'], DELETE: ['DeleteObject', 's3:DeleteObject'],
      }[method];
      const version = query.has('versionId') && !['HEAD', 'PUT'].includes(method);
      return known ? { ...base, op: known[0], action: known[1] + (version ? 'Version' : ''), conditional: conditional && method === 'PUT' } : null;
    }
    if (bucket === '') return method === 'GET' ? { ...base, op: 'ListBuckets', action: 's3:ListAllMyBuckets' } : null;
    if (method === 'HEAD') return { ...base, op: 'HeadBucket', action: 's3:ListBucket' };
    if (method === 'PUT' && query.size === 0) return { ...base, op: 'CreateBucket', action: 's3:CreateBucket' };
    if (method === 'GET' && query.has('location')) return { ...base, op: 'GetBucketLocation', action: 's3:GetBucketLocation' };
    if (method === 'GET' && query.get('list-type') === '2') {
      return { ...base, op: 'ListObjectsV2', key: query.get('prefix') ?? '', action: 's3:ListBucket' };
    }
    return null;
  }

  /** Uploads in parts, and what emptying a bucket needs. */
  routeMore(method, base, query) {
    const { bucket, key } = base;
    if (key === '' && bucket !== '') {
      if (method === 'GET' && query.has('versions')) return { ...base, op: 'ListObjectVersions', action: 's3:ListBucketVersions' };
      if (method === 'POST' && query.has('delete')) return { ...base, op: 'DeleteObjects', action: 's3:DeleteObject' };
      if (method === 'DELETE' && query.size === 0) return { ...base, op: 'DeleteBucket', action: 's3:DeleteBucket' };
      return null;
    }
    if (method === 'POST' && query.has('uploads')) return { ...base, op: 'CreateMultipartUpload', action: 's3:PutObject' };
    if (!query.has('uploadId')) return null;
    const op = { PUT: 'UploadPart', POST: 'CompleteMultipartUpload', DELETE: 'AbortMultipartUpload' }[method];
    return op ? { ...base, op, action: op === 'AbortMultipartUpload' ? 's3:AbortMultipartUpload' : 's3:PutObject' } : null;
  }

  error(status, code, message, request) {
    if (request.method === 'HEAD') return { status, headers: {}, head: true };
    return xml(status, `<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message>` +
      `<Resource>${escapeXml(request.path)}</Resource></Error>`);
  }

  authError({ code, why, canonical }) {
    return {
      MissingAuthentication: [403, 'AccessDenied', 'Access Denied'],
      InvalidAccessKeyId: [403, 'InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.'],
      SignatureDoesNotMatch: [403, 'SignatureDoesNotMatch', `The request signature we calculated does not match: ${why}\n${canonical}`],
      WrongRegion: [400, 'AuthorizationHeaderMalformed', `the region is wrong; expecting '${this.region}'`],
      InvalidToken: [400, 'InvalidToken', 'The provided token is malformed or otherwise invalid.'],
      ExpiredToken: [400, 'ExpiredToken', 'The provided token has expired.'],
      RequestTimeTooSkewed: [403, 'RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.'],
      ContentSha256Mismatch: [400, 'XAmzContentSHA256Mismatch', "The provided 'x-amz-content-sha256' header does not match what was computed."],
    }[code];
  }

  faultError(kind) {
    return {
      429: [429, 'TooManyRequests', 'Please reduce your request rate.'],
      500: [500, 'InternalError', 'We encountered an internal error. Please try again.'],
      503: [503, 'SlowDown', 'Please reduce your request rate.'],
      409: [409, 'ConditionalRequestConflict', 'A conflicting conditional operation is currently in progress against this resource.'],
      expired: [400, 'ExpiredToken', 'The provided token has expired.'],
    }[kind];
  }

  handle(route, request, { accessKeyId }) {
    const bucketless = { ListBuckets: this.listBuckets, CreateBucket: this.makeBucket }[route.op];
    if (bucketless) return bucketless.call(this, route);
    const bucket = this.bucket(route.bucket);
    const owner = request.header('x-amz-expected-bucket-owner');
    if (bucket.owner !== '123456789012' || (owner && owner !== bucket.owner)) throw new ServiceError(403, 'AccessDenied', 'Access Denied');
    if (bucket.region !== this.region) {
      throw new ServiceError(301, 'PermanentRedirect', 'The bucket is in another Region.', { 'x-amz-bucket-region': bucket.region });
    }
    if (Buffer.byteLength(route.key) > 1024) throw new ServiceError(400, 'KeyTooLongError', 'Your key is too long');
    let key = route.key;
    if (this.lies?.key && route.op !== 'ListObjectsV2') key = this.lies.key({ key, accessKeyId }) ?? key;
    return this[route.op](bucket, { ...route, key, by: accessKeyId }, request);
  }

  listBuckets() {
    const rows = [...this.buckets].map(([name, b]) =>
      `<Bucket><Name>${name}</Name><CreationDate>${b.created.toISOString()}</CreationDate></Bucket>`);
    return xml(200, `<ListAllMyBucketsResult ${XMLNS}><Buckets>${rows.join('')}</Buckets></ListAllMyBucketsResult>`);
  }

  makeBucket({ bucket }) {
    if (this.buckets.has(bucket)) throw new ServiceError(409, 'BucketAlreadyOwnedByYou', bucket);
    this.createBucket(bucket);
    return { status: 200, headers: { Location: `/${bucket}` }, body: '' };
  }

  HeadBucket(bucket) {
    return { status: 200, head: true, headers: { 'x-amz-bucket-region': bucket.region } };
  }

  GetBucketLocation(bucket) {
    const region = bucket.region === 'us-east-1' ? '' : bucket.region;
    return xml(200, `<LocationConstraint ${XMLNS}>${region}</LocationConstraint>`);
  }

  PutObject(bucket, { bucket: bucketName, key, by }, request) {
    if (request.header('content-length') === undefined) {
      throw new ServiceError(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
    }
    if ((request.header('x-amz-content-sha256') ?? '').startsWith('STREAMING-')) {
      throw new ServiceError(501, 'NotImplemented', 'This double reads no aws-chunked bodies: send bytes, not a stream.');
    }
    const checksums = this.checkDigests(request);
    const ifNoneMatch = request.header('if-none-match');
    const ifMatch = request.header('if-match');
    const there = bucket.objects.get(key);
    if (ifNoneMatch !== undefined && ifNoneMatch !== '*') {
      throw new ServiceError(501, 'NotImplemented', "If-None-Match on a write takes '*' alone.");
    }
    if (ifNoneMatch === '*' && there) throw this.precondition('If-None-Match');
    if (ifMatch !== undefined && !there) throw new ServiceError(404, 'NoSuchKey', 'The specified key does not exist.');
    if (ifMatch !== undefined && ifMatch !== there.etag) throw this.precondition('If-Match');
    if (this.lies?.put?.({ key, accessKeyId: by, body: request.body }) === 'skip') {
      const etag = `"${createHash('md5').update(request.body).digest('hex')}"`;
      return { status: 200, headers: { ETag: etag }, body: '' };
    }
    const meta = {};
    for (const [name, values] of request.headers) if (name.startsWith('x-amz-meta-')) meta[name] = values[0];
    const object = this.store(bucket, bucketName, key, request.body, {
      contentType: request.header('content-type') ?? 'binary/octet-stream', checksums, meta, by,
    });
    const headers = { ETag: object.etag };
    for (const [name, value] of Object.entries(checksums)) headers[`x-amz-checksum-${name}`] = value;
    return { status: 200, headers, body: '' };
  }

  /** Every digest that came with the upload must be right; gives those that S3 keeps. */
  checkDigests(request) {
    const md5 = request.header('content-md5');
    if (md5 !== undefined) {
      if (Buffer.from(md5, 'base64').length !== 16) throw new ServiceError(400, 'InvalidDigest', 'The Content-MD5 you specified is not valid.');
      if (createHash('md5').update(request.body).digest('base64') !== md5) {
        throw new ServiceError(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.');
      }
    }
    const kept = {};
    for (const [name, values] of request.headers) {
      const algorithm = /^x-amz-checksum-(?!algorithm|type|mode)(.+)$/.exec(name)?.[1];
      if (!algorithm) continue;
      const compute = CHECKSUMS[algorithm];
      if (!compute) throw new ServiceError(501, 'NotImplemented', `This double does not compute ${algorithm}.`);
      if (compute(request.body).toString('base64') !== values[0].trim()) {
        throw new ServiceError(400, 'BadDigest', `The ${algorithm.toUpperCase()} you specified did not match the calculated checksum.`);
      }
      kept[algorithm] = values[0].trim();
    }
    if (Object.keys(kept).length === 0) kept.crc32 = CHECKSUMS.crc32(request.body).toString('base64');
    return kept;
  }

  upload(route) {
    const upload = this.uploads.get(route.params.get('uploadId'));
    if (!upload || upload.bucket !== route.bucket || upload.key !== route.key) {
      throw new ServiceError(404, 'NoSuchUpload', 'The specified upload does not exist.');
    }
    return upload;
  }

  CreateMultipartUpload(_bucket, { bucket, key }, request) {
    const id = randomUUID();
    this.uploads.set(id, { bucket, key, contentType: request.header('content-type') ?? 'binary/octet-stream', parts: new Map() });
    return xml(200, `<InitiateMultipartUploadResult ${XMLNS}><Bucket>${bucket}</Bucket><Key>${escapeXml(key)}</Key>` +
      `<UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }

  UploadPart(_bucket, route, request) {
    const number = Number(route.params.get('partNumber'));
    if (!(number >= 1 && number <= 10000)) throw new ServiceError(400, 'InvalidArgument', 'partNumber');
    this.checkDigests(request);
    const etag = `"${createHash('md5').update(request.body).digest('hex')}"`;
    this.upload(route).parts.set(number, { etag, body: request.body });
    return { status: 200, headers: { ETag: etag }, body: '' };
  }

  CompleteMultipartUpload(bucket, route, request) {
    const upload = this.upload(route);
    const listed = [...request.body.toString().matchAll(/<Part>.*?<\/Part>/gs)].map(([text]) => ({
      number: Number(/<PartNumber>(\d+)</.exec(text)?.[1]), etag: /<ETag>(?:"|&quot;)?([0-9a-f]+)/.exec(text)?.[1],
    }));
    const parts = listed.map(({ number, etag }, at) => {
      const part = upload.parts.get(number);
      if (part?.etag !== `"${etag}"`) throw new ServiceError(400, 'InvalidPart', `part ${number} is not what was uploaded`);
      if (at > 0 && number <= listed[at - 1].number) throw new ServiceError(400, 'InvalidPartOrder', 'parts are not in ascending order');
      if (at < listed.length - 1 && part.body.length < 5 * 1024 * 1024) throw new ServiceError(400, 'EntityTooSmall', `part ${number}`);
      return part.body;
    });
    if (parts.length === 0) throw new ServiceError(400, 'MalformedXML', 'no parts');
    this.uploads.delete(route.params.get('uploadId'));
    const object = this.store(bucket, route.bucket, route.key, Buffer.concat(parts), { contentType: upload.contentType, checksums: {}, meta: {}, by: route.by });
    return xml(200, `<CompleteMultipartUploadResult ${XMLNS}><Bucket>${route.bucket}</Bucket><Key>${escapeXml(route.key)}</Key>` +
      `<ETag>${escapeXml(object.etag)}</ETag></CompleteMultipartUploadResult>`);
  }

  AbortMultipartUpload(_bucket, route) {
    this.upload(route);
    this.uploads.delete(route.params.get('uploadId'));
    return { status: 204, headers: {} };
  }

  ListObjectVersions(bucket, { bucket: name, params }) {
    const prefix = params.get('prefix') ?? '';
    const rows = [...bucket.versions.keys()].filter((key) => key.startsWith(prefix)).sort(byBytes)
      .flatMap((key) => bucket.versions.get(key).toReversed().map(({ id, object }, at) => ({ key, id, object, newest: at === 0 })));
    const after = params.get('key-marker');
    const version = params.get('version-id-marker');
    const from = after === undefined ? 0 : version ? rows.findIndex(({ key, id }) => key === after && id === version) + 1 : rows.findIndex(({ key }) => byBytes(key, after) > 0);
    const rest = from < 0 ? [] : rows.slice(from);
    const page = rest.slice(0, Math.min(Number(params.get('max-keys') ?? 1000), this.pageLimit));
    const more = page.length < rest.length;
    const next = more ? `<NextKeyMarker>${escapeXml(page.at(-1).key)}</NextKeyMarker><NextVersionIdMarker>${page.at(-1).id}</NextVersionIdMarker>` : '';
    return xml(200, `<ListVersionsResult ${XMLNS}><Name>${name}</Name><IsTruncated>${more}</IsTruncated>${next}` + page.map(({ key, id, object, newest }) => {
      const kind = object ? 'Version' : 'DeleteMarker';
      return `<${kind}><Key>${escapeXml(key)}</Key><VersionId>${id}</VersionId><IsLatest>${newest}</IsLatest></${kind}>`;
    }).join('') + '</ListVersionsResult>');
  }

  DeleteObjects(_bucket, { bucket: bucketName, by }, request) {
    this.checkDigests(request);
    const names = new Map([['amp', '&'], ['lt', '<'], ['gt', '>'], ['quot', '"'], ['apos', "'"]]);
    const objects = [...request.body.toString().matchAll(/<Object>(.*?)<\/Object>/gs)].map(([, text]) => ({
      key: /<Key>([^<]*)</.exec(text)?.[1].replace(/&(\w+);/g, (_, n) => names.get(n)), params: new Map(/<VersionId>([^<]+)</.test(text) ? [['versionId', /<VersionId>([^<]+)</.exec(text)[1]]] : []),
    }));
    if (objects.length === 0 || objects.length > 1000) throw new ServiceError(400, 'MalformedXML', 'from 1 to 1000 keys');
    for (const one of objects) this.DeleteObject(this.bucket(bucketName), { bucket: bucketName, ...one, by });
    return xml(200, `<DeleteResult ${XMLNS}></DeleteResult>`);
  }

  DeleteBucket(bucket, { bucket: name }) {
    if (bucket.versions.size > 0) throw new ServiceError(409, 'BucketNotEmpty', 'The bucket you tried to delete is not empty. You must delete all versions in the bucket.');
    this.buckets.delete(name);
    return { status: 204, headers: {} };
  }

  precondition(name) {
    return new ServiceError(412, 'PreconditionFailed', `At least one of the pre-conditions you specified did not hold: ${name}`);
  }

  find(bucket, key) {
    const object = bucket.objects.get(key);
    if (object) return object;
    // Without s3:ListBucket, S3 does not say whether a key is missing.
    if (!this.listAllowed) throw new ServiceError(403, 'AccessDenied', 'Access Denied');
    throw new ServiceError(404, 'NoSuchKey', 'The specified key does not exist.');
  }

  GetObject(bucket, { key }, request) {
    const object = this.find(bucket, key);
    const ifMatch = request.header('if-match');
    if (ifMatch !== undefined && ifMatch !== object.etag) throw this.precondition('If-Match');
    const headers = {
      ETag: object.etag, 'Content-Type': object.contentType, 'Accept-Ranges': 'bytes',
      'Last-Modified': object.modified.toUTCString(), ...object.meta,
    };
    if (request.header('if-none-match') === object.etag) return { status: 304, headers };
    const range = /^bytes=(\d*)-(\d*)$/.exec(request.header('range') ?? '');
    const size = object.body.length;
    if (range && (range[1] || range[2])) {
      const first = range[1] ? Number(range[1]) : Math.max(0, size - Number(range[2]));
      const last = range[1] && range[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
      if (first >= size || last < first) {
        throw new ServiceError(416, 'InvalidRange', 'The requested range is not satisfiable', { 'Content-Range': `bytes */${size}` });
      }
      headers['Content-Range'] = `bytes ${first}-${last}/${size}`;
      return { status: 206, headers, body: object.body.subarray(first, last + 1) };
    }
    if ((request.header('x-amz-checksum-mode') ?? '').toUpperCase() === 'ENABLED') {
      for (const [name, value] of Object.entries(object.checksums)) headers[`x-amz-checksum-${name}`] = value;
      headers['x-amz-checksum-type'] = 'FULL_OBJECT';
    }
    return { status: 200, headers, body: object.body };
  }

  HeadObject(bucket, route, request) {
    const response = this.GetObject(bucket, route, request);
    const length = response.status === 304 ? {} : { 'Content-Length': String(response.body.length) };
    return { status: response.status, head: true, headers: { ...response.headers, ...length } };
  }

  DeleteObject(bucket, { bucket: bucketName, key, params, by }) {
    const there = bucket.objects.has(key);
    const version = params.get('versionId');
    if (version === undefined && bucket.versioned) this.addVersion(bucket, key, null);
    else if (bucket.versions.has(key)) {
      bucket.versions.set(key, bucket.versions.get(key).filter(({ id }) => version !== undefined && id !== version));
      this.showNewest(bucket, key);
    }
    if (there && !bucket.objects.has(key)) this.history.push({ what: 'delete', bucket: bucketName, key, size: 0, by, at: Date.now() });
    return { status: 204, headers: {} };
  }

  ListObjectsV2(bucket, { bucket: bucketName, params }) {
    if (!this.listAllowed) throw new ServiceError(403, 'AccessDenied', 'Access Denied');
    const prefix = params.get('prefix') ?? '';
    const delimiter = params.get('delimiter') ?? '';
    const asked = params.has('max-keys') ? Number(params.get('max-keys')) : 1000;
    if (!Number.isInteger(asked) || asked < 0) throw new ServiceError(400, 'InvalidArgument', 'max-keys');
    const limit = Math.min(asked, this.pageLimit, 1000);
    let after = params.get('start-after') ?? '';
    if (params.has('continuation-token')) {
      const token = Buffer.from(params.get('continuation-token'), 'base64').toString();
      if (!token.startsWith('after:')) throw new ServiceError(400, 'InvalidArgument', 'The continuation token provided is incorrect');
      after = token.slice('after:'.length);
    }
    const encoded = params.get('encoding-type') === 'url';
    const show = (key) => (encoded ? listEncode(key) : escapeXml(key));
    const rows = [];
    const seen = new Set();
    let last = '';
    let truncated = false;
    for (const key of [...bucket.objects.keys()].filter((k) => k.startsWith(prefix)).sort(byBytes)) {
      const cut = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
      const name = cut < 0 ? key : key.slice(0, cut + delimiter.length);
      if (seen.has(name) || (after !== '' && byBytes(name, after) <= 0)) continue;
      if (rows.length >= limit) {
        truncated = true;
        break;
      }
      seen.add(name);
      last = name;
      const object = bucket.objects.get(key);
      rows.push(cut >= 0
        ? `<CommonPrefixes><Prefix>${show(name)}</Prefix></CommonPrefixes>`
        : `<Contents><Key>${show(key)}</Key><LastModified>${object.modified.toISOString()}</LastModified>` +
          `<ETag>${escapeXml(object.etag)}</ETag><Size>${object.body.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`);
    }
    if (limit === 0) truncated = false;
    const next = truncated ? `<NextContinuationToken>${Buffer.from('after:' + last).toString('base64')}</NextContinuationToken>` : '';
    return xml(200, `<ListBucketResult ${XMLNS}><Name>${bucketName}</Name><Prefix>${show(prefix)}</Prefix>` +
      (delimiter ? `<Delimiter>${show(delimiter)}</Delimiter>` : '') + (encoded ? '<EncodingType>url</EncodingType>' : '') +
      `<KeyCount>${rows.length}</KeyCount><MaxKeys>${asked}</MaxKeys><IsTruncated>${truncated}</IsTruncated>${next}` +
      `${rows.join('')}</ListBucketResult>`);
  }
}
