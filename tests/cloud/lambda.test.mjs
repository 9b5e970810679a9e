// Our program as a Lambda function, in the test cloud.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { startCloud } from './lib/cloud.mjs';
import { Random } from './lib/faults.mjs';
import { eumEvent, loadVoices, makeMessage, snsToLambda, sqsToLambda } from './lib/messages.mjs';
import { asLambda, MODEL, SOURCE } from './lib/program.mjs';
import { recordKey } from './lib/verdict.mjs';

const BUCKET = 'caracola-lambda';
const STORE = { CARACOLA_STORE: `s3://${BUCKET}/in box` };
let cloud;
let voices;
let n = 0;
const random = new Random('lambda');
before(async () => {
  cloud = await startCloud();
  voices = loadVoices(join(SOURCE, 'tests/data/nano/voices'), 4);
});
beforeEach(() => {
  cloud.s3.createBucket(BUCKET);
  cloud.faults.clear?.();
});
after(async () => {
  await cloud.stop();
  assert.deepEqual(cloud.violations, []);
  assert.deepEqual(cloud.broken, []);
});

function voiceNote(mimeType = 'audio/ogg') {
  const entry = makeMessage(random, ++n, voices[n % voices.length]);
  cloud.social.addMedia(entry.mediaId, entry.voice.bytes, mimeType);
  return entry;
}
const recordOf = ({ message }) => JSON.parse(cloud.s3.text(BUCKET, `in box/${recordKey(message)}`));
const sns = (...entries) => snsToLambda([eumEvent(entries.map((e) => e.message))]);

test('a voice note becomes a record, and its second delivery costs nothing', async () => {
  const note = voiceNote();
  await asLambda(cloud, { env: STORE, freeze: true }, async (fn, sandbox, lines) => {
    assert.ok((await fn.invoke(sns(note))).ok);
    const record = recordOf(note);
    assert.equal(record.transcription.ok, true);
    assert.equal(record.audio_file, `${recordKey(note.message).slice(0, 11)}${note.mediaId}.ogg`);
    assert.ok(cloud.s3.object(BUCKET, `in box/${record.audio_file}`).body.equals(note.voice.bytes));
    const copies = cloud.social.copies.length;
    assert.deepEqual(JSON.parse((await fn.invoke(sns(note))).body), { messages: 1, done: 0, already: 1, failed: 0, retry: 0, quarantined: 0 });
    assert.equal(cloud.social.copies.length, copies);
    assert.ok(lines.length > 2);
    for (const line of lines) {
      JSON.parse(line);
      assert.ok(!line.includes(note.message.from), line);
    }
  });
});

test('an event above the limit is kept whole, and not delivered again', async () => {
  const event = JSON.stringify({ Records: ['x'.repeat(8 * 1024 * 1024)] });
  await asLambda(cloud, { env: STORE }, async (fn) => {
    const outcome = await fn.invoke(JSON.parse(event));
    assert.ok(outcome.ok, JSON.stringify(outcome));
    assert.equal(JSON.parse(outcome.body).quarantined, 1);
    const keys = cloud.s3.keys(BUCKET).filter((key) => key.includes('quarantine/'));
    assert.equal(keys.length, 1);
    assert.equal(JSON.parse(cloud.s3.text(BUCKET, keys[0])).received, event);
    assert.ok((await fn.invoke(sns(voiceNote()))).ok); // the sandbox is still there
  });
});

test('the extension that AWS gives is found, whichever it is', async () => {
  await asLambda(cloud, { env: STORE }, async (fn) => {
    for (const extensions of ['subtype', 'table']) {
      cloud.social.extensions = extensions;
      const note = voiceNote('audio/mp4');
      assert.ok((await fn.invoke(sns(note))).ok);
      assert.match(recordOf(note).audio_file, extensions === 'table' ? /\.m4a$/ : /\.mp4$/);
      assert.equal(recordOf(note).transcription.ok, true);
    }
    cloud.social.extensions = 'subtype';
  });
});

