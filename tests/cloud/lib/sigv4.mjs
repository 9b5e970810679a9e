// Verifies AWS Signature Version 4 on the server's side, from the bytes that were received.
//
// A port of the Python oracle that was checked against AWS's own test suite. It rebuilds the
// canonical request as S3 and the other services do: S3 encodes the path once and normalises
// nothing; every other service normalises it and encodes it twice.
import { createHash, createHmac } from 'node:crypto';

const BARE = /[A-Za-z0-9\-_.~]/;
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256\s+Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})$/;

export const sha256Hex = (bytes) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();

/** Percent-encodes every byte but the unreserved ones. */
export function encode(bytes) {
  let out = '';
  for (const byte of Buffer.from(bytes)) {
    const c = String.fromCharCode(byte);
    out += BARE.test(c) ? c : '%' + byte.toString(16).toUpperCase().padStart(2, '0');
  }
  return out;
}

/** Undoes percent-encoding to bytes; a stray '%' stands for itself. */
export function decode(text) {
  const raw = Buffer.from(text, 'latin1');
  const out = [];
  for (let i = 0; i < raw.length; i++) {
    const hex = raw[i] === 0x25 ? raw.toString('latin1', i + 1, i + 3) : '';
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      out.push(parseInt(hex, 16));
      i += 2;
    } else {
      out.push(raw[i]);
    }
  }
  return Buffer.from(out);
}

function normalise(path) {
  const out = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment === '..') out.pop();
    else out.push(segment);
  }
  const joined = '/' + out.join('/');
  return joined + (/(\/|\/\.|\/\.\.)$/.test(path) && joined !== '/' ? '/' : '');
}

/** Splits a query into decoded [name, value] byte pairs. */
export function queryPairs(query) {
  return query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=');
      return at < 0 ? [decode(part), Buffer.alloc(0)] : [decode(part.slice(0, at)), decode(part.slice(at + 1))];
    });
}

function canonicalQuery(query) {
  const pairs = queryPairs(query).map(([k, v]) => [encode(k), encode(v)]);
  const less = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  pairs.sort((a, b) => less(a[0], b[0]) || less(a[1], b[1]));
  return pairs.map(([k, v]) => `${k}=${v}`).join('&');
}

/**
 * The canonical request of `request` ({method, path, query, headers: Map of lower-case name to its
 * values, body}) over the `signed` header names.
 */
export function canonicalRequest(request, signed, s3) {
  const path = s3 ? request.path : normalise(request.path);
  const segments = path.split('/').map((s) => encode(s3 ? decode(s) : Buffer.from(s, 'latin1')));
  const lines = signed.map((name) => {
    const values = (request.headers.get(name) ?? []).map((v) => v.trim().replace(/ +/g, ' '));
    return `${name}:${values.join(',')}\n`;
  });
  const declared = request.headers.get('x-amz-content-sha256')?.[0].trim();
  return [
    request.method, segments.join('/') || '/', canonicalQuery(request.query), lines.join(''),
    signed.join(';'), declared ?? sha256Hex(request.body),
  ].join('\n');
}

export function signature(secret, date, region, service, stringToSign) {
  let key = 'AWS4' + secret;
  for (const part of [date, region, service, 'aws4_request']) key = hmac(key, part);
  return createHmac('sha256', key).update(stringToSign).digest('hex');
}

/** What the Authorization header says, or null where there is none in the SigV4 form. */
export function parseAuthorization(request) {
  const match = AUTHORIZATION.exec(request.headers.get('authorization')?.[0]?.trim() ?? '');
  if (!match) return null;
  const scope = match[1].split('/');
  if (scope.length < 5) return null;
  const [date, region, service, end] = scope.slice(-4);
  if (end !== 'aws4_request') return null;
  return {
    accessKeyId: scope.slice(0, -4).join('/'), date, region, service,
    signed: match[2].split(';'), signature: match[3],
  };
}

/**
 * Judges the signature alone (clock and token are the caller's): {ok, why, canonical}. `why` is ''
 * where it is right.
 */
export function verify(request, claim, secret, service) {
  const s3 = service === 's3';
  const canonical = canonicalRequest(request, claim.signed, s3);
  const no = (why) => ({ ok: false, why, canonical });
  if (claim.service !== service) return no(`signed for ${claim.service}, sent to ${service}`);
  const sorted = [...claim.signed].sort();
  if (sorted.join() !== claim.signed.join()) return no('SignedHeaders is not sorted');
  for (const name of claim.signed) {
    if (!request.headers.has(name)) return no(`${name} is signed but was never sent`);
  }
  for (const name of request.headers.keys()) {
    const must = name === 'host' || name.startsWith('x-amz-');
    if (must && !claim.signed.includes(name)) return no(`${name} was sent but is not signed`);
  }
  const declared = request.headers.get('x-amz-content-sha256')?.[0].trim();
  if (s3 && declared === undefined) return no('S3 needs x-amz-content-sha256');
  const stamp = request.headers.get('x-amz-date')?.[0].trim() ?? '';
  if (!/^\d{8}T\d{6}Z$/.test(stamp)) return no('x-amz-date is missing or malformed');
  if (stamp.slice(0, 8) !== claim.date) return no('the scope is of another day than x-amz-date');
  const stringToSign = [
    'AWS4-HMAC-SHA256', stamp, `${claim.date}/${claim.region}/${service}/aws4_request`,
    sha256Hex(canonical),
  ].join('\n');
  const want = signature(secret, claim.date, claim.region, service, stringToSign);
  return want === claim.signature ? { ok: true, why: '', canonical } : no('signature differs');
}

/** True where the declared payload hash is a digest and the body has another one. */
export function bodyDigestDiffers(request) {
  const declared = request.headers.get('x-amz-content-sha256')?.[0].trim() ?? '';
  return /^[0-9a-f]{64}$/.test(declared) && declared !== sha256Hex(request.body);
}
