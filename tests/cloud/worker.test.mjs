// Our program as a worker on a queue, in the test cloud.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startCloud } from './lib/cloud.mjs';
import { Random } from './lib/faults.mjs';
import { eumEvent, loadVoices, makeMessage, snsNotification } from './lib/messages.mjs';
import { MODEL, PROGRAM, SOURCE } from './lib/program.mjs';
import { recordKey } from './lib/verdict.mjs';

const BUCKET = 'caracola-worker';
let cloud;
let queue;
let voices;
let n = 0;
const random = new Random('worker');
before(async () => {
  cloud = await startCloud();
  cloud.s3.createBucket(BUCKET);
  queue = cloud.sqs.createQueue('events');
  voices = loadVoices(join(SOURCE, 'tests/data/nano/voices'), 3);
});
after(async () => {
  await cloud.stop();
  assert.deepEqual(cloud.violations, []);
});

function start(...flags) {
  const child = spawn(PROGRAM, ['worker', '--queue', queue.url, '--store', `s3://${BUCKET}`, '--model', MODEL, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, AWS_LAMBDA_LOG_FORMAT: 'JSON', ...cloud.clientEnv() },
  });
  child.log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { child.log += text; });
  return child;
}

const until = async (what, child) => {
  for (let i = 0; i < 600; i++) {
    if (what()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`did not happen: ${what}\n${child.log}`);
};
const record = ({ message }) => JSON.parse(cloud.s3.text(BUCKET, recordKey(message)));
function note() {
  const entry = makeMessage(random, ++n, voices[n % voices.length]);
  cloud.social.addMedia(entry.mediaId, entry.voice.bytes, 'audio/ogg');
  return entry;
}
async function end(child, signal = 'SIGTERM') {
  child.kill(signal);
  const [code] = await once(child, 'exit');
  return code;
}

test('events are worked off, and deleted; a signal ends it', async () => {
  const entries = [note(), makeMessage(random, ++n, null), note()];
  for (const [i, entry] of entries.entries()) {
    const event = eumEvent([entry.message]);
    cloud.sqs.send('events', JSON.stringify(i === 0 ? event : snsNotification(event)));
  }
  cloud.sqs.send('events', 'no event at all');
  const child = start();
  await until(() => cloud.sqs.depth('events') === 0, child);
  assert.equal(await end(child), 130);
  for (const entry of entries) if (entry.voice) assert.equal(record(entry).transcription.ok, true);
  assert.equal(cloud.s3.keys(BUCKET).filter((key) => key.startsWith('quarantine/')).length, 1);
  assert.match(child.log, /stopped; 4 events done, 0 left/);
});

test('an event above the limit is kept whole, and deleted', async () => {
  const before = cloud.s3.keys(BUCKET).filter((key) => key.startsWith('quarantine/'));
  const event = 'x'.repeat(8 * 1024 * 1024 + 1);
  cloud.sqs.send('events', event);
  const child = start();
  await until(() => cloud.sqs.depth('events') === 0, child);
  assert.equal(await end(child), 130);
  const [key, ...more] = cloud.s3.keys(BUCKET).filter((k) => k.startsWith('quarantine/') && !before.includes(k));
  assert.deepEqual(more, []);
  assert.equal(JSON.parse(cloud.s3.text(BUCKET, key)).received, event);
  assert.match(child.log, /1 events done, 0 left/);
});

test('several events at once give the same records', async () => {
  const entries = Array.from({ length: 7 }, () => note());
  const notes = () => entries.map((entry) => record(entry).transcription);
  const done = async (...flags) => {
    for (const entry of entries) cloud.sqs.send('events', JSON.stringify(eumEvent([entry.message])));
    const child = start(...flags);
    await until(() => cloud.sqs.depth('events') === 0, child);
    assert.equal(await end(child), 130);
    assert.match(child.log, /stopped; 7 events done, 0 left/);
  };
  await done('--batch_size', '4');
  const together = notes();
  for (const entry of entries) cloud.s3.bucket(BUCKET).objects.delete(recordKey(entry.message));
  await done();
  assert.deepEqual(notes(), together);
  assert.ok(together.every((t) => t.ok));
});

test('several events at once go back on the way out', async () => {
  const entries = Array.from({ length: 3 }, () => note());
  for (const entry of entries) {
    cloud.faults.command('s3.GetObject', 'hang', { times: 1, key: entry.mediaId });
    cloud.sqs.send('events', JSON.stringify(eumEvent([entry.message])));
  }
  const copied = (entry) => cloud.social.copies.some((copy) => copy.mediaId === entry.mediaId);
  const child = start('--batch_size', '3');
  await until(() => entries.every(copied), child); // all are in work, none is finished
  assert.equal(await end(child), 130);
  assert.match(child.log, /stopped; 0 events done, 3 left/);
  assert.equal(cloud.sqs.depth('events'), 3);
  const later = start('--batch_size', '3');
  await until(() => cloud.sqs.depth('events') === 0, later);
  assert.equal(await end(later), 130);
  for (const entry of entries) assert.equal(record(entry).transcription.ok, true);
});

test('what a retry cures stays in the queue and is done later', async () => {
  const entry = note();
  cloud.faults.command('social.GetWhatsAppMessageMedia', '500', { times: 3 });
  cloud.sqs.send('events', JSON.stringify(eumEvent([entry.message])));
  const child = start();
  await until(() => child.log.includes('stays in the queue: Media.Unavailable'), child);
  assert.equal(cloud.sqs.depth('events'), 1);
  await until(() => cloud.sqs.depth('events') === 0, child);
  assert.equal(await end(child, 'SIGINT'), 130);
  assert.equal(record(entry).transcription.ok, true);
});

test('on the way out the event in work goes back', async () => {
  const entry = note();
  cloud.faults.command('s3.GetObject', 'hang', { times: 1, key: entry.mediaId });
  cloud.sqs.send('events', JSON.stringify(eumEvent([entry.message])));
  const child = start();
  await until(() => cloud.social.copies.some((copy) => copy.mediaId === entry.mediaId), child);
  assert.equal(await end(child), 130);
  assert.equal(cloud.sqs.depth('events'), 1);
  const again = start();
  await until(() => cloud.sqs.depth('events') === 0, again);
  await end(again);
  assert.equal(record(entry).transcription.ok, true);
});

test('a queue that is not there ends all at once, and is said once', async () => {
  const child = spawn(PROGRAM, ['worker', '--queue', `${queue.url}-none`, '--store', `s3://${BUCKET}`, '--batch_size', '4'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH, ...cloud.clientEnv() },
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
  const [code] = await once(child, 'exit');
  assert.equal(code, 7);
  assert.equal(log.match(/^caracola: /gm).length, 1, log);
});

test('a queue that is not there is said at once', async () => {
  const child = spawn(PROGRAM, ['worker', '--queue', `${queue.url}-no`, '--store', `s3://${BUCKET}`, '--model', MODEL],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH, ...cloud.clientEnv() } });
  const [code] = await once(child, 'exit');
  assert.equal(code, 7);
});

test('it says what starts: version, model and queue', async () => {
  const child = start();
  await until(() => child.log.includes('starts:'), child);
  await end(child);
  const lines = child.log.trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines[0].message, `${execFileSync(PROGRAM, ['version']).toString().trim()} starts: model ${MODEL} (demo, 30.2 MB, float16), queue ${queue.url}, store s3://${BUCKET}`);
  assert.equal(lines[0].level, 'INFO');
  assert.equal(lines[1].level, 'WARN');
  assert.match(lines[1].message, /the model is the demo model/);
});
