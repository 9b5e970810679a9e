// `make cloud-demo`: starts the test cloud, publishes a voice note as SNS would, runs our program as
// Lambda would, and shows the record, read back from S3 with AWS's own SDK.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { s3Client } from './lib/clients.mjs';
import { plain } from './lib/campaign.mjs';
import { startCloud } from './lib/cloud.mjs';
import { Random } from './lib/faults.mjs';
import { eumEvent, makeMessage, snsToLambda } from './lib/messages.mjs';
import { BUILD } from './lib/probe.mjs';
import { LambdaFunction } from './lib/runtime.mjs';
import { Sandbox } from './lib/sandbox.mjs';

const SOURCE = process.env.CARACOLA_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;
const program = process.argv[2] ?? join(BUILD, 'caracola');
const model = process.env.CARACOLA_MODEL ?? join(SOURCE, 'models/demo.cara');
const Bucket = 'caracola-demo';
const say = (text) => process.stdout.write(text + '\n');

for (const path of [program, model]) {
  if (existsSync(path)) continue;
  process.stderr.write(`cloud-demo: ${path} is not there; run make build first\n`);
  process.exit(2);
}
const cloud = await startCloud();
cloud.s3.createBucket(Bucket);
const bytes = readFileSync(join(SOURCE, 'samples/panga-blanca.ogg'));
const voice = {
  bytes, sha256: createHash('sha256').update(bytes).digest('base64'),
  text: readFileSync(join(SOURCE, 'samples/panga-blanca.txt'), 'utf8').trim(),
};
const { message, mediaId } = makeMessage(new Random('demo'), 1, voice);
cloud.social.addMedia(mediaId, voice.bytes, 'audio/ogg');

const fn = new LambdaFunction({ timeoutMs: 60000, retries: 0 });
const sandbox = new Sandbox({
  cloud, fn, command: program, env: { CARACOLA_STORE: `s3://${Bucket}`, CARACOLA_MODEL: model },
  output: (line) => say(`  log  ${line}`),
});
const cannotStart = new Promise((resolve) => sandbox.on('cannotStart', () => resolve({ ok: false, kind: 'it ends before its first event' })));
let failed = '';
try {
  say(`a voice note of ${voice.bytes.length} bytes, which says: ${voice.text}`);
  const started = Date.now();
  await sandbox.start();
  const outcome = await Promise.race([fn.invoke(snsToLambda([eumEvent([message])])), cannotStart]);
  say(`${program} as Lambda: ${outcome.ok ? 'answered' : 'failed'} after ${Date.now() - started} ms`);
  if (!outcome.ok) failed = `${outcome.kind} ${JSON.stringify(outcome.error ?? sandbox.runtime.initErrors[0] ?? '')}`;
  const client = s3Client(cloud.endpoints.s3, cloud.keys.default);
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
  for (const { Key, Size } of Contents) say(`s3://${Bucket}/${Key} (${Size} bytes)`);
  const record = Contents.find(({ Key }) => Key.endsWith('.json'));
  if (record) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: record.Key }));
    const value = JSON.parse(await Body.transformToString());
    // Tokens are many and mean nothing to a reader.
    say(JSON.stringify(value, (name, part) => (name === 'tokens' ? `(${part.length} numbers)` : part), 2));
    const text = value.transcription?.text ?? '';
    say(`said:        ${voice.text}\ntranscribed: ${text.trim()}`);
    if (value.transcription?.ok !== true) failed ||= 'the record has no transcript';
    else if (plain(text) !== plain(voice.text)) failed ||= 'these are not the words that were said';
    const audio = await client.send(new GetObjectCommand({ Bucket, Key: value.audio_file ?? 'none' }));
    if (!Buffer.from(await audio.Body.transformToByteArray()).equals(bytes)) failed ||= 'the audio in the bucket is not what was sent';
  } else {
    failed ||= 'there is no record';
  }
  client.destroy();
  for (const { op, code, why } of cloud.violations) failed ||= `${op}: ${code}: ${why}`;
} catch (error) {
  failed ||= error.message;
} finally {
  await sandbox.stop();
  await cloud.stop();
}
if (failed) process.stderr.write(`cloud-demo: ${failed}\n`);
else say('The record has the words that were said, and the audio is beside it.');
process.exitCode = failed ? 1 : 0;
