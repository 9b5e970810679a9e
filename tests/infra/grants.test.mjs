// What the role grants to code, against what the real program asks for, in the test cloud: equal, for each
// variant. The program gets the variables that the template gives it, and nothing else.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startCloud } from '../cloud/lib/cloud.mjs';
import { Random } from '../cloud/lib/faults.mjs';
import { eumEvent, loadVoices, makeMessage, snsNotification, snsToLambda, sqsToLambda } from '../cloud/lib/messages.mjs';
import { asLambda, MODEL, PROGRAM, SOURCE } from '../cloud/lib/program.mjs';
import { environmentOf } from './lib/checks.mjs';
import { expand } from './lib/expand.mjs';
import { ENDPOINTS, endpointsOf, features } from './lib/features.mjs';
import { compare, decide, matches, statementsOf } from './lib/iam.mjs';
import { readTemplate } from './lib/template.mjs';
import { EXISTING, parametersOf } from './lib/variants.mjs';

const template = readTemplate('caracola.yaml');
const voices = loadVoices(join(SOURCE, 'tests/data/nano/voices'), 2);
const random = new Random('grants');
let n = 0;

const arnOf = (service, request, route) => {
  if (service.name === 's3') return `arn:aws:s3:::${route.bucket}${route.action === 's3:ListBucket' ? '' : `/${route.key}`}`;
  const body = JSON.parse(request.body.toString() || '{}');
  if (service.name === 'sqs') return `arn:aws:sqs:us-east-1:123456789012:${body.QueueUrl.split('/').pop()}`;
  const phone = body.originationPhoneNumberId ?? '';
  return phone.startsWith('arn:') ? phone : `arn:aws:social-messaging:us-east-1:123456789012:phone-number-id/${phone.replace('phone-number-id-', '')}`;
};

/** A cloud as the stack leaves it, with a record of each permission that is used: {action, resource}. */
async function cloudOf(stack) {
  const cloud = await startCloud();
  const f = features(stack);
  cloud.requests = [];
  cloud.capture = (service, route, request) => {
    if (route.action) cloud.requests.push({ action: route.action, resource: arnOf(service, request, route) });
    if (service.signingName) cloud.called.add(service.signingName); // Lambda's own interface, inside the function, has none
  };
  cloud.called = new Set(); // services
  cloud.s3.createBucket(stack.outputs.BucketName, 'us-east-1', { versioned: true });
  if (f.source) {
    cloud.s3.createBucket(f.p.ModelBucket);
    cloud.s3.put?.(f.p.ModelBucket, f.p.ModelKey, readFileSync(MODEL));
  }
  if (f.queue) cloud.queue = cloud.sqs.createQueue('Queue');
  return cloud;
}

/** The events that make the program do everything it can do: text, voice, again, a type whose extension has to be looked for. */
function events(cloud) {
  const note = (mimeType) => {
    const entry = makeMessage(random, ++n, voices[n % voices.length]);
    cloud.social.addMedia(entry.mediaId, entry.voice.bytes, mimeType);
    return eumEvent([entry.message]);
  };
  const voice = note('audio/ogg');
  cloud.social.extensions = 'table';
  return [eumEvent([makeMessage(random, ++n, null).message]), voice, voice, note('audio/mp4')];
}

