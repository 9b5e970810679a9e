// The other doubles through AWS's own SDK: social messaging, SQS (beside an independent one), STS, IMDS,
// containers, and the Runtime API.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  DeleteWhatsAppMessageMediaCommand, GetLinkedWhatsAppBusinessAccountCommand, GetWhatsAppMessageMediaCommand,
  ListLinkedWhatsAppBusinessAccountsCommand, PutWhatsAppBusinessAccountEventDestinationsCommand, SendWhatsAppMessageCommand,
} from '@aws-sdk/client-socialmessaging';
import {
  ChangeMessageVisibilityCommand, CreateQueueCommand, DeleteMessageBatchCommand, DeleteMessageCommand, ReceiveMessageCommand, SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { s3Client, socialClient, sqsClient } from './lib/clients.mjs';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { startCloud } from './lib/cloud.mjs';
import { startFauxqs } from './lib/independent.mjs';
import { LambdaFunction, Runtime } from './lib/runtime.mjs';

const PHONE = 'phone-number-id-0f3c5a7e9b1d4826a0c4e8f21b6d3957';
const BUCKET = 'caracola-test';
let cloud;
before(async () => {
  cloud = await startCloud();
  cloud.s3.createBucket(BUCKET);
});
after(async () => {
  await cloud.stop();
  assert.deepEqual(cloud.violations, []);
  assert.deepEqual(cloud.broken, []);
});

describe('social messaging', () => {
  let client;
  before(() => { client = socialClient(cloud.endpoints.social, cloud.keys.default); });
  after(() => client.destroy());
  const get = (input) => client.send(new GetWhatsAppMessageMediaCommand({
    mediaId: '1908647269898587', originationPhoneNumberId: PHONE,
    destinationS3File: { bucketName: BUCKET, key: '2025-10-15/' }, ...input,
  }));

  test('copies media to prefix + id + extension', async () => {
    cloud.social.addMedia('1908647269898587', Buffer.from('OggS'), 'audio/ogg; codecs=opus');
    const answer = await get({});
    assert.deepEqual([answer.mimeType, answer.fileSize], ['audio/ogg', 4]);
    assert.equal(cloud.s3.text(BUCKET, '2025-10-15/1908647269898587.ogg'), 'OggS');
    await get({ originationPhoneNumberId: 'arn:aws:social-messaging:us-east-1:123456789012:phone-number-id/0f3c5a7e9b1d4826a0c4e8f21b6d3957' });
    await get({ destinationS3File: { bucketName: BUCKET, key: 'inbound_' } });
    assert.ok(cloud.s3.object(BUCKET, 'inbound_1908647269898587.ogg'));
    await get({ destinationS3File: undefined, metadataOnly: true });
  });

  test('names the ambiguous types either way', async () => {
    cloud.social.addMedia('77', Buffer.from('ID3'), 'audio/mpeg');
    cloud.social.addMedia('78', Buffer.from('ftyp'), 'audio/mp4');
    for (const mediaId of ['77', '78']) await get({ mediaId });
    cloud.social.extensions = 'table';
    for (const mediaId of ['77', '78']) await get({ mediaId });
    cloud.social.extensions = 'subtype';
    for (const name of ['77.mpeg', '78.mp4', '77.mp3', '78.m4a']) assert.ok(cloud.s3.object(BUCKET, `2025-10-15/${name}`), name);
  });

  test('refuses what the service refuses, in its words', async () => {
    await assert.rejects(get({ mediaId: 'a/b' }), { name: 'ValidationException' });
    await assert.rejects(get({ originationPhoneNumberId: '106540352242922' }), { name: 'ValidationException' });
    await assert.rejects(get({ originationPhoneNumberId: 'phone-number-id-ffff' }), { name: 'ResourceNotFoundException' });
    await assert.rejects(get({ mediaId: '404' }), { name: 'ResourceNotFoundException' });
    await assert.rejects(get({ destinationS3File: { bucketName: 'no-such', key: '' } }), (e) => e.$metadata.httpStatusCode === 404);
    cloud.social.addMedia('403', Buffer.from('x'), 'audio/ogg', { error: [403, 'AccessDeniedByMetaException'] });
    await assert.rejects(get({ mediaId: '403' }), { name: 'AccessDeniedByMetaException' });
    const faults = { 429: 'ThrottledRequestException', 500: 'InternalServiceException', 503: 'DependencyException', expired: 'ExpiredTokenException' };
    for (const [kind, name] of Object.entries(faults)) {
      cloud.faults.command('social.GetWhatsAppMessageMedia', kind);
      await assert.rejects(get({}), { name });
    }
  });

  test('sends each time it is asked', async () => {
    const message = Buffer.from(JSON.stringify({ messaging_product: 'whatsapp', to: '525550100150', type: 'text', text: { body: 'hola' } }));
    const send = (more) => client.send(new SendWhatsAppMessageCommand({ originationPhoneNumberId: PHONE, message, metaApiVersion: 'v20.0', ...more }));
    const ids = [(await send()).messageId, (await send()).messageId];
    assert.notEqual(ids[0], ids[1]);
    assert.deepEqual(cloud.social.sent.map((s) => s.message.text.body), ['hola', 'hola']);
    await assert.rejects(send({ message: Buffer.from('{}') }), { name: 'InvalidParametersException' });
    await assert.rejects(send({ metaApiVersion: '20' }), { name: 'ValidationException' });
  });

  test('lists accounts and sets one event destination', async () => {
    const { linkedAccounts } = await client.send(new ListLinkedWhatsAppBusinessAccountsCommand({}));
    const { id } = linkedAccounts[0];
    const put = (eventDestinations) => client.send(new PutWhatsAppBusinessAccountEventDestinationsCommand({ id, eventDestinations }));
    const one = { eventDestinationArn: 'arn:aws:sns:us-east-1:123456789012:whatsapp-events' };
    await put([one]);
    await assert.rejects(put([one, one]), { name: 'ValidationException' });
    await assert.rejects(put([{ eventDestinationArn: 'arn:aws:sns:us-east-1:123456789012:x.fifo' }]), { name: 'InvalidParametersException' });
    const { account } = await client.send(new GetLinkedWhatsAppBusinessAccountCommand({ id }));
    assert.deepEqual(account.eventDestinations, [one]);
    assert.equal(account.phoneNumbers[0].phoneNumberId, PHONE);
    assert.equal(account.phoneNumbers[0].metaPhoneNumberId, '106540352242922');
  });

  test('deletes media', async () => {
    cloud.social.addMedia('99', Buffer.from('x'), 'audio/ogg');
    const input = { mediaId: '99', originationPhoneNumberId: PHONE };
    assert.equal((await client.send(new DeleteWhatsAppMessageMediaCommand(input))).success, true);
    await assert.rejects(client.send(new DeleteWhatsAppMessageMediaCommand(input)), { name: 'ResourceNotFoundException' });
  });
});

function queueSuite(name, start) {
  test(`SQS by ${name}: receive, hide, show, delete`, async () => {
    const server = await start();
    const client = sqsClient(server.url, server.key ?? { accessKeyId: 'x', secretAccessKey: 'y' });
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: 'inbox' }));
    for (const MessageBody of ['one', 'two', 'three']) await client.send(new SendMessageCommand({ QueueUrl, MessageBody }));
    const receive = async (more = {}) =>
      (await client.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, MessageSystemAttributeNames: ['All'], ...more }))).Messages ?? [];
    const first = await receive();
    assert.deepEqual(first.map((m) => m.Body).sort(), ['one', 'three', 'two']);
    assert.equal((await receive()).length, 0);
    const [one, two, three] = ['one', 'two', 'three'].map((body) => first.find((m) => m.Body === body).ReceiptHandle);
    await client.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: one }));
    await client.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle: two, VisibilityTimeout: 0 }));
    const again = await receive({ WaitTimeSeconds: 1 });
    assert.deepEqual(again.map((m) => [m.Body, m.Attributes.ApproximateReceiveCount]), [['two', '2']]);
    const batch = await client.send(new DeleteMessageBatchCommand({
      QueueUrl, Entries: [{ Id: 'a', ReceiptHandle: three }, { Id: 'b', ReceiptHandle: again[0].ReceiptHandle }],
    }));
    assert.equal(batch.Successful.length, 2);
    const waited = Date.now();
    assert.equal((await receive({ WaitTimeSeconds: 1 })).length, 0);
    assert.ok(Date.now() - waited >= 900, 'long polling waits');
    await assert.rejects(client.send(new ReceiveMessageCommand({ QueueUrl: QueueUrl + 'x' })), { name: /QueueDoesNotExist|NonExistentQueue/ });
    client.destroy();
    await server.close?.();
  });
}
queueSuite('our double', async () => ({ url: cloud.endpoints.sqs, key: cloud.keys.default }));
queueSuite('fauxqs', startFauxqs);

