// A double of Amazon SQS (JSON protocol, standard queues) that checks signatures and takes faults.
import { createHash, randomUUID } from 'node:crypto';
import { json, ServiceError } from './http.mjs';

const ACTIONS = new Set([
  'CreateQueue', 'GetQueueUrl', 'GetQueueAttributes', 'SendMessage', 'ReceiveMessage', 'DeleteMessage',
  'DeleteMessageBatch', 'ChangeMessageVisibility', 'ChangeMessageVisibilityBatch', 'PurgeQueue',
]);
const md5 = (text) => createHash('md5').update(text).digest('hex');

export class Sqs {
  name = 'sqs';
  signingName = 'sqs';

  constructor({ region, accountId = '123456789012' }) {
    Object.assign(this, { region, accountId });
    this.queues = new Map();
    this.endpoint = ''; // set once it listens
  }

  /** `deadLetter`: {queue, maxReceiveCount}. */
  createQueue(name, { visibilitySeconds = 30, deadLetter = null, retentionSeconds = 345600 } = {}) {
    const queue = {
      name, visibilitySeconds, deadLetter, retentionSeconds, messages: [], waiters: new Set(),
      url: `${this.endpoint}/${this.accountId}/${name}`,
      arn: `arn:aws:sqs:${this.region}:${this.accountId}:${name}`,
    };
    this.queues.set(name, queue);
    return queue;
  }

  send(name, body, delayMs = 0) {
    const queue = this.queues.get(name);
    const message = { id: randomUUID(), body, receives: 0, visibleAt: Date.now() + delayMs, sentAt: Date.now(), firstAt: 0, handle: '' };
    queue.messages.push(message);
    for (const wake of queue.waiters) wake();
    return message.id;
  }

  depth(name) { return this.queues.get(name).messages.length; }

  route(request) {
    const target = request.header('x-amz-target') ?? '';
    const op = target.startsWith('AmazonSQS.') ? target.slice('AmazonSQS.'.length) : '';
    if (request.method !== 'POST' || !ACTIONS.has(op)) return null;
    return { op, action: `sqs:${op.replace(/Batch$/, '')}` };
  }

  error(status, code, message) {
    return json(status, { __type: `com.amazonaws.sqs#${code}`, message },
      { 'Content-Type': 'application/x-amz-json-1.0', 'x-amzn-query-error': `${code};${status < 500 ? 'Sender' : 'Receiver'}` });
  }

  authError({ code, why }) {
    return {
      MissingAuthentication: [403, 'MissingAuthenticationToken', 'Request is missing Authentication Token'],
      InvalidAccessKeyId: [403, 'InvalidClientTokenId', 'The security token included in the request is invalid.'],
      InvalidToken: [403, 'InvalidClientTokenId', 'The security token included in the request is invalid.'],
      SignatureDoesNotMatch: [403, 'SignatureDoesNotMatch', `The request signature we calculated does not match: ${why}`],
      ContentSha256Mismatch: [403, 'SignatureDoesNotMatch', 'The payload is not what was signed.'],
      WrongRegion: [403, 'SignatureDoesNotMatch', `Credential should be scoped to a valid region: ${why}`],
      ExpiredToken: [403, 'ExpiredToken', 'The security token included in the request is expired'],
      RequestTimeTooSkewed: [403, 'SignatureDoesNotMatch', `Signature expired or not yet current: ${why}`],
    }[code];
  }

  faultError(kind) {
    return {
      429: [400, 'RequestThrottled', 'Rate exceeded'], // SQS throttles with a 400
      500: [500, 'InternalFailure', 'We encountered an internal error.'],
      503: [503, 'ServiceUnavailable', 'Service is unavailable.'],
      409: [503, 'ServiceUnavailable', 'Service is unavailable.'],
      expired: [403, 'ExpiredToken', 'The security token included in the request is expired'],
    }[kind];
  }

  async handle(route, request, context) {
    let input;
    try {
      input = JSON.parse(request.body);
    } catch {
      throw new ServiceError(400, 'InvalidParameterValue', 'The body is not JSON.');
    }
    const output = await this[route.op](input, context);
    return output === null ? null : json(200, output, { 'Content-Type': 'application/x-amz-json-1.0' });
  }

  queue({ QueueUrl: url, QueueName: name }) {
    const queue = this.queues.get(name ?? String(url).split('/').pop());
    if (!queue) throw new ServiceError(400, 'QueueDoesNotExist', 'The specified queue does not exist.');
    return queue;
  }

  held(queue, handle) {
    if (typeof handle !== 'string' || !handle.startsWith('AQEB')) {
      throw new ServiceError(400, 'ReceiptHandleIsInvalid', 'The input receipt handle is invalid.');
    }
    return queue.messages.find((m) => m.handle === handle);
  }

  CreateQueue(input) {
    const attributes = input.Attributes ?? {};
    const queue = this.queues.get(input.QueueName) ??
      this.createQueue(input.QueueName, { visibilitySeconds: Number(attributes.VisibilityTimeout ?? 30) });
    return { QueueUrl: queue.url };
  }

