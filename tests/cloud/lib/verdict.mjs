// What must be in the store once every message has been handled, derived from the contract alone: the key rule,
// one complete record a message, its audio beside it, and nothing else.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

/** YYYY-MM-DD/<from>-<HH-MM-SS>-<11 base64url characters of SHA-256(id)>.json, in UTC. */
export function recordKey({ from, id, timestamp }) {
  const iso = new Date(1000 * Number(timestamp)).toISOString();
  const hash = createHash('sha256').update(id).digest('base64url').slice(0, 11);
  return `${iso.slice(0, 10)}/${from.replace(/\D/g, '')}-${iso.slice(11, 19).replaceAll(':', '-')}-${hash}.json`;
}

function asReceived(message) {
  const copy = structuredClone(message);
  if (copy.audio) delete copy.audio.url;
  return copy;
}

/** Why the record is not complete, or ''. */
function fault(entry, text, object, mediaOf, expectedText) {
  let record;
  try {
    record = JSON.parse(text);
  } catch {
    return 'is no JSON';
  }
  for (const [name, value] of Object.entries(asReceived(entry.message))) {
    try {
      assert.deepEqual(record[name], value);
    } catch {
      return `'${name}' is not as received: ${JSON.stringify(record[name])}`;
    }
  }
  if (typeof record.caracola !== 'object') return "has no 'caracola'";
  if (!entry.voice) return '';
  if (record.transcription?.ok !== true) return `has no transcript: ${JSON.stringify(record.transcription)}`;
  if (record.transcription.cut_short) return 'has a transcript that was cut short';
  if (record.transcription.text !== expectedText(entry.voice)) return `says '${record.transcription.text}'`;
  const media = mediaOf(record.audio_file);
  if (!media) return `names audio that is not there: ${record.audio_file}`;
  if (!media.body.equals(entry.voice.bytes)) return `names audio with other bytes: ${record.audio_file}`;
  return '';
}

/**
 * Judges the bucket. `entries` are what makeMessage() gave; `expectedText(voice)` the correct transcript.
 * Gives {complete, lost, duplicated, orphans, wrong, details}: lost messages have no record at all, wrong
 * ones a record that is not complete; orphans are objects that belong to no message.
 */
export function judge(s3, bucket, prefix, entries, expectedText) {
  const details = [];
  const keys = new Set(s3.keys(bucket));
  const recordsById = new Map();
  for (const key of keys) {
    if (!key.endsWith('.json')) continue;
    const id = /"id":\s*"(wamid\.[^"]+)"/.exec(s3.text(bucket, key))?.[1].replaceAll('\\/', '/');
    if (id) recordsById.set(id, [...(recordsById.get(id) ?? []), key]);
  }
  const count = { complete: 0, lost: 0, duplicated: 0, orphans: 0, wrong: 0 };
  const note = (what, text) => {
    count[what]++;
    details.push(`${what}: ${text}`);
  };
  const claimed = new Set();
  for (const entry of entries) {
    const { message } = entry;
    const key = prefix + recordKey(message);
    const found = recordsById.get(message.id) ?? [];
    for (const one of found) claimed.add(one);
    if (entry.mediaId) {
      const day = recordKey(message).slice(0, 10);
      const audio = [...keys].filter((k) => k.startsWith(`${prefix}${day}/${entry.mediaId}.`));
      for (const one of audio) claimed.add(one);
      if (audio.length > 1) note('duplicated', `audio of ${message.id}: ${audio.join(', ')}`);
    }
    if (found.length > 1) note('duplicated', `${message.id}: ${found.join(', ')}`);
    if (!keys.has(key)) {
      note(found.length === 0 ? 'lost' : 'wrong', `${message.id}: no record ${key}${found.length ? `, but ${found.join(', ')}` : ''}`);
      continue;
    }
    claimed.add(key);
    const mediaOf = (name) => s3.object(bucket, prefix + name) ?? s3.object(bucket, name);
    const why = fault(entry, s3.text(bucket, key), s3.object(bucket, key), mediaOf, expectedText);
    if (why) note('wrong', `${key} (${message.type}) ${why}`);
    else count.complete++;
  }
  for (const key of keys) if (!claimed.has(key)) note('orphans', key);
  return { ...count, details };
}