test('SQS: a batch fails in part, and spent messages go to the dead letters', async () => {
  const client = sqsClient(cloud.endpoints.sqs, cloud.keys.default);
  cloud.sqs.createQueue('dead');
  const { url: QueueUrl } = cloud.sqs.createQueue('live', { visibilitySeconds: 0, deadLetter: { queue: 'dead', maxReceiveCount: 2 } });
  cloud.sqs.send('live', 'poison');
  const receive = async () => (await client.send(new ReceiveMessageCommand({ QueueUrl }))).Messages ?? [];
  const [{ ReceiptHandle }] = await receive();
  await receive();
  assert.equal((await receive()).length, 0);
  assert.deepEqual([cloud.sqs.depth('live'), cloud.sqs.depth('dead')], [0, 1]);
  const { Successful, Failed } = await client.send(new DeleteMessageBatchCommand({
    QueueUrl, Entries: [{ Id: 'good', ReceiptHandle }, { Id: 'bad', ReceiptHandle: 'nonsense' }],
  }));
  assert.deepEqual([Successful.map((s) => s.Id), Failed.map((f) => f.Id)], [['good'], ['bad']]);
  cloud.faults.command('sqs.ReceiveMessage', '429');
  await assert.rejects(receive(), (e) => e.name === 'RequestThrottled' && e.$metadata.httpStatusCode === 400);
  client.destroy();
});

