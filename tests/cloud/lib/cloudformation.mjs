// A double of AWS CloudFormation, which no local server offers: change sets, events, outputs, parameters and
// rules checked against the template, failures with rollback. It makes some progress each time a busy stack
// is described, so that nothing here depends on the clock.
import { randomUUID } from 'node:crypto';
import { escapeXml, ServiceError } from './http.mjs';
import { Resource } from './resources.mjs';

// The reader of templates needs packages of its own folder; only tests that create stacks need them.
const reader = async () => ({ ...await import('../../infra/lib/template.mjs'), ...await import('../../infra/lib/expand.mjs') });

const BODY_LIMIT = 51200;
const URL_LIMIT = 1024 * 1024;
const NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set.";
const isBusy = (status) => status.endsWith('_IN_PROGRESS') && status !== 'REVIEW_IN_PROGRESS';
const invalid = (message) => new ServiceError(400, 'ValidationError', message);

/** {a: [..], b: 'x'} as the query protocol writes it. */
function xmlOf(value) {
  if (Array.isArray(value)) return value.map((one) => `<member>${xmlOf(one)}</member>`).join('');
  if (value && typeof value === 'object') {
    return Object.entries(value).filter(([, one]) => one !== undefined).map(([k, one]) => `<${k}>${xmlOf(one)}</${k}>`).join('');
  }
  return escapeXml(String(value));
}

/** Name.member.1.Key=... to [{Key: ...}]. */
function members(form, name) {
  const out = [];
  for (const [key, value] of form) {
    const match = new RegExp(`^${name}\\.member\\.(\\d+)(?:\\.(.+))?$`).exec(key);
    if (!match) continue;
    if (match[2]) (out[match[1] - 1] ??= {})[match[2]] = value;
    else out[match[1] - 1] = value;
  }
  return out;
}

const outputsOf = ({ outputs, template }) =>
  Object.entries(outputs).map(([key, value]) => ({ key, value: String(value), description: template.Outputs[key].Description ?? '' }));

export class CloudFormation {
  name = 'cloudformation';
  signingName = 'cloudformation';

  /** `pace`: resources that are worked on each time a busy stack is described. `setLooks`: descriptions until a change set is ready. */
  constructor({ region, cloud, accountId = '123456789012', pace = 100, setLooks = 1 }) {
    Object.assign(this, { region, accountId, pace, setLooks, cloud }); // where the resources of stacks are created: {s3, ecr, functions, sns, sqs}
    this.stacks = []; // deleted ones too
    this.calls = []; // every action with its form, in order
    this.failures = new Map(); // logical id -> {reason, times}
    this.throttled = new Map(); // action -> times
    this.held = false; // true: busy stacks stay so
    this.refusals = new Map(); // stack -> what its change sets are refused with
  }

  // ---- for tests ----
  stack(name) { return this.stacks.findLast((one) => one.name === name && one.status !== 'DELETE_COMPLETE'); }
  failResource(logicalId, reason, times = 1) { this.failures.set(logicalId, { reason, times }); }
  /** A stack that exists from the start, as from an earlier run. */
  async put(name, text, parameters) {
    const form = (more) => new URLSearchParams({ StackName: name, ChangeSetName: 'put', ...more });
    const members_ = Object.entries(parameters).flatMap(([key, value], at) => [
      [`Parameters.member.${at + 1}.ParameterKey`, key], [`Parameters.member.${at + 1}.ParameterValue`, value]]);
    await this.CreateChangeSet(form({ ChangeSetType: 'CREATE', TemplateBody: text, 'Capabilities.member.1': 'CAPABILITY_IAM', ...Object.fromEntries(members_) }));
    this.set(form({})).looks = 0;
    this.ExecuteChangeSet(form({}));
    const stack = this.stack(name);
    while (stack.work.length) stack.work.shift()();
    if (stack.status !== 'CREATE_COMPLETE') throw new Error(`${name}: ${stack.status}`);
  }

  /** A stack in some state, of nothing but outputs and parameters. */
  place(name, status, outputs, values = {}) {
    const id = `arn:aws:cloudformation:${this.region}:${this.accountId}:stack/${name}/${randomUUID()}`;
    this.stacks.push({
      name, id, status, created: new Date(), reason: '', values, events: [], work: [],
      outputs: Object.entries(outputs).map(([key, value]) => ({ key, value })),
    });
  }

