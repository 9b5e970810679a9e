// Signatures and faults: what a client sees of each kind, and that a bad signature is never accepted.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { s3Client } from './lib/clients.mjs';
import { startCloud } from './lib/cloud.mjs';
import { Faults, Random } from './lib/faults.mjs';

const BUCKET = 'caracola-test';
let cloud, client;
before(async () => {
  cloud = await startCloud();
  cloud.s3.createBucket(BUCKET);
  client = s3Client(cloud.endpoints.s3, cloud.keys.default, { requestHandler: new NodeHttpHandler({ requestTimeout: 300, throwOnRequestTimeout: true }) });
});
beforeEach(() => { cloud.violations.length = 0; });
after(async () => {
  client.destroy();
  await cloud.stop();
  assert.deepEqual(cloud.broken, []);
});

const put = (Key = 'k', Body = 'body') => client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body }));
const get = async (Key = 'k') => (await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }))).Body.transformToString();
const status = (n) => (error) => error.$metadata?.httpStatusCode === n;

describe('signatures', () => {
  const refused = async (code, key) => {
    const other = s3Client(cloud.endpoints.s3, { ...cloud.keys.default, ...key });
    await assert.rejects(other.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' })), { name: code });
    other.destroy();
    assert.deepEqual(cloud.violations.map((v) => v.code), [code]);
  };
  test('a wrong secret is refused and recorded', () => refused('SignatureDoesNotMatch', { secretAccessKey: 'wrong' }));
  test('an unknown key is refused and recorded', () => refused('InvalidAccessKeyId', { accessKeyId: 'AKIDNOBODY' }));
  test('a token that is not the key\'s is refused and recorded', () => refused('InvalidToken', { sessionToken: 'other' }));

  // Takes a request that the SDK signed and sends it again with one thing changed.
  const replay = async (change) => {
    let seen;
    cloud.capture = (_service, _route, request) => { seen ??= request; };
    await put('replay', 'body');
    cloud.capture = null;
    const lines = [`${seen.method} ${seen.target} HTTP/1.1`];
    for (const [name, values] of seen.headers) for (const value of values) if (name !== 'connection') lines.push(`${name}: ${value}`);
    const { head, body } = change({ head: [...lines, 'connection: close', '', ''].join('\r\n'), body: seen.body.toString('latin1') });
    return new Promise((resolve, reject) => {
      let text = '';
      const socket = connect(Number(new URL(cloud.endpoints.s3).port), '127.0.0.1', () => socket.write(head + body, 'latin1'));
      socket.on('data', (part) => { text += part; }).on('error', reject);
      socket.on('close', () => resolve([Number(text.slice(9, 12)), /<Code>(.*?)<\/Code>/.exec(text)?.[1]]));
    });
  };
  test('the same request again is good', async () => assert.equal((await replay((r) => r))[0], 200));
  const CHANGES = {
    path: (r) => ({ ...r, head: r.head.replace('/replay', '/replax') }),
    method: (r) => ({ ...r, head: r.head.replace('PUT ', 'GET ') }),
    query: (r) => ({ ...r, head: r.head.replace('x-id=PutObject', 'x-id=PutObjecu') }),
    host: (r) => ({ ...r, head: r.head.replace('host: 127.0.0.1', 'host: localhost') }),
    date: (r) => ({ ...r, head: r.head.replace(/(x-amz-date: \d{8}T\d{5})(\d)/, (_, d, last) => d + (last === '9' ? '8' : '9')) }),
    'an unsigned x-amz header': (r) => ({ ...r, head: r.head.replace('host:', 'x-amz-acl: public-read\r\nhost:') }),
    'a signed header left out': (r) => ({ ...r, head: r.head.replace(/x-amz-user-agent: .*\r\n/, '') }),
    'no content hash': (r) => ({ ...r, head: r.head.replace(/x-amz-content-sha256: .*\r\n/, '') }),
  };
  for (const [what, change] of Object.entries(CHANGES)) {
    test(`changed: ${what}`, async () => {
      assert.deepEqual(await replay(change), [403, 'SignatureDoesNotMatch']);
      assert.equal(cloud.violations.length, 1);
    });
  }
  test('changed: body', async () => {
    assert.deepEqual(await replay((r) => ({ ...r, body: 'bodx' })), [400, 'XAmzContentSHA256Mismatch']);
    assert.equal(cloud.violations.length, 1);
  });
  test('no signature at all', async () => {
    assert.equal((await fetch(`${cloud.endpoints.s3}/${BUCKET}/k`)).status, 403);
    assert.deepEqual(cloud.violations.map((v) => v.code), ['MissingAuthentication']);
  });
});

describe('faults on command', () => {
  before(async () => { await put('k', 'a body of some length'); });
  test('429, 500, 503, expired', async () => {
    for (const [kind, code, name] of [['429', 429, 'TooManyRequests'], ['500', 500, 'InternalError'], ['503', 503, 'SlowDown'], ['expired', 400, 'ExpiredToken']]) {
      cloud.faults.command('s3.GetObject', kind);
      await assert.rejects(get(), (e) => status(code)(e) && e.name === name);
      assert.equal(await get(), 'a body of some length');
    }
  });
  test('hang: no answer until the client gives up, executed or not as set', async () => {
    for (const applied of [false, true]) {
      cloud.faults.command('s3.PutObject', 'hang', { applied });
      await assert.rejects(put(`hang-${applied}`, 'x'), { name: 'TimeoutError' });
      assert.equal(cloud.s3.text(BUCKET, `hang-${applied}`), applied ? 'x' : undefined);
    }
  });
  test('drop: reset while uploading, nothing kept', async () => {
    cloud.faults.command('s3.PutObject', 'drop');
    await assert.rejects(put('dropped', 'x'.repeat(1e6)), { code: 'ECONNRESET' });
    assert.equal(cloud.s3.text(BUCKET, 'dropped'), undefined);
  });
  test('reset: kept, but the answer is cut', async () => {
    cloud.faults.command('s3.PutObject', 'reset');
    await assert.rejects(put('cut', 'x'), { code: 'ECONNRESET' });
    assert.equal(cloud.s3.text(BUCKET, 'cut'), 'x');
    cloud.faults.command('s3.GetObject', 'reset');
    await assert.rejects(get(), { code: 'ECONNRESET' });
  });
  test('length: fewer bytes than promised', async () => {
    cloud.faults.command('s3.GetObject', 'length');
    await assert.rejects(get());
  });
  test('digest: a flipped byte is what a checksum finds', async () => {
    cloud.faults.command('s3.GetObject', 'digest');
    await assert.rejects(get(), /[Cc]hecksum/);
    cloud.faults.command('s3.PutObject', 'digest');
    await assert.rejects(put(), { name: 'BadDigest' });
  });
  test('skew: refused until the client follows the clock', async () => {
    cloud.faults.command('s3.GetObject', 'skew', { ms: 40 * 60000 });
    await assert.rejects(get(), (e) => e.name === 'RequestTimeTooSkewed' && Math.abs(Date.parse(e.$response.headers.date) - Date.now()) > 30 * 60000);
    assert.equal(await get(), 'a body of some length'); // the SDK has corrected its clock
    cloud.skewMs = 0;
    await assert.rejects(get(), { name: 'RequestTimeTooSkewed' });
    assert.equal(await get(), 'a body of some length');
    assert.deepEqual(cloud.violations, []);
  });
  test('Retry-After, a number of times, after a number of requests, on a key', async () => {
    cloud.faults.command('s3.GetObject', '503', { times: 2, after: 1, key: 'k', retryAfter: 7 });
    await get();
    await assert.rejects(get(), (e) => e.$response.headers['retry-after'] === '7');
    await assert.rejects(get(), status(503));
    await get();
  });
  test('every injection is in the tally', () => {
    const { byOp, total } = cloud.faults.tally();
    assert.deepEqual(byOp['s3.PutObject'], { hang: 2, drop: 1, reset: 1, digest: 1 });
    assert.equal(total, Object.values(byOp).flatMap(Object.values).reduce((a, b) => a + b));
    assert.match(cloud.faults.tallyText(), new RegExp(`^faults injected: ${total}\n`));
  });
});

describe('a seeded plan', () => {
  const run = (seed) => {
    const faults = new Faults({ seed, rules: [{ op: 's3.*', kind: '500', p: 0.1 }, { op: 's3.PutObject', kind: '409', p: 0.1 }] });
    return Array.from({ length: 2000 }, () => faults.decide('s3.PutObject', { conditional: true })?.kind ?? '-').join(' ');
  };
  test('repeats itself', () => assert.equal(run(1), run(1)));
  test('differs by seed', () => assert.notEqual(run(1), run(2)));
  test('keeps to its probabilities', () => {
    for (const kind of ['500', '409']) {
      const n = run(3).split(' ').filter((k) => k === kind).length;
      assert.ok(n > 140 && n < 260, `${kind}: ${n} of 2000`);
    }
  });
  test('refuses nonsense', () => {
    assert.throws(() => new Faults({ rules: [{ op: '*', kind: 'flood', p: 1 }] }), /no fault of kind/);
    assert.throws(() => new Faults({ rules: [{ op: '*', kind: '500', p: 2 }] }), /0\.\.1/);
  });
  test('shuffles evenly', () => {
    const random = new Random(5);
    const sums = [0, 0, 0, 0];
    for (let i = 0; i < 4000; i++) random.shuffle([0, 1, 2, 3]).forEach((v, at) => { sums[at] += v; });
    for (const sum of sums) assert.ok(Math.abs(sum / 4000 - 1.5) < 0.1);
  });
});
