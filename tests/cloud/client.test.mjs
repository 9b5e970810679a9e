// Our C client over real HTTP: against S3 servers written by others, under each fault, and with credentials from
// each place.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { CreateQueueCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { s3Client, sqsClient } from './lib/clients.mjs';
import { startCloud } from './lib/cloud.mjs';
import { startFauxqs, startMoto } from './lib/independent.mjs';
import { probe } from './lib/probe.mjs';

const BUCKET = 'caracola-test';
const PHONE = 'phone-number-id-0f3c5a7e9b1d4826a0c4e8f21b6d3957';
const NETWORK = '-42 ';
const DENIED = '-43 ';
const KEYS = ['2025-10-15/525550100150-01-10-12-AbCdEf_-012.json', 'with space', 'a+b', 'k=v&x', 'café/é', 'a//b', 'k'.repeat(1000)];
const ANYONE = { accessKeyId: 'x', secretAccessKey: 'y' };

let folder, file, cloud;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caracola-client-'));
  file = join(folder, 'body');
  writeFileSync(file, 'the body');
  cloud = await startCloud();
  cloud.s3.createBucket(BUCKET);
});
beforeEach(() => {
  cloud.faults.quiet();
  cloud.violations.length = cloud.log.length = 0;
  cloud.skewMs = 0;
});
after(async () => {
  await cloud.stop();
  rmSync(folder, { recursive: true });
  assert.deepEqual(cloud.broken, []);
});

const run = (args, more = {}, options) => probe(args, { ...cloud.clientEnv(), PROBE_TIMEOUT: '1', ...more }, options);
const requests = (op) => cloud.log.filter((entry) => entry.op === op).length;

for (const [name, start] of [['fauxqs', startFauxqs], ['moto', startMoto]]) {
  test(`S3 by ${name}: put, head, get, list, delete`, async (t) => {
    const server = await start();
    if (!server) return t.skip(`${name} not present`);
    try {
      const sdk = s3Client(server.url, ANYONE);
      await sdk.send(new CreateBucketCommand({ Bucket: BUCKET }));
      sdk.destroy();
      const env = { AWS_ENDPOINT_URL: server.url, AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y' };
      const good = async (...args) => {
        const { code, stdout, stderr } = await probe(args, env);
        assert.equal(code, 0, stderr);
        return stdout;
      };
      for (const key of KEYS) {
        await good('put', BUCKET, key, file);
        assert.match(await good('head', BUCKET, key), /^8\t"[0-9a-f]{32}"\n$/);
        assert.equal(await good('get', BUCKET, key), 'the body');
        // fauxqs ignores encoding-type and does not name one; moto names it behind the keys.
        assert.equal(await good('list', BUCKET, key), `8\t${key}\n`);
        await good('delete', BUCKET, key);
        assert.equal((await probe(['get', BUCKET, key], env)).code, 1);
      }
      if (name === 'moto') {
        await good('put', BUCKET, 'once', file, 'absent');
        assert.match((await probe(['put', BUCKET, 'once', file, 'absent'], env)).stderr, /^-44 /);
      }
    } finally {
      await server.close();
    }
  });
}

test('SQS by fauxqs: receive, hide, delete', async () => {
  const server = await startFauxqs();
  const sdk = sqsClient(server.url, ANYONE);
  const { QueueUrl } = await sdk.send(new CreateQueueCommand({ QueueName: 'inbox' }));
  await sdk.send(new SendMessageCommand({ QueueUrl, MessageBody: 'héllo' }));
  const env = { AWS_ENDPOINT_URL: server.url, AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'y' };
  const first = await probe(['receive', QueueUrl, '10', '1', '30'], env);
  assert.equal(first.code, 0, first.stderr);
  const [, receipt, count, body] = first.stdout.trimEnd().split('\t');
  assert.deepEqual([count, body], ['1', 'héllo']);
  assert.equal((await probe(['visibility', QueueUrl, receipt, '0'], env)).code, 0);
  const again = await probe(['receive', QueueUrl, '10', '1', '30'], env);
  assert.equal((await probe(['done', QueueUrl, again.stdout.split('\t')[1]], env)).code, 0);
  assert.equal((await probe(['receive', QueueUrl, '10', '0', '30'], env)).stdout, '');
  sdk.destroy();
  await server.close();
});

describe('one fault is survived', () => {
  const KINDS = ['429', '500', '503', 'hang', 'drip', 'drop', 'reset', 'length', 'digest', 'skew'];
  for (const kind of KINDS) {
    test(`${kind}: S3 get`, async () => {
      cloud.s3.put(BUCKET, 'get', 'what is kept');
      cloud.faults.command('s3.GetObject', kind);
      const { code, stdout, stderr } = await run(['get', BUCKET, 'get']);
      assert.equal(code, 0, stderr);
      assert.equal(stdout, 'what is kept');
      assert.equal(requests('s3.GetObject'), 2);
      assert.deepEqual(cloud.violations, []);
    });
    if (kind === 'digest') continue; // what is not checked by a digest of its own cannot show it
    test(`${kind}: S3 put`, async () => {
      cloud.faults.command('s3.PutObject', kind);
      const { code, stderr } = await run(['put', BUCKET, `put-${kind}`, file]);
      assert.equal(code, 0, stderr);
      assert.equal(cloud.s3.text(BUCKET, `put-${kind}`), 'the body');
      assert.deepEqual(cloud.violations, []);
    });
    test(`${kind}: social messaging`, async () => {
      cloud.social.addMedia('1', Buffer.from('OggS'), 'audio/ogg');
      cloud.faults.command('social.GetWhatsAppMessageMedia', kind);
      const { code, stderr } = await run(['media', '1', PHONE, BUCKET, 'd/']);
      assert.equal(code, 0, stderr);
      assert.equal(requests('social.GetWhatsAppMessageMedia'), 2);
      assert.deepEqual(cloud.violations, []);
    });
    if (kind === 'hang' || kind === 'drip') continue; // a long poll waits long before it gives up
    test(`${kind}: SQS receive`, async () => {
      const { url } = cloud.sqs.createQueue(`q-${kind}`, { visibilitySeconds: 1 });
      cloud.sqs.send(`q-${kind}`, 'body');
      cloud.faults.command('sqs.ReceiveMessage', kind);
      // What a cut answer has taken is hidden until its time is over.
      const { code, stdout, stderr } = await run(['receive', url, '1', '5', '1'], { PROBE_TIMEOUT: '3' });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /\tbody\n$/);
    });
  }
  test('409: a conditional write', async () => {
    cloud.faults.command('s3.PutObject', '409');
    assert.equal((await run(['put', BUCKET, 'conflict', file, 'absent'])).code, 0);
  });
  test('a list, in the middle of its pages', async () => {
    for (let n = 0; n < 6; n++) cloud.s3.put(BUCKET, `pages/${n}`, 'x');
    cloud.s3.pageLimit = 2;
    cloud.faults.command('s3.ListObjectsV2', 'reset', { after: 1 });
    assert.equal((await run(['list', BUCKET, 'pages/'])).stdout.split('\n').length, 7);
    cloud.s3.pageLimit = 1000;
  });
});

