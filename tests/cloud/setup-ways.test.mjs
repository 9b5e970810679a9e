// `caracola setup` with an image and on a terminal, and `caracola teardown`; through the real AWS CLI and skopeo.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startCloud } from './lib/cloud.mjs';
import { Bench, template } from './lib/deploy.mjs';
import { MODEL } from './lib/program.mjs';

let cloud;
let bench;
before(async () => {
  cloud = await startCloud();
  await cloud.cloudformation.put('caracola-bootstrap', template('bootstrap'), {});
  bench = new Bench();
});
after(async () => {
  await cloud.stop();
  bench.remove();
  assert.deepEqual(cloud.violations, []);
  assert.deepEqual(cloud.broken, []);
});

const cfn = () => cloud.cloudformation;
const pushes = () => cloud.log.filter(({ op }) => op === 'registry.PUT manifests').length;

test('an image for workers is pushed once, and named by its digest', async () => {
  const image = bench.image();
  const done = await bench.run(cloud, ['setup', '--yes', '--variant', 'worker', '--image', image]);
  assert.equal(done.code, 0, done.err);
  const uri = cfn().parameter('caracola', 'ImageUri');
  assert.ok(cloud.ecr.has(uri), uri);
  assert.match(uri, /^123456789012\.dkr\.ecr\.us-east-1\.amazonaws\.com\/[a-z0-9-]+@sha256:[0-9a-f]{64}$/);
  assert.equal(cfn().parameter('caracola', 'PackageType'), 'image');
  assert.match(done.out, new RegExp(`^queue +${cfn().output('caracola', 'QueueUrl')}$`, 'm'));
  const shown = done.out + done.err + bench.lines().join('\n');
  for (const password of cloud.ecr.passwords) assert.ok(!shown.includes(password), 'the password is shown');
  const again = await bench.run(cloud, ['setup', '--yes', '--image', image]);
  assert.equal(again.code, 0, again.err);
  assert.match(again.err, /the image is in the registry already/);
  assert.match(again.err, /stack caracola: nothing to change/);
  assert.equal(pushes(), 1);
});