test('a copy that is late by a moment is waited for', async () => {
  cloud.social.copyDelayMs = 200;
  const note = voiceNote();
  await asLambda(cloud, { env: STORE }, async (fn) => assert.ok((await fn.invoke(sns(note))).ok));
  cloud.social.copyDelayMs = 0;
  assert.equal(recordOf(note).transcription.ok, true);
});

test('media that WhatsApp refuses or has forgotten is recorded, and the event is done', async () => {
  const refused = voiceNote();
  cloud.social.addMedia(refused.mediaId, Buffer.from('x'), 'audio/ogg', { error: [403, 'AccessDeniedByMetaException'] });
  const forgotten = makeMessage(random, ++n, voices[0]);
  const changed = voiceNote();
  cloud.social.addMedia(changed.mediaId, Buffer.from('OggS but another'), 'audio/ogg');
  await asLambda(cloud, { env: STORE }, async (fn) => assert.ok((await fn.invoke(sns(refused, forgotten, changed))).ok));
  assert.equal(recordOf(forgotten).transcription.error, 'not_found');
  assert.equal(recordOf(changed).transcription.error, 'sha256_mismatch');
  assert.equal(recordOf(refused).transcription.error, 'denied');
});

test('a passing failure fails the event, and a retry completes it', async () => {
  const note = voiceNote();
  cloud.faults.command('social.GetWhatsAppMessageMedia', '500', { times: 3 });
  await asLambda(cloud, { env: STORE, retries: 1 }, async (fn) => {
    const outcome = await fn.invoke(sns(note));
    assert.deepEqual([outcome.ok, outcome.attempts], [true, 2]);
    assert.equal(fn.outcomes[0].error.errorType, 'Media.Unavailable');
  });
  assert.equal(recordOf(note).transcription.ok, true);
});

test('of an SQS batch exactly the failed ones are named', async () => {
  const notes = [voiceNote(), voiceNote(), voiceNote()];
  cloud.faults.command('social.GetWhatsAppMessageMedia', '503', { times: 3, after: 1 });
  await asLambda(cloud, { env: STORE }, async (fn) => {
    const event = sqsToLambda(notes.map((note) => eumEvent([note.message])));
    const outcome = await fn.invoke(event);
    assert.ok(outcome.ok);
    assert.deepEqual(JSON.parse(outcome.body), { batchItemFailures: [{ itemIdentifier: event.Records[1].messageId }] });
  });
  assert.deepEqual(notes.map((note) => recordOf(note).transcription.ok), [true, false, true]);
});

test('a configuration that cannot work is an init error', async () => {
  for (const env of [{}, { CARACOLA_STORE: 's3://UPPER' }, { ...STORE, CARACOLA_MODEL: '/no/model' }, { ...STORE, CARACOLA_REPLY: 'yes' },
    { ...STORE, CARACOLA_LANGUAGE: 'klingon' }, { ...STORE, CARACOLA_TIMEZONE: 'Marte/Olympus' }, { ...STORE, CARACOLA_THREADS: 'all' }, { ...STORE, CARACOLA_AUDIO_CTX: 'short' }]) {
    await asLambda(cloud, { env }, async (fn, sandbox) => {
      const [{ code }] = await once(sandbox, 'exit');
      assert.ok(code === 2 || code === 5, `status ${code}`);
      assert.equal(sandbox.runtime.initErrors[0].type, 'Configuration.Invalid');
      sandbox.stopping = true;
    });
  }
});

test('a lost sandbox ends with status 7', async () => {
  const note = makeMessage(random, ++n, null);
  cloud.faults.command('runtime.response', '500', { times: 1 });
  await asLambda(cloud, { env: STORE, retries: 1 }, async (fn, sandbox) => {
    const exit = once(sandbox, 'exit');
    const outcome = fn.invoke(sns(note));
    assert.equal((await exit)[0].code, 7);
    assert.ok((await outcome).ok);
  });
});