  throttle(action, times) { this.throttled.set(action, times); }
  count(action) { return this.calls.filter((one) => one.action === action).length; }
  parameter(name, key) { return this.stack(name).values[key]; }
  output(name, key) { return this.stack(name).outputs.find((one) => one.key === key)?.value; }

  // ---- the service ----
  route(request) {
    return request.path === '/' && request.method === 'POST' ? { op: 'Query' } : null;
  }

  error(status, code, message) {
    return {
      status, headers: { 'Content-Type': 'text/xml' },
      body: '<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>' +
        `<Code>${code}</Code><Message>${escapeXml(message)}</Message></Error><RequestId>0</RequestId></ErrorResponse>`,
    };
  }

  authError({ code, why }) {
    const name = { ExpiredToken: 'ExpiredToken', InvalidAccessKeyId: 'InvalidClientTokenId', InvalidToken: 'InvalidClientTokenId' }[code] ?? 'SignatureDoesNotMatch';
    return [403, name, why];
  }

  faultError(kind) {
    return {
      429: [400, 'Throttling', 'Rate exceeded'], 500: [500, 'InternalFailure', 'inside'], 503: [503, 'ServiceUnavailable', 'overloaded'],
      409: [503, 'ServiceUnavailable', 'overloaded'], expired: [403, 'ExpiredToken', 'The security token included in the request is expired'],
    }[kind];
  }

  async handle(_route, request, { entry }) {
    const form = new URLSearchParams(request.body.toString());
    const action = form.get('Action');
    entry.action = action;
    this.calls.push({ action, form });
    const left = this.throttled.get(action) ?? 0;
    if (left > 0) {
      this.throttled.set(action, left - 1);
      throw new ServiceError(400, 'Throttling', 'Rate exceeded');
    }
    const known = ['CreateChangeSet', 'DescribeChangeSet', 'ExecuteChangeSet', 'DeleteChangeSet', 'DescribeStacks', 'DescribeStackEvents', 'DeleteStack'];
    if (form.get('Version') !== '2010-05-15' || !known.includes(action)) throw new ServiceError(400, 'InvalidAction', `${action} is no action here`);
    let result;
    try {
      result = await this[action](form);
    } catch (error) {
      if (error.constructor.name === 'TemplateError') throw invalid(`Template error: ${error.message}`);
      throw error;
    }
    return {
      status: 200, headers: { 'Content-Type': 'text/xml' },
      body: `<${action}Response xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><${action}Result>${xmlOf(result ?? {})}</${action}Result>` +
        `<ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata></${action}Response>`,
    };
  }

  find(form) {
    const name = form.get('StackName');
    const stack = name?.startsWith('arn:') ? this.stacks.find((one) => one.id === name) : this.stack(name);
    if (!stack) throw invalid(`Stack with id ${name} does not exist`);
    return stack;
  }

  template(form) {
    const body = form.get('TemplateBody');
    const url = form.get('TemplateURL');
    if (Boolean(body) === Boolean(url)) throw invalid('Either Template URL or Template Body must be specified.');
    if (body) {
      if (Buffer.byteLength(body) > BODY_LIMIT && form.get('ChangeSetName') !== 'put') {
        throw invalid(`1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to ${BODY_LIMIT}`);
      }
      return body;
    }
    const match = new RegExp(`^https://([a-z0-9.-]+)\\.s3\\.${this.region}\\.amazonaws\\.com/(.+)$`).exec(url);
    const object = match && this.cloud.s3.buckets.get(match[1])?.objects.get(decodeURIComponent(match[2]));
    if (!object) throw invalid('S3 error: Access Denied\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html');
    if (object.body.length > URL_LIMIT) throw invalid('Template may not exceed 1000000 bytes in size.');
    return object.body.toString();
  }

  /** The stack as it would be: {resources, outputs, parameters}, and the resources that were given names for it. */
  expand(stack, template, given, { expand }) {
    const made = new Map();
    const resource = (logicalId, type, properties) => {
      if (!made.has(logicalId)) {
        made.set(logicalId, stack.resources.get(logicalId) ??
          new Resource({ stackName: stack.name, logicalId, type, properties: properties?.() ?? {}, region: this.region, accountId: this.accountId }));
      }
      return made.get(logicalId);
    };
    const wanted = expand(template, given, {
      pseudo: {
        'AWS::Region': this.region, 'AWS::AccountId': this.accountId, 'AWS::Partition': 'aws', 'AWS::URLSuffix': 'amazonaws.com',
        'AWS::StackName': stack.name, 'AWS::StackId': stack.id,
      },
      ref: (logicalId, type, properties) => resource(logicalId, type, properties).ref(this.cloud),
      attribute: (logicalId, type, name, properties) => resource(logicalId, type, properties).attribute(name),
    });
    return { ...wanted, resource };
  }

