// WhatsApp messages and the envelopes that they come in, as AWS sends them.
import { createHash, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ACCOUNT = '123456789012';
const PHONE = { metaPhoneNumberId: '106540352242922', arn: `arn:aws:social-messaging:us-east-1:${ACCOUNT}:phone-number-id/0f3c5a7e9b1d4826a0c4e8f21b6d3957` };
// A number of the same account that is not ours; it comes first, so that position can't be relied on.
const OTHER_PHONE = { metaPhoneNumberId: '999999999999999', arn: `arn:aws:social-messaging:us-east-1:${ACCOUNT}:phone-number-id/ffffffffffffffffffffffffffffffff` };
const WABA = { wabaId: '102290129340398', arn: `arn:aws:social-messaging:us-east-1:${ACCOUNT}:waba/7be1c0d94a6f4d53b8e2916f0c7a5d38` };
export const TOPIC = `arn:aws:sns:us-east-1:${ACCOUNT}:whatsapp-events`;

/** The smallest voice notes of `folder` with the texts beside them: [{name, bytes, sha256, text}]. */
export function loadVoices(folder, count) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.ogg'));
  const size = (name) => statSync(join(folder, name)).size;
  return names.sort((a, b) => size(a) - size(b) || (a < b ? -1 : 1)).slice(0, count).map((name) => {
    const bytes = readFileSync(join(folder, name));
    return {
      name, bytes, sha256: createHash('sha256').update(bytes).digest('base64'),
      text: readFileSync(join(folder, name.replace('.ogg', '.txt')), 'utf8').trim(),
    };
  });
}

const OTHERS = [
  (n) => ({ type: 'text', text: { body: `mensaje ${n}: «¿qué tal?» 🐚\nsegunda línea "\\" \u2028` } }),
  (n) => ({ type: 'text', text: { body: '' }, context: { from: '15550100001', id: `wamid.CONTEXT${n}` } }),
  (n) => ({ type: 'image', image: { id: `5${n}`, mime_type: 'image/jpeg', sha256: 'x', caption: `foto ${n}` } }),
  (n) => ({ type: 'location', location: { latitude: 27.12 + n / 1e4, longitude: -111.98, name: 'Guaymas/Sonora' } }),
  (n) => ({ type: 'reaction', reaction: { message_id: `wamid.R${n}`, emoji: '👍' } }),
  (n) => ({ type: 'document', document: { filename: '../../etc/passwd.pdf', id: `6${n}`, mime_type: 'application/pdf', sha256: 'x' } }),
  () => ({ type: 'unsupported', errors: [{ code: 131051, title: 'Message type unknown' }], unsupported: { type: 'poll' } }),
];

/** One message as WhatsApp writes it; `voice` makes it a voice note. `media` is where its bytes are held. */
export function makeMessage(random, n, voice) {
  const bytes = Buffer.from(`${n}-${random.next()}-${random.next()}`);
  const message = {
    from: `52155${String(10000000 + random.int(40))}`,
    id: `wamid.${createHash('sha256').update(bytes).digest('base64')}`,
    timestamp: String(1760400000 + random.int(3 * 86400)),
  };
  if (!voice) return { message: { ...message, ...random.pick(OTHERS)(n) }, voice: null, mediaId: null };
  const mediaId = String(19000000000000 + n * 100 + random.int(100));
  Object.assign(message, {
    type: 'audio',
    audio: { mime_type: 'audio/ogg; codecs=opus', sha256: voice.sha256, id: mediaId, voice: true, url: `https://lookaside.example/${mediaId}?secret` },
  });
  return { message, voice, mediaId };
}

/** The End User Messaging event that carries `messages`. */
export function eumEvent(messages) {
  const value = {
    messaging_product: 'whatsapp',
    metadata: { display_phone_number: '15550100001', phone_number_id: PHONE.metaPhoneNumberId },
    contacts: [...new Set(messages.map((m) => m.from))].map((wa_id) => ({ profile: { name: `Lucía ${wa_id.slice(-2)}` }, wa_id })),
    messages,
  };
  return {
    context: { MetaWabaIds: [WABA], MetaPhoneNumberIds: [OTHER_PHONE, PHONE] },
    whatsAppWebhookEntry: JSON.stringify({ id: WABA.wabaId, changes: [{ value, field: 'messages' }] }),
    aws_account_id: ACCOUNT, message_timestamp: new Date().toISOString(), messageId: randomUUID(),
  };
}

/** What SNS hands to Lambda: one record a notification. Each call is another delivery, with other ids. */
export function snsToLambda(events) {
  const subscription = `${TOPIC}:aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee`;
  return {
    Records: events.map((event) => ({
      EventSource: 'aws:sns', EventVersion: '1.0', EventSubscriptionArn: subscription,
      Sns: {
        Type: 'Notification', MessageId: randomUUID(), TopicArn: TOPIC, Subject: null, Message: JSON.stringify(event),
        Timestamp: new Date().toISOString(), SignatureVersion: '1', Signature: 'RVhBTVBMRQ==',
        SigningCertUrl: 'https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem',
        UnsubscribeUrl: `https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=${subscription}`, MessageAttributes: {},
      },
    })),
  };
}

/** The notification as SNS writes it into a queue. */
export const snsNotification = (event) => ({
  Type: 'Notification', MessageId: randomUUID(), TopicArn: TOPIC, Message: JSON.stringify(event), Timestamp: new Date().toISOString(),
  SignatureVersion: '1', Signature: 'RVhBTVBMRQ==', SigningCertURL: 'https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem',
  UnsubscribeURL: 'https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe',
});

/** What SQS hands to Lambda; `raw` as with raw message delivery. */
export function sqsToLambda(events, { raw = false } = {}) {
  return {
    Records: events.map((event) => ({
      messageId: randomUUID(), receiptHandle: 'AQEB' + randomUUID(), body: JSON.stringify(raw ? event : snsNotification(event)),
      attributes: { ApproximateReceiveCount: '1', SentTimestamp: String(Date.now()), SenderId: ACCOUNT, ApproximateFirstReceiveTimestamp: String(Date.now()) },
      messageAttributes: {}, md5OfBody: '', eventSource: 'aws:sqs', eventSourceARN: `arn:aws:sqs:us-east-1:${ACCOUNT}:inbox`, awsRegion: 'us-east-1',
    })),
  };
}
