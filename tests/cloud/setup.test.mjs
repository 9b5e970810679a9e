// `caracola setup` from nothing to a number, again, changed, failed and repaired; through the real AWS CLI.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startCloud } from './lib/cloud.mjs';
import { Bench, sha256, template } from './lib/deploy.mjs';
import { Random } from './lib/faults.mjs';
import { eumEvent, loadVoices, makeMessage, snsToLambda } from './lib/messages.mjs';
import { asLambda, MODEL, SOURCE } from './lib/program.mjs';

let cloud;
let bench;
before(async () => {
  cloud = await startCloud();
  bench = new Bench();
});
after(async () => {
  await cloud.stop();
  // Nothing private is left behind: no folder of setup's in TMPDIR.
  assert.deepEqual(readdirSync(bench.folder).filter((name) => name.startsWith('caracola-')), []);
  bench.remove();
  assert.deepEqual(cloud.violations, []);
  assert.deepEqual(cloud.broken, []);
});

const cfn = () => cloud.cloudformation;
const account = () => cloud.social.accounts[0];
const setup = (args, options) => bench.run(cloud, ['setup', '--yes', ...args], options);
const writes = () => cloud.s3.history.filter(({ what }) => what === 'put').length;
const secrets = () => [cloud.keys.default.secretAccessKey, ...cloud.ecr.passwords];

function quiet({ out, err }) {
  const shown = `${out}${err}${bench.lines().join('\n')}`;
  for (const secret of secrets()) assert.ok(!shown.includes(secret), 'a secret is in an output or on a command line');
}

test('a dry run touches nothing and says all', async () => {
  const { code, out, err } = await bench.run(cloud, ['setup', '--dry-run', '--zip', bench.zip, '--model', MODEL, '--memory', '1769']);
  assert.equal(code, 0, err);
  assert.match(out, /would create stack caracola-bootstrap\n/);
  assert.match(out, /would upload .*demo\.cara \(30\.\d MB\) to s3:\/\/the new bucket\/models\/[0-9a-f]{64}\.cara\n/);
  assert.match(out, /would create stack caracola:\n/);
  assert.match(out, /  MemorySize: 1769\n/);
  assert.match(out, /^ {2}messages {5}kept; what is deleted or replaced can be restored for 30 days$/m);
  assert.match(out, /would send events of Caracola Test \(waba-[0-9a-f]+\) to the new topic/);
  assert.deepEqual(cfn().stacks, []);
  assert.deepEqual([...new Set(cfn().calls.map(({ action }) => action))], ['DescribeStacks']);
  assert.equal(writes(), 0);
  assert.deepEqual(account().eventDestinations, []);
});

test('from nothing', async () => {
  cfn().throttle('DescribeStackEvents', 1);
  cfn().pace = 12;
  const done = await setup(['--zip', bench.zip, '--model', MODEL, '--language', 'es', '--timezone', 'America/Mazatlan', '--email', 'a@example.org']);
  cfn().pace = 100;
  assert.equal(done.code, 0, done.err);
  quiet(done);
  assert.equal(cfn().stack('caracola-bootstrap').status, 'CREATE_COMPLETE');
  assert.equal(cfn().stack('caracola').status, 'CREATE_COMPLETE');
  const bucket = cfn().output('caracola-bootstrap', 'BucketName');
  const digest = sha256(readFileSync(MODEL));
  const zip = sha256(readFileSync(bench.zip));
  assert.deepEqual(cloud.s3.keys(bucket), [`models/${digest}.cara`, `packages/${zip}.zip`, `templates/${sha256(template('caracola'))}.yaml`]);
  assert.equal(sha256(cloud.s3.object(bucket, `models/${digest}.cara`).body), digest);
  const want = {
    Variant: 'direct', PackageType: 'zip', CodeBucket: bucket, CodeKey: `packages/${zip}.zip`, ImageUri: '', ModelDelivery: 's3', ModelBucket: bucket,
    ModelKey: `models/${digest}.cara`, ModelSha256: digest, Language: 'es', TimeZone: 'America/Mazatlan', AlarmEmail: 'a@example.org', Reply: 'no', MemorySize: '3008',
  };
  for (const [key, value] of Object.entries(want)) assert.equal(cfn().parameter('caracola', key), value, key);
  assert.deepEqual(account().eventDestinations, [{ eventDestinationArn: cfn().output('caracola', 'TopicArn') }]);
  assert.match(done.out, /Send a voice note to \+1 555-010-0001/);
  assert.match(done.out, new RegExp(`^bucket +${cfn().output('caracola', 'BucketName')}$`, 'm'));
  assert.match(done.err, /^ {2}Function \(AWS::Lambda::Function\) CREATE_COMPLETE$/m);
  assert.match(done.err, /^stack caracola: created$/m);
});