async function asFunction(cloud, stack) {
  const env = { ...environmentOf(stack) };
  const { efs, queue, source, reply, ownBucket } = features(stack);
  // The file system is not here; its model is, or comes to another folder.
  const folder = mkdtempSync(join(tmpdir(), 'caracola-grants-'));
  if (efs && source) env.CARACOLA_MODEL = join(folder, stack.parameters.ModelFile);
  else if (efs || !env.CARACOLA_MODEL) env.CARACOLA_MODEL = MODEL;
  const wrap = queue ? sqsToLambda : snsToLambda;
  await asLambda(cloud, { env, memoryMb: Number(stack.parameters.MemorySize) }, async (fn, sandbox, lines) => {
    if (efs && source) assert.equal(JSON.parse((await fn.invoke({ caracola: 'fill' })).body).done, true, lines.join('\n'));
    for (const event of events(cloud)) assert.ok((await fn.invoke(wrap([event]))).ok, lines.join('\n'));
    // The check of the function from inside has the same rights; it is no reason to grant one.
    cloud.handled = cloud.requests.length;
    if (reply || !ownBucket) return; // its note takes a while
    const { ok, body } = await fn.invoke({ caracola: 'doctor', phone: cloud.social.accounts[0].phoneNumbers[0].phoneNumberId });
    assert.ok(ok, lines.join('\n'));
    const { checks } = JSON.parse(body);
    for (const name of ['bucket', 'media']) assert.equal(checks.find((check) => check.name === name)?.status, 'ok', body);
  });
  rmSync(folder, { recursive: true });
}

async function asWorker(cloud, stack) {
  for (const event of events(cloud)) cloud.sqs.send('Queue', JSON.stringify(snsNotification(event)));
  const env = { ...environmentOf(stack), CARACOLA_QUEUE: cloud.queue.url };
  env.CARACOLA_MODEL ??= MODEL;
  // What is to come again is hidden for a while: that takes the third permission on the queue.
  cloud.faults.command('social.GetWhatsAppMessageMedia', '500', { times: 3 });
  const child = spawn(PROGRAM, ['worker'], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH, ...env, ...cloud.clientEnv() } });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
  const renewed = () => cloud.requests.some(({ action }) => action === 'sqs:ChangeMessageVisibility');
  for (let i = 0; i < 600 && !(renewed() && cloud.sqs.depth('Queue') === 0); i++) await new Promise((resolve) => setTimeout(resolve, 50));
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 130, log);
  assert.equal(cloud.sqs.depth('Queue'), 0, log);
}

const clouds = [];
after(() => {
  for (const cloud of clouds) assert.deepEqual([cloud.violations, cloud.broken], [[], []]);
});

const image = (variant) => parametersOf(`${variant}, ${variant === 'worker' ? 'image' : 'zip'}, model by image`);
const ModelSha256 = createHash('sha256').update(readFileSync(MODEL)).digest('hex');
const RUNS = {
  direct: image('direct'),
  'direct, with replies': { ...image('direct'), Reply: 'yes' },
  'direct, into a bucket of before': { ...image('direct'), StoreBucket: 'first-system-messages' },
  queued: image('queued'),
  'direct, the model streamed': { ...parametersOf('direct, zip, model by s3'), ModelSha256 },
  'vpc, the model filled': { ...parametersOf('vpc, zip, model by efs'), ModelSha256 },
  'worker, the model streamed': { ...parametersOf('worker, image, model by s3'), ModelSha256 },
  'vpc, the first system\'s file system': { ...image('vpc'), ModelDelivery: 'efs', ...EXISTING },
  'vpc, by endpoints, the model filled': { ...parametersOf('vpc, zip, model by efs, by endpoints, two zones'), ModelSha256 },
  'worker, by endpoints': parametersOf('worker, image, model by image, by endpoints, one zone'),
  worker: image('worker'),
  'worker, with replies': { ...image('worker'), Reply: 'yes' },
};

