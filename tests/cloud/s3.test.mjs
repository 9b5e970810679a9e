// The S3 double through AWS's own SDK, beside the independent servers: what all of them must agree on,
// and what only ours checks.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import {
  CreateBucketCommand, DeleteBucketCommand, DeleteObjectCommand, DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command,
  ListObjectVersionsCommand, PutObjectCommand,
} from '@aws-sdk/client-s3';
import { s3Client } from './lib/clients.mjs';
import { startCloud } from './lib/cloud.mjs';
import { startFauxqs, startMoto } from './lib/independent.mjs';

const AWKWARD_KEYS = [
  'plain.json', '2025-10-15/525550100150-01-10-12-AbCdEf_-012.json', 'with space.json', 'a+b.json', 'k=v&x?y#z.json',
  'café/señal.json', 'a//b.json', "quote's (1)!*.json", '漢字-🐚.json', 'k'.repeat(1000),
];
const BUCKET = 'caracola-suite';
const decoded = (key) => decodeURIComponent(key.replaceAll('+', '%20'));

function agreedSuite(name, start) {
  describe(`S3 by ${name}`, () => {
    let server, client;
    before(async () => {
      server = await start();
      client = server && s3Client(server.url, server.key ?? { accessKeyId: 'x', secretAccessKey: 'y' });
      await client?.send(new CreateBucketCommand({ Bucket: BUCKET }));
    });
    after(() => { client?.destroy(); return server?.close(); });

    test('keeps and gives back every awkward key', async (t) => {
      if (!server) return t.skip(`${name} not present`);
      for (const Key of AWKWARD_KEYS) {
        const put = await client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: `body of ${Key}` }));
        const md5 = createHash('md5').update(`body of ${Key}`).digest('hex');
        assert.equal(put.ETag, `"${md5}"`);
        const got = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
        assert.equal(await got.Body.transformToString(), `body of ${Key}`);
        const head = await client.send(new HeadObjectCommand({ Bucket: BUCKET, Key }));
        assert.equal(head.ContentLength, Buffer.byteLength(`body of ${Key}`));
      }
    });

    test('lists by prefix in small pages, keys encoded where it says so', async (t) => {
      if (!server) return t.skip(`${name} not present`);
      const seen = [];
      let token;
      let pages = 0;
      do {
        const page = await client.send(new ListObjectsV2Command({
          Bucket: BUCKET, MaxKeys: 3, EncodingType: 'url', ContinuationToken: token,
        }));
        pages++;
        assert.ok((page.Contents ?? []).length <= 3);
        seen.push(...page.Contents.map((c) => (page.EncodingType === 'url' ? decoded(c.Key) : c.Key)));
        token = page.NextContinuationToken;
      } while (token);
      // fauxqs sorts by locale and continues by code unit, so a key may come on two pages.
      const listed = name === 'fauxqs' ? [...new Set(seen)] : seen;
      assert.deepEqual(listed.sort(), [...AWKWARD_KEYS].sort());
      assert.ok(pages >= 4);
      const some = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'a+' }));
      assert.deepEqual(some.Contents.map((c) => c.Key), ['a+b.json']);
      const none = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'no such' }));
      assert.equal(none.KeyCount, 0);
    });

    test('says what is missing, deletes, and cuts ranges', async (t) => {
      if (!server) return t.skip(`${name} not present`);
      await assert.rejects(client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'missing' })), { name: 'NoSuchKey' });
      await assert.rejects(client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'missing' })), { name: 'NotFound' });
      await assert.rejects(client.send(new GetObjectCommand({ Bucket: 'no-such-bucket', Key: 'x' })), { name: 'NoSuchBucket' });
      await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: 'range', Body: '0123456789' }));
      const part = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'range', Range: 'bytes=2-4' }));
      assert.equal(await part.Body.transformToString(), '234');
      await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'range' }));
      await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: 'range' }));
      await assert.rejects(client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: 'range' })), { name: 'NotFound' });
    });
  });
}

agreedSuite('our double', async () => {
  const cloud = await startCloud();
  const close = async () => {
    await cloud.stop();
    assert.deepEqual(cloud.violations, []);
    assert.deepEqual(cloud.broken, []);
  };
  return { url: cloud.endpoints.s3, key: cloud.keys.default, close };
});
agreedSuite('fauxqs', startFauxqs);
agreedSuite('moto', startMoto);

