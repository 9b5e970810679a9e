// Our client's requests beside those of AWS's own SDK for the same calls, as the servers received them:
// method, path, query, body, the headers that matter, and whether the signature is right.
// Left out, as the SDK's own additions: x-id, checksums, user agents, amz-sdk-*.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import {
  GetFunctionConfigurationCommand, GetFunctionEventInvokeConfigCommand, InvokeCommand, ListEventSourceMappingsCommand,
} from '@aws-sdk/client-lambda';
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { GetTopicAttributesCommand, ListSubscriptionsByTopicCommand } from '@aws-sdk/client-sns';
import {
  GetLinkedWhatsAppBusinessAccountCommand, GetWhatsAppMessageMediaCommand, ListLinkedWhatsAppBusinessAccountsCommand, PutWhatsAppBusinessAccountEventDestinationsCommand, SendWhatsAppMessageCommand,
} from '@aws-sdk/client-socialmessaging';
import { ChangeMessageVisibilityCommand, DeleteMessageCommand, GetQueueAttributesCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { lambdaClient, s3Client, snsClient, socialClient, sqsClient, stackClient } from './lib/clients.mjs';
import { startCloud } from './lib/cloud.mjs';
import { probe } from './lib/probe.mjs';
import { queryPairs } from './lib/sigv4.mjs';

const BUCKET = 'caracola-test';
const PHONE = 'phone-number-id-0f3c5a7e9b1d4826a0c4e8f21b6d3957';
const WABA = 'waba-7be1c0d94a6f4d53b8e2916f0c7a5d38';
const TOPIC = 'arn:aws:sns:us-east-1:123456789012:whatsapp-events';
const KEYS = [
  '2025-10-15/525550100150-01-10-12-AbCdEf_-012.json', 'with space.json', 'a+b.json', 'k=v.json', 'café/señal é.json',
  'a//b.json', '/lead.json', 'trail/', 'dots/../x/./y.json', "q'(1)!*~:@,;$&?#[].json", '100%25.json', '漢字-🐚.json', 'k'.repeat(1000), 'é'.repeat(500),
];
const MEANING = ['if-none-match', 'if-match', 'range', 'x-amz-target', 'content-type'];

/** What of a request must be the same. */
function meaning({ service, request }) {
  const query = queryPairs(request.query).map(([k, v]) => `${k}=${v}`).filter((pair) => !pair.startsWith('x-id=')).sort();
  const text = request.body.toString();
  const headers = Object.fromEntries(MEANING.filter((name) => request.headers.has(name)).map((name) => [name, request.header(name)]));
  if (request.body.length === 0 || service.name === 's3') delete headers['content-type'];
  return {
    service: service.name, method: request.method, path: request.path, query, headers,
    body: service.name === 's3' || text === '' ? text : text.startsWith('{') ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text)),
  };
}