test('what was set up works: a voice note becomes a record, and the doctor is content', async () => {
  const lambda = cloud.functions.functions.get(cfn().output('caracola', 'FunctionName'));
  const voice = loadVoices(join(SOURCE, 'tests/data/nano/voices'), 1)[0];
  const note = makeMessage(new Random('setup'), 1, voice);
  cloud.social.addMedia(note.mediaId, voice.bytes, 'audio/ogg');
  await asLambda(cloud, { env: lambda.config.Environment.Variables }, async (fn) => {
    assert.ok((await fn.invoke(snsToLambda([eumEvent([note.message])]))).ok);
    lambda.fn = fn;
    const { code, out } = await bench.run(cloud, ['doctor', '--stack', 'caracola'], { aws: false });
    lambda.fn = null;
    assert.ok(code === 0 || code === 1, out); // 1: the demo model is worth a warning
    assert.doesNotMatch(out, /^failure/m);
    assert.match(out, /^ok {7}its messages go to\s+arn:aws:sns:us-east-1:123456789012:caracola-Topic-/m);
    assert.match(out, /^ok {7}the model is streamed from\s+s3:/m);
  });
  const bucket = cfn().output('caracola', 'BucketName');
  const record = cloud.s3.keys(bucket).find((key) => /^\d{4}-\d\d-\d\d\/.*\.json$/.test(key));
  assert.equal(JSON.parse(cloud.s3.text(bucket, record)).transcription.ok, true);
});

test('again, and nothing is changed', async () => {
  const before_ = { writes: writes(), executed: cfn().count('ExecuteChangeSet'), put: cloud.log.filter(({ op }) => op.includes('PutWhatsApp')).length };
  const done = await setup(['--zip', bench.zip, '--model', MODEL]);
  assert.equal(done.code, 0, done.err);
  assert.match(done.err, /stack caracola-bootstrap: nothing to change/);
  assert.match(done.err, /demo\.cara is in the bucket already/);
  assert.match(done.err, /stack caracola: nothing to change/);
  assert.match(done.err, /come here already/);
  assert.match(done.out, /Send a voice note to/);
  assert.deepEqual({ writes: writes(), executed: cfn().count('ExecuteChangeSet'), put: cloud.log.filter(({ op }) => op.includes('PutWhatsApp')).length }, before_);
  assert.equal(cfn().stack('caracola').sets.length, 0, 'a change set is left');
});

test('one setting, and the others stay', async () => {
  const others = { ...cfn().stack('caracola').values };
  const dry = await bench.run(cloud, ['setup', '--dry-run', '--memory', '1769']);
  assert.match(dry.out, /would update stack caracola:\n {2}MemorySize: 1769 \(is 3008\)\n/);
  const done = await setup(['--memory', '1769']);
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(cfn().stack('caracola').values, { ...others, MemorySize: '1769' });
  assert.match(done.err, /^ {2}to change: Function \(AWS::Lambda::Function\)$/m);
  assert.equal(cfn().stack('caracola').status, 'UPDATE_COMPLETE');
});

test('an update that fails leaves all as it was', async () => {
  const values = { ...cfn().stack('caracola').values };
  cfn().failResource('Function', "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 3008");
  const done = await setup(['--memory', '10240']);
  assert.equal(done.code, 7);
  assert.match(done.err, /^ {2}Function \(AWS::Lambda::Function\) UPDATE_FAILED: 'MemorySize' value failed to satisfy/m);
  assert.match(done.err, /^ {2}-> new accounts are held to --memory 3008$/m);
  assert.match(done.err, /rolling back: The following resource\(s\) failed to update: \[Function\]/);
  assert.match(done.err, /caracola: stack caracola failed, and all is as it was before \(UPDATE_ROLLBACK_COMPLETE\)/);
  assert.deepEqual(cfn().stack('caracola').values, values);
});

test('what the template refuses is said, and nothing is begun', async () => {
  const executed = cfn().count('ExecuteChangeSet');
  cfn().refusals.set('caracola', 'Parameter TimeZone failed to satisfy constraint: a name of the time zone database');
  const done = await setup(['--memory', '1024']);
  cfn().refusals.clear();
  assert.equal(done.code, 7);
  assert.match(done.err, /stack caracola: .*ValidationError: .*TimeZone.*a name of the time zone database/);
  assert.equal(cfn().count('ExecuteChangeSet'), executed);
});

test('Ctrl-C while AWS works, and the next run sees it through', async () => {
  const executed = cfn().count('ExecuteChangeSet');
  cfn().held = true;
  const done = await setup(['--memory', '2048'], {
    meanwhile: async (child) => {
      while (cfn().count('ExecuteChangeSet') === executed && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 50));
      child.kill('SIGINT');
    },
  });
  assert.equal(done.code, 130, done.err);
  assert.match(done.err, /AWS goes on with it by itself/);
  assert.equal(cfn().stack('caracola').status, 'UPDATE_IN_PROGRESS');
  cfn().held = false;
  const again = await bench.follow(cloud, done);
  assert.equal(again.code, 0, again.err);
  assert.match(again.err, /stack caracola: nothing to change/);
  assert.equal(cfn().parameter('caracola', 'MemorySize'), '2048');
});