describe('a server that sends one byte a second', () => {
  // With the times that the program has, all at once.
  const CALLS = {
    's3.GetObject': ['get', BUCKET, 'slow'],
    's3.PutObject': ['put', BUCKET, 'slow-put', 'FILE'],
  };
  test('is given up after 20 s where bytes would give a call more time', async () => {
    cloud.s3.put(BUCKET, 'slow', 'x'.repeat(100000));
    for (const op of Object.keys(CALLS)) cloud.faults.command(op, 'drip');
    const results = await Promise.all(Object.values(CALLS).map((args) =>
      run(args.map((arg) => (arg === 'FILE' ? file : arg)), { PROBE_TIMEOUT: '0' }, { timeoutMs: 60000 })));
    for (const { code, stderr, ms } of results) {
      assert.equal(code, 0, stderr);
      assert.ok(ms > 19000 && ms < 40000, `${ms} ms`);
    }
    assert.equal(cloud.s3.text(BUCKET, 'slow-put'), 'the body');
    assert.equal(results[0].stdout.length, 100000);
    assert.deepEqual([requests('s3.GetObject') >= 2, requests('s3.PutObject') >= 2], [true, true]);
  });
  test('is given up with every attempt, and that is said', async () => {
    cloud.faults.command('s3.GetObject', 'drip', { times: 9, everyMs: 100 });
    const { code, stderr, ms } = await run(['get', BUCKET, 'slow']);
    assert.equal(code, 1);
    assert.match(stderr, /^-42 .*(too slow|in time)/);
    assert.equal(requests('s3.GetObject'), 3);
    assert.ok(ms < 20000, `${ms} ms`);
  });
  test('has no more time for a list, or for a queue', async () => {
    cloud.faults.command('s3.ListObjectsV2', 'drip', { times: 9, everyMs: 100 });
    assert.match((await run(['list', BUCKET, 'slow'])).stderr, /^-42 /);
    const { url } = cloud.sqs.createQueue('q-slow', { visibilitySeconds: 1 });
    cloud.sqs.send('q-slow', 'body');
    cloud.faults.command('sqs.DeleteMessage', 'drip', { times: 9, everyMs: 100 });
    assert.match((await run(['done', url, 'receipt'])).stderr, /^-4[23] /);
  });
});