describe('on the wire', () => {
  let cloud, sdk, folder, file, queue;
  let seen = [];
  const key = () => sdk.key;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'caracola-wire-'));
    file = join(folder, 'body');
    writeFileSync(file, 'the body, with é and \0');
    cloud = await startCloud();
    cloud.s3.createBucket(BUCKET);
    queue = cloud.sqs.createQueue('inbox', { visibilitySeconds: 30 });
    cloud.social.addMedia('1908647269898587', Buffer.from('OggS'), 'audio/ogg');
    cloud.capture = (service, _route, request) => seen.push({ service, request });
    const open = (credentials) => ({
      key: credentials, lambda: lambdaClient(cloud.endpoints.functions, credentials), sns: snsClient(cloud.endpoints.sns, credentials),
      s3: s3Client(cloud.endpoints.s3, credentials),
      social: socialClient(cloud.endpoints.social, credentials), sqs: sqsClient(cloud.endpoints.sqs, credentials),
    });
    sdk = open(cloud.keys.issue('wire')); // a session, so that its token is signed too
  });
  after(async () => {
    for (const client of [sdk.s3, sdk.social, sdk.sqs, sdk.sns, sdk.lambda]) client.destroy();
    await cloud.stop();
    rmSync(folder, { recursive: true });
  });
  afterEach(() => {
    assert.deepEqual(cloud.violations, []);
    assert.deepEqual(cloud.broken, []);
  });

  /** Runs both and compares all that each of them sent. */
  async function same(bySdk, args, { fails = false } = {}) {
    seen = [];
    await bySdk().catch((error) => { if (!fails) throw error; });
    const theirs = seen.map(meaning);
    seen = [];
    const run = await probe(args, cloud.clientEnv(key()));
    assert.equal(run.code, fails ? 1 : 0, run.stderr);
    const ours = seen.map(meaning);
    assert.deepEqual(ours, theirs);
    assert.ok(ours.length > 0);
    return run;
  }
  const s3 = (Command, input) => () => sdk.s3.send(new Command({ Bucket: BUCKET, ...input }));

  for (const Key of KEYS) {
    const name = Key.length > 40 ? `${Key.slice(0, 8)}… (${Key.length} characters)` : Key;
    test(`S3 put, head, get, list, delete: ${name}`, async () => {
      const Body = 'the body, with é and \0';
      await same(s3(PutObjectCommand, { Key, Body }), ['put', BUCKET, Key, file]);
      await same(s3(PutObjectCommand, { Key, Body, IfNoneMatch: '*' }), ['put', BUCKET, Key, file, 'absent'], { fails: true });
      const { etag } = cloud.s3.object(BUCKET, Key);
      await same(s3(PutObjectCommand, { Key, Body, IfMatch: etag }), ['put', BUCKET, Key, file, 'match', etag]);
      await same(s3(HeadObjectCommand, { Key }), ['head', BUCKET, Key]);
      assert.equal((await same(s3(GetObjectCommand, { Key }), ['get', BUCKET, Key])).stdout, Body);
      const listed = await same(s3(ListObjectsV2Command, { Prefix: Key, EncodingType: 'url' }), ['list', BUCKET, Key]);
      assert.equal(listed.stdout, `${Buffer.byteLength(Body)}\t${Key}\n`);
      await same(s3(DeleteObjectCommand, { Key }), ['delete', BUCKET, Key]);
      await same(s3(GetObjectCommand, { Key }), ['get', BUCKET, Key], { fails: true });
    });
  }

  test('S3 list over pages, and an empty one', async () => {
    for (let n = 0; n < 5; n++) cloud.s3.put(BUCKET, `page +/${n}`, 'x');
    cloud.s3.pageLimit = 2;
    const pages = async () => {
      let ContinuationToken;
      do {
        const page = await s3(ListObjectsV2Command, { Prefix: 'page +/', EncodingType: 'url', ContinuationToken })();
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken);
    };
    const { stdout } = await same(pages, ['list', BUCKET, 'page +/']);
    assert.equal(stdout.trim().split('\n').length, 5);
    cloud.s3.pageLimit = 1000;
    assert.equal((await same(s3(ListObjectsV2Command, { Prefix: 'none', EncodingType: 'url' }), ['list', BUCKET, 'none'])).stdout, '');
  });

  const social = (command) => () => sdk.social.send(command);
  test('social messaging: fetch media', async () => {
    const input = { mediaId: '1908647269898587', originationPhoneNumberId: PHONE, destinationS3File: { bucketName: BUCKET, key: '2025-10-15/' } };
    const args = ['media', input.mediaId, PHONE, BUCKET, '2025-10-15/'];
    assert.equal((await same(social(new GetWhatsAppMessageMediaCommand(input)), args)).stdout, 'audio/ogg\t4\n');
    args[1] = 'unknown';
    await same(social(new GetWhatsAppMessageMediaCommand({ ...input, mediaId: 'unknown' })), args, { fails: true });
  });
  test('social messaging: send, set the destination, list accounts', async () => {
    const message = JSON.stringify({ messaging_product: 'whatsapp', to: '525550100150', type: 'text', text: { body: 'señal 🐚' } });
    const send = new SendWhatsAppMessageCommand({ originationPhoneNumberId: PHONE, message: Buffer.from(message), metaApiVersion: 'v20.0' });
    await same(social(send), ['send', PHONE, message]);
    const put = new PutWhatsAppBusinessAccountEventDestinationsCommand({ id: WABA, eventDestinations: [{ eventDestinationArn: TOPIC }] });
    await same(social(put), ['destination', WABA, TOPIC]);
    const { stdout } = await same(social(new ListLinkedWhatsAppBusinessAccountsCommand({})), ['accounts']);
    assert.equal(stdout, `${WABA}\t102290129340398\t${TOPIC}\n`);
  });

  test('social messaging: an account\'s numbers', async () => {
    const { stdout } = await same(social(new GetLinkedWhatsAppBusinessAccountCommand({ id: WABA })), ['phones', WABA]);
    assert.equal(stdout, `${PHONE}\t+1 555-010-0001\n`);
    await same(social(new GetLinkedWhatsAppBusinessAccountCommand({ id: 'waba-none' })), ['phones', 'waba-none'], { fails: true });
  });

  test('SNS: a topic and its subscriptions, over pages', async () => {
    const TopicArn = cloud.sns.createTopic('events');
    const sns = (command) => () => sdk.sns.send(command);
    cloud.sns.pageLimit = 2;
    cloud.sns.subscribe(TopicArn, 'email', 'a&b@example.com', { confirmed: false });
    for (const name of ['one', 'two']) cloud.sns.subscribe(TopicArn, 'sqs', `arn:aws:sqs:us-east-1:123456789012:${name}`);
    assert.equal((await same(sns(new GetTopicAttributesCommand({ TopicArn })), ['topic', TopicArn])).stdout, '1\n');
    const none = `${TopicArn}-none`;
    await same(sns(new GetTopicAttributesCommand({ TopicArn: none })), ['topic', none], { fails: true });
    const pages = async () => {
      const { NextToken } = await sdk.sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }));
      const { Subscriptions } = await sdk.sns.send(new ListSubscriptionsByTopicCommand({ TopicArn, NextToken }));
      assert.equal(Subscriptions[0].Endpoint, 'arn:aws:sqs:us-east-1:123456789012:two');
    };
    const { stdout } = await same(pages, ['subscriptions', TopicArn]);
    assert.equal(stdout, 'email\ta&b@example.com\t0\nsqs\tarn:aws:sqs:us-east-1:123456789012:one\t1\nsqs\tarn:aws:sqs:us-east-1:123456789012:two\t1\n');
  });

  test('Lambda: settings, failures, sources over pages, invoke', async () => {
    const queue = (n) => `arn:aws:sqs:us-east-1:123456789012:q${n}`;
    const one = cloud.functions.create('voice', { variables: { CARACOLA_STORE: 's3://b' }, sources: [0, 1, 2].map((n) => ({ EventSourceArn: queue(n), State: n ? 'Enabled' : 'Disabled' })) });
    one.sources[2].FunctionResponseTypes = ['ReportBatchItemFailures'];
    const lambda = (Command, input) => () => sdk.lambda.send(new Command({ FunctionName: 'voice', ...input }));
    const { FunctionArn } = one.config;
    assert.equal((await same(lambda(GetFunctionConfigurationCommand), ['function', 'voice'])).stdout, `${FunctionArn}\tActive\t900\t3008\t512\ts3://b\n`);
    await same(lambda(GetFunctionConfigurationCommand, { FunctionName: FunctionArn }), ['function', FunctionArn]);
    await same(lambda(GetFunctionConfigurationCommand, { FunctionName: 'none' }), ['function', 'none'], { fails: true });
    const missing = () => lambda(GetFunctionEventInvokeConfigCommand)().catch((error) => assert.equal(error.name, 'ResourceNotFoundException'));
    assert.equal((await same(missing, ['failures', 'voice'])).stdout, '-1\t\n');
    one.invokeConfig = { MaximumRetryAttempts: 0, DestinationConfig: { OnFailure: { Destination: queue(9) } } };
    assert.equal((await same(lambda(GetFunctionEventInvokeConfigCommand), ['failures', 'voice'])).stdout, `0\t${queue(9)}\n`);
    cloud.functions.pageLimit = 2;
    const pages = async () => {
      const { NextMarker: Marker } = await lambda(ListEventSourceMappingsCommand)();
      assert.equal((await lambda(ListEventSourceMappingsCommand, { Marker })()).EventSourceMappings[0].EventSourceArn, queue(2));
    };
    assert.equal((await same(pages, ['sources', 'voice'])).stdout, `${queue(0)}\tDisabled\t0\n${queue(1)}\tEnabled\t0\n${queue(2)}\tEnabled\t1\n`);
    one.fn = { invoke: async (event) => (event.includes('bad') ? { ok: false, error: { errorType: 'A.B', errorMessage: 'é' } } : { ok: true, body: event }) };
    const invoke = (Payload) => lambda(InvokeCommand, { Payload, InvocationType: 'RequestResponse' });
    assert.equal((await same(invoke('{"a":"é"}'), ['invoke', 'voice', '{"a":"é"}'])).stdout, '0\t{"a":"é"}\n');
    const failed = async () => assert.equal((await invoke('"bad"')()).FunctionError, 'Unhandled');
    assert.equal((await same(failed, ['invoke', 'voice', '"bad"'])).stdout, '1\t{"errorMessage":"é","errorType":"A.B"}\n');
    assert.equal((await probe(['function', '../x'], cloud.clientEnv(key()))).code, 1);
  });

  test('CloudFormation: the outputs of a stack', async () => {
    cloud.cloudformation.place('caracola', 'CREATE_COMPLETE', { BucketName: 'b', TopicArn: 't' });
    const client = stackClient(cloud.endpoints.cloudformation, key());
    const env = cloud.clientEnv(key());
    seen = [];
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: 'caracola' }));
    assert.equal(Stacks[0].Outputs[0].OutputValue, 'b');
    await assert.rejects(client.send(new DescribeStacksCommand({ StackName: 'none' })), /does not exist/);
    const theirs = seen.map(meaning);
    seen = [];
    assert.equal((await probe(['stack', 'caracola'], env)).stdout, 'BucketName\tb\nTopicArn\tt\nCREATE_COMPLETE\n');
    assert.match((await probe(['stack', 'none'], env)).stderr, /^-4 there is no stack none/);
    assert.deepEqual(seen.map(meaning), theirs);
    client.destroy();
  });

  test('STS: whose credentials these are', async () => {
    const { code, stdout } = await probe(['identity'], cloud.clientEnv(key()));
    assert.deepEqual([code, stdout], [0, `arn:aws:iam::123456789012:user/${key().accessKeyId}\n`]);
  });

  test('SQS: a queue\'s attributes', async () => {
    cloud.sqs.createQueue('dead');
    const { url: QueueUrl } = cloud.sqs.createQueue('with', { visibilitySeconds: 77, retentionSeconds: 1209600, deadLetter: { queue: 'dead', maxReceiveCount: 5 } });
    cloud.sqs.send('with', 'x');
    const attributes = () => sdk.sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }));
    assert.equal((await same(attributes, ['queue', QueueUrl])).stdout, '1\t0\t77\t1209600\t5\tarn:aws:sqs:us-east-1:123456789012:dead\n');
  });

  test('SQS: receive, delete, change visibility', async () => {
    const QueueUrl = queue.url;
    for (const n of [1, 2, 3]) cloud.sqs.send('inbox', `message ${n} é`);
    const receive = () => sdk.sqs.send(new ReceiveMessageCommand({
      QueueUrl, MaxNumberOfMessages: 1, WaitTimeSeconds: 0, VisibilityTimeout: 60,
      AttributeNames: ['ApproximateReceiveCount', 'SentTimestamp'], MessageSystemAttributeNames: ['ApproximateReceiveCount', 'SentTimestamp'], // older servers know the first
    }));
    const { stdout } = await same(receive, ['receive', QueueUrl, '1', '0', '60']);
    const [, ReceiptHandle, count, body] = stdout.trimEnd().split('\t');
    assert.deepEqual([count, body], ['1', 'message 2 é']);
    const hide = new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout: 120 });
    await same(() => sdk.sqs.send(hide), ['visibility', QueueUrl, ReceiptHandle, '120']);
    const done = new DeleteMessageCommand({ QueueUrl, ReceiptHandle });
    await same(() => sdk.sqs.send(done), ['done', QueueUrl, ReceiptHandle]);
  });
});
