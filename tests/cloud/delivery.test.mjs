// How the model comes to the function: streamed from a bucket, or filled into a file from there.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { startCloud } from './lib/cloud.mjs';
import { Random } from './lib/faults.mjs';
import { eumEvent, loadVoices, makeMessage, snsNotification, snsToLambda } from './lib/messages.mjs';
import { asLambda, MODEL, PROGRAM, SOURCE } from './lib/program.mjs';
import { recordKey } from './lib/verdict.mjs';

const BUCKET = 'caracola-delivery';
const MODELS = 'caracola-models';
const KEY = 'whisper/demo one.cara';
const URL_ = `s3://${MODELS}/${KEY}`;
const PARTS = 8; // of 4 MiB, streamed
const FILL_PARTS = 4; // of 8 MiB
const NANO = join(SOURCE, 'tests/data/nano');
const bytes = readFileSync(MODEL);
const sha256 = (body) => createHash('sha256').update(body).digest('hex');
const other = Buffer.from(bytes);
other[other.length - 1] ^= 1;
const STREAM = { CARACOLA_STORE: `s3://${BUCKET}`, CARACOLA_MODEL: URL_, CARACOLA_MODEL_SHA256: sha256(bytes) };
const FILL = { caracola: 'fill' };
let cloud;
let voices;
let folder;
let n = 0;
const random = new Random('delivery');
before(async () => {
  voices = loadVoices(join(NANO, 'voices'), 4);
});
beforeEach(async () => {
  cloud = await startCloud();
  cloud.s3.createBucket(BUCKET);
  cloud.s3.createBucket(MODELS);
  cloud.s3.put(MODELS, KEY, bytes);
  folder = mkdtempSync(join(tmpdir(), 'caracola-delivery-'));
});
afterEach(async () => {
  await cloud.stop();
  rmSync(folder, { recursive: true });
  assert.deepEqual(cloud.violations, []);
  assert.deepEqual(cloud.broken, []);
});

function voiceNote() {
  const entry = makeMessage(random, ++n, voices[n % voices.length]);
  cloud.social.addMedia(entry.mediaId, entry.voice.bytes, 'audio/ogg');
  return entry;
}
const recordOf = ({ message }) => JSON.parse(cloud.s3.text(BUCKET, recordKey(message)));
const sns = (...entries) => snsToLambda([eumEvent(entries.map((e) => e.message))]);
const asked = (op = 's3.GetObject') => cloud.log.filter((entry) => entry.op === op && entry.key === KEY);
const textOf = (note) => recordOf(note).transcription.text;
const filled = () => ({
  CARACOLA_STORE: `s3://${BUCKET}`, CARACOLA_MODEL: join(folder, 'm.cara'), CARACOLA_MODEL_SOURCE: URL_, CARACOLA_MODEL_SHA256: sha256(bytes),
});

/** Holds the model's parts from the `from`-th on, those that fail not counted, until release(). */
function hold(from) {
  let release;
  const free = new Promise((resolve) => { release = resolve; });
  let count = 0;
  const off = cloud.onPhase(async (phase, entry) => {
    if (phase === 'received' && entry.op === 's3.GetObject' && entry.key === KEY && !entry.fault && ++count >= from) await free;
  });
  return () => { off(); release(); };
}

/** Files that a process has open or mapped, less its libraries and the system's own. */
function filesOf(pid) {
  const maps = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').map((line) => line.replace(/^(\S+\s+){5}/, ''));
  const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => { try { return readlinkSync(`/proc/${pid}/fd/${fd}`); } catch { return ''; } });
  return [...maps, ...fds].filter((name) => name.startsWith('/') && !/^\/(dev|usr|lib|etc|proc|sys)\/|\/caracola$/.test(name));
}

// ---- streamed ----

test('a streamed model gives the same text as the file, and only its object is requested', async () => {
  const note = voiceNote();
  await asLambda(cloud, { env: { ...STREAM, CARACOLA_MODEL: MODEL } }, async (fn) => assert.ok((await fn.invoke(sns(note))).ok));
  const text = textOf(note);
  assert.ok(text.length > 10);
  const used = [...cloud.permissions].sort();
  cloud.s3.bucket(BUCKET).objects.clear();
  await asLambda(cloud, { env: STREAM }, async (fn, sandbox) => {
    assert.ok((await fn.invoke(sns(note))).ok);
    assert.equal(textOf(note), text);
    assert.deepEqual(filesOf(sandbox.process.pid), []); // in memory, and nowhere else
    assert.equal(recordOf(note).caracola.model, 'demo');
    const more = voiceNote();
    assert.ok((await fn.invoke(sns(more))).ok); // and the warm sandbox has it
    assert.equal(recordOf(more).transcription.ok, true);
  });
  assert.equal(asked().length, PARTS);
  assert.equal(asked('s3.HeadObject').length, 1);
  const there = cloud.log.filter((entry) => entry.target.startsWith(`/${MODELS}/`));
  assert.deepEqual([...new Set(there.map((entry) => `${entry.action} ${entry.key}`))], [`s3:GetObject ${KEY}`]);
  assert.deepEqual([...cloud.permissions].sort(), used); // s3:GetObject is among them anyway
});

