// A small program that does what ours must do, by the contract alone, in JavaScript: it runs where the
// real one would, so that the campaign itself can be tested. It transcribes nothing: its transcript is the
// digest of the bytes that it fetched.
import { createHash } from 'node:crypto';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { GetWhatsAppMessageMediaCommand, SocialMessagingClient } from '@aws-sdk/client-socialmessaging';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { recordKey } from './verdict.mjs';

const requestHandler = new NodeHttpHandler({ requestTimeout: 1500, throwOnRequestTimeout: true });
const s3 = new S3Client({ forcePathStyle: true, requestHandler });
const social = new SocialMessagingClient({ requestHandler });
const [, Bucket, prefix] = /^s3:\/\/([^/]+)\/(.*)$/.exec(process.env.CARACOLA_STORE);
const API = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
// A bug of the program's own, for the test of the campaign.
const BUG = process.env.REFERENCE_BUG ?? '';

const status = (error) => error.$metadata?.httpStatusCode;
const put = (Key, value, more = {}) => s3.send(new PutObjectCommand({ Bucket, Key: `${prefix}/${Key}`, Body: JSON.stringify(value), ...more }));

async function handle(message, phoneArn) {
  const key = recordKey(BUG === 'random-id' ? { ...message, id: message.id + process.pid } : message);
  const record = { ...structuredClone(message), caracola: { version: 'reference' } };
  if (message.type !== 'audio') {
    if (BUG === 'skip-write' && message.id.charCodeAt(12) % 16 === 0) return;
    await put(key, record, { IfNoneMatch: '*' }).catch((error) => { if (status(error) !== 412) throw error; });
    return;
  }
  delete record.audio.url;
  const pending = { ...record, transcription: { ok: false, error: 'pending' } };
  await put(key, pending, { IfNoneMatch: '*' }).catch((error) => { if (status(error) !== 412) throw error; });
  const there = await s3.send(new GetObjectCommand({ Bucket, Key: `${prefix}/${key}` }));
  if (JSON.parse(await there.Body.transformToString()).transcription.ok) return;
  const day = `${prefix}/${key.slice(0, 11)}`;
  await social.send(new GetWhatsAppMessageMediaCommand({
    mediaId: message.audio.id, originationPhoneNumberId: phoneArn, destinationS3File: { bucketName: Bucket, key: day },
  }));
  const media = await s3.send(new GetObjectCommand({ Bucket, Key: `${day}${message.audio.id}.ogg` }));
  const bytes = await media.Body.transformToByteArray();
  const digest = createHash('sha256').update(bytes).digest('base64');
  if (digest !== message.audio.sha256) throw new Error('digest');
  await s3.send(new HeadObjectCommand({ Bucket, Key: `${prefix}/${key}` }));
  const complete = { ...record, audio_file: `${key.slice(0, 11)}${message.audio.id}.ogg`, transcription: { ok: true, text: digest } };
  await put(key, complete, { IfMatch: there.ETag }).catch((error) => { if (status(error) !== 412) throw error; });
}

async function handleEvent(event) {
  const { metadata, messages } = JSON.parse(event.whatsAppWebhookEntry).changes[0].value;
  const { arn } = event.context.MetaPhoneNumberIds.find((p) => p.metaPhoneNumberId === metadata.phone_number_id);
  const results = await Promise.allSettled(messages.map((message) => handle(message, arn)));
  const failed = results.find((r) => r.status === 'rejected');
  if (failed) throw failed.reason;
}

for (;;) {
  const next = await fetch(`${API}/next`);
  if (next.status !== 200) process.exit(1);
  const id = next.headers.get('lambda-runtime-aws-request-id');
  const { Records } = await next.json();
  const results = await Promise.allSettled(Records.map((record) => {
    const outer = JSON.parse(record.Sns ? record.Sns.Message : record.body);
    return handleEvent(outer.Type === 'Notification' ? JSON.parse(outer.Message) : outer);
  }));
  const failed = Records.filter((_, i) => results[i].status === 'rejected');
  const error = failed.length > 0 && !Records[0].messageId;
  const body = error ? { errorType: 'Reference.Failed', errorMessage: String(results.find((r) => r.reason).reason) }
    : { batchItemFailures: failed.map((r) => ({ itemIdentifier: r.messageId })) };
  const answer = await fetch(`${API}/${id}/${error ? 'error' : 'response'}`, { method: 'POST', body: JSON.stringify(body) });
  if (answer.status >= 500) process.exit(1);
}