  GetQueueUrl(input) { return { QueueUrl: this.queue(input).url }; }

  GetQueueAttributes(input) {
    const queue = this.queue(input);
    const hidden = queue.messages.filter((m) => m.visibleAt > Date.now()).length;
    const all = {
      ApproximateNumberOfMessages: String(queue.messages.length - hidden),
      ApproximateNumberOfMessagesNotVisible: String(hidden),
      VisibilityTimeout: String(queue.visibilitySeconds), QueueArn: queue.arn, MessageRetentionPeriod: String(queue.retentionSeconds),
      ...(queue.deadLetter ? { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: this.queues.get(queue.deadLetter.queue).arn, maxReceiveCount: queue.deadLetter.maxReceiveCount }) } : {}),
    };
    const asked = input.AttributeNames ?? [];
    return { Attributes: Object.fromEntries(Object.entries(all).filter(([k]) => asked.includes('All') || asked.includes(k))) };
  }

  SendMessage(input) {
    const queue = this.queue(input);
    const id = this.send(queue.name, input.MessageBody, 1000 * (input.DelaySeconds ?? 0));
    return { MessageId: id, MD5OfMessageBody: md5(input.MessageBody) };
  }

  PurgeQueue(input) {
    this.queue(input).messages.length = 0;
    return {};
  }

  async ReceiveMessage(input, { gone }) {
    const queue = this.queue(input);
    const count = input.MaxNumberOfMessages ?? 1;
    const wait = input.WaitTimeSeconds ?? 0;
    if (count < 1 || count > 10 || wait < 0 || wait > 20) throw new ServiceError(400, 'InvalidParameterValue', 'MaxNumberOfMessages is 1 to 10, WaitTimeSeconds 0 to 20');
    const until = Date.now() + 1000 * wait;
    let left = false;
    gone.then(() => { left = true; });
    for (;;) {
      if (left) return null;
      const messages = this.take(queue, count, 1000 * (input.VisibilityTimeout ?? queue.visibilitySeconds));
      if (messages.length > 0) return { Messages: messages };
      const now = Date.now();
      if (now >= until) return {};
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.min(until - now, 50));
        const wake = () => { clearTimeout(timer); queue.waiters.delete(wake); resolve(); };
        queue.waiters.add(wake);
        gone.then(wake);
      });
    }
  }

  take(queue, count, visibilityMs) {
    const now = Date.now();
    const out = [];
    for (const message of [...queue.messages]) {
      if (out.length === count) break;
      if (message.visibleAt > now) continue;
      if (queue.deadLetter && message.receives >= queue.deadLetter.maxReceiveCount) {
        queue.messages.splice(queue.messages.indexOf(message), 1);
        this.send(queue.deadLetter.queue, message.body);
        continue;
      }
      message.receives++;
      message.firstAt ||= now;
      message.visibleAt = now + visibilityMs;
      message.handle = 'AQEB' + randomUUID();
      out.push({
        MessageId: message.id, ReceiptHandle: message.handle, Body: message.body, MD5OfBody: md5(message.body),
        Attributes: {
          ApproximateReceiveCount: String(message.receives), SentTimestamp: String(message.sentAt),
          ApproximateFirstReceiveTimestamp: String(message.firstAt), SenderId: this.accountId,
        },
      });
    }
    return out;
  }

  DeleteMessage(input) {
    const queue = this.queue(input);
    const message = this.held(queue, input.ReceiptHandle);
    if (message) queue.messages.splice(queue.messages.indexOf(message), 1);
    return {};
  }

  ChangeMessageVisibility(input) {
    const queue = this.queue(input);
    const seconds = input.VisibilityTimeout;
    if (!Number.isInteger(seconds) || seconds < 0 || seconds > 43200) throw new ServiceError(400, 'InvalidParameterValue', 'VisibilityTimeout is 0 to 43200');
    const message = this.held(queue, input.ReceiptHandle);
    if (!message || message.visibleAt <= Date.now()) throw new ServiceError(400, 'MessageNotInflight', 'The specified message is not in flight.');
    message.visibleAt = Date.now() + 1000 * seconds;
    if (seconds === 0) for (const wake of queue.waiters) wake();
    return {};
  }

  DeleteMessageBatch(input) { return this.batch(input, (entry) => this.DeleteMessage(entry)); }
  ChangeMessageVisibilityBatch(input) { return this.batch(input, (entry) => this.ChangeMessageVisibility(entry)); }

  /** A batch succeeds in part: each entry stands alone. */
  batch(input, act) {
    const entries = input.Entries ?? [];
    if (entries.length < 1 || entries.length > 10) throw new ServiceError(400, 'TooManyEntriesInBatchRequest', 'a batch has 1 to 10 entries');
    const Successful = [];
    const Failed = [];
    for (const entry of entries) {
      try {
        act({ ...entry, QueueUrl: input.QueueUrl });
        Successful.push({ Id: entry.Id });
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error;
        Failed.push({ Id: entry.Id, Code: error.code, Message: error.message, SenderFault: error.status < 500 });
      }
    }
    return { Successful, Failed };
  }
}
