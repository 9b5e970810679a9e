// A double of AWS End User Messaging Social, which no test server offers. Patterns, limits and error
// shapes are those of its published service model.
import { randomUUID } from 'node:crypto';
import { json, ServiceError } from './http.mjs';
import { queryPairs } from './sigv4.mjs';

const MEDIA_ID = /^[A-Za-z0-9]{1,100}$/;
const PHONE_ID = /^(phone-number-id-.+|arn:.*:phone-number-id\/[0-9a-zA-Z]+)$/;
const WABA_ID = /^(waba-.*|arn:.*:waba\/[0-9a-zA-Z]+)$/;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;

// The extension that a type gets; where AWS's pages disagree, both.
const EXTENSIONS = {
  'audio/mpeg': { subtype: 'mpeg', table: 'mp3' },
  'audio/mp4': { subtype: 'mp4', table: 'm4a' },
};

const OPERATIONS = {
  'POST /v1/whatsapp/media/get': 'GetWhatsAppMessageMedia',
  'POST /v1/whatsapp/send': 'SendWhatsAppMessage',
  'PUT /v1/whatsapp/waba/eventdestinations': 'PutWhatsAppBusinessAccountEventDestinations',
  'GET /v1/whatsapp/waba/list': 'ListLinkedWhatsAppBusinessAccounts',
  'GET /v1/whatsapp/waba/details': 'GetLinkedWhatsAppBusinessAccount',
  'DELETE /v1/whatsapp/media': 'DeleteWhatsAppMessageMedia',
};

const invalid = (message) => new ServiceError(400, 'ValidationException', message);

export class Social {
  name = 'social';
  signingName = 'social-messaging';

  /** `extensions`: 'subtype' (.mpeg, .mp4) or 'table' (.mp3, .m4a). `copyDelayMs`: answer before the copy is there. */
  constructor({ region, s3, accountId = '123456789012', extensions = 'subtype', copyDelayMs = 0 }) {
    Object.assign(this, { region, s3, accountId, extensions, copyDelayMs });
    this.media = new Map(); // media id -> {bytes, mimeType, error?}
    this.sent = []; // every message that was taken, in order
    this.copies = []; // every media copy, in order
    this.pageLimit = 100;
    this.accounts = [];
    this.link({
      waba: '7be1c0d94a6f4d53b8e2916f0c7a5d38', metaWabaId: '102290129340398', name: 'Caracola Test',
      phones: [{ id: '0f3c5a7e9b1d4826a0c4e8f21b6d3957', metaPhoneNumberId: '106540352242922', display: '+1 555-010-0001' }],
    });
  }

  link({ waba, metaWabaId, name, phones }) {
    const arn = (what) => `arn:aws:social-messaging:${this.region}:${this.accountId}:${what}`;
    this.accounts.push({
      arn: arn(`waba/${waba}`), id: `waba-${waba}`, wabaId: metaWabaId, wabaName: name,
      registrationStatus: 'COMPLETE', linkDate: 1760000000, eventDestinations: [],
      phoneNumbers: phones.map((phone) => ({
        arn: arn(`phone-number-id/${phone.id}`), phoneNumberId: `phone-number-id-${phone.id}`,
        metaPhoneNumberId: phone.metaPhoneNumberId, phoneNumber: phone.display.replace(/[^+\d]/g, ''),
        displayPhoneNumber: phone.display, displayPhoneNumberName: name, qualityRating: 'GREEN',
      })),
    });
  }

  /** A media file that WhatsApp holds. `error`: [status, code] that fetching it gives, e.g. [403, 'AccessDeniedByMetaException']. */
  addMedia(id, bytes, mimeType, { error = null, extension = null } = {}) {
    if (!MEDIA_ID.test(id)) throw new Error(`'${id}' is no media id`);
    this.media.set(id, { bytes, mimeType: mimeType.split(';')[0].trim(), error, extension });
  }