test('faults on the way of a streamed model are got over', async () => {
  cloud.faults.command('s3.HeadObject', '503', { times: 1, key: KEY });
  for (const kind of ['503', '500', 'reset', 'length', 'drop', 'reset', '503']) cloud.faults.command('s3.GetObject', kind, { times: 1, key: KEY });
  const note = voiceNote();
  await asLambda(cloud, { env: STREAM }, async (fn) => assert.ok((await fn.invoke(sns(note))).ok));
  assert.equal(recordOf(note).transcription.ok, true);
  assert.equal(asked().filter((entry) => entry.fault).length, 7);
});

test('a slow S3 is only slow', async () => {
  const off = cloud.onPhase(async (phase, entry) => {
    if (phase === 'received' && entry.key === KEY) await new Promise((resolve) => setTimeout(resolve, 400));
  });
  const note = voiceNote();
  await asLambda(cloud, { env: STREAM }, async (fn) => assert.ok((await fn.invoke(sns(note))).ok));
  off();
  assert.equal(recordOf(note).transcription.ok, true);
  assert.equal(asked().length, PARTS);
});

test('a part that never comes, and one that comes a byte a second, are asked for again', async () => {
  cloud.faults.command('s3.GetObject', 'hang', { times: 1, key: KEY, applied: true });
  cloud.faults.command('s3.GetObject', 'drip', { times: 1, key: KEY });
  const note = voiceNote();
  await asLambda(cloud, { env: STREAM, timeoutMs: 120000 }, async (fn) => assert.ok((await fn.invoke(sns(note))).ok));
  assert.equal(recordOf(note).transcription.ok, true);
  assert.equal(asked().length, PARTS + 2);
});

test('with one flipped byte, nothing that was transcribed is kept', async () => {
  cloud.faults.command('s3.GetObject', 'digest', { times: 1, key: KEY, after: PARTS - 1 });
  const notes = [voiceNote(), voiceNote()];
  await asLambda(cloud, { env: STREAM }, async (fn) => {
    assert.equal((await fn.invoke(sns(...notes))).ok, false);
    const { error } = fn.outcomes[0];
    assert.equal(error.errorType, 'Model.Unusable');
    assert.match(error.errorMessage, /has the SHA-256 [0-9a-f]{64}, not/);
  });
  for (const note of notes) {
    assert.equal(recordOf(note).transcription.ok, false);
    assert.equal(recordOf(note).transcription.error, 'model_corrupt');
    assert.ok(!('text' in recordOf(note).transcription) || !textOf(note));
  }
  assert.equal(asked().length, PARTS); // once for both
  await asLambda(cloud, { env: STREAM }, async (fn) => assert.ok((await fn.invoke(sns(...notes))).ok));
  for (const note of notes) assert.equal(recordOf(note).transcription.ok, true);
});

