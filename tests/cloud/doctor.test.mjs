// `caracola doctor`: everything is correct and it says so; then one thing after the other is broken, and it finds that.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startCloud } from './lib/cloud.mjs';
import { Random } from './lib/faults.mjs';
import { eumEvent, makeMessage, snsToLambda } from './lib/messages.mjs';
import { asLambda, MODEL, PROGRAM, SOURCE } from './lib/program.mjs';

const BUCKET = 'caracola-doctor';
const STORE = `s3://${BUCKET}/in box`;
const DAY = 86400;
let folder, model, cloud, answer, topic;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caracola-doctor-'));
  // A real model, as far as doctor can see: one that is not called demo.
  model = join(folder, 'small.cara');
  execFileSync(PROGRAM, ['model', 'convert', MODEL, model, '--name', 'small', '--quiet']);
  cloud = await startCloud();
  cloud.s3.createBucket(BUCKET);
  // What the real program answers inside its function, for the cases that are not about that.
  const phone = cloud.social.accounts[0].phoneNumbers[0].phoneNumberId;
  answer = await asLambda(cloud, { env: { CARACOLA_STORE: STORE, CARACOLA_MODEL: model } }, async (fn) => {
    const { ok, body } = await fn.invoke({ caracola: 'doctor', phone });
    assert.ok(ok);
    return body;
  });
});
beforeEach(() => healthy());
after(async () => {
  await cloud.stop();
  rmSync(folder, { recursive: true });
  assert.deepEqual(cloud.broken, []);
});

/** An account in which all is correct, variant "queued": WhatsApp, topic, queue, function, dead letters. */
function healthy() {
  cloud.faults.quiet();
  cloud.denied.clear();
  cloud.permissions.clear();
  cloud.violations.length = 0;
  cloud.skewMs = 0;
  cloud.sns.topics.clear();
  cloud.functions.functions.clear();
  cloud.sqs.queues.clear();
  cloud.social.media.clear();
  const dead = cloud.sqs.createQueue('dead', { retentionSeconds: 14 * DAY });
  const queue = cloud.sqs.createQueue('events', { visibilitySeconds: 5400, deadLetter: { queue: 'dead', maxReceiveCount: 3 } });
  topic = cloud.sns.createTopic('whatsapp');
  cloud.sns.subscribe(topic, 'email', 'someone@example.com', { confirmed: false });
  cloud.sns.subscribe(topic, 'sqs', queue.arn);
  const [account] = cloud.social.accounts;
  Object.assign(account, { registrationStatus: 'COMPLETE', eventDestinations: [{ eventDestinationArn: topic }], phoneNumbers: account.kept ?? account.phoneNumbers });
  account.kept = account.phoneNumbers;
  cloud.functions.create('caracola', {
    variables: { CARACOLA_STORE: STORE, CARACOLA_MODEL: model },
    invokeConfig: { MaximumRetryAttempts: 2, DestinationConfig: { OnSuccess: {}, OnFailure: { Destination: dead.arn } } },
    sources: [{ EventSourceArn: queue.arn, FunctionResponseTypes: ['ReportBatchItemFailures'] }],
    fn: { invoke: async () => ({ ok: true, body: answer }) },
  });
}