for (const [name, parameters] of Object.entries(RUNS)) {
  test(`${name}: the grants to code are what the program asks for, no more and no less`, async () => {
    const stack = expand(template, parameters);
    const cloud = await cloudOf(stack);
    clouds.push(cloud);
    try {
      await (features(stack).worker ? asWorker : asFunction)(cloud, stack);
    } finally {
      await cloud.stop();
    }
    const statements = statementsOf(stack);
    assert.deepEqual([...compare(statements, cloud.requests.slice(0, cloud.handled))], []);
    assert.deepEqual([...compare(statements, cloud.requests)], []);
    // Each of these grants removed, or one added, would be noticed.
    for (const { Sid, actions } of statements.filter((one) => one.Sid.startsWith('Code'))) {
      for (const gone of actions) {
        const less = statements.map((one) => (one.Sid === Sid ? { ...one, actions: actions.filter((action) => action !== gone) } : one));
        assert.match([...compare(less, cloud.requests)].join(), new RegExp(`asked for ${gone} `), `${Sid} without ${gone}`);
      }
      const more = statements.map((one) => (one.Sid === Sid ? { ...one, actions: [...actions, 's3:DeleteObject'] } : one));
      assert.match([...compare(more, cloud.requests)].join(), /grants s3:DeleteObject /, Sid);
    }
    assert.deepEqual(new Set(cloud.requests.map(({ action }) => action)), cloud.permissions);
    // Inside a network without a way out, each service that is called has its endpoint, and each endpoint a caller:
    // the program, or ECS, which fetches the image and writes the log.
    const f = features(stack);
    const byEcs = f.worker ? ['ecr.api', 'ecr.dkr', 'logs'] : [];
    if (f.endpoints) assert.deepEqual([...cloud.called, ...byEcs].sort(), endpointsOf(f).map((id) => ENDPOINTS[id]).sort());
    // The copy of the media is written with the caller's rights: by the grant for records.
    // Nothing is deleted, by the program or in its name, and every version that it replaced is still there.
    assert.deepEqual(cloud.requests.filter(({ action }) => /^s3:(?!GetObject$|PutObject$|ListBucket$)/.test(action)), []);
    assert.deepEqual(cloud.s3.history.filter(({ what }) => what !== 'put'), []);
    const bucket = stack.outputs.BucketName;
    assert.equal(cloud.s3.versions(bucket).length, cloud.s3.history.filter((one) => one.bucket === bucket).length);
    const records = cloud.s3.keys(bucket).filter((key) => key.startsWith('20'));
    assert.ok(records.some((key) => key.endsWith('.json')) && records.some((key) => key.endsWith('.ogg')), String(records));
    for (const key of records) {
      for (const action of ['s3:DeleteObject', 's3:DeleteObjectVersion', 's3:GetObjectVersion', 's3:PutObjectAcl', 's3:PutObjectRetention', 's3:RestoreObject']) {
        assert.equal(decide(statements, action, `arn:aws:s3:::${bucket}/${key}`), 'denied', `${action} on ${key}`);
      }
      for (const action of ['s3:GetObject', 's3:PutObject']) assert.equal(decide(statements, action, `arn:aws:s3:::${bucket}/${key}`), 'allowed');
    }
    for (const action of ['s3:DeleteBucket', 's3:PutBucketVersioning', 's3:PutLifecycleConfiguration', 's3:PutBucketPolicy', 's3:DeleteBucketPolicy', 's3:PutBucketPublicAccessBlock', 's3:PutEncryptionConfiguration']) {
      assert.equal(decide(statements, action, `arn:aws:s3:::${bucket}`), 'denied', action);
    }
    const write = statements.find(({ Sid }) => Sid === 'CodeObjects');
    assert.ok(cloud.social.copies.length >= 2);
    for (const { bucket, key } of cloud.social.copies) assert.ok(write.resources.some((one) => matches(one, `arn:aws:s3:::${bucket}/${key}`)));
    assert.ok(write.actions.includes('s3:PutObject'));
  });
}

test('a grant too many and one too few are both seen', () => {
  const stack = expand(template, image('direct'));
  const statements = statementsOf(stack);
  const used = statements.filter(({ Sid }) => Sid.startsWith('Code')).flatMap(({ actions, resources }) => actions.map((action) => ({ action, resource: resources[0].replace('*', 'x') })));
  assert.deepEqual([...compare(statements, used)], []);
  assert.match([...compare(statements, used.slice(1))].join(), /grants s3:GetObject .* never asked for/);
  assert.match([...compare(statements, [...used, { action: 's3:DeleteObject', resource: used[0].resource }])].join(), /s3:DeleteObject .* nothing grants/);
  assert.match([...compare(statements, [...used, { action: 's3:PutObject', resource: 'arn:aws:s3:::elsewhere/x' }])].join(), /elsewhere\/x, which nothing grants/);
});
