// The fault campaign tests itself: with a correct program it passes, and each bug of a program makes it
// fail. Bugs that are put in from outside are in program.test.mjs.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { campaign } from './lib/campaign.mjs';
import { loadVoices, makeMessage } from './lib/messages.mjs';
import { Random } from './lib/faults.mjs';
import { S3 } from './lib/s3.mjs';
import { judge, recordKey } from './lib/verdict.mjs';

const SOURCE = process.env.CARACOLA_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;
const voices = loadVoices(join(SOURCE, 'tests/data/nano/voices'), 3);
const REFERENCE = new URL('./lib/reference.mjs', import.meta.url).pathname;

const run = async (options, env = {}) => {
  const lines = [];
  const result = await campaign({
    seed: 7, messages: 20, voices, sandboxes: 2, minKills: 2, limitS: 150, checkTexts: false, say: (line) => lines.push(line),
    program: { command: process.execPath, args: [REFERENCE], env: { AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true', ...env } }, ...options,
  });
  return { ...result, report: lines.join('\n') };
};

describe('the campaign', () => {
  test('passes a right program', async () => {
    const { ok, report, kills, tally } = await run({});
    assert.ok(ok, report);
    assert.match(report, /lost 0, duplicated 0 \(\d+ s, ok\)$/);
    assert.ok(kills >= 2 && tally.total > 0);
  });
  test('fails one that leaves a write out', async () => {
    const { ok, report, verdict } = await run({ messages: 60, minKills: 0 }, { REFERENCE_BUG: 'skip-write' });
    assert.ok(!ok && verdict.lost > 0, report);
  });
  test('fails one whose id is random', async () => {
    const { ok, report, verdict } = await run({ minKills: 0 }, { REFERENCE_BUG: 'random-id' });
    assert.ok(!ok && verdict.wrong > 0, report);
  });
  test('fails a program that cannot start', async () => {
    await assert.rejects(run({ program: { command: '/bin/false' } }), /fails even without faults: no start/);
  });
});

describe('the verdict', () => {
  const random = new Random(1);
  const entries = [makeMessage(random, 0, null), makeMessage(random, 1, voices[0])];
  const record = ({ message, mediaId, voice }) => {
    const copy = { ...structuredClone(message), caracola: {} };
    if (!voice) return copy;
    delete copy.audio.url;
    return { ...copy, audio_file: `${recordKey(message).slice(0, 11)}${mediaId}.ogg`, transcription: { ok: true, text: 'hola' } };
  };
  const verdict = (change) => {
    const s3 = new S3({ region: 'us-east-1' });
    s3.createBucket('bucket');
    const put = (key, body) => s3.put('bucket', `p/${key}`, body);
    for (const entry of entries) put(recordKey(entry.message), JSON.stringify(record(entry)));
    put(record(entries[1]).audio_file, voices[0].bytes);
    change(s3, put);
    const { details, ...counts } = judge(s3, 'bucket', 'p/', entries, () => 'hola');
    return counts;
  };
  const good = { complete: 2, lost: 0, duplicated: 0, orphans: 0, wrong: 0 };
  const textKey = recordKey(entries[0].message);
  const voiceKey = recordKey(entries[1].message);
  const drop = (s3, key) => s3.buckets.get('bucket').objects.delete(`p/${key}`);

  test('keys follow the rule', () => {
    const key = recordKey({ from: '+1 (650) 555-1234', id: 'wamid.x', timestamp: '1760490612' });
    assert.match(key, /^2025-10-15\/16505551234-01-10-12-[A-Za-z0-9_-]{11}\.json$/);
  });
  test('a whole store', () => assert.deepEqual(verdict(() => {}), good));
  test('a lost record', () => assert.deepEqual(verdict((s3) => drop(s3, textKey)), { ...good, complete: 1, lost: 1 }));
  test('a second record', () => {
    assert.deepEqual(verdict((_, put) => put(textKey.replace('.json', 'x.json'), JSON.stringify(record(entries[0])))), { ...good, duplicated: 1 });
  });
  test('an object that belongs to no message', () => assert.deepEqual(verdict((_, put) => put('2025-10-15/tmp', 'x')), { ...good, orphans: 1 }));
  test('audio missing, or other audio', () => {
    assert.deepEqual(verdict((s3) => drop(s3, record(entries[1]).audio_file)), { ...good, complete: 1, wrong: 1 });
    assert.deepEqual(verdict((_, put) => put(record(entries[1]).audio_file, 'other')), { ...good, complete: 1, wrong: 1 });
  });
  const CHANGES = {
    'no JSON': () => '{"id":', 'still pending': (r) => ({ ...r, transcription: { ok: false, error: 'pending' } }),
    'another text': (r) => ({ ...r, transcription: { ok: true, text: 'adiós' } }), 'cut short': (r) => ({ ...r, transcription: { ok: true, text: 'hola', cut_short: true } }),
    'a field lost': ({ from, ...r }) => r, 'the url kept': (r) => ({ ...r, audio: { ...r.audio, url: 'https://x' } }), 'no caracola': ({ caracola, ...r }) => r,
  };
  for (const [what, change] of Object.entries(CHANGES)) {
    test(`a record with ${what}`, () => {
      const counts = verdict((_, put) => {
        const changed = change(record(entries[1]));
        put(voiceKey, typeof changed === 'string' ? changed : JSON.stringify(changed));
      });
      assert.equal(counts.complete, 1);
      assert.equal(counts.lost + counts.wrong, 1);
    });
  }
});