const AWS_FLAGS = ['--function', 'caracola'];
const run = (flags, env = {}, { timeoutMs = 120000 } = {}) => new Promise((resolve, reject) => {
  const all = { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C.UTF-8', CARACOLA_MODEL: model, ...env };
  for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
  execFile(PROGRAM, ['doctor', ...flags], { env: all, timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
    if (error?.signal) reject(new Error(`doctor ended by ${error.signal}: ${stdout}${stderr}`));
    else resolve({ code: error?.code ?? 0, stdout, stderr });
  });
});
async function examine(flags, env, options) {
  const { code, stdout, stderr } = await run(['--json', ...flags], env, options);
  const report = JSON.parse(stdout);
  return { code, stderr, report, find: (name, where) => report.checks.find((c) => c.name === name && (!where || c.where === where)) };
}
const onAws = (env = {}) => ({ ...cloud.clientEnv(), CARACOLA_STORE: STORE, ...env });
const EXIT = { ok: 0, warning: 1, failure: 8 };
const worst = ({ checks }) => ['failure', 'warning', 'ok'].find((status) => status === 'ok' || checks.some((c) => c.status === status));

/** The check has this status, with a sentence that says so and advice; result and exit status follow from it. */
function found({ code, report, find, stderr }, name, status, message, advice = /\S/) {
  const check = find(name, 'here') ?? find(name);
  assert.ok(check, `no check ${name}: ${JSON.stringify(report.checks, null, 1)}${stderr}`);
  assert.equal(check.status, status, JSON.stringify(check));
  assert.match(check.message, message);
  if (status === 'warning' || status === 'failure') assert.match(check.advice ?? '', advice);
  assert.equal(report.verdict, worst(report));
  assert.equal(code, EXIT[report.verdict]);
  assert.ok(status === 'ok' || status === 'skipped' || code >= EXIT[status], `exit status ${code}`);
}

describe('all is well', () => {
  test('on a laptop without AWS', async () => {
    const seen = await examine([]);
    assert.equal(seen.code, 0, JSON.stringify(seen.report.checks, null, 1));
    found(seen, 'aws', 'skipped', /^not set up for AWS: skipped/);
    found(seen, 'note', 'ok', /transcribed word for word/);
    assert.deepEqual(Object.keys(seen.report), ['verdict', 'version', 'checks']);
    for (const check of seen.report.checks) {
      assert.deepEqual(Object.keys(check).filter((key) => key !== 'advice'), ['name', 'where', 'status', 'message']);
      assert.match(check.status, /^(ok|skipped)$/);
    }
    assert.deepEqual(seen.report.checks.map((c) => c.name), ['cpu', 'threads', 'audio', 'model', 'vocabulary', 'digest', 'memory', 'note', 'aws']);
  });
  test('credentials that lie about for other purposes are left alone', async () => {
    cloud.log.length = 0;
    const seen = await examine([], cloud.clientEnv());
    found(seen, 'aws', 'skipped', /not set up/);
    assert.deepEqual(cloud.log, []);
  });
  test('on AWS, and inside the function', async () => {
    cloud.permissions.clear();
    const seen = await examine(AWS_FLAGS, onAws());
    assert.equal(seen.code, 0, JSON.stringify(seen.report.checks.filter((c) => c.status !== 'ok'), null, 1));
    assert.deepEqual(seen.report.checks.filter((c) => c.where === 'here').map((c) => c.name), [
      'cpu', 'threads', 'audio', 'model', 'vocabulary', 'digest', 'memory', 'note', 'region', 'credentials', 'function', 'whatsapp', 'destination',
      'topic', 'subscription', 'queue', 'dead-letters', 'bucket', 'media', 'clock']);
    assert.deepEqual(seen.report.checks.filter((c) => c.where === 'function').map((c) => c.name), [
      'region', 'credentials', 'bucket', 'media', 'clock', 'cpu', 'threads', 'audio', 'model', 'vocabulary', 'digest', 'memory', 'note']);
    assert.deepEqual(cloud.violations, []);
    // The page that lists them is right, and nothing but the probe was written.
    const page = readFileSync(join(SOURCE, 'docs/doctor.md'), 'utf8');
    for (const action of cloud.permissions) assert.ok(page.includes(`\`${action}\``), action);
    assert.deepEqual(cloud.s3.keys(BUCKET), ['in box/.doctor']);
  });
  test('the same in words: no colours without a terminal', async () => {
    const { code, stdout } = await run(AWS_FLAGS, onAws());
    assert.equal(code, 0);
    assert.ok(!stdout.includes('\x1b'));
    assert.match(stdout, /\ninside the function:\nok       /);
    assert.match(stdout, /\nall is well\n$/);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 130 && (line === '' || /^(ok|skipped|warning|failure|inside|all| {9})/.test(line)), line);
  });
});