  async CreateChangeSet(form) {
    const name = form.get('StackName');
    const type = form.get('ChangeSetType') ?? 'UPDATE';
    if (!/^[a-zA-Z][-a-zA-Z0-9]*$/.test(name) || !/^[a-zA-Z][-a-zA-Z0-9]*$/.test(form.get('ChangeSetName') ?? '')) throw invalid('a name failed to satisfy constraint');
    let stack = this.stack(name);
    if (type === 'CREATE' && stack && stack.status !== 'REVIEW_IN_PROGRESS') throw invalid(`Stack [${name}] already exists and cannot be created again with the changeSet [${form.get('ChangeSetName')}].`);
    if (type === 'UPDATE' && !stack) throw invalid(`Stack [${name}] does not exist`);
    if (type === 'UPDATE' && !/^(CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT)_COMPLETE$/.test(stack.status)) {
      throw invalid(`Stack:${stack.id} is in ${stack.status} state and can not be updated.`);
    }
    const text = this.template(form);
    const tools = await reader();
    const template = tools.parseTemplate(text);
    const given = Object.fromEntries(members(form, 'Parameters').map(({ ParameterKey, ParameterValue }) => [ParameterKey, ParameterValue ?? '']));
    if (JSON.stringify(template.Resources).includes('AWS::IAM::') && !members(form, 'Capabilities').some((one) => /^CAPABILITY_(NAMED_)?IAM$/.test(one))) {
      throw new ServiceError(400, 'InsufficientCapabilitiesException', 'Requires capabilities : [CAPABILITY_IAM]');
    }
    const fresh = !stack;
    if (fresh) {
      stack = {
        name, id: `arn:aws:cloudformation:${this.region}:${this.accountId}:stack/${name}/${randomUUID()}`,
        status: 'REVIEW_IN_PROGRESS', reason: 'User Initiated', created: new Date(), values: {}, outputs: [], events: [], sets: [],
        resources: new Map(), work: [], template: null,
      };
    }
    if (this.refusals.has(name)) throw invalid(this.refusals.get(name));
    const wanted = this.expand(stack, template, given, tools);
    const tags = this.tags(form);
    if (fresh) {
      this.stacks.push(stack);
      this.event(stack, null, 'REVIEW_IN_PROGRESS', 'User Initiated');
    }
    if (stack.sets.some((one) => one.name === form.get('ChangeSetName'))) throw new ServiceError(400, 'AlreadyExistsException', 'the change set is there already');
    const changes = this.changes(stack, wanted);
    const set = {
      name: form.get('ChangeSetName'), id: `arn:aws:cloudformation:${this.region}:${this.accountId}:changeSet/${form.get('ChangeSetName')}/${randomUUID()}`,
      stack, type, template, wanted, changes, tags, looks: this.setLooks,
      empty: type === 'UPDATE' && changes.length === 0 && (!tags || JSON.stringify(tags) === JSON.stringify(stack.tags)) && JSON.stringify(outputsOf(wanted)) === JSON.stringify(stack.outputs),
    };
    stack.sets.push(set);
    return { Id: set.id, StackId: stack.id };
  }

