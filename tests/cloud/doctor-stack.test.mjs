// `caracola doctor --stack`: the stack is judged, and nothing of the machine that asks.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startCloud } from './lib/cloud.mjs';
import { template } from './lib/deploy.mjs';
import { PROGRAM } from './lib/program.mjs';

const OK = JSON.stringify({ verdict: 'ok', version: '0', checks: [{ name: 'model', where: 'function', status: 'ok', message: 'its model opens' }] });
const SHA = '0'.repeat(64);
let cloud, folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caracola-doctor-'));
  cloud = await startCloud();
  cloud.s3.createBucket('code-bucket');
  cloud.s3.put('code-bucket', 'code.zip', 'x');
  cloud.s3.put('code-bucket', 'models/m.cara', 'x'.repeat(1000000));
});
after(async () => {
  await cloud.stop();
  rmSync(folder, { recursive: true });
  assert.deepEqual(cloud.violations, []);
  assert.deepEqual(cloud.broken, []);
});

const S3_MODEL = { ModelDelivery: 's3', ModelBucket: 'code-bucket', ModelKey: 'models/m.cara', ModelSha256: SHA };
/** A stack of the real template, to which WhatsApp's messages go. */
async function stack(name, parameters = {}) {
  await cloud.cloudformation.put(name, template('caracola'), { PackageType: 'zip', CodeBucket: 'code-bucket', CodeKey: 'code.zip', ...parameters });
  cloud.social.accounts[0].eventDestinations = [{ eventDestinationArn: cloud.cloudformation.output(name, 'TopicArn') }];
  const one = cloud.functions.functions.get(cloud.cloudformation.output(name, 'FunctionName'));
  if (one) one.fn = { invoke: async () => ({ ok: true, body: OK }) };
}
/** On a laptop on which nothing is right. */
const LAPTOP = {
  CARACOLA_MODEL: '/none/at/all.cara', CARACOLA_STORE: '/proc/none', CARACOLA_QUEUE: 'https://sqs.us-east-1.amazonaws.com/1/none', CARACOLA_CPU: 'nonsense',
  CARACOLA_THREADS: '4000',
};
const doctor = (flags, env = {}) => new Promise((resolve) => {
  const all = { PATH: process.env.PATH, HOME: folder, LC_ALL: 'C.UTF-8', ...cloud.clientEnv(), ...LAPTOP, ...env };
  for (const [name, value] of Object.entries(all)) if (value === undefined) delete all[name];
  execFile(PROGRAM, ['doctor', '--json', ...flags], { env: all, timeout: 60000 }, (error, stdout, stderr) => {
    const report = stdout ? JSON.parse(stdout) : { checks: [] };
    resolve({ code: error?.code ?? 0, stderr, report, find: (name) => report.checks.find((one) => one.name === name) });
  });
});
function says(seen, name, status, message, advice = /^$/) {
  const check = seen.find(name);
  assert.equal(check?.status, status, JSON.stringify(seen.report.checks, null, 1) + seen.stderr);
  assert.match(check.message, message);
  assert.match(check.advice ?? '', advice);
}

test('a stack that is right, asked from a laptop that is not', async () => {
  await stack('right', { ...S3_MODEL, Language: 'es', TimeZone: 'America/Mazatlan' });
  const seen = await doctor(['--stack', 'right']);
  assert.equal(seen.code, 0, JSON.stringify(seen.report.checks, null, 1));
  assert.deepEqual(seen.report.checks.map(({ name, where, status }) => `${where} ${name} ${status}`), [
    'here region ok', 'here credentials ok', 'here stack ok', 'here parameters ok', 'here stack-model ok', 'here alarm-mail skipped',
    'here function ok', 'here whatsapp ok', 'here destination ok', 'here topic ok', 'here subscription ok', 'here dead-letters ok',
    'here bucket ok', 'here media ok', 'function model ok',
  ]);
  says(seen, 'parameters', 'ok', /direct, with language es and time zone America\/Mazatlan/);
  says(seen, 'stack-model', 'ok', /s3:\/\/code-bucket\/models\/m\.cara \(1\.0 MB\)/);
  assert.match(seen.find('bucket').message, new RegExp(cloud.cloudformation.output('right', 'BucketName')));
});