describe('this machine', () => {
  const noModule = () => mkdirSync(join(folder, 'empty'), { recursive: true });
  const file = (name, bytes) => { writeFileSync(join(folder, name), bytes); return join(folder, name); };
  const damaged = (path) => { // some of the decoder's weights become zeros
    const bytes = readFileSync(path);
    return file('damaged.cara', bytes.fill(0, bytes.length - 8000000, bytes.length - 5000000));
  };
  const CASES = {
    'a level that no processor has': ['cpu', 'failure', /CARACOLA_CPU|level/, () => ({ CARACOLA_CPU: 'vax' })],
    'a slow level': ['cpu', 'warning', /scalar, which works but is slow \(CARACOLA_CPU asks for it\)/, () => ({ CARACOLA_CPU: 'scalar' })],
    'too many threads': ['threads', 'warning', /256 threads are asked for/, () => ({ CARACOLA_THREADS: '256' })],
    'no libav module': ['audio', 'warning', /MP3, M4A and AMR cannot/, () => { noModule(); return { CARACOLA_MODULE_DIR: join(folder, 'empty') }; }],
    'no model': ['model', 'failure', /cannot read .*none\.cara/, () => ({ CARACOLA_MODEL: join(folder, 'none.cara') })],
    'a model that lies on a share, to be filled': ['model', 'failure', /none\.cara/, () => ({ CARACOLA_MODEL: join(folder, 'none.cara'), CARACOLA_MODEL_SOURCE: 's3://b/medium.pt' }), /"caracola":"fill"/],
    'a pipe for a model': ['model', 'failure', /is no file/, () => { execFileSync('mkfifo', [join(folder, 'pipe')]); return { CARACOLA_MODEL: join(folder, 'pipe') }; }],
    'half a model': ['model', 'failure', /model cannot be used/, () => ({ CARACOLA_MODEL: file('half.cara', readFileSync(model).subarray(0, 9000000)) })],
    'the demo model': ['model', 'warning', /demo model/, () => ({ CARACOLA_MODEL: undefined }), /README/],
    'no vocabulary': ['vocabulary', 'failure', /vocabulary/, () => {
      copyFileSync(join(SOURCE, 'tests/data/nano/nano.pt'), join(folder, 'nano.pt'));
      return { CARACOLA_MODEL: join(folder, 'nano.pt') };
    }, /--vocab/],
    'another model than is meant': ['digest', 'failure', /not the one that is meant: its SHA-256 is [0-9a-f]{64}/, () => ({ CARACOLA_MODEL_SHA256: 'ab'.repeat(32) })],
    'a digest that is none': ['digest', 'failure', /is no SHA-256 in hex: "md5"/, () => ({ CARACOLA_MODEL_SHA256: 'md5' })],
    'the right digest': ['digest', 'ok', /is what CARACOLA_MODEL_SHA256 says/, () => ({ CARACOLA_MODEL_SHA256: execFileSync('sha256sum', [model]).toString().slice(0, 64) })],
    'an engine that transcribes wrongly with the demo model': ['note', 'failure', /which the demo model never does/, () => ({ CARACOLA_MODEL: damaged(MODEL) }), /CARACOLA_CPU=scalar/],
    'a store that is no folder': ['store', 'failure', /it is no folder/, () => ({ CARACOLA_STORE: file('store', 'x') })],
    'a folder for a store': ['store', 'ok', /records are kept in the folder/, () => ({ CARACOLA_STORE: folder })],
    'another language': ['note', 'ok', /words are not compared/, () => ({ CARACOLA_LANGUAGE: 'fr' })],
    'English': ['note', 'ok', /transcribed word for word/, () => ({ CARACOLA_LANGUAGE: 'English' })],
  };
  for (const [name, [check, status, message, env, advice]] of Object.entries(CASES)) {
    // No note is transcribed where the case is not about one.
    const quick = ['cpu', 'threads', 'audio', 'store'].includes(check) && name !== 'too many threads' ? ['--model', '/none'] : [];
    test(name, async () => found(await examine(quick, env()), check, status, message, advice));
  }
  test('a model that gives wrong words, its digest unknown', async () => {
    const seen = await examine([], { CARACOLA_MODEL: damaged(model) });
    found(seen, 'note', 'warning', /was not understood by this model: it transcribed/, /digest/);
    found(seen, 'digest', 'failure', /damaged/);
  });
  test('without a model no note is tried', async () => {
    found(await examine(['--model', '/none']), 'note', 'skipped', /without a model/);
  });
  test('bad flags', async () => {
    for (const flags of [['--model'], ['--function', ''], ['x'], ['--threads', 'all'], ['--language', 'klingon'], ['--function', 'f'.repeat(300)]]) {
      const { code, stdout, stderr } = await run(flags);
      assert.deepEqual([code, stdout], [2, ''], stderr);
      assert.match(stderr, /^caracola: /);
    }
  });
});