describe('what can not be recovered is reported', () => {
  test('three attempts, no more', async () => {
    cloud.faults.command('s3.GetObject', '503', { times: 9 });
    const { code, stderr } = await run(['get', BUCKET, 'get']);
    assert.equal(code, 1);
    assert.ok(stderr.startsWith(NETWORK) && stderr.includes('SlowDown'), stderr);
    assert.equal(requests('s3.GetObject'), 3);
  });
  test('Retry-After is waited for', async () => {
    cloud.s3.put(BUCKET, 'get', 'x');
    cloud.faults.command('s3.GetObject', '503', { retryAfter: 2 });
    const { code, ms } = await run(['get', BUCKET, 'get']);
    assert.equal(code, 0);
    assert.ok(ms >= 1900, `${ms} ms`);
  });
  test('an expired session of the environment is for the next sandbox to cure', async () => {
    cloud.faults.command('s3.GetObject', 'expired', { times: 9 });
    const { code, stderr } = await run(['get', BUCKET, 'get']);
    assert.equal(code, 1);
    assert.ok(stderr.startsWith(NETWORK), stderr);
  });
  test('a refusal is not repeated', async () => {
    cloud.social.addMedia('403', Buffer.from('x'), 'audio/ogg', { error: [403, 'AccessDeniedByMetaException'] });
    const { stderr } = await run(['media', '403', PHONE, BUCKET, 'd/']);
    assert.ok(stderr.startsWith(DENIED) && stderr.includes('AccessDeniedByMeta'), stderr);
    assert.equal(requests('social.GetWhatsAppMessageMedia'), 1);
  });
  test('a wrong secret', async () => {
    const { code, stderr } = await run(['get', BUCKET, 'get'], { AWS_SECRET_ACCESS_KEY: 'wrong' });
    assert.equal(code, 1);
    assert.ok(stderr.startsWith(DENIED), stderr);
    assert.deepEqual(cloud.violations.map((v) => v.code), ['SignatureDoesNotMatch']);
  });
});

describe('a reply is sent at most once', () => {
  const message = JSON.stringify({ messaging_product: 'whatsapp', to: '525550100150', type: 'text', text: { body: 'hola' } });
  for (const kind of ['hang', 'reset', '500']) {
    test(`after ${kind}`, async () => {
      cloud.social.sent.length = 0;
      cloud.faults.command('social.SendWhatsAppMessage', kind, { applied: true });
      assert.equal((await run(['send', PHONE, message])).code, 1);
      assert.equal(requests('social.SendWhatsAppMessage'), 1);
    });
  }
  test('throttled is surely not sent, so it is tried again', async () => {
    cloud.social.sent.length = 0;
    cloud.faults.command('social.SendWhatsAppMessage', '429');
    assert.equal((await run(['send', PHONE, message])).code, 0);
    assert.equal(cloud.social.sent.length, 1);
  });
});

describe('credentials from', () => {
  const bare = () => {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_EC2_METADATA_DISABLED, ...env } = cloud.clientEnv();
    return env;
  };
  const works = async (source, more) => {
    const env = { ...bare(), ...more };
    const identity = await probe(['whoami'], env);
    assert.equal(identity.code, 0, identity.stderr);
    assert.match(identity.stdout, source);
    cloud.s3.put(BUCKET, 'get', 'x');
    const got = await probe(['get', BUCKET, 'get'], env);
    assert.equal(got.code, 0, got.stderr);
    assert.deepEqual(cloud.violations, []);
  };
  test('an EC2 instance', () => works(/instance|imds|ec2/i, { AWS_EC2_METADATA_SERVICE_ENDPOINT: cloud.endpoints.imds }));
  test('a container, with a token', () => {
    cloud.container.token = 'Bearer of-the-test';
    return works(/container/i, {
      AWS_CONTAINER_CREDENTIALS_FULL_URI: cloud.endpoints.container + cloud.container.path, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'Bearer of-the-test',
    });
  });
  test('a web identity', () => {
    const token = join(folder, 'token');
    writeFileSync(token, cloud.sts.webToken);
    return works(/web identity/i, { AWS_WEB_IDENTITY_TOKEN_FILE: token, AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/caracola' });
  });
  test('a role assumed with keys of a profile', () => {
    const config = join(folder, 'config');
    const { accessKeyId, secretAccessKey } = cloud.keys.default;
    writeFileSync(config, `[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\n[profile base]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`);
    return works(/role/i, { AWS_CONFIG_FILE: config });
  });
  test('nowhere: says so', async () => {
    const { code, stderr } = await probe(['whoami'], { ...bare(), AWS_EC2_METADATA_DISABLED: 'true' });
    assert.equal(code, 1);
    assert.ok(stderr.startsWith(DENIED), stderr);
  });
});