test('a registry that refuses is said', async () => {
  const executed = cfn().count('CreateChangeSet');
  cloud.faults.command('registry.PUT manifests', '503', { times: 20 });
  const done = await bench.run(cloud, ['setup', '--yes', '--image', bench.image('other')]);
  cloud.faults.quiet();
  assert.equal(done.code, 7);
  assert.match(done.err, /caracola: skopeo did not push .*\.oci\.tar/);
  assert.equal(cfn().calls.slice(-1)[0].action === 'ExecuteChangeSet', false);
  assert.ok(cfn().count('CreateChangeSet') <= executed + 1); // the bootstrap's
  const missing = await bench.run(cloud, ['setup', '--yes', '--image', bench.image('other'), '--skopeo', '/nowhere/skopeo']);
  assert.equal(missing.code, 5);
  assert.match(missing.err, /install Debian's package skopeo/);
});

test('teardown keeps the buckets and frees the number', async () => {
  const bucket = cfn().output('caracola', 'BucketName');
  const done = await bench.run(cloud, ['teardown', '--dry-run']);
  assert.match(done.out, /would delete stack caracola\n/);
  assert.ok(cfn().stack('caracola'));
  const gone = await bench.run(cloud, ['teardown', '--yes']);
  assert.equal(gone.code, 0, gone.err);
  assert.equal(cfn().stack('caracola'), undefined);
  assert.equal(cfn().stack('caracola-bootstrap'), undefined);
  assert.ok(cloud.s3.buckets.has(bucket));
  assert.match(gone.err, new RegExp(`bucket ${bucket}: kept`));
  assert.deepEqual(cloud.social.accounts[0].eventDestinations, []);
  const again = await bench.run(cloud, ['teardown', '--yes']);
  assert.equal(again.code, 0);
  assert.match(again.err, /there is no stack caracola in us-east-1: nothing to remove/);
});

test('a network in two zones by endpoints, whose questions are asked only for it', async () => {
  const others = ['--language', 'es', '--timezone', 'UTC', '--reply', 'no', '--memory', '3008', '--concurrency', '5', '--retention', '0', '--version-retention', '30', '--email', 'a@example.org'];
  const done = await bench.run(cloud, ['setup', '--stack', 'inside', '--no-link', '--region', 'us-east-1', '--zip', bench.zip, '--delivery', 'image', ...others], {
    answers: [
      ['How should it run.*\\[direct\\]: ', 'vpc\r'],
      ['Way from the network to AWS: internet or endpoints \\[internet\\]: ', 'nat\r'],
      ['That takes one of internet endpoints', ''],
      ['Way from the network to AWS.*: ', 'endpoints\r'],
      ['Availability zones, 1 or 2 \\[1\\]: ', '2\r'],
      ['Make stack inside in account 123456789012, us-east-1 \\[y/N\\]: ', 'y\r'],
    ],
  });
  assert.equal(done.code, 0, done.out);
  assert.equal(cfn().parameter('inside', 'Network'), 'endpoints');
  assert.equal(cfn().parameter('inside', 'Zones'), '2');
  assert.match(done.out, /SocialMessagingEndpoint \(AWS::EC2::VPCEndpoint\) CREATE_COMPLETE/);
  assert.match(done.out, /PrivateSubnet2 \(AWS::EC2::Subnet\) CREATE_COMPLETE/);
  assert.doesNotMatch(done.out, /NatGateway/);
  // The other variants have no network, and this is said before anything is done.
  const other = await bench.run(cloud, ['setup', '--yes', '--stack', 'inside', '--no-link', '--variant', 'direct']);
  assert.equal(other.code, 2);
  assert.match(other.err, /--network endpoints with --zones 2 is for a network that setup creates.*give --network internet --zones 1/s);
  const gone = await bench.run(cloud, ['teardown', '--yes', '--stack', 'inside']);
  assert.equal(gone.code, 0, gone.err);
  await cfn().put('caracola-bootstrap', template('bootstrap'), {});
});

test('onto EFS the function itself brings the model, in as many calls as it takes', async () => {
  const answers = [
    { ok: true, body: '{"caracola":"fill","done":false,"already":false,"busy":false,"bytes":8388608,"size":30204928,"seconds":1}' },
    { ok: false, error: { errorType: 'Command.Unavailable', errorMessage: 'S3 GetObject: 503' } },
    { ok: true, body: '{"caracola":"fill","done":true,"already":false,"busy":false,"bytes":30204928,"size":30204928,"seconds":1}' },
  ];
  const events = [];
  const create = cloud.functions.create.bind(cloud.functions);
  cloud.functions.create = (name, options) => create(name, { ...options, fn: { invoke: async (event) => { events.push(event); return answers.shift(); } } });
  const done = await bench.run(cloud, ['setup', '--yes', '--stack', 'onefs', '--no-link', '--zip', bench.zip, '--variant', 'vpc', '--delivery', 'efs', '--model', MODEL]);
  assert.equal(done.code, 0, done.err);
  assert.deepEqual(events, Array(3).fill('{"caracola":"fill"}'));
  assert.match(done.err, /the model is on the function's file system/);
  const { variables } = [...cloud.functions.functions.values()].map(({ config }) => ({ variables: config.Environment.Variables })).at(-1);
  assert.match(variables.CARACOLA_MODEL, /^\/mnt\/model\/[0-9a-f]{16}\.cara$/);
  assert.equal(variables.CARACOLA_MODEL_SHA256, cfn().parameter('onefs', 'ModelSha256'));
  answers.push(...Array(5).fill({ ok: false, error: { errorType: 'Command.Failed', errorMessage: 'the disk is full' } }));
  const failed = await bench.run(cloud, ['setup', '--yes', '--stack', 'onefs', '--no-link']);
  assert.equal(failed.code, 7);
  assert.match(failed.err, /does not copy the model to its file system: the disk is full/);
  cloud.functions.create = create;
});

test('every question is answered on a terminal', async () => {
  cloud.social.link({ waba: '11aa', metaWabaId: '99', name: 'Second', phones: [{ id: '22bb', metaPhoneNumberId: '98', display: '+52 55 0000 0000' }] });
  const done = await bench.run(cloud, ['setup'], {
    answers: [
      ['Region \\[us-east-1\\]: ', '\r'],
      ['How should it run.*\\[direct\\]: ', 'sideways\r'],
      ['That takes one of direct queued vpc worker', ''],
      ['How should it run.*\\[direct\\]: ', 'queued\r'],
      ['Package, a \\.zip, or an image.*: ', '/nowhere.zip\r'],
      ['cannot be read', ''],
      ['Package.*: ', `${bench.zip}\r`],
      ['Model, a \\.cara \\(none.*: ', `${MODEL}\r`],
      ['Language spoken.*: ', 'es\r'],
      ['Time zone.*\\[UTC\\]: ', 'America/Mazatlan\r'],
      ['Answer the sender.*\\[no\\]: ', 'yes\r'],
      ['Memory of the function in MB \\[3008\\]: ', '1769\r'],
      ['Events at once at most \\[5\\]: ', '10\r'],
      ['Days after which messages.*\\[0\\]: ', '90\r'],
      ['Days for which a deleted or replaced.*\\[30\\]: ', '14\r'],
      ['E-mail address for alarms.*: ', 'a@example.org\r'],
      ['Whose voice notes \\[waba-7be1', 'waba-11aa\r'],
      ['Make stack caracola in account 123456789012, us-east-1 \\[y/N\\]: ', 'y\r'],
    ],
  });
  assert.equal(done.code, 0, done.out);
  assert.match(done.out, /Send a voice note to \+52 55 0000 0000/);
  assert.match(done.out, /messages +deleted after 90 days, restorable for 14 more, gone after 104\r?\n/);
  assert.doesNotMatch(done.out, /Way from the network|Availability zones/); // this variant has no network
  const want = {
    Variant: 'queued', Language: 'es', TimeZone: 'America/Mazatlan', Reply: 'yes', MemorySize: '1769', Concurrency: '10',
    MessageRetentionDays: '90', VersionRetentionDays: '14', AlarmEmail: 'a@example.org', ModelDelivery: 's3', PackageType: 'zip',
  };
  for (const [key, value] of Object.entries(want)) assert.equal(cfn().parameter('caracola', key), value, key);
});

test('on a terminal, a no and a Ctrl-C change nothing', async () => {
  const before_ = cfn().count('CreateChangeSet');
  const no = await bench.run(cloud, ['setup', '--region', 'us-east-1', '--memory', '2048', '--waba', '99'], { answers: [['Change stack caracola .*\\[y/N\\]: ', '\r']] });
  assert.equal(no.code, 130, no.out);
  assert.match(no.out, /nothing was changed/);
  const stop = await bench.run(cloud, ['setup'], { answers: [['Region', '\u0003']] });
  assert.equal(stop.code, 130, stop.out);
  assert.equal(cfn().count('CreateChangeSet'), before_);
});

test('messages are deleted only after the name of the bucket was typed', async () => {
  const bucket = cfn().output('caracola', 'BucketName');
  cloud.s3.put(bucket, '2025-10-15/a & b.json', '{}');
  cloud.s3.put(bucket, '2025-10-15/b.ogg', 'x');
  // As the bucket is left by a claim, a transcript and someone's deletion: old versions, and a marker.
  cloud.s3.put(bucket, '2025-10-15/b.ogg', 'y');
  cloud.s3.put(bucket, '2025-10-15/gone.json', '{}');
  cloud.s3.DeleteObject(cloud.s3.bucket(bucket), { bucket, key: '2025-10-15/gone.json', params: new Map(), by: '' });
  assert.equal(cloud.s3.versions(bucket).length, 5);
  const no = await bench.run(cloud, ['teardown', '--delete-bucket'], {
    answers: [['Remove stack caracola .*\\[y/N\\]: ', 'y\r'], ['Type the bucket.s name to go on: ', 'bucket\r']],
  });
  assert.equal(no.code, 130, no.out);
  assert.match(no.out, /nothing was removed/);
  assert.equal(cfn().stack('caracola').status, 'CREATE_COMPLETE');
  const yes = await bench.run(cloud, ['teardown', '--delete-bucket'], {
    answers: [['Remove stack caracola .*\\[y/N\\]: ', 'y\r'], ['Type the bucket.s name to go on: ', `${bucket}\r`]],
  });
  assert.equal(yes.code, 0, yes.out);
  assert.ok(!cloud.s3.buckets.has(bucket));
  assert.match(yes.out, new RegExp(`bucket ${bucket}: deleted, with 5 objects in it`));
  assert.equal(cfn().stack('caracola'), undefined);
});