describe('credentials', () => {
  const works = async (key) => {
    const client = s3Client(cloud.endpoints.s3, key);
    cloud.s3.put(BUCKET, 'hello', 'hello');
    await client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'hello' }));
    client.destroy();
  };
  const worded = (v) => ({ accessKeyId: v.AccessKeyId, secretAccessKey: v.SecretAccessKey, sessionToken: v.Token });

  test('from IMDSv2, token first', async () => {
    const root = `${cloud.endpoints.imds}/latest`;
    assert.equal((await fetch(`${root}/meta-data/iam/security-credentials/`)).status, 401);
    const token = await (await fetch(`${root}/api/token`, { method: 'PUT', headers: { 'X-aws-ec2-metadata-token-ttl-seconds': '60' } })).text();
    const headers = { 'X-aws-ec2-metadata-token': token };
    const role = await (await fetch(`${root}/meta-data/iam/security-credentials/`, { headers })).text();
    const answer = await (await fetch(`${root}/meta-data/iam/security-credentials/${role}`, { headers })).json();
    assert.equal(answer.Code, 'Success');
    await works(worded(answer));
    cloud.keys.revoke(answer.AccessKeyId);
    await assert.rejects(works(worded(answer)), { name: 'ExpiredToken' });
  });

  test('from the container endpoint', async () => {
    cloud.container.token = 'Bearer of-the-test';
    const url = cloud.endpoints.container + cloud.container.path;
    assert.equal((await fetch(url)).status, 401);
    const answer = await (await fetch(url, { headers: { Authorization: 'Bearer of-the-test' } })).json();
    await works(worded(answer));
  });

  test('from STS with a web identity', async () => {
    const ask = (WebIdentityToken) => fetch(cloud.endpoints.sts, {
      method: 'POST', body: new URLSearchParams({
        Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: 'arn:aws:iam::123456789012:role/r', RoleSessionName: 'caracola', WebIdentityToken,
      }),
    });
    assert.equal((await ask('wrong')).status, 400);
    const text = await (await ask(cloud.sts.webToken)).text();
    const field = (name) => new RegExp(`<${name}>(.*?)</${name}>`).exec(text)[1];
    await works({ accessKeyId: field('AccessKeyId'), secretAccessKey: field('SecretAccessKey'), sessionToken: field('SessionToken') });
  });
});

describe('Runtime API', () => {
  const open = async (options) => {
    const fn = new LambdaFunction({ retryDelayMs: () => 1, ...options });
    const runtime = new Runtime(fn);
    const { url } = await cloud.serve(runtime);
    const post = (path, body, headers = {}) => fetch(`${url}/2018-06-01/runtime/${path}`, { method: 'POST', body, headers });
    const next = () => fetch(`${url}/2018-06-01/runtime/invocation/next`);
    return { fn, runtime, post, next };
  };
  const idOf = (response) => response.headers.get('lambda-runtime-aws-request-id');

  test('hands out an event, takes the response, and refuses what is out of turn', async () => {
    const { fn, post, next } = await open({ timeoutMs: 5000 });
    const waiting = next();
    const settled = fn.invoke({ hello: 1 });
    const response = await waiting;
    assert.deepEqual(await response.json(), { hello: 1 });
    const left = Number(response.headers.get('lambda-runtime-deadline-ms')) - Date.now();
    assert.ok(left > 4000 && left <= 5000);
    assert.match(response.headers.get('lambda-runtime-trace-id'), /^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Sampled=0$/);
    assert.equal((await next()).status, 403);
    assert.equal((await post('invocation/unknown/response', '{}')).status, 400);
    assert.equal((await post(`invocation/${idOf(response)}/response`, 'x'.repeat(7e6))).status, 413);
    assert.equal((await post(`invocation/${idOf(response)}/response`, '{"done":true}')).status, 202);
    assert.deepEqual(await settled, { ok: true, attempts: 1, body: '{"done":true}' });
  });

  test('tries again after errors, crashes and time-outs, then gives up', async () => {
    const { fn, runtime, post, next } = await open({ retries: 2, timeoutMs: 50 });
    const settled = fn.invoke({});
    const first = await next();
    await post(`invocation/${idOf(first)}/error`, '{"errorType":"A.B","errorMessage":"m"}', { 'Lambda-Runtime-Function-Error-Type': 'A.B' });
    await next();
    runtime.processEnded();
    const timeout = new Promise((resolve) => runtime.once('timeout', resolve));
    await next();
    await timeout;
    runtime.processEnded('timeout');
    assert.equal((await settled).ok, false);
    assert.deepEqual(fn.outcomes.map((o) => o.kind), ['error', 'crash', 'timeout']);
    assert.equal(fn.outcomes[0].error.type, 'A.B');
    assert.equal(fn.dead.length, 1);
  });

  test('records an init error', async () => {
    const { runtime, post } = await open();
    assert.equal((await post('init/error', '{"errorType":"Runtime.BadConfig","errorMessage":"m"}')).status, 202);
    assert.equal(runtime.initErrors[0].errorMessage, 'm');
  });
});