test('with CARACOLA_REPLY the sender is answered, once', async () => {
  const note = voiceNote();
  const already = cloud.social.sent.length;
  await asLambda(cloud, { env: { ...STORE, CARACOLA_REPLY: '1' } }, async (fn) => {
    assert.ok((await fn.invoke(sns(note))).ok);
    assert.ok((await fn.invoke(sns(note))).ok);
  });
  const sent = cloud.social.sent.slice(already);
  assert.equal(sent.length, 1);
  assert.equal(sent[0].message.to, note.message.from);
  assert.equal(sent[0].message.context.message_id, note.message.id);
  assert.equal(sent[0].message.text.body, recordOf(note).transcription.text.trim());
  assert.ok(cloud.s3.object(BUCKET, `in box/${recordKey(note.message).replace('.json', '.reply')}`));
});

test('what was cut short by the deadline goes on where it stopped, as one run would', async () => {
  // Chained Ogg: many notes in one, minutes long.
  const notes = loadVoices(join(SOURCE, 'tests/data/nano/voices'), 16);
  const bytes = Buffer.concat([...notes, ...notes, ...notes, ...notes].map((note) => note.bytes));
  const voice = { name: 'long', bytes, sha256: createHash('sha256').update(bytes).digest('base64'), text: '' };
  const note = () => {
    const entry = makeMessage(random, ++n, voice);
    cloud.social.addMedia(entry.mediaId, bytes, 'audio/ogg');
    return entry;
  };
  const whole = note();
  let ms;
  await asLambda(cloud, { env: STORE }, async (fn) => {
    assert.ok((await fn.invoke(sns(whole))).ok);
    ms = fn.outcomes[0].ms;
  });
  assert.equal(recordOf(whole).transcription.ok, true);
  assert.ok(recordOf(whole).transcription.segments.length > 10);
  // Where a deadline falls depends on the machine: before the first window, after the last, or, as
  // wanted here, between two.
  let cut;
  const ends = [];
  // Whole milliseconds, as Lambda's deadlines are.
  for (let timeoutMs = Math.round(0.7 * ms); !cut && ends.length < 28; timeoutMs = Math.round(timeoutMs * (ends.at(-1) === 'done' ? 0.8 : 1.1))) {
    const entry = note();
    await asLambda(cloud, { env: STORE, timeoutMs }, async (fn) => {
      const { ok } = await fn.invoke(sns(entry));
      const error = fn.outcomes.at(-1).error ?? {};
      ends.push(ok ? 'done' : error.errorMessage ?? 'killed');
      if (error.errorType === 'Runtime.OutOfTime' && /in the middle/.test(error.errorMessage)) cut = entry;
    });
  }
  assert.ok(cut, `it was not cut in the middle: ${ends}`);
  assert.equal(recordOf(cut).transcription.cut_short, true);
  await asLambda(cloud, { env: STORE }, async (fn) => assert.ok((await fn.invoke(sns(cut))).ok));
  assert.deepEqual(recordOf(cut).transcription, recordOf(whole).transcription);
});

test('a cold start says what starts; a model in S3 is named when it is open', async () => {
  const said = (lines) => lines.map((line) => JSON.parse(line).message).filter((line) => /starts: |the model in/.test(line));
  await asLambda(cloud, { env: STORE }, async (fn, _, lines) => {
    assert.ok((await fn.invoke(sns(voiceNote()))).ok);
    assert.equal(said(lines).length, 1);
    assert.match(said(lines)[0], /^caracola \d+\.\d+\.\d+ starts: model .*demo\.cara \(demo, 30\.2 MB, float16\), function \S+, store s3:\/\/caracola-lambda\/in box$/);
  });
  const bytes = readFileSync(MODEL);
  cloud.s3.put(BUCKET, 'm.cara', bytes);
  const env = { ...STORE, CARACOLA_MODEL: `s3://${BUCKET}/m.cara`, CARACOLA_MODEL_SHA256: createHash('sha256').update(bytes).digest('hex') };
  await asLambda(cloud, { env }, async (fn, _, lines) => {
    assert.ok((await fn.invoke(sns(voiceNote()))).ok);
    assert.match(said(lines)[0], /starts: model s3:\/\/caracola-lambda\/m\.cara \(fetched with the first voice note\), function/);
    assert.equal(said(lines)[1], `the model in s3://${BUCKET}/m.cara is demo, 30.2 MB, float16`);
  });
});