test('a model that is replaced while it arrives, is missing, refused or wrong is reported', async () => {
  const note = voiceNote();
  const fails = async (env, type, pattern) => {
    await asLambda(cloud, { env: { ...STREAM, ...env } }, async (fn) => {
      assert.equal((await fn.invoke(sns(note))).ok, false);
      assert.equal(fn.outcomes[0].error.errorType, type);
      assert.match(fn.outcomes[0].error.errorMessage, pattern);
    });
    assert.equal(recordOf(note).transcription.ok, false);
  };
  let count = 0;
  const off = cloud.onPhase((phase, entry) => {
    if (phase === 'received' && entry.op === 's3.GetObject' && entry.key === KEY && ++count === 2) cloud.s3.put(MODELS, KEY, other);
  });
  await fails({}, 'Model.Unusable', /replaced while it was read/);
  off();
  await fails({}, 'Model.Unusable', /has the SHA-256/);
  cloud.s3.put(MODELS, KEY, bytes);
  await fails({ CARACOLA_MODEL: `s3://${MODELS}/none` }, 'Model.Unusable', /s3:\/\/caracola-models\/none: .*404/);
  await fails({ CARACOLA_MODEL: `s3://no-such-bucket/${KEY}` }, 'Model.Unusable', /no-such-bucket/);
  cloud.s3.listAllowed = false;
  await fails({ CARACOLA_MODEL: `s3://${MODELS}/none` }, 'Model.Unusable', /403.*permissions/);
  cloud.faults.command('s3.GetObject', '503', { times: 1000, key: KEY });
  await asLambda(cloud, { env: STREAM, timeoutMs: 6000 }, async (fn) => {
    assert.equal((await fn.invoke(sns(note))).ok, false);
    assert.match(fn.outcomes[0].error.errorType, /Runtime.OutOfTime|Model.Unavailable/);
  });
  cloud.faults.quiet();
  await asLambda(cloud, { env: STREAM }, async (fn) => assert.ok((await fn.invoke(sns(note))).ok));
  assert.equal(recordOf(note).transcription.ok, true);
});

for (const [kind, file, parts, more] of [['.cara', MODEL, PARTS, {}], ['.pt', join(NANO, 'nano.pt'), 7, { CARACOLA_VOCAB: join(NANO, 'nano.tiktoken') }]]) {
  test(`what came of a ${kind} before the deadline is not fetched again`, async () => {
    const body = readFileSync(file);
    cloud.s3.put(MODELS, KEY, body);
    const note = voiceNote();
    const release = hold(3);
    await asLambda(cloud, { env: { ...STREAM, ...more, CARACOLA_MODEL_SHA256: sha256(body) }, timeoutMs: 5000 }, async (fn) => {
      assert.equal((await fn.invoke(sns(note))).ok, false);
      assert.equal(fn.outcomes[0].error.errorType, 'Runtime.OutOfTime');
      assert.equal(recordOf(note).transcription.ok, false);
      release();
      fn.timeoutMs = 60000;
      assert.ok((await fn.invoke(sns(note))).ok);
    });
    assert.equal(recordOf(note).transcription.ok, true);
    assert.equal(asked().length, parts);
  });
}

test('a .pt is streamed as well, with a vocabulary from a file', async () => {
  const pt = readFileSync(join(NANO, 'nano.pt'));
  cloud.s3.put(MODELS, 'nano.pt', pt);
  const env = { ...STREAM, CARACOLA_MODEL: `s3://${MODELS}/nano.pt`, CARACOLA_MODEL_SHA256: sha256(pt) };
  const note = voiceNote();
  await asLambda(cloud, { env }, async (fn) => {
    assert.equal((await fn.invoke(sns(note))).ok, false);
    assert.match(fn.outcomes[0].error.errorMessage, /vocabulary/);
  });
  await asLambda(cloud, { env: { ...env, CARACOLA_VOCAB: join(NANO, 'nano.tiktoken') } }, async (fn) =>
    assert.ok((await fn.invoke(sns(note))).ok));
  assert.equal(recordOf(note).transcription.ok, true);
});

test('settings that cannot work are init errors', async () => {
  const file = { CARACOLA_MODEL: MODEL, CARACOLA_MODEL_SOURCE: URL_ };
  for (const env of [{ CARACOLA_MODEL_SHA256: '' }, { CARACOLA_MODEL_SHA256: 'abc' }, { CARACOLA_MODEL: 's3://' }, { CARACOLA_MODEL: `s3://${MODELS}` },
    { ...file, CARACOLA_MODEL_SHA256: '' }, { ...file, CARACOLA_MODEL_SOURCE: '/mnt/model' }]) {
    await asLambda(cloud, { env: { ...STREAM, ...env } }, async (fn, sandbox) => {
      await new Promise((resolve) => sandbox.once('exit', resolve));
      sandbox.stopping = true;
      assert.equal(sandbox.runtime.initErrors[0].type, 'Configuration.Invalid');
      assert.match(sandbox.runtime.initErrors[0].errorMessage, /CARACOLA_MODEL|no object of S3/);
    });
  }
  assert.equal(cloud.log.filter((entry) => entry.op.startsWith('s3.')).length, 0);
});

// ---- filled ----

