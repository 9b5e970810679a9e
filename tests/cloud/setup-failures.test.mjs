// `caracola setup` when something is missing, wrong or fails; through the real AWS CLI.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startCloud } from './lib/cloud.mjs';
import { Bench, template } from './lib/deploy.mjs';

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
  assert.deepEqual(cloud.broken, []);
});

const cfn = () => cloud.cloudformation;
const setup = (args, options) => bench.run(cloud, ['setup', '--yes', ...args], options);

test('a creation that fails is rolled back, and the next run deletes what is left', async () => {
  cfn().failResource('Function', 'The role defined for the function cannot be assumed by Lambda.');
  const done = await setup(['--zip', bench.zip]);
  assert.equal(done.code, 7);
  assert.match(done.err, /^ {2}Function \(AWS::Lambda::Function\) CREATE_FAILED: The role defined/m);
  assert.match(done.err, /caracola: stack caracola failed, and what had been created was deleted again \(ROLLBACK_COMPLETE\)/);
  assert.equal(cfn().stack('caracola').status, 'ROLLBACK_COMPLETE');
  assert.deepEqual(cloud.social.accounts[0].eventDestinations, []);
  const again = await setup(['--zip', bench.zip]);
  assert.equal(again.code, 0, again.err);
  assert.match(again.err, /is what a failed try left \(ROLLBACK_COMPLETE\); deleting it first/);
  assert.equal(cfn().stack('caracola').status, 'CREATE_COMPLETE');
  assert.equal(cfn().parameter('caracola', 'ModelDelivery'), 'image');
});

// Each: flags, how it is run, exit status, what must be said. None may change anything.
const REFUSED = [
  ['no credentials', ['--memory', '512'], { unset: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] }, 7, /there are no AWS credentials: run `aws configure`/],
  ['wrong credentials', ['--memory', '512'], { env: { AWS_ACCESS_KEY_ID: 'AKIDNOBODY' } }, 7, /AWS does not accept these credentials in us-east-1 \(InvalidClientTokenId/],
  ['a profile that is not there', ['--profile', 'nobody'], {}, 2, /profile/],
  ['another Region', ['--memory', '512', '--region', 'eu-west-1'], {}, 7, /AWS does not accept these credentials in eu-west-1 .*check the keys, the profile and the Region/],
  ['no Region', ['--memory', '512'], { unset: ['AWS_REGION', 'AWS_DEFAULT_REGION'] }, 2, /no Region is known: give --region/],
  ['no answer', ['--memory', '512'], { env: { AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:9', AWS_MAX_ATTEMPTS: '1' } }, 7, /no answer from AWS in us-east-1/],
  ['no AWS CLI', ['--aws', '/nowhere/aws'], {}, 5, /no AWS CLI at \/nowhere\/aws: install Debian's package awscli/],
  ['a model that is none', ['--model', '/etc/hostname'], {}, 4, /is no \.cara.*caracola model convert/],
  ['a zip that is none', ['--zip', '/etc/hostname'], {}, 2, /\/etc\/hostname is no zip/],
  ['two packages', ['--zip', '/etc/hostname', '--image', '/etc/hostname'], {}, 2, /--zip or --image, not both/],
  ['a worker from a zip', ['--variant', 'worker'], {}, 2, /a worker runs from an image/],
  ['EFS without a network', ['--delivery', 'efs'], {}, 2, /--delivery efs needs --variant vpc/],
  ['streaming nothing', ['--delivery', 's3'], {}, 2, /delivery s3 needs a model/],
  ['an account that is not there', ['--waba', 'waba-00'], {}, 2, /there is no WhatsApp account waba-00 .* there are waba-7be1/],
  ['memory out of range', ['--memory', '64'], {}, 2, /--memory takes a number from 128 to 10240, got "64"/],
  ['no e-mail address', ['--email', 'me'], {}, 2, /--email takes an e-mail address, got "me"/],
];
for (const [name, flags, how, status, said] of REFUSED) {
  test(`refused: ${name}`, async () => {
    const before_ = [cfn().count('CreateChangeSet'), cloud.s3.history.length];
    const done = await setup(flags, how);
    assert.match(done.err, said);
    assert.equal(done.code, status, done.err);
    assert.equal(done.err.trim().split('\n').filter((line) => line.startsWith('caracola: ')).length, 1, done.err);
    assert.deepEqual([cfn().count('CreateChangeSet'), cloud.s3.history.length], before_);
  });
}

test('no terminal to ask on', async () => {
  const done = await bench.run(cloud, ['setup']);
  assert.equal(done.code, 2);
  assert.match(done.err, /standard input is not a terminal: give --yes/);
});

test("another's events are not taken without --take_over", async () => {
  const account = cloud.social.accounts[0];
  const ours = account.eventDestinations;
  const theirs = [{ eventDestinationArn: 'arn:aws:sns:us-east-1:123456789012:first-system' }];
  account.eventDestinations = theirs;
  const done = await setup([]);
  assert.equal(done.code, 2);
  assert.match(done.err, /events of Caracola Test go to arn:aws:sns:us-east-1:123456789012:first-system now.*--take_over/);
  assert.equal(account.eventDestinations, theirs);
  const taken = await setup(['--take-over']);
  assert.equal(taken.code, 0, taken.err);
  assert.deepEqual(account.eventDestinations, ours);
});

test('several accounts, or none', async () => {
  cloud.social.link({ waba: '11aa', metaWabaId: '99', name: 'Second', phones: [{ id: '22bb', metaPhoneNumberId: '98', display: '+52 55 0000 0000' }] });
  const done = await setup([]);
  assert.equal(done.code, 2);
  assert.match(done.err, /several WhatsApp accounts, name one by --waba: waba-7be1.* \(Caracola Test\), waba-11aa \(Second\)/);
  const named = await setup(['--waba', '99']);
  assert.equal(named.code, 0, named.err);
  assert.match(named.out, /Send a voice note to \+52 55 0000 0000/);
  cloud.social.accounts.length = 0;
  const none = await setup([]);
  assert.equal(none.code, 2);
  assert.match(none.err, /no WhatsApp account is linked to AWS account 123456789012 in us-east-1: .*--no_link/);
  const without = await setup(['--no-link']);
  assert.equal(without.code, 0, without.err);
  assert.match(without.out, /No WhatsApp number is linked yet/);
});

test('a stack of that name that is stuck', async () => {
  cfn().stack('caracola').status = 'UPDATE_ROLLBACK_FAILED';
  const done = await setup(['--no-link', '--memory', '512']);
  assert.equal(done.code, 7);
  assert.match(done.err, /continue-update-rollback --stack-name caracola/);
});

test('a model in a file that is not where it was said to be', async () => {
  const done = await setup(['--no-link', '--model', join(bench.folder, 'gone.cara')]);
  assert.equal(done.code, 5);
  assert.match(done.err, /gone\.cara: No such file/);
  writeFileSync(join(bench.folder, 'gone.cara'), 'x');
});
