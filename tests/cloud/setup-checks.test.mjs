// `caracola setup`: what is checked, said and asked before anything is made; the file of answers, tags, and an end in the middle.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { execFileSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import { startCloud } from './lib/cloud.mjs';
import { Bench, elf, makeZip, packageZip, template } from './lib/deploy.mjs';
import { MODEL, PROGRAM, SOURCE } from './lib/program.mjs';

let cloud;
let bench;
let quick, armZip, largeZip, cutModel, tiny, pt;
before(async () => {
  cloud = await startCloud();
  await cloud.cloudformation.put('caracola-bootstrap', template('bootstrap'), {});
  bench = new Bench();
  quick = bench.quickAws();
  armZip = bench.file('arm.zip', packageZip(183));
  largeZip = bench.file('large.zip', makeZip([{ name: 'bootstrap', body: elf(), mode: 0o755 }, { name: 'big', size: 262144000 }]));
  cutModel = bench.file('cut.cara', readFileSync(MODEL).subarray(0, 1000000));
  pt = join(SOURCE, 'tests/data/nano/nano.pt');
  tiny = join(bench.folder, 'tiny.cara');
  execFileSync(PROGRAM, ['model', 'random', 'tiny', tiny], { stdio: 'ignore' });
  cloud.s3.createBucket('kept-by-a-former-stack');
  cloud.s3.createBucket('far-away', 'eu-west-1');
  cloud.s3.createBucket('of-somebody', 'us-east-1', { owner: '999999999999' });
});
after(async () => {
  await cloud.stop();
  bench.remove();
  assert.deepEqual(cloud.broken, []);
});

const cfn = () => cloud.cloudformation;
const setup = (args, options) => bench.run(cloud, ['setup', '--yes', ...args], options);
/** What changes nothing. */
const dryRun = (args, options) => bench.run(cloud, ['setup', '--dry-run', '--aws', quick, ...args], options);
const ours = () => cfn().output('caracola-bootstrap', 'BucketName');
const touched = () => [cfn().count('CreateChangeSet'), cloud.s3.history.length];