  route(request) {
    const op = OPERATIONS[`${request.method} ${request.path}`];
    if (!op) return null;
    return { op, action: `social-messaging:${op}`, params: new Map(queryPairs(request.query).map(([k, v]) => [String(k), String(v)])) };
  }

  error(status, code, message, request) {
    // Both places where the type may stand, in the longer forms that clients must cut.
    return json(status, { __type: `com.amazonaws.socialmessaging#${code}`, message },
      { 'x-amzn-errortype': `${code}:http://internal.amazon.com/coral/com.amazonaws.socialmessaging/` });
  }

  authError({ code, why }) {
    return {
      MissingAuthentication: [403, 'MissingAuthenticationTokenException', 'Missing Authentication Token'],
      InvalidAccessKeyId: [403, 'UnrecognizedClientException', 'The security token included in the request is invalid.'],
      InvalidToken: [403, 'UnrecognizedClientException', 'The security token included in the request is invalid.'],
      SignatureDoesNotMatch: [403, 'InvalidSignatureException', `The request signature we calculated does not match: ${why}`],
      ContentSha256Mismatch: [403, 'InvalidSignatureException', 'The payload is not what was signed.'],
      WrongRegion: [403, 'InvalidSignatureException', `Credential should be scoped to a valid region: ${why}`],
      ExpiredToken: [403, 'ExpiredTokenException', 'The security token included in the request is expired'],
      RequestTimeTooSkewed: [403, 'InvalidSignatureException', `Signature not yet current or expired: ${why}`],
    }[code];
  }

  faultError(kind) {
    return {
      429: [429, 'ThrottledRequestException', 'Your request has been throttled.'],
      500: [500, 'InternalServiceException', 'Thrown for an internal service error.'],
      503: [502, 'DependencyException', 'Thrown when performing an action because a dependency would be broken.'],
      409: [429, 'ThrottledRequestException', 'Your request has been throttled.'],
      expired: [403, 'ExpiredTokenException', 'The security token included in the request is expired'],
    }[kind];
  }

  handle(route, request, context) {
    let input = {};
    if (request.method === 'POST' || request.method === 'PUT') {
      try {
        input = JSON.parse(request.body);
      } catch {
        throw new ServiceError(400, 'SerializationException', 'The body is not JSON.');
      }
    }
    return this[route.op](input, route.params, context);
  }

  phone(id) {
    if (typeof id !== 'string' || id.length > 115 || !PHONE_ID.test(id)) {
      throw invalid(`Value '${id}' at 'originationPhoneNumberId' failed to satisfy constraint: ${PHONE_ID.source}`);
    }
    const phone = this.accounts.flatMap((a) => a.phoneNumbers).find((p) => p.arn === id || p.phoneNumberId === id);
    if (!phone) throw new ServiceError(404, 'ResourceNotFoundException', `no phone number ${id}`);
    return phone;
  }

  mediaOf(id) {
    if (typeof id !== 'string' || !MEDIA_ID.test(id)) throw invalid(`Value '${id}' at 'mediaId' failed to satisfy constraint`);
    const media = this.media.get(id);
    if (!media) throw new ServiceError(404, 'ResourceNotFoundException', `no media ${id}`);
    if (media.error) throw new ServiceError(media.error[0], media.error[1], 'as the test asked');
    return media;
  }

  extensionOf({ mimeType, extension }) {
    return extension ?? EXTENSIONS[mimeType]?.[this.extensions] ?? mimeType.split('/')[1];
  }