test('a fill copies the file, once, and the function transcribes with it', async () => {
  const env = filled();
  const note = voiceNote();
  await asLambda(cloud, { env }, async (fn) => {
    assert.equal((await fn.invoke(sns(note))).ok, false);
    assert.equal(fn.outcomes[0].error.errorType, 'Model.Unusable');
    const { ok, body } = await fn.invoke(FILL);
    assert.ok(ok);
    const { seconds, ...answer } = JSON.parse(body);
    assert.ok(seconds > 0);
    assert.deepEqual(answer, { caracola: 'fill', done: true, already: false, busy: false, bytes: bytes.length, size: bytes.length });
    assert.ok(readFileSync(env.CARACOLA_MODEL).equals(bytes));
    assert.ok((await fn.invoke(sns(note))).ok);
    const before = asked().length;
    assert.equal(JSON.parse((await fn.invoke(FILL)).body).already, true);
    assert.equal(asked().length, before);
    assert.equal((await fn.invoke({ caracola: 'dance' })).ok, false);
    assert.equal(fn.outcomes.at(-1).error.errorType, 'Command.Invalid');
  });
  assert.equal(recordOf(note).transcription.ok, true);
  assert.equal(asked().length, FILL_PARTS);
  assert.deepEqual(cloud.log.filter((entry) => entry.target.startsWith(`/${MODELS}/`) && entry.action !== 's3:GetObject'), []);
});

test('a fill gets over faults, goes on after a kill and after its deadline', async () => {
  const env = filled();
  const state = `${env.CARACOLA_MODEL}.fill`;
  const marks = () => (existsSync(state) ? readFileSync(state, 'latin1').slice(2048).split('#').length - 1 : 0);
  let release = hold(2);
  for (const kind of ['503', 'reset', 'length', 'drop']) cloud.faults.command('s3.GetObject', kind, { times: 1, key: KEY });
  await asLambda(cloud, { env, retries: 1 }, async (fn, sandbox) => {
    const outcome = fn.invoke(FILL);
    while (marks() < 1) await new Promise((resolve) => setTimeout(resolve, 20));
    sandbox.kill('test');
    release();
    const { ok, attempts, body } = await outcome;
    assert.deepEqual([ok, attempts, JSON.parse(body).done], [true, 2, true]);
  });
  assert.ok(readFileSync(env.CARACOLA_MODEL).equals(bytes));
  const good = asked().filter((entry) => !entry.fault);
  assert.ok(good.length <= 2 * FILL_PARTS - 1, `${good.length}`); // the one part that was marked is not fetched again
  rmSync(env.CARACOLA_MODEL);
  const before = asked().length;
  release = hold(3);
  await asLambda(cloud, { env, timeoutMs: 6000 }, async (fn) => {
    const first = JSON.parse((await fn.invoke(FILL)).body);
    assert.deepEqual([first.done, first.busy, first.size], [false, false, bytes.length]);
    assert.ok(first.bytes > 0 && first.bytes < bytes.length);
    assert.ok(!existsSync(env.CARACOLA_MODEL));
    release();
    const second = JSON.parse((await fn.invoke(FILL)).body);
    assert.deepEqual([second.done, second.bytes], [true, bytes.length]);
  });
  assert.ok(asked().length <= before + FILL_PARTS + 2);
  assert.ok(readFileSync(env.CARACOLA_MODEL).equals(bytes));
});

test('of two fills at once one works and one says so', async () => {
  const env = filled();
  const release = hold(1);
  await asLambda(cloud, { env }, (one) => asLambda(cloud, { env }, async (two) => {
    const first = one.invoke(FILL);
    while (!asked().length) await new Promise((resolve) => setTimeout(resolve, 20));
    const { done, busy } = JSON.parse((await two.invoke(FILL)).body);
    assert.deepEqual([done, busy], [false, true]);
    release();
    assert.equal(JSON.parse((await first).body).done, true);
    assert.equal(JSON.parse((await two.invoke(FILL)).body).already, true);
  }));
  assert.equal(asked().length, FILL_PARTS);
});