// Each: flags behind --zip, what must be said, the exit status (2), what the account allows. None may upload or change anything.
const REFUSED = {
  'a time zone with a typo': [['--timezone', 'America/Mazatlam'], /--timezone takes a time zone that the function will have, .*package\.zip has no "America\/Mazatlam"/],
  'a time zone by its place': [['--timezone', 'mazatlan'], /has no "mazatlan"; did you mean America\/Mazatlan\?/],
  'a time zone that only this machine has': [['--timezone', 'Europe/Berlin'], /package\.zip has no "Europe\/Berlin"/],
  'a package for another processor': [['--architecture', 'arm64'], /package\.zip is built for x86_64, and --architecture says arm64/],
  'a package that is too large': [() => ['--zip', largeZip], /large\.zip unpacks to more than the 250 MB/],
  'a zip as an image': [() => ['--image', bench.zip], /--image takes an image, and .*package\.zip is a zip: give it by --zip/],
  'an image as a zip': [() => ['--zip', bench.image()], /--zip takes a zip, and .*oci\.tar is an image: give it by --image/],
  'an image without its layer': [() => ['--image', bench.image('broken', { withoutLayer: true })], /a layer is missing, or cut short/],
  'a model that is cut': [() => ['--model', cutModel], /cut\.cara: /, 4],
  'a model of PyTorch': [() => ['--model', pt], /nano\.pt is no \.cara, which is what a function can open at once.*: make one by `caracola model convert/, 4],
  'too little memory for the model': [() => ['--model', tiny, '--memory', '128'], /--memory 128 is too little for the model random-tiny, which takes some 1\d\d MB/],
  'more functions than are left': [['--concurrency', '901'], /--concurrency takes at most 900 here: this account may run 1000 functions at once in us-east-1.*got 901/],
  'a new account': [[], /--concurrency 5 cannot be reserved: this account may run 10 functions at once .*take --concurrency 0/, 2, 10],
  'a bucket that is not there': [['--store-bucket', 'nowhere-at-all'], /--store-bucket nowhere-at-all cannot be used: there is no such bucket/],
  "another's bucket": [['--store-bucket', 'of-somebody'], /it is another account's, or these credentials may not/],
  'a bucket elsewhere': [['--store-bucket', 'far-away'], /--store-bucket far-away cannot be used: it is in (eu-west-1|another Region)/],
  'the bucket of packages': [() => ['--stack', 'caracola', '--store-bucket', ours()], /it holds packages and models/],
  'no bucket at all': [['--store-bucket', 'A_B'], /--store-bucket/],
  'half of a network': [['--subnet', 'subnet-12345678'], /--access-point, --subnet and --security-group go together/],
  'a subnet that is none': [['--subnet', 'vpc-12345678'], /--subnet takes what begins with subnet-, got "vpc-12345678"/],
  'a model in a folder': [['--model-file', 'a/b'], /--model-file takes a file's name without folders/],
  'a tag without a value': [['--tags', 'team'], /--tags takes Key=Value,Key=Value, and "team" has no =/],
  "AWS's own tag": [['--tags', 'aws:x=y'], /only AWS may set/],
};
for (const [name, [flags, said, status = 2, limit = 1000]] of Object.entries(REFUSED)) {
  test(`refused: ${name}`, async () => {
    const before_ = touched();
    const given = typeof flags === 'function' ? flags() : flags;
    cloud.functions.limit = limit;
    const done = await setup(['--aws', quick, '--no-link', '--stack', 'new', ...(given.includes('--zip') || given.includes('--image') ? [] : ['--zip', bench.zip]), ...given]);
    cloud.functions.limit = 1000;
    assert.match(done.err, said);
    assert.equal(done.code, status, done.err);
    assert.equal(done.err.trim().split('\n').filter((line) => line.startsWith('caracola: ')).length, 1, done.err);
    assert.deepEqual(touched(), before_);
  });
}

test('what an account allows may be unknown', async () => {
  cloud.denied.add('lambda:GetAccountSettings');
  const done = await dryRun(['--no-link', '--stack', 'new', '--zip', bench.zip]);
  cloud.denied.clear();
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /limit of functions at once is not checked: these credentials may not lambda:GetAccountSettings/);
});

test('the summary: the package is looked through, and the cost is said, before anything is made', async () => {
  const dry = async (...flags) => (await dryRun(['--no-link', '--stack', 'new', ...flags])).out;
  const zip = await dry('--zip', armZip, '--model', MODEL, '--memory', '1769', '--tags', 'team=notes');
  assert.match(zip, /^to be made:\n {2}stack {8}new, in account 123456789012, us-east-1\n {2}runs as {6}direct, 1769 MB, 5 events at most at once\n/m);
  assert.match(zip, /^ {2}package {6}.*arm\.zip \(zip, arm64, 1 kB, 1 kB unpacked\)$/m);
  assert.match(zip, /^ {2}model {8}.*demo\.cara \(demo, float16, 30\.2 MB\), by s3$/m);
  assert.match(zip, /^ {2}tags {9}team=notes$/m);
  assert.match(zip, /^ {2}cost {9}about 0\.00 \$ a month while nothing happens, and 0\.0\d \$ for$/m);
  assert.match(zip, /An estimate, by prices of us-east-1 of 25 November 2026,/);
  assert.match(zip, /^ {2}Architecture: arm64$/m); // taken from the package
  const vpc = await dry('--zip', bench.zip, '--variant', 'vpc');
  assert.match(vpc, /^ {2}cost {9}about 36\.50 \$ a month while nothing happens/m);
  const worker = await dry('--image', bench.image('x', { pack: gzipSync, env: ['CARACOLA_MODEL=/m/medium.cara'] }), '--variant', 'worker', '--timezone', 'America/Mazatlan');
  assert.match(worker, /^ {2}model {8}the one inside the image$/m);
  assert.match(worker, /^ {2}runs as {6}worker, medium, 0 to 5 of them$/m);
  assert.match(worker, /and 0\.0\d \$ \(tiny\) to 0\.\d\d \$ \(large-v3\) for/);
});

test('without a model it says loudly that only the demo model is there', async () => {
  const toy = await dryRun(['--no-link', '--stack', 'new', '--zip', bench.zip]);
  assert.match(toy.err, /^caracola: WARNING: no model was given, and the package holds only the demo model, .*no human voice.*caracola model convert .*--model medium\.cara$/m);
  assert.match(toy.out, /^ {2}model {8}only the demo model, which knows no human voice$/m);
  const image = await dryRun(['--no-link', '--stack', 'new', '--image', bench.image('y', { env: ['CARACOLA_MODEL=/usr/share/caracola/models/demo.cara'] })]);
  assert.match(image.err, /WARNING: no model was given/);
  const real = await dryRun(['--no-link', '--stack', 'new', '--image', bench.image('x', { pack: gzipSync, env: ['CARACOLA_MODEL=/m/medium.cara'] })]);
  assert.doesNotMatch(real.err + real.out, /WARNING|demo model/);
});

test('a bucket that a former stack left takes the messages again; tags are on everything; the mail is announced', async () => {
  const done = await setup(['--no-link', '--zip', bench.zip, '--store-bucket', 'kept-by-a-former-stack', '--email', 'a@example.org', '--tags', 'Cost Center=42,team=notes']);
  assert.equal(done.code, 0, done.err);
  assert.equal(cfn().parameter('caracola', 'StoreBucket'), 'kept-by-a-former-stack');
  for (const stack of ['caracola', 'caracola-bootstrap']) assert.deepEqual(cfn().stack(stack).tags, { 'Cost Center': '42', team: 'notes' });
  assert.equal(done.err.match(/WARNING: no model was given/g).length, 2, 'before and after');
  assert.match(done.out, /Confirm the mail that AWS sends to a@example\.org: before that, no alarm goes there\.\n`caracola doctor --stack caracola` says/);
  // It stays so; and once the mail is confirmed nothing more is said of it.
  cloud.sns.topics.get(cfn().output('caracola', 'AlarmTopicArn')).subscriptions[0].SubscriptionArn = 'arn:aws:sns:us-east-1:123456789012:x:y';
  const again = await setup(['--no-link']);
  assert.equal(again.code, 0, again.err);
  assert.deepEqual(cfn().stack('caracola').tags, { 'Cost Center': '42', team: 'notes' });
  assert.doesNotMatch(again.out, /Confirm the mail/);
  const none = await setup(['--no-link', '--tags', 'none']);
  assert.equal(none.code, 0, none.err);
  assert.deepEqual(cfn().stack('caracola').tags, {});
});

test('a reservation that the stack has already does not count against it', async () => {
  cloud.functions.reserved = 5; // the stack's
  cloud.functions.limit = 106;
  const six = await bench.run(cloud, ['setup', '--dry-run', '--no-link', '--concurrency', '6']);
  assert.equal(six.code, 0, six.err);
  const seven = await bench.run(cloud, ['setup', '--dry-run', '--no-link', '--concurrency', '7']);
  assert.equal(seven.code, 2, seven.err);
  assert.match(seven.err, /--concurrency takes at most 6 here/);
  // What is not asked for is not checked again.
  cloud.functions.limit = 10;
  const other = await bench.run(cloud, ['setup', '--dry-run', '--no-link', '--memory', '2048']);
  assert.equal(other.code, 0, other.err);
  Object.assign(cloud.functions, { reserved: 0, limit: 1000 });
});

test('a file of answers: written, read, and flags win over it', async () => {
  const path = join(bench.folder, 'answers.json');
  const flags = ['--no-link', '--stack', 'filed', '--zip', bench.zip, '--language', 'es', '--memory', '1769', '--tags', 'a=b', '--email', 'none'];
  const wrote = await dryRun([...flags, '--write-answers', path]);
  assert.equal(wrote.code, 0, wrote.err);
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), {
    region: 'us-east-1', stack: 'filed', zip: bench.zip, tags: 'a=b', aws: quick, 'no-link': true, language: 'es', memory: '1769', email: 'none',
  });
  const read = await dryRun(['--answers', path, '--memory', '2048', '--image', bench.image()], { unset: ['AWS_REGION', 'AWS_DEFAULT_REGION'] });
  assert.equal(read.code, 0, read.err);
  assert.match(read.out, /^ {2}Language: es$/m);
  assert.match(read.out, /^ {2}MemorySize: 2048$/m);
  assert.match(read.out, /^ {2}PackageType: image$/m);
  assert.match(read.out, /would set 1 tags on all of stack filed/);
  // By hand, with numbers and underscores.
  writeFileSync(path, JSON.stringify({ zip: bench.zip, no_link: true, memory: 1024, 'take-over': false, stack: 'filed' }));
  assert.match((await dryRun(['--answers', path])).out, /^ {2}MemorySize: 1024$/m);
});

const BAD_ANSWERS = [
  ['{"memroy": 3008}', /answers\.json: there is no "memroy"; did you mean "memory"\?/],
  ['{"yes": true}', /answers\.json: there is no "yes"/],
  ['{"secret": "x"}', /answers\.json: there is no "secret"/],
  ['{"memory": 64}', /answers\.json: "memory" takes a number from 128 to 10240, got "64"/],
  ['{"memory": 1.5}', /answers\.json: "memory" takes a text, a whole number, true or false/],
  ['{"memory": true}', /answers\.json: "memory" takes a text or a number/],
  ['{"no-link": "yes"}', /answers\.json: "no-link" takes true or false/],
  ['{"memory": 64, "memory": 1024}', /answers\.json: /],
  ['[]', /answers\.json is no file of answers/],
  ['{"memory": ', /answers\.json: /],
];
for (const [text, said] of BAD_ANSWERS) {
  test(`refused answers: ${text}`, async () => {
    const done = await setup(['--answers', bench.file('answers.json', text)]);
    assert.equal(done.code, 2, done.err);
    assert.match(done.err, said);
  });
}

test('a wrong answer is asked again at its own prompt', async () => {
  cloud.functions.limit = 10;
  const path = join(bench.folder, 'typed.json');
  const done = await bench.run(cloud, ['setup', '--stack', 'asked', '--no-link', '--write-answers', path], {
    unset: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
    answers: [
      ['Region \\[us-east-1\\]: ', 'US East\r'],
      ['(?i)region[\\s\\S]*?Region \\[us-east-1\\]: ', 'eu-west-1\r'],
      ['does not accept these credentials in eu-west-1[\\s\\S]*?Region \\[us-east-1\\]: ', '\r'],
      ['How should it run.*: ', 'sideways\r'],
      ['one of direct queued vpc worker[\\s\\S]*?How should it run.*: ', 'queued\r'],
      ['Package.*: ', `${MODEL}\r`],
      ['is no zip, and no OCI archive[\\s\\S]*?Package.*: ', `${largeZip}\r`],
      ['unpacks to more than the 250 MB[\\s\\S]*?Package.*: ', `${bench.zip}\r`],
      ['Model, a \\.cara.*: ', `${pt}\r`],
      ['nano\\.pt is no \\.cara[\\s\\S]*?Model, a \\.cara.*: ', `${tiny}\r`],
      ['Language.*: ', 'Spanglish\r'],
      ['takes a code such as es[\\s\\S]*?Language.*: ', 'es\r'],
      ['Time zone.*: ', 'Mazatlan\r'],
      ['did you mean America/Mazatlan\\?[\\s\\S]*?Time zone.*: ', 'America/Mazatlan\r'],
      ['Answer the sender.*: ', 'perhaps\r'],
      ['one of no yes[\\s\\S]*?Answer the sender.*: ', 'no\r'],
      ['Memory of the function.*: ', '128\r'],
      ['too little for the model random-tiny[\\s\\S]*?Memory of the function.*: ', '1769\r'],
      ['Events at once at most.*: ', '1\r'],
      ['--concurrency 1 does not go with --variant queued[\\s\\S]*?Events at once at most.*: ', '5\r'],
      ['this account may run 10 functions[\\s\\S]*?Events at once at most.*: ', '0\r'],
      ['Days after which messages.*: ', '-1\r'],
      ['a number from 0 to 36500[\\s\\S]*?Days after which messages.*: ', '0\r'],
      ['Days for which a deleted.*: ', '0\r'],
      ['a number from 1 to 36500[\\s\\S]*?Days for which a deleted.*: ', '30\r'],
      ['E-mail address.*: ', 'nobody\r'],
      ['an e-mail address[\\s\\S]*?E-mail address.*: ', 'none\r'],
      ['to be made:[\\s\\S]*?cost +about[\\s\\S]*?Make stack asked in account 123456789012, us-east-1 \\[y/N\\]: ', 'y\r'],
    ],
  });
  cloud.functions.limit = 1000;
  assert.equal(done.code, 0, done.out);
  const want = { Variant: 'queued', Language: 'es', TimeZone: 'America/Mazatlan', Reply: 'no', MemorySize: '1769', Concurrency: '0', MessageRetentionDays: '0', AlarmEmail: '' };
  for (const [key, value] of Object.entries(want)) assert.equal(cfn().parameter('asked', key), value, key);
  // The file holds what was typed, and does the same without a question.
  const answers = JSON.parse(readFileSync(path, 'utf8'));
  assert.equal(answers.timezone, 'America/Mazatlan');
  assert.equal(answers.zip, bench.zip);
  const again = await bench.run(cloud, ['setup', '--dry-run', '--answers', path], { unset: ['AWS_REGION', 'AWS_DEFAULT_REGION'] });
  assert.equal(again.code, 0, again.err);
  assert.match(again.out, /would update stack asked if this version's template differs/);
});

test('an end in the middle of an upload, and the command that is printed finishes it', async () => {
  cloud.faults.command('s3.PutObject', 'hang', { times: 9, applied: false });
  const ended = await setup(['--stack', 'ended', '--no-link', '--zip', bench.zip, '--tags', 'who=Ana Maria', '--memory', '1769', '--email', 'none'], { meanwhile: untilLog((op) => op === 's3.PutObject') });
  cloud.faults.quiet();
  assert.equal(ended.code, 130, ended.err);
  assert.match(ended.err, /to continue, run: caracola setup --yes --region us-east-1 --stack ended .*--tags 'who=Ana Maria' .*--no-link .*--memory 1769 --email none$/m);
  assert.equal(cfn().stack('ended'), undefined);
  const again = await bench.follow(cloud, ended);
  assert.equal(again.code, 0, again.err);
  assert.equal(cfn().stack('ended').status, 'CREATE_COMPLETE');
  assert.equal(cfn().parameter('ended', 'MemorySize'), '1769');
  assert.deepEqual(cfn().stack('ended').tags, { who: 'Ana Maria' });
});

test('an end while AWS creates the stack, after answers on a terminal', async () => {
  await cfn().put('typed-bootstrap', template('bootstrap'), {});
  const executed = cfn().count('ExecuteChangeSet');
  cfn().pace = 2;
  const done = await bench.run(cloud, ['setup', '--stack', 'typed', '--no-link', '--region', 'us-east-1'], {
    answers: [
      ['How should it run.*: ', '\r'], ['Package.*: ', `${bench.zip}\r`], ['Model, a \\.cara.*: ', '\r'], ['Language.*: ', 'es\r'], ['Time zone.*: ', '\r'],
      ['Answer the sender.*: ', '\r'], ['Memory of the function.*: ', '2048\r'], ['Events at once.*: ', '\r'], ['Days after.*: ', '\r'], ['Days for which.*: ', '\r'], ['E-mail.*: ', '\r'],
      ['Make stack typed.*: ', 'y\r'], ['\\) CREATE_COMPLETE', '\u0003'],
    ],
  });
  cfn().pace = 100;
  assert.equal(done.code, 130, done.out);
  assert.equal(cfn().count('ExecuteChangeSet'), executed + 1);
  assert.equal(cfn().stack('typed').status, 'CREATE_IN_PROGRESS');
  const again = await bench.follow(cloud, done);
  assert.equal(again.code, 0, again.err);
  assert.equal(cfn().stack('typed').status, 'CREATE_COMPLETE');
  assert.equal(cfn().parameter('typed', 'MemorySize'), '2048');
  assert.equal(cfn().parameter('typed', 'Language'), 'es');
});

test('an end while a stack is being deleted', async () => {
  cfn().held = true;
  const done = await bench.run(cloud, ['teardown', '--yes', '--stack', 'typed'], { meanwhile: untilCalled('DeleteStack') });
  cfn().held = false;
  assert.equal(done.code, 130, done.err);
  assert.match(done.err, /to continue, run: caracola teardown --yes --stack typed --region us-east-1/);
  const again = await bench.follow(cloud, done);
  assert.equal(again.code, 0, again.err);
  assert.equal(cfn().stack('typed'), undefined);
});

test('the profile of a flag is that of every call', async () => {
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = cloud.clientEnv();
  const file = bench.file('credentials', `[work]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`);
  const done = await bench.run(cloud, ['setup', '--dry-run', '--profile', 'work', '--stack', 'new', '--zip', bench.zip], {
    env: { AWS_SHARED_CREDENTIALS_FILE: file, AWS_ACCESS_KEY_ID: 'AKIDNOBODY', AWS_SECRET_ACCESS_KEY: 'x' },
  });
  assert.equal(done.code, 0, done.err);
  assert.match(done.out, /would send events of Caracola Test/);
});

/** Ctrl-C once the cloud has seen such a call. */
function untilLog(wanted) {
  const seen = cloud.log.filter(({ op }) => wanted(op)).length;
  return async (child) => {
    while (cloud.log.filter(({ op }) => wanted(op)).length === seen && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 50));
    child.kill('SIGINT');
  };
}
function untilCalled(action) {
  const seen = cfn().count(action);
  return async (child) => {
    while (cfn().count(action) === seen && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.kill('SIGINT');
  };
}