describe('on AWS', () => {
  const fn = () => cloud.functions.functions.get('caracola');
  const account = () => cloud.social.accounts[0];
  const letter = (ageS) => {
    const { message } = makeMessage(new Random('letter'), 1, null);
    message.timestamp = String(Math.floor(Date.now() / 1000 - ageS));
    cloud.sqs.send('dead', JSON.stringify({ version: '1.0', requestContext: { condition: 'RetriesExhausted' }, requestPayload: snsToLambda([eumEvent([message])]) }));
  };
  const failing = (error) => { fn().fn = { invoke: async () => ({ ok: false, error }) }; };
  // what is broken: [check, status, sentence, breaks (may give variables), advice]
  const CASES = {
    'no region': ['region', 'failure', /no AWS Region is set/, () => ({ AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined }), /AWS_REGION/],
    'a region that is none': ['region', 'failure', /is no AWS Region/, () => ({ AWS_REGION: 'Ohio!' })],
    'no credentials': ['credentials', 'failure', /there are no AWS credentials/, () => ({ AWS_ACCESS_KEY_ID: undefined }), /aws configure/],
    'a wrong secret': ['credentials', 'failure', /AWS refuses these credentials \(from: environment\)/, () => ({ AWS_SECRET_ACCESS_KEY: 'wrong' })],
    'no network': ['credentials', 'failure', /AWS does not answer/, () => ({ AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1' }), /network/],
    'a clock that is a little off': ['clock', 'warning', /clock is \d+ s behind AWS's/, () => { cloud.skewMs = 120000; }, /timedatectl/],
    'a clock that is far off': ['clock', 'failure', /ahead of AWS's, so that AWS refuses/, () => { cloud.skewMs = -20 * 60000; }],
    'a function that is not there': ['function', 'failure', /settings cannot be read: .*ResourceNotFound/, () => { cloud.functions.functions.clear(); }, /--function/],
    'a function that may not be looked at': ['function', 'warning', /AccessDenied/, () => { cloud.denied.add('lambda:GetFunctionConfiguration'); }, /allow lambda:GetFunctionConfiguration to these credentials/],
    'a function that failed': ['function', 'failure', /state Failed: the image is gone/, () => { Object.assign(fn().config, { State: 'Failed', StateReason: 'the image is gone' }); }],
    'a timeout that is Lambda\'s default': ['timeout', 'failure', /has 3 s .*too little to transcribe anything/, () => { fn().config.Timeout = 3; }],
    'a short timeout': ['timeout', 'warning', /has 60 s/, () => { fn().config.Timeout = 60; }],
    'memory that is Lambda\'s default': ['function-memory', 'failure', /has 128 MB.*too little for any model/, () => { fn().config.MemorySize = 128; }],
    'little memory': ['function-memory', 'warning', /has 512 MB/, () => { fn().config.MemorySize = 512; }],
    'a function without a store': ['environment', 'failure', /CARACOLA_STORE is not set/, () => { delete fn().config.Environment.Variables.CARACOLA_STORE; }],
    'a function with a folder for a store': ['environment', 'failure', /"\/tmp", which is no bucket/, () => { fn().config.Environment.Variables.CARACOLA_STORE = '/tmp'; }],
    'a function without a model': ['environment', 'warning', /demo model/, () => { delete fn().config.Environment.Variables.CARACOLA_MODEL; }],
    'failures that go nowhere': ['failures', 'warning', /is lost: the function has no on-failure destination/, () => { Object.assign(fn(), { invokeConfig: null, sources: [] }); }],
    'batches that fail as a whole': ['failures', 'warning', /ReportBatchItemFailures is not set/, () => { fn().sources[0].FunctionResponseTypes = []; }],
    'no WhatsApp account': ['whatsapp', 'failure', /no WhatsApp account is linked/, () => { cloud.social.accounts.length = 0; }],
    'an account that is not registered': ['whatsapp', 'warning', /registration of .* is INCOMPLETE/, () => { account().registrationStatus = 'INCOMPLETE'; }],
    'an account without a number': ['whatsapp', 'failure', /has no phone number/, () => { account().phoneNumbers = []; }],
    'no event destination': ['destination', 'failure', /go nowhere/, () => { account().eventDestinations = []; }, /put-whatsapp-business-account-event-destinations --id waba-/],
    'another event destination': ['destination', 'failure', /do not go to the topic but to arn:aws:sns:us-east-1:123456789012:other/, () => {
      account().eventDestinations = [{ eventDestinationArn: topic.replace('whatsapp', 'other') }];
      return { flags: ['--topic', topic] };
    }],
    'no topic': ['topic', 'failure', /Topic does not exist/, () => { cloud.sns.topics.clear(); }],
    'a topic that WhatsApp may not publish to': ['topic', 'warning', /policy does not name social-messaging/, () => {
      cloud.sns.createTopic('whatsapp', { policy: { Version: '2012-10-17', Statement: [] } });
      cloud.sns.subscribe(topic, 'sqs', cloud.sqs.queues.get('events').arn);
    }],
    'no subscription': ['subscription', 'failure', /of 1 subscriptions of the topic none leads to the function/, () => { cloud.sns.topics.get(topic).subscriptions.pop(); }],
    'a subscription that waits': ['subscription', 'failure', /waits for its confirmation/, () => { cloud.sns.topics.get(topic).subscriptions[1].SubscriptionArn = 'PendingConfirmation'; }],
    'a queue that is switched off': ['queue', 'failure', /does not feed the function: its event source is Disabled/, () => { fn().sources[0].State = 'Disabled'; }],
    'a queue that shows events too soon': ['queue', 'failure', /hides an event for 30 s, while the function may take 900 s/, () => { cloud.sqs.queues.get('events').visibilitySeconds = 30; }],
    'a queue without dead letters': ['queue', 'warning', /has no dead-letter queue/, () => { cloud.sqs.queues.get('events').deadLetter = null; }],
    'a queue that is not there': ['queue', 'failure', /QueueDoesNotExist/, () => ({ flags: ['--queue', 'https://sqs.us-east-1.amazonaws.com/1/none'] })],
    'a dead letter': ['dead-letters', 'warning', /^1 dead letter waits; the audio of the oldest can be fetched for another 4 days and 23 hours/, () => { letter(2 * DAY + 600); }, /worker --queue/],
    'a dead letter that is almost too old': ['dead-letters', 'failure', /another 0 days and 5 hours/, () => { letter(6 * DAY + 18 * 3600 + 60); }],
    'dead letters, one of them too old': ['dead-letters', 'failure', /^2 dead letters wait, and WhatsApp has deleted the audio of the oldest: it was sent 9 days ago/, () => { letter(9 * DAY + 5); letter(5); }],
    'a dead letter that is no event': ['dead-letters', 'warning', /another (7 days and 0|6 days and 23) hours/, () => { cloud.sqs.send('dead', 'what?'); }],
    'dead letters that are not kept': ['dead-letters', 'warning', /are kept for 96 hours only/, () => { cloud.sqs.queues.get('dead').retentionSeconds = 4 * DAY; }],
    'no bucket': ['bucket', 'failure', /no such bucket/, () => ({ CARACOLA_STORE: 's3://caracola-nowhere' }), /CARACOLA_STORE/],
    'a bucket that is no name': ['bucket', 'failure', /is no S3 store/, () => ({ CARACOLA_STORE: 's3://UPPER' }), /^/],
    'a bucket that may not be written': ['bucket', 'failure', /cannot be written/, () => { cloud.denied.add('s3:PutObject'); }, /allow s3:PutObject/],
    'a bucket that may not be read': ['bucket', 'failure', /can be written but not read/, () => { cloud.denied.add('s3:GetObject'); }, /allow s3:GetObject/],
    'a bucket that may not be listed': ['bucket', 'warning', /but not listed/, () => { cloud.denied.add('s3:ListBucket'); }, /allow s3:ListBucket/],
    'media that may not be fetched': ['media', 'failure', /may not be fetched/, () => { cloud.denied.add('social-messaging:GetWhatsAppMessageMedia'); }, /allow social-messaging:GetWhatsAppMessageMedia/],
    'media that Meta refuses': ['media', 'failure', /AccessDeniedByMeta/, () => { cloud.social.addMedia('1', Buffer.from('x'), 'audio/ogg', { error: [403, 'AccessDeniedByMetaException'] }); }, /link the WhatsApp account again/],
    'a function that may not be called': ['invoke', 'warning', /cannot be asked to examine itself/, () => { cloud.denied.add('lambda:InvokeFunction'); }, /allow lambda:InvokeFunction/],
    'a function that cannot start': ['invoke', 'failure', /the function fails: Configuration\.Invalid: CARACOLA_STORE is not set/, () => failing({ errorType: 'Configuration.Invalid', errorMessage: 'CARACOLA_STORE is not set' }), /docs\/aws\.md/],
    'a function that is older': ['invoke', 'failure', /Command\.Invalid/, () => failing({ errorType: 'Command.Invalid', errorMessage: 'no command' }), /deploy it again/],
    'a function that crashes': ['invoke', 'failure', /Runtime\.ExitError/, () => failing(undefined), /log/],
    'another function': ['invoke', 'failure', /answers something else/, () => { fn().fn = { invoke: async () => ({ ok: true, body: '{"statusCode":200}' }) }; }],
  };
  // The model is missing, so that no note is transcribed each time; except where the result must be a warning.
  const TRANSCRIBED = new Set(['a clock that is a little off', 'little memory', 'a dead letter']);
  for (const [name, [check, status, message, breaks, advice]] of Object.entries(CASES)) {
    test(name, async () => {
      const accounts = [...cloud.social.accounts];
      const { flags = [], ...env } = breaks() ?? {};
      try {
        const quick = status === 'failure' || !TRANSCRIBED.has(name) ? ['--model', '/none'] : [];
        found(await examine([...AWS_FLAGS, ...quick, ...flags], onAws(env)), check, status, message, advice);
      } finally {
        cloud.social.accounts.splice(0, Infinity, ...accounts);
      }
    });
  }
  test('a model that is streamed', async () => {
    const bytes = readFileSync(model);
    cloud.s3.put(BUCKET, 'models/small.cara', bytes);
    const env = { CARACOLA_MODEL: `s3://${BUCKET}/models/small.cara`, CARACOLA_MODEL_SHA256: createHash('sha256').update(bytes).digest('hex') };
    const seen = await examine([], onAws(env));
    found(seen, 'model', 'ok', /is streamed from s3:.*small\.cara \(30\.2 MB\)/);
    found(seen, 'note', 'ok', /word for word/);
    const other = await examine([], onAws({ ...env, CARACOLA_MODEL_SHA256: '0'.repeat(64) }));
    found(other, 'note', 'failure', /SHA-256/, /^/);
    found(await examine([], onAws({ ...env, CARACOLA_MODEL: `s3://${BUCKET}/none` })), 'model', 'failure', /none cannot be fetched/, /s3:GetObject/);
    found(await examine([], onAws({ CARACOLA_MODEL: env.CARACOLA_MODEL })), 'model', 'failure', /CARACOLA_MODEL_SHA256/);
    cloud.s3.buckets.get(BUCKET).objects.delete('models/small.cara');
  });
  test('where AWS does not answer, the rest is not tried', async () => {
    const seen = await examine([...AWS_FLAGS, '--model', '/none'], onAws({ AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1' }));
    assert.equal(seen.find('function'), undefined);
    found(seen, 'bucket', 'skipped', /without AWS/);
  });
  test('the variant without a queue, and with pages', async () => {
    cloud.sns.pageLimit = 1;
    const { arn } = { arn: fn().config.FunctionArn };
    cloud.sns.topics.get(topic).subscriptions.pop();
    cloud.sns.subscribe(topic, 'lambda', `${arn}:live`);
    fn().sources = [];
    const seen = await examine([...AWS_FLAGS, '--model', '/none'], onAws());
    cloud.sns.pageLimit = 100;
    found(seen, 'subscription', 'ok', /function:caracola:live/);
    found(seen, 'function', 'ok', /is set right: 900 s, 3008 MB \(2 processors' worth\), 512 MB of storage, x86_64/);
    assert.equal(seen.find('queue'), undefined);
    found(seen, 'dead-letters', 'ok', /no dead letters wait/);
  });
  test('the variant with a worker: a queue, and no function', async () => {
    cloud.functions.functions.clear();
    cloud.sns.subscribe(topic, 'sqs', `${cloud.sqs.queues.get('events').arn}-of-others`);
    const seen = await examine(['--queue', cloud.sqs.queues.get('events').url, '--model', '/none'], onAws());
    found(seen, 'function', 'skipped', /no function is named/);
    found(seen, 'subscription', 'ok', /:events$/);
    found(seen, 'queue', 'ok', /the queue works: 0 events wait/);
    found(seen, 'dead-letters', 'ok', /no dead letters wait/);
    assert.ok(seen.report.checks.every((c) => c.where === 'here'));
    // As the worker's own role, which may not read the settings of other resources: warnings, and no failure but the model's.
    for (const action of ['social-messaging:ListLinkedWhatsAppBusinessAccounts', 'sns:GetTopicAttributes', 'sqs:GetQueueAttributes']) cloud.denied.add(action);
    const alone = await examine(['--queue', cloud.sqs.queues.get('events').url, '--topic', topic, '--model', '/none'], onAws());
    for (const name of ['whatsapp', 'topic', 'queue']) found(alone, name, 'warning', /AccessDenied/, /^allow /);
    assert.deepEqual(alone.report.checks.filter((c) => c.status === 'failure').map((c) => c.name), ['model']);
  });
  test('a stack names what the flags do not', async () => {
    const outputs = { BucketName: BUCKET, TopicArn: topic, FunctionName: 'caracola', QueueUrl: cloud.sqs.queues.get('events').url, DeadLetterQueueUrl: cloud.sqs.queues.get('dead').url };
    const stacks = { caracola: 'UPDATE_COMPLETE', broken: 'ROLLBACK_COMPLETE', moving: 'UPDATE_IN_PROGRESS' };
    for (const [name, status] of Object.entries(stacks)) cloud.cloudformation.place(name, status, outputs, { Variant: 'queued', PackageType: 'image', ModelDelivery: 'image' });
    const env = onAws({ CARACOLA_STORE: undefined });
    const whole = await examine(['--stack', 'caracola'], env);
    assert.equal(whole.code, 0, JSON.stringify(whole.report.checks.filter((c) => c.status !== 'ok'), null, 1));
    found(whole, 'stack', 'ok', /the stack caracola is complete/);
    found(whole, 'bucket', 'ok', new RegExp(`the bucket ${BUCKET} `));
    for (const name of ['function', 'destination', 'queue', 'dead-letters', 'media']) found(whole, name, 'ok', /./);
    const at = async (name, status, message, advice) => found(await examine(['--stack', name], env), 'stack', status, message, advice);
    await at('broken', 'failure', /state ROLLBACK_COMPLETE/, /describe-stack-events/);
    await at('moving', 'warning', /state UPDATE_IN_PROGRESS/);
    await at('none', 'failure', /there is no stack none/, /caracola setup/);
  });
  test('a server that does not answer is not waited for', async () => {
    cloud.faults.command('s3.PutObject', 'hang', { times: 9, applied: false });
    cloud.faults.command('sns.Query', 'hang', { times: 9 });
    const started = Date.now();
    const seen = await examine([...AWS_FLAGS, '--model', '/none'], onAws(), { timeoutMs: 90000 });
    found(seen, 'bucket', 'failure', /did not answer in time|no time was left/);
    found(seen, 'topic', 'failure', /did not answer in time|no time was left/);
    found(seen, 'media', 'ok', /may be fetched/);
    return Date.now() - started;
  });
});

describe('inside the function', () => {
  const PHONE = 'phone-number-id-0f3c5a7e9b1d4826a0c4e8f21b6d3957';
  const within = (options, work) => asLambda(cloud, { env: { CARACOLA_STORE: STORE, CARACOLA_MODEL: model, ...options.env }, memoryMb: options.memoryMb ?? 3008, timeoutMs: options.timeoutMs ?? 60000 }, async (real) => {
    cloud.functions.functions.get('caracola').fn = real;
    cloud.permissions.clear();
    return work(real);
  });
  const look = () => examine([...AWS_FLAGS, '--model', '/none'], onAws());

  test('it needs no more than its role has', async () => {
    await within({}, async (real) => {
      const { ok, body } = await real.invoke({ caracola: 'doctor', phone: PHONE });
      assert.ok(ok);
      assert.equal(JSON.parse(body).verdict, 'ok', body);
      assert.deepEqual([...cloud.permissions].sort(), ['s3:GetObject', 's3:ListBucket', 's3:PutObject', 'social-messaging:GetWhatsAppMessageMedia']);
      const without = JSON.parse((await real.invoke({ caracola: 'doctor' })).body);
      assert.equal(without.checks.find((c) => c.name === 'media').status, 'skipped');
    });
  });
  const CASES = {
    'too little memory': ['memory', /takes some \d+ MB, and there are 64 MB/, { memoryMb: 64 }, /give the function more memory/],
    'a bucket that its role may not write': ['bucket', /cannot be written/, { denied: 's3:PutObject' }, /to the function's role/],
    'media that its role may not fetch': ['media', /may not be fetched/, { denied: 'social-messaging:GetWhatsAppMessageMedia' }, /to the function's role/],
    'another model than is meant': ['digest', /not the one that is meant/, { env: { CARACOLA_MODEL_SHA256: '0'.repeat(64), CARACOLA_MODEL_SOURCE: 's3://bucket/small.cara' } }, /"caracola":"fill"/],
  };
  for (const [name, [check, message, options, advice]] of Object.entries(CASES)) {
    test(name, async () => within(options, async () => {
      if (options.denied) cloud.denied.add(options.denied);
      const seen = await look();
      const inside = seen.find(check, 'function');
      assert.equal(inside?.status, 'failure', JSON.stringify(seen.report.checks, null, 1));
      assert.match(inside.message, message);
      assert.match(inside.advice, advice);
      assert.equal(seen.code, 8);
    }));
  }
  test('too little time for a note is said, not suffered', async () => {
    await within({ timeoutMs: 2600, env: { CARACOLA_CPU: 'scalar' } }, async () => {
      const seen = await look();
      // On a fast machine it is transcribed; on a slow one it is stopped; on a very slow one Lambda kills the function.
      const said = seen.find('note', 'function') ?? seen.find('invoke', 'function');
      assert.match(said?.message ?? '', /transcribed|was stopped after|the function fails/, JSON.stringify(seen.report.checks, null, 1));
    });
  });
});
