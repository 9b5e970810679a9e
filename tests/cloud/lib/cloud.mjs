// The test cloud: every double on the loopback, one fault plan, one record of what happened.
import { CloudFormation } from './cloudformation.mjs';
import { Ecr } from './ecr.mjs';
import { Faults } from './faults.mjs';
import { serve } from './http.mjs';
import { Functions } from './functions.mjs';
import { Container, Imds, Sts } from './identity.mjs';
import { Keys } from './keys.mjs';
import { S3 } from './s3.mjs';
import { Sns } from './sns.mjs';
import { Social } from './social.mjs';
import { Sqs } from './sqs.mjs';
import { control } from './control.mjs';

const LOG_LIMIT = 200000;

export class Cloud {
  constructor({ seed = 1, rules = [], region = 'us-east-1', s3 = {}, social = {}, sqs = {}, cloudformation = {} } = {}) {
    this.region = region;
    this.keys = new Keys();
    this.faults = new Faults({ seed, rules });
    this.skewMs = 0;
    this.log = []; // every request, in order
    this.violations = []; // requests that a correct client never makes; tests require none
    this.permissions = new Set(); // IAM actions that were used
    this.denied = new Set(); // IAM actions that are refused for every caller
    this.broken = []; // defects of the doubles themselves
    this.hooks = new Set();
    this.capture = null;
    this.servers = [];
    this.s3 = new S3({ region, ...s3 });
    this.social = new Social({ region, s3: this.s3, ...social });
    this.sqs = new Sqs({ region, ...sqs });
    this.sns = new Sns({ region });
    this.functions = new Functions({ region });
    this.ecr = new Ecr({ region });
    this.registry = this.ecr.registry;
    this.cloudformation = new CloudFormation({ region, cloud: this, ...cloudformation });
    this.sts = new Sts({ region, keys: this.keys });
    this.imds = new Imds({ region, keys: this.keys });
    this.container = new Container({ region, keys: this.keys });
  }

  async start() {
    this.endpoints = {};
    for (const name of ['s3', 'social', 'sqs', 'sns', 'functions', 'sts', 'imds', 'container', 'cloudformation', 'ecr', 'registry']) {
      this.endpoints[name] = (await this.serve(this[name])).url;
    }
    this.sqs.endpoint = this.endpoints.sqs;
    this.ecr.endpoint = this.endpoints.registry;
    const door = await control(this);
    this.servers.push(door);
    this.endpoints.control = door.url;
    return this;
  }

  async serve(service) {
    const server = await serve(service, this);
    this.servers.push(server);
    return server;
  }

  async stop() {
    await Promise.all(this.servers.map((server) => server.close()));
    this.servers = [];
  }

  /** The variables that point an AWS client at this cloud, with `key` (default: the long-lived one). */
  clientEnv(key = this.keys.default) {
    const env = {
      AWS_REGION: this.region, AWS_DEFAULT_REGION: this.region,
      AWS_ACCESS_KEY_ID: key.accessKeyId, AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
      AWS_ENDPOINT_URL_S3: this.endpoints.s3,
      AWS_ENDPOINT_URL_SOCIALMESSAGING: this.endpoints.social,
      AWS_ENDPOINT_URL_SQS: this.endpoints.sqs,
      AWS_ENDPOINT_URL_SNS: this.endpoints.sns, AWS_ENDPOINT_URL_LAMBDA: this.endpoints.functions,
      AWS_ENDPOINT_URL_STS: this.endpoints.sts,
      AWS_ENDPOINT_URL_CLOUDFORMATION: this.endpoints.cloudformation,
      AWS_ENDPOINT_URL_ECR: this.endpoints.ecr,
      AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    };
    if (key.sessionToken) env.AWS_SESSION_TOKEN = key.sessionToken;
    return env;
  }

  now() { return Date.now() + this.skewMs; }

  record(entry) {
    if (this.log.length < LOG_LIMIT) this.log.push(entry);
    return entry;
  }

  /** A signed request was refused. Old sessions and wrong clocks are normal; anything else is a defect of the client. */
  unsigned(op, { code, why, canonical }) {
    if (code !== 'ExpiredToken' && code !== 'RequestTimeTooSkewed') this.violation(op, code, why, canonical);
  }

  violation(op, code, why, canonical = '') {
    this.violations.push({ op, code, why, canonical, at: Date.now() });
  }

  broke(service, error) {
    this.broken.push({ service, error: String(error.stack ?? error) });
    process.stderr.write(`test cloud, ${service}: ${error.stack ?? error}\n`);
  }

  /** `hook(phase, entry)` is awaited at 'received', 'applied' and 'answered'; 'abandon' drops the request. */
  onPhase(hook) {
    this.hooks.add(hook);
    return () => this.hooks.delete(hook);
  }

  async phase(name, entry) {
    let verdict;
    for (const hook of this.hooks) verdict = (await hook(name, entry)) ?? verdict;
    return verdict;
  }

  /** Requests by operation and status. */
  summary() {
    const byOp = {};
    for (const { op, status } of this.log) {
      byOp[op] ??= {};
      byOp[op][status || 'none'] = (byOp[op][status || 'none'] ?? 0) + 1;
    }
    return { requests: this.log.length, byOp, violations: this.violations.length, permissions: [...this.permissions].sort() };
  }
}

export const startCloud = (options) => new Cloud(options).start();