  /** Those of a change set as an object; null where it leaves the stack's as they are. AWS's rules are checked. */
  tags(form) {
    const list = members(form, 'Tags');
    if (!list.length && form.get('Tags') === null) return null;
    if (list.length > 50) throw invalid('Tags: Member must have length less than or equal to 50');
    for (const { Key, Value } of list) {
      if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u.test(Key) || !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(Value ?? '') || /^aws:/i.test(Key)) throw invalid(`Tags: ${Key} is not allowed`);
    }
    if (new Set(list.map(({ Key }) => Key)).size < list.length) throw invalid('Tags: duplicate keys');
    return Object.fromEntries(list.map(({ Key, Value }) => [Key, Value ?? '']));
  }

  changes(stack, wanted) {
    const out = [];
    for (const [logicalId, { Type, Properties: properties }] of Object.entries(wanted.resources)) {
      const there = stack.resources.get(logicalId);
      if (!there) out.push({ action: 'Add', logicalId, type: Type, properties });
      else if (JSON.stringify(there.properties) !== JSON.stringify(properties)) {
        out.push({ action: 'Modify', logicalId, type: Type, properties, replaced: there.isReplacedBy(properties) });
      }
    }
    for (const [logicalId, { type }] of stack.resources) if (!(logicalId in wanted.resources)) out.push({ action: 'Remove', logicalId, type });
    return out;
  }

  set(form) {
    const id = form.get('ChangeSetName');
    const set = this.stacks.flatMap((one) => one.sets).find((one) => one.id === id || (one.name === id && one.stack.name === form.get('StackName')));
    if (!set) throw new ServiceError(404, 'ChangeSetNotFound', `ChangeSet [${id}] does not exist`);
    return set;
  }

  DescribeChangeSet(form) {
    const set = this.set(form);
    const busy = set.looks-- > 0;
    const status = busy ? 'CREATE_IN_PROGRESS' : set.empty ? 'FAILED' : 'CREATE_COMPLETE';
    return {
      ChangeSetName: set.name, ChangeSetId: set.id, StackId: set.stack.id, StackName: set.stack.name, Status: status,
      StatusReason: status === 'FAILED' ? NO_CHANGES : undefined,
      ExecutionStatus: status === 'CREATE_COMPLETE' ? 'AVAILABLE' : 'UNAVAILABLE',
      Changes: busy ? [] : set.changes.map(({ action, logicalId, type, replaced }) => ({
        Type: 'Resource',
        ResourceChange: { Action: action, LogicalResourceId: logicalId, ResourceType: type, Replacement: action === 'Modify' ? (replaced ? 'True' : 'False') : undefined },
      })),
    };
  }

  DeleteChangeSet(form) {
    const set = this.set(form);
    set.stack.sets = set.stack.sets.filter((one) => one !== set);
  }

  ExecuteChangeSet(form) {
    const set = this.set(form);
    const { stack } = set;
    if (set.empty || set.looks > 0 || isBusy(stack.status)) {
      throw new ServiceError(400, 'InvalidChangeSetStatus', `ChangeSet [${set.id}] cannot be executed in its current status`);
    }
    const verb = set.type === 'CREATE' ? 'CREATE' : 'UPDATE';
    stack.sets = [];
    if (set.tags) stack.tags = set.tags;
    this.become(stack, `${verb}_IN_PROGRESS`, 'User Initiated');
    stack.work = this.plan(stack, set, verb);
  }

  DescribeStacks(form) {
    const stack = this.find(form);
    this.advance(stack);
    return {
      Stacks: [{
        StackId: stack.id, StackName: stack.name, CreationTime: stack.created.toISOString(), StackStatus: stack.status,
        StackStatusReason: stack.reason || undefined, DisableRollback: 'false',
        Parameters: Object.entries(stack.values).map(([ParameterKey, ParameterValue]) => ({ ParameterKey, ParameterValue })),
        Outputs: stack.outputs.map(({ key, value, description }) => ({ OutputKey: key, OutputValue: value, Description: description })),
      }],
    };
  }

  DescribeStackEvents(form) {
    const stack = this.find(form);
    this.advance(stack);
    return { StackEvents: [...stack.events].reverse() };
  }

  DeleteStack(form) {
    const name = form.get('StackName');
    const stack = name?.startsWith('arn:') ? this.stacks.find((one) => one.id === name) : this.stack(name);
    if (!stack || stack.status === 'DELETE_COMPLETE') return; // as CloudFormation: no error
    if (isBusy(stack.status) && stack.status !== 'CREATE_IN_PROGRESS') throw invalid(`Stack [${name}] cannot be deleted while in status ${stack.status}`);
    this.become(stack, 'DELETE_IN_PROGRESS', 'User Initiated');
    stack.work = [...this.removals(stack, [...stack.resources.keys()].reverse(), stack.template),
      () => this.become(stack, stack.stuck ? 'DELETE_FAILED' : 'DELETE_COMPLETE', stack.stuck ?? '')];
    stack.stuck = undefined;
  }

  // ---- what goes on in a stack ----
  event(stack, resource, status, reason = '') {
    stack.events.push({
      StackId: stack.id, EventId: randomUUID(), StackName: stack.name,
      LogicalResourceId: resource?.logicalId ?? stack.name, PhysicalResourceId: resource ? resource.physicalId : stack.id,
      ResourceType: resource?.type ?? 'AWS::CloudFormation::Stack', Timestamp: new Date().toISOString(),
      ResourceStatus: status, ResourceStatusReason: reason || undefined,
    });
  }

  become(stack, status, reason = '') {
    stack.status = status;
    stack.reason = reason;
    this.event(stack, null, status, reason);
  }

  advance(stack) {
    for (let n = 0; n < this.pace && stack.work.length && !this.held; n++) stack.work.shift()();
  }

  /** Throws where a test asked for it. */
  obey(logicalId) {
    const failure = this.failures.get(logicalId);
    if (!failure || failure.times <= 0) return;
    failure.times -= 1;
    throw new Error(failure.reason);
  }

  removals(stack, logicalIds, template) {
    return logicalIds.flatMap((logicalId) => {
      const resource = stack.resources.get(logicalId);
      if (!resource) return [];
      const keep = template?.Resources[logicalId]?.DeletionPolicy === 'Retain';
      if (keep) return [() => { stack.resources.delete(logicalId); this.event(stack, resource, 'DELETE_SKIPPED'); }];
      return [() => {
        this.event(stack, resource, 'DELETE_IN_PROGRESS');
        try {
          this.obey(`delete ${logicalId}`);
          resource.remove(this.cloud);
          stack.resources.delete(logicalId);
          this.event(stack, resource, 'DELETE_COMPLETE');
        } catch (error) {
          this.event(stack, resource, 'DELETE_FAILED', error.message);
          stack.stuck = `The following resource(s) failed to delete: [${logicalId}]. `;
        }
      }];
    });
  }

  /** The steps of a creation or an update; a step that fails replaces the remaining steps by the rollback. */
  plan(stack, set, verb) {
    const { wanted, template } = set;
    const before = new Map([...stack.resources].map(([key, one]) => [key, one.properties]));
    const added = [];
    const touched = [];
    const fail = (resource, what, reason) => {
      this.event(stack, resource, `${what}_FAILED`, reason);
      stack.work = this.wayBack(stack, verb, resource, { before, added, touched, template });
    };
    const steps = set.changes.filter(({ action }) => action !== 'Remove').map(({ logicalId, type, action }) => () => {
      const properties = wanted.resources[logicalId].Properties;
      let resource = stack.resources.get(logicalId);
      const what = action === 'Add' ? 'CREATE' : 'UPDATE';
      try {
        if (action === 'Add') {
          resource = wanted.resource(logicalId, type);
          resource.properties = properties;
          this.event(stack, { ...resource, physicalId: '' }, 'CREATE_IN_PROGRESS');
          this.obey(logicalId);
          resource.create(this.cloud);
          stack.resources.set(logicalId, resource);
          added.push(logicalId);
        } else {
          this.event(stack, resource, 'UPDATE_IN_PROGRESS');
          this.obey(logicalId);
          resource.update(properties, this.cloud);
          touched.push(logicalId);
        }
        this.event(stack, resource, `${what}_COMPLETE`);
      } catch (error) {
        fail(resource, what, error.message);
      }
    });
    const gone = set.changes.filter(({ action }) => action === 'Remove').map(({ logicalId }) => logicalId);
    const finish = () => {
      stack.outputs = outputsOf(wanted);
      stack.values = wanted.parameters;
      if (verb === 'UPDATE') this.become(stack, 'UPDATE_COMPLETE_CLEANUP_IN_PROGRESS');
      const former = stack.template;
      stack.template = template;
      stack.work = [...this.removals(stack, gone, former), () => this.become(stack, `${verb}_COMPLETE`)];
    };
    if (verb === 'CREATE') Object.assign(stack, { values: wanted.parameters, template });
    return [...steps, finish];
  }

  wayBack(stack, verb, failed, { before, added, touched, template }) {
    const why = verb === 'CREATE'
      ? `The following resource(s) failed to create: [${failed.logicalId}]. Rollback requested by user.`
      : `The following resource(s) failed to update: [${failed.logicalId}]. `;
    const prefix = verb === 'CREATE' ? 'ROLLBACK' : 'UPDATE_ROLLBACK';
    const restore = touched.map((logicalId) => () => {
      const resource = stack.resources.get(logicalId);
      resource.properties = before.get(logicalId);
      this.event(stack, resource, 'UPDATE_COMPLETE');
    });
    return [
      () => this.become(stack, `${prefix}_IN_PROGRESS`, why),
      ...restore,
      ...(verb === 'UPDATE' ? [() => this.become(stack, 'UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS')] : []),
      ...this.removals(stack, [...added].reverse(), template),
      () => this.become(stack, `${prefix}_COMPLETE`),
    ];
  }
}