  GetWhatsAppMessageMedia(input, _params, { accessKeyId }) {
    this.phone(input.originationPhoneNumberId);
    const { destinationS3File: file, destinationS3PresignedUrl: url } = input;
    if (file && url) throw new ServiceError(400, 'InvalidParametersException', 'one destination, not two');
    if (file && (!BUCKET.test(file.bucketName ?? '') || typeof file.key !== 'string' || Buffer.byteLength(file.key) > 1024)) {
      throw invalid("Value at 'destinationS3File' failed to satisfy constraint");
    }
    if (!input.metadataOnly && !file) throw new ServiceError(400, 'InvalidParametersException', 'no destination in S3');
    const media = this.mediaOf(input.mediaId);
    if (!input.metadataOnly) {
      // The key is a prefix, joined with no separator.
      const key = `${file.key}${input.mediaId}.${this.extensionOf(media)}`;
      this.s3.bucket(file.bucketName);
      const copy = () => this.s3.put(file.bucketName, key, media.bytes, { contentType: media.mimeType, by: 'social-messaging' });
      if (this.copyDelayMs > 0) setTimeout(copy, this.copyDelayMs);
      else copy();
      this.copies.push({ mediaId: input.mediaId, bucket: file.bucketName, key, by: accessKeyId });
    }
    return json(200, { mimeType: media.mimeType, fileSize: media.bytes.length });
  }

  DeleteWhatsAppMessageMedia(_input, params) {
    this.phone(params.get('originationPhoneNumberId'));
    this.mediaOf(params.get('mediaId'));
    this.media.delete(params.get('mediaId'));
    return json(200, { success: true });
  }

  SendWhatsAppMessage(input, _params, { accessKeyId }) {
    this.phone(input.originationPhoneNumberId);
    if (!/^v\d+\.\d+$/.test(input.metaApiVersion ?? '')) throw invalid("Value at 'metaApiVersion' failed to satisfy constraint");
    if (typeof input.message !== 'string' || input.message.length > 2048000) throw invalid("Value at 'message' failed to satisfy constraint");
    let message;
    try {
      message = JSON.parse(Buffer.from(input.message, 'base64'));
    } catch {
      throw new ServiceError(400, 'InvalidParametersException', 'the message is not Meta\'s JSON in base64');
    }
    if (message.messaging_product !== 'whatsapp' || !message.to) {
      throw new ServiceError(400, 'InvalidParametersException', 'messaging_product and to are required');
    }
    const messageId = randomUUID(); // not idempotent: each call sends
    this.sent.push({ messageId, message, from: input.originationPhoneNumberId, by: accessKeyId });
    return json(200, { messageId });
  }

  account(id) {
    if (typeof id !== 'string' || id.length > 115 || !WABA_ID.test(id)) throw invalid(`Value '${id}' at 'id' failed to satisfy constraint`);
    const account = this.accounts.find((a) => a.id === id || a.arn === id);
    if (!account) throw new ServiceError(404, 'ResourceNotFoundException', `no WhatsApp business account ${id}`);
    return account;
  }

  PutWhatsAppBusinessAccountEventDestinations(input) {
    const account = this.account(input.id);
    const list = input.eventDestinations;
    if (!Array.isArray(list) || list.length > 1) throw invalid("Value at 'eventDestinations' failed to satisfy constraint: at most 1");
    for (const one of list) {
      if (!/^arn:.*:[a-z-]+([/:](.*))?$/.test(one.eventDestinationArn ?? '')) throw invalid("Value at 'eventDestinationArn' failed to satisfy constraint");
      if (/\.fifo$/.test(one.eventDestinationArn)) throw new ServiceError(400, 'InvalidParametersException', 'FIFO topics are not supported');
    }
    account.eventDestinations = list;
    return json(200, {});
  }

  ListLinkedWhatsAppBusinessAccounts(_input, params) {
    const size = Math.min(Number(params.get('maxResults') ?? 100), this.pageLimit);
    const start = Number(params.get('nextToken') ?? 0);
    if (!(size >= 1 && size <= 100) || !Number.isInteger(start)) throw invalid('maxResults or nextToken');
    const page = this.accounts.slice(start, start + size).map(({ phoneNumbers, ...summary }) => summary);
    const more = start + size < this.accounts.length ? { nextToken: String(start + size) } : {};
    return json(200, { linkedAccounts: page, ...more });
  }

  GetLinkedWhatsAppBusinessAccount(_input, params) {
    return json(200, { account: this.account(params.get('id')) });
  }
}