test('a wrong or replaced object, a refusal and a bad place fail a fill, and leave no model', async () => {
  const env = filled();
  const fails = async (more, type, pattern) => {
    await asLambda(cloud, { env: { ...env, ...more } }, async (fn) => {
      assert.equal((await fn.invoke(FILL)).ok, false);
      assert.equal(fn.outcomes[0].error.errorType, type);
      assert.match(fn.outcomes[0].error.errorMessage, pattern);
    });
    assert.ok(!existsSync(env.CARACOLA_MODEL));
  };
  cloud.faults.command('s3.GetObject', 'digest', { times: 1, key: KEY });
  await fails({}, 'Command.Failed', /has the SHA-256/);
  assert.ok(!existsSync(`${env.CARACOLA_MODEL}.part`));
  let count = 0;
  const off = cloud.onPhase((phase, entry) => {
    if (phase === 'received' && entry.op === 's3.GetObject' && entry.key === KEY && ++count === 2) cloud.s3.put(MODELS, KEY, other);
  });
  await fails({}, 'Command.Failed', /replaced while it was read/);
  off();
  cloud.s3.put(MODELS, KEY, bytes);
  await fails({ CARACOLA_MODEL_SOURCE: `s3://${MODELS}/none` }, 'Command.Failed', /404/);
  await fails({ CARACOLA_MODEL: join(folder, 'no/m.cara') }, 'Command.Failed', /no\/m\.cara\.fill: No such file/);
  cloud.faults.command('s3.HeadObject', '503', { times: 100, key: KEY });
  await fails({}, 'Command.Unavailable', /503/);
  cloud.faults.quiet();
  await asLambda(cloud, { env: { CARACOLA_STORE: env.CARACOLA_STORE } }, async (fn) => {
    assert.equal((await fn.invoke(FILL)).ok, false);
    assert.equal(fn.outcomes[0].error.errorType, 'Command.Invalid');
  });
  await asLambda(cloud, { env }, async (fn) => assert.equal(JSON.parse((await fn.invoke(FILL)).body).done, true));
});

test("the first system's file opens where it lies", async () => {
  const there = join(folder, 'model');
  mkdirSync(there);
  writeFileSync(join(there, 'medium.pt'), readFileSync(join(NANO, 'nano.pt')));
  writeFileSync(join(there, 'multilingual.tiktoken'), readFileSync(join(NANO, 'nano.tiktoken')));
  for (const name of ['medium.pt', 'multilingual.tiktoken']) chmodSync(join(there, name), 0o444);
  const note = voiceNote();
  await asLambda(cloud, { env: { CARACOLA_STORE: `s3://${BUCKET}`, CARACOLA_MODEL: join(there, 'medium.pt') } }, async (fn) =>
    assert.ok((await fn.invoke(sns(note))).ok));
  assert.equal(recordOf(note).transcription.ok, true);
});

// ---- other commands ----

/** Runs the program; gives its exit status and standard error once it has ended. */
function start(args, env = {}) {
  const child = spawn(PROGRAM, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH, ...cloud.clientEnv(), ...env } });
  child.said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { child.said += text; });
  child.ended = once(child, 'close').then(([code]) => ({ code, said: child.said }));
  return child;
}

test('model fetch brings a file, goes on after SIGINT, and fails with a sentence', async () => {
  const path = join(folder, 'm.cara');
  const fetch = (hex = sha256(bytes), url = URL_) => start(['model', 'fetch', url, path, '--sha256', hex]);
  const release = hold(3);
  const first = fetch();
  while (!existsSync(`${path}.fill`) || !readFileSync(`${path}.fill`, 'latin1').includes('#')) await new Promise((resolve) => setTimeout(resolve, 20));
  first.kill('SIGINT');
  const { code, said } = await first.ended;
  assert.equal(code, 130);
  assert.match(said, /the same command goes on/);
  release();
  assert.deepEqual(await fetch().ended, { code: 0, said: `caracola: wrote ${path}: ${bytes.length} bytes\n` });
  assert.ok(readFileSync(path).equals(bytes));
  assert.ok(asked().length < 2 * FILL_PARTS);
  assert.match((await fetch().ended).said, /nothing to do/);
  assert.equal((await fetch(sha256(other)).ended).code, 4);
  assert.ok(readFileSync(path).equals(bytes)); // the wrong one did not take its place
  assert.equal((await fetch(sha256(other), `s3://no-such-bucket/${KEY}`).ended).code, 5);
});

test('a worker streams its model', async () => {
  const queue = cloud.sqs.createQueue('events');
  const note = voiceNote();
  cloud.sqs.send('events', JSON.stringify(snsNotification(eumEvent([note.message]))));
  const args = ['worker', '--queue', queue.url, '--store', `s3://${BUCKET}`, '--model', URL_];
  assert.equal((await start(args).ended).code, 2); // without a digest
  const worker = start(args, { CARACOLA_MODEL_SHA256: sha256(bytes) });
  while (cloud.sqs.depth('events') > 0 && worker.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 50));
  worker.kill('SIGTERM');
  assert.equal((await worker.ended).code, 130, worker.said);
  assert.equal(recordOf(note).transcription.ok, true);
  assert.equal(asked().length, PARTS);
});
