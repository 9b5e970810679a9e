// A double of Amazon SNS as an administrator sees it (query protocol): topics and their subscriptions.
import { randomUUID } from 'node:crypto';
import { escapeXml, ServiceError } from './http.mjs';

const XMLNS = 'http://sns.amazonaws.com/doc/2010-03-31/';
const ACTIONS = new Set(['GetTopicAttributes', 'ListSubscriptionsByTopic']);

export class Sns {
  name = 'sns';
  signingName = 'sns';

  constructor({ region, accountId = '123456789012' }) {
    Object.assign(this, { region, accountId, pageLimit: 100 });
    this.topics = new Map(); // ARN -> {attributes, subscriptions}
  }

  /** A topic that End User Messaging Social may publish to, unless `policy` is another. */
  createTopic(name, { policy = null } = {}) {
    const arn = `arn:aws:sns:${this.region}:${this.accountId}:${name}`;
    const statement = { Effect: 'Allow', Principal: { Service: 'social-messaging.amazonaws.com' }, Action: 'sns:Publish', Resource: arn };
    this.topics.set(arn, {
      attributes: { TopicArn: arn, Owner: this.accountId, Policy: JSON.stringify(policy ?? { Version: '2012-10-17', Statement: [statement] }) },
      subscriptions: [],
    });
    return arn;
  }

  subscribe(topicArn, protocol, endpoint, { confirmed = true } = {}) {
    this.topics.get(topicArn).subscriptions.push({
      TopicArn: topicArn, Protocol: protocol, SubscriptionArn: confirmed ? `${topicArn}:${randomUUID()}` : 'PendingConfirmation',
      Owner: this.accountId, Endpoint: endpoint,
    });
  }

  route(request) { return request.method === 'POST' && request.path === '/' ? { op: 'Query' } : null; }

  /** What the body asks for, as an IAM action. */
  actionOf(request) { return `sns:${new URLSearchParams(request.body.toString()).get('Action')}`; }

  error(status, code, message) {
    return {
      status, headers: { 'Content-Type': 'text/xml' },
      body: `<ErrorResponse xmlns="${XMLNS}"><Error><Type>Sender</Type><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>` +
        `<RequestId>${randomUUID()}</RequestId></ErrorResponse>`,
    };
  }

  authError({ code, why }) {
    return [403, { ExpiredToken: 'ExpiredToken', InvalidAccessKeyId: 'InvalidClientTokenId', InvalidToken: 'InvalidClientTokenId' }[code] ?? 'SignatureDoesNotMatch', why];
  }

  faultError(kind) {
    return { 429: [400, 'Throttled', 'Rate exceeded'], 500: [500, 'InternalError', 'inside'], expired: [403, 'ExpiredToken', 'expired'] }[kind] ??
      [503, 'ServiceUnavailable', 'overloaded'];
  }

  handle(_route, request) {
    const form = new URLSearchParams(request.body.toString());
    const action = form.get('Action');
    if (!ACTIONS.has(action)) throw new ServiceError(400, 'InvalidAction', `${action} is no action here`);
    const arn = form.get('TopicArn') ?? '';
    if (!/^arn:aws:sns:[a-z0-9-]+:\d{12}:.+$/.test(arn)) throw new ServiceError(400, 'InvalidParameter', 'Invalid parameter: TopicArn');
    const topic = this.topics.get(arn);
    if (!topic) throw new ServiceError(404, 'NotFound', 'Topic does not exist');
    return {
      status: 200, headers: { 'Content-Type': 'text/xml' },
      body: `<${action}Response xmlns="${XMLNS}"><${action}Result>${this[action](topic, form)}</${action}Result>` +
        `<ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata></${action}Response>`,
    };
  }

  GetTopicAttributes(topic) {
    const entries = Object.entries(topic.attributes).map(([k, v]) => `<entry><key>${k}</key><value>${escapeXml(v)}</value></entry>`);
    return `<Attributes>${entries.join('')}</Attributes>`;
  }

  ListSubscriptionsByTopic(topic, form) {
    const start = Number(form.get('NextToken') ?? 0);
    const page = topic.subscriptions.slice(start, start + this.pageLimit);
    const members = page.map((one) => `<member>${Object.entries(one).map(([k, v]) => `<${k}>${escapeXml(v)}</${k}>`).join('')}</member>`);
    const end = start + this.pageLimit;
    return `<Subscriptions>${members.join('')}</Subscriptions>${end < topic.subscriptions.length ? `<NextToken>${end}</NextToken>` : ''}`;
  }
}