test('flags about this machine do not go with it', async () => {
  for (const flag of ['model', 'vocab', 'language', 'threads', 'store']) {
    const seen = await doctor(['--stack', 'right', `--${flag}`, 'es']);
    assert.equal(seen.code, 2);
    assert.match(seen.stderr, new RegExp(`--stack checks the stack and --${flag} is about this machine`));
  }
});

test('--region and --profile say where the stack is', async () => {
  const none = { AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined };
  says(await doctor(['--stack', 'right'], none), 'region', 'failure', /no AWS Region is set/, /--region/);
  says(await doctor(['--stack', 'right', '--region', 'us-east-1'], none), 'stack', 'ok', /is complete/);
  // The named profile wins over keys in variables, as with the AWS CLI.
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = cloud.clientEnv();
  writeFileSync(join(folder, 'credentials'), `[good]\naws_access_key_id = ${AWS_ACCESS_KEY_ID}\naws_secret_access_key = ${AWS_SECRET_ACCESS_KEY}\n[bad]\naws_access_key_id = AKIDNOBODY\naws_secret_access_key = x\n`);
  const file = { AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials') };
  says(await doctor(['--stack', 'right', '--profile', 'good'], { ...file, AWS_ACCESS_KEY_ID: 'AKIDNOBODY' }), 'stack', 'ok', /is complete/);
  says(await doctor(['--stack', 'right', '--profile', 'bad'], file), 'credentials', 'failure', /AWS refuses these credentials \(from: profile\)/, /./);
  cloud.violations.length = 0; // the bad profile's
});

test('only the demo model, or one that is gone', async () => {
  await stack('toy');
  says(await doctor(['--stack', 'toy']), 'stack-model', 'warning', /has only the demo model of its package/, /setup --stack toy --model/);
  await stack('gone', { ...S3_MODEL, ModelKey: 'models/gone.cara' });
  says(await doctor(['--stack', 'gone']), 'stack-model', 'failure', /cannot be looked at/, /upload it again/);
});

test('alarm mails: not confirmed, confirmed, given up', async () => {
  await stack('mails', { ...S3_MODEL, AlarmEmail: 'a@example.org' });
  const { subscriptions } = cloud.sns.topics.get(cloud.cloudformation.output('mails', 'AlarmTopicArn'));
  const waiting = await doctor(['--stack', 'mails']);
  assert.equal(waiting.code, 1);
  says(waiting, 'alarm-mail', 'warning', /a@example\.org gets no alarms yet: the subscription is not confirmed/, /confirm the mail/);
  subscriptions[0].SubscriptionArn = 'arn:aws:sns:us-east-1:123456789012:x:y';
  says(await doctor(['--stack', 'mails']), 'alarm-mail', 'ok', /alarms go to a@example\.org/);
  subscriptions.length = 0;
  says(await doctor(['--stack', 'mails']), 'alarm-mail', 'warning', /the subscription is gone/, /aws sns subscribe --topic-arn arn/);
});

test('mails of every event are a warning', async () => {
  await stack('tried', { ...S3_MODEL, TestEmail: 'a@example.org' });
  says(await doctor(['--stack', 'tried']), 'parameters', 'warning', /every event goes to a@example\.org by mail/, /--test_email none/);
});

test('workers', async () => {
  await stack('work', { Variant: 'worker', PackageType: 'image', CodeBucket: '', CodeKey: '', ImageUri: `123456789012.dkr.ecr.us-east-1.amazonaws.com/repo@sha256:${SHA}` });
  const seen = await doctor(['--stack', 'work']);
  says(seen, 'function', 'skipped', /the stack runs workers, not a function/);
  says(seen, 'stack-model', 'ok', /inside its image; a worker's log says which/);
  says(seen, 'subscription', 'ok', /work-Queue-/);
});

test('a stack that something else made', async () => {
  cloud.cloudformation.place('other', 'CREATE_COMPLETE', { BucketName: 'code-bucket' });
  says(await doctor(['--stack', 'other']), 'parameters', 'warning', /was not made by `caracola setup`/, /another/);
});