describe('what only our S3 checks', () => {
  let cloud, client;
  const put = (Key, Body, more = {}) => client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, ...more }));
  before(async () => {
    cloud = await startCloud({ s3: { pageLimit: 2 } });
    cloud.s3.createBucket(BUCKET);
    client = s3Client(cloud.endpoints.s3, cloud.keys.default);
  });
  after(async () => {
    client.destroy();
    await cloud.stop();
    assert.deepEqual(cloud.broken, []);
  });

  test('If-None-Match and If-Match guard a write', async () => {
    const first = await put('once', 'one', { IfNoneMatch: '*' });
    await assert.rejects(put('once', 'two', { IfNoneMatch: '*' }), (e) => e.$metadata.httpStatusCode === 412);
    await assert.rejects(put('once', 'two', { IfMatch: '"0"' }), (e) => e.$metadata.httpStatusCode === 412);
    await assert.rejects(put('never', 'x', { IfMatch: '"0"' }), (e) => e.$metadata.httpStatusCode === 404);
    assert.equal(cloud.s3.text(BUCKET, 'once'), 'one');
    await put('once', 'three', { IfMatch: first.ETag });
    assert.equal(cloud.s3.text(BUCKET, 'once'), 'three');
    assert.equal(cloud.s3.object(BUCKET, 'once').writes, 2);
    cloud.faults.command('s3.PutObject', '409');
    await assert.rejects(put('new', 'x', { IfNoneMatch: '*' }), (e) => e.$metadata.httpStatusCode === 409);
  });

  test('every digest that is sent is checked', async () => {
    const right = { ContentMD5: createHash('md5').update('abc').digest('base64') };
    await put('digest', 'abc', right);
    await assert.rejects(put('digest', 'abd', right), { name: 'BadDigest' });
    for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'SHA1', 'SHA256']) await put('digest', 'abc', { ChecksumAlgorithm });
    await assert.rejects(put('digest', 'abc', { ChecksumSHA256: createHash('sha256').update('abd').digest('base64') }), { name: 'BadDigest' });
  });

  test('a page may be shorter than asked', async () => {
    for (const n of [1, 2, 3, 4, 5]) await put(`page/${n}`, 'x');
    const page = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'page/', MaxKeys: 1000 }));
    assert.deepEqual([page.KeyCount, page.IsTruncated], [2, true]);
    const rest = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: 'page/', StartAfter: 'page/3' }));
    assert.deepEqual(rest.Contents.map((c) => c.Key), ['page/4', 'page/5']);
  });

  test('a bucket with versions loses none until each is deleted, markers too', async () => {
    const Bucket = 'with-versions';
    cloud.s3.createBucket(Bucket, 'us-east-1', { versioned: true });
    const write = (Key, Body) => client.send(new PutObjectCommand({ Bucket, Key, Body }));
    const text = async (Key) => (await client.send(new GetObjectCommand({ Bucket, Key }))).Body.transformToString();
    await write('a', 'one');
    await write('a', 'two');
    await write('b', 'x');
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
    await assert.rejects(text('a'), { name: 'NoSuchKey' });
    const first = await client.send(new ListObjectVersionsCommand({ Bucket }));
    assert.deepEqual([first.DeleteMarkers.map(({ Key, IsLatest }) => [Key, IsLatest]), first.Versions.map(({ Key, IsLatest }) => [Key, IsLatest])], [[['a', true]], [['a', false]]]);
    const next = await client.send(new ListObjectVersionsCommand({ Bucket, KeyMarker: first.NextKeyMarker, VersionIdMarker: first.NextVersionIdMarker }));
    assert.deepEqual([next.IsTruncated, next.Versions.map(({ Key, IsLatest }) => [Key, IsLatest])], [false, [['a', false], ['b', true]]]);
    // Without its marker the object is what it was; without its newest version it is the one before.
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId: first.DeleteMarkers[0].VersionId }));
    assert.equal(await text('a'), 'two');
    await client.send(new DeleteObjectCommand({ Bucket, Key: 'a', VersionId: first.Versions[0].VersionId }));
    assert.equal(await text('a'), 'one');
    await assert.rejects(client.send(new DeleteBucketCommand({ Bucket })), { name: 'BucketNotEmpty' });
    await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: next.Versions.map(({ Key, VersionId }) => ({ Key, VersionId })) } }));
    assert.deepEqual(cloud.s3.versions(Bucket), []);
    await client.send(new DeleteBucketCommand({ Bucket }));
    assert.ok(!cloud.s3.buckets.has(Bucket));
  });

  test('a key is 1,024 bytes at most, and a bucket of another Region is pointed at', async () => {
    await put('k'.repeat(1024), 'x');
    await assert.rejects(put('é'.repeat(513), 'x'), { name: 'KeyTooLongError' });
    cloud.s3.createBucket('elsewhere', 'eu-west-1');
    await assert.rejects(client.send(new PutObjectCommand({ Bucket: 'elsewhere', Key: 'x', Body: 'x' })),
      (e) => e.$metadata.httpStatusCode === 301 && e.$response.headers['x-amz-bucket-region'] === 'eu-west-1');
  });
  test('without the right to list, a missing key is forbidden', async () => {
    cloud.s3.listAllowed = false;
    await assert.rejects(client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'missing' })), { name: 'AccessDenied' });
    cloud.s3.listAllowed = true;
  });

  test('a client that makes no mistake leaves no violation', () => assert.deepEqual(cloud.violations, []));
});
