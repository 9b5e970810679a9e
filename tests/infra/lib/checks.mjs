// What must hold for every expanded stack: name -> generator of sentences about what does not.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NETWORK_CHECKS } from './checks-network.mjs';
import { ACCOUNT } from './expand.mjs';
import { exactly, features, inventory, list, same } from './features.mjs';
import { decide, statementsOf } from './iam.mjs';
import { EVERYWHERE, PLATFORM } from './platform.mjs';
import { checkReferences } from './references.mjs';
import { validate } from './schema.mjs';
import { SOURCE } from './template.mjs';

const policiesOf = (stack) => Object.entries(stack.resources).flatMap(([id, { Type, Properties: p }]) => {
  if (Type === 'AWS::IAM::Role') return [{ id, document: p.AssumeRolePolicyDocument }, ...(p.Policies ?? []).map((one) => ({ id, role: true, document: one.PolicyDocument }))];
  if (Type === 'AWS::IAM::RolePolicy') return [{ id, role: true, document: p.PolicyDocument }];
  const document = p.PolicyDocument ?? p.FileSystemPolicy ?? p.RepositoryPolicyText;
  return document ? [{ id, document, endpoint: Type === 'AWS::EC2::VPCEndpoint' }] : [];
});

/** `id`'s policy denies every request without TLS, on all of it. */
function* tlsOnly(stack, id, resources) {
  const deny = stack.resources[id].Properties.PolicyDocument.Statement.find((one) => one.Sid === 'TlsOnly');
  if (!deny || deny.Effect !== 'Deny' || deny.Principal !== '*' || String(deny.Condition?.Bool?.['aws:SecureTransport']) !== 'false') yield `${id} does not deny requests without TLS`;
  else if (!same(list(deny.Resource), resources) || !/^(s3:\*|sqs:\*|sns:Publish)$/.test(deny.Action)) yield `${id} denies not all that comes without TLS`;
}

/** `id`'s policy allows `service` alone, on `condition`, to do `action`. */
function* onlyService(stack, id, service, action, condition) {
  const allows = stack.resources[id].Properties.PolicyDocument.Statement.filter((one) => one.Effect === 'Allow');
  if (allows.length !== 1) yield `${id} allows ${allows.length} things, not one`;
  for (const one of allows) {
    if (!same(one.Principal, { Service: service })) yield `${id} allows ${JSON.stringify(one.Principal)}, not ${service}`;
    if (!same(list(one.Action), [action])) yield `${id} allows ${one.Action}, not ${action}`;
    if (!same(one.Condition, condition)) yield `${id} allows without the condition ${JSON.stringify(condition)}`;
  }
}

const QUEUE_ARN = (stack, id) => `arn:aws:sqs:us-east-1:${ACCOUNT}:${id}`;
const TOPIC_ARN = `arn:aws:sns:us-east-1:${ACCOUNT}:Topic`;

function bucketOf(stack) {
  return features(stack).ownBucket ? 'caracola-bucket' : stack.parameters.StoreBucket;
}

/** A bucket that no one else can read: private, encrypted, TLS only, and it stays when the stack goes. */
export function* privateBucket(stack, id, policyId) {
  const { Properties: p, DeletionPolicy, UpdateReplacePolicy } = stack.resources[id];
  const block = p.PublicAccessBlockConfiguration ?? {};
  for (const name of ['BlockPublicAcls', 'BlockPublicPolicy', 'IgnorePublicAcls', 'RestrictPublicBuckets']) if (block[name] !== true) yield `${id} lacks ${name}`;
  if (p.OwnershipControls?.Rules?.[0]?.ObjectOwnership !== 'BucketOwnerEnforced') yield `${id} takes access lists`;
  const rule = p.BucketEncryption?.ServerSideEncryptionConfiguration?.[0]?.ServerSideEncryptionByDefault;
  if (!['AES256', 'aws:kms'].includes(rule?.SSEAlgorithm)) yield `${id} is not encrypted`;
  if (p.AccessControl || p.WebsiteConfiguration) yield `${id} is open`;
  if (DeletionPolicy !== 'Retain' || UpdateReplacePolicy !== 'Retain') yield `${id} goes with the stack`;
  if (!p.LifecycleConfiguration?.Rules?.some((one) => one.AbortIncompleteMultipartUpload && one.Status === 'Enabled')) yield `${id} keeps unfinished uploads`;
  const arn = `arn:aws:s3:::caracola-${id.toLowerCase()}`;
  yield* tlsOnly(stack, policyId, [arn, `${arn}/*`]);
}

// What may be in the bucket: a record, its audio, what was not understood.
const KEPT = ['2025-10-15/5215512345678-01-10-13-abcdefghijk.json', '2025-10-15/5215512345678-01-10-13-abcdefghijk.ogg', 'quarantine/abc.json'];
// The actions of S3 that delete or change something, by the page
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html, and those on versions.
const CHANGES = ['AbortMultipartUpload', 'BypassGovernanceRetention', 'CreateBucket', 'DeleteBucket', 'DeleteBucketPolicy', 'DeleteBucketWebsite', 'DeleteObject',
  'DeleteObjectTagging', 'DeleteObjectVersion', 'DeleteObjectVersionTagging', 'GetObjectVersion', 'ListBucketVersions', 'ObjectOwnerOverrideToBucketOwner',
  'PutAccelerateConfiguration', 'PutAnalyticsConfiguration', 'PutBucketAcl', 'PutBucketCORS', 'PutBucketLogging', 'PutBucketNotification',
  'PutBucketObjectLockConfiguration', 'PutBucketOwnershipControls', 'PutBucketPolicy', 'PutBucketPublicAccessBlock', 'PutBucketRequestPayment',
  'PutBucketTagging', 'PutBucketVersioning', 'PutBucketWebsite', 'PutEncryptionConfiguration', 'PutIntelligentTieringConfiguration',
  'PutInventoryConfiguration', 'PutLifecycleConfiguration', 'PutMetricsConfiguration', 'PutObjectAcl', 'PutObjectLegalHold', 'PutObjectRetention',
  'PutObjectTagging', 'PutObjectVersionAcl', 'PutObjectVersionTagging', 'PutReplicationConfiguration', 'ReplicateDelete', 'ReplicateObject', 'RestoreObject',
].map((name) => `s3:${name}`);

export const CHECKS = {
  schema: validate,
  references: checkReferences,

  * inventory(stack) { yield* exactly('resources', Object.keys(stack.resources), inventory(stack)); },

  * outputs(stack) {
    const f = features(stack);
    yield* exactly('outputs', Object.keys(stack.outputs), ['BucketName', 'TopicArn', 'DeadLetterQueueUrl', 'RoleArn', 'LogGroupName', 'DashboardUrl',
      ...(f.worker ? [] : ['FunctionName']), ...(f.queue ? ['QueueUrl'] : []), ...(f.p.AlarmEmail ? ['AlarmTopicArn'] : [])]);
    const wanted = {
      BucketName: bucketOf(stack), TopicArn: TOPIC_ARN, DeadLetterQueueUrl: `https://sqs.us-east-1.amazonaws.com/${ACCOUNT}/DeadLetterQueue`,
      RoleArn: `arn:aws:iam::${ACCOUNT}:role/Role`, LogGroupName: 'ref-LogGroup', FunctionName: 'ref-Function', AlarmTopicArn: `arn:aws:sns:us-east-1:${ACCOUNT}:AlarmTopic`, QueueUrl: `https://sqs.us-east-1.amazonaws.com/${ACCOUNT}/Queue`,
    };
    for (const [name, value] of Object.entries(stack.outputs)) if (name in wanted && value !== wanted[name]) yield `output ${name} is ${value}, not ${wanted[name]}`;
  },

  * bucket(stack) {
    if (!stack.resources.Bucket) return;
    yield* privateBucket(stack, 'Bucket', 'BucketPolicy');
    const { Rules: rules } = stack.resources.Bucket.Properties.LifecycleConfiguration;
    const days = Number(stack.parameters.MessageRetentionDays);
    const ends = (key) => rules.filter((one) => one.Status === 'Enabled' && one.ExpirationInDays !== undefined && key.startsWith(one.Prefix ?? '')).map((one) => Number(one.ExpirationInDays));
    for (const key of ['2025-10-15/5215512345678-01-10-13-abcdefghijk.json', '2031-01-01/123.ogg', 'quarantine/abc.json']) {
      if (!same(ends(key), days ? [days] : [])) yield `${key} ends after ${ends(key)} days, not ${days || 'never'}`;
    }
    for (const key of ['medium.pt', 'models/large.cara', 'multilingual.tiktoken']) if (ends(key).length > 0) yield `the model ${key} ends with the messages`;
    if (stack.resources.Bucket.Properties.VersioningConfiguration?.Status !== 'Enabled') yield 'what is deleted or replaced by mistake is lost';
    const old = rules.filter((one) => one.NoncurrentVersionExpiration);
    if (old.length !== 1 || old[0].Prefix || old[0].Status !== 'Enabled' || String(old[0].NoncurrentVersionExpiration.NoncurrentDays) !== stack.parameters.VersionRetentionDays) yield 'old versions end at another time than was asked for';
    if (old[0]?.NoncurrentVersionExpiration.NewerNoncurrentVersions || old[0]?.ExpiredObjectDeleteMarker !== true) yield 'something of a deleted message stays';
  },

  // The program reads and writes messages; deleting them, or changing the bucket, is denied, whatever else is granted.
  * keeps(stack) {
    const arn = `arn:aws:s3:::${bucketOf(stack)}`;
    const own = statementsOf(stack);
    const ofBucket = stack.resources.BucketPolicy?.Properties.PolicyDocument.Statement;
    for (const name of KEPT) {
      for (const action of CHANGES) {
        for (const resource of [arn, `${arn}/${name}`]) {
          const granted = [...own, { Effect: 'Allow', Action: action, Resource: '*' }];
          if (decide(own, action, resource) !== 'denied' || decide(granted, action, resource) !== 'denied') yield `the role may ${action} on ${resource} where something else grants it`;
          if (ofBucket && decide([...granted.slice(-1), ...ofBucket], action, resource) !== 'denied') yield `the bucket's policy lets the program ${action} on ${resource}`;
        }
      }
      for (const action of ['s3:GetObject', 's3:PutObject']) if (decide([...own, ...(ofBucket ?? [])], action, `${arn}/${name}`) !== 'allowed') yield `the program cannot ${action} ${name}`;
    }
    if (decide([...own, ...(ofBucket ?? [])], 's3:ListBucket', arn) !== 'allowed') yield 'the program cannot list the bucket';
    if (ofBucket && decide([{ Effect: 'Allow', Action: 's3:*', Resource: '*' }, ...ofBucket], 's3:DeleteObject', `${arn}/x`, 'Administrator') !== 'allowed') yield 'nobody can delete a message';
  },

  * topic(stack) {
    yield* onlyService(stack, 'TopicPolicy', 'social-messaging.amazonaws.com', 'sns:Publish', { StringEquals: { 'aws:SourceAccount': ACCOUNT } });
    yield* tlsOnly(stack, 'TopicPolicy', [TOPIC_ARN]);
    if (!same(stack.resources.TopicPolicy.Properties.Topics, [TOPIC_ARN])) yield 'TopicPolicy is not the topic\'s';
    if (stack.resources.Topic.Properties.SignatureVersion !== '2') yield 'the topic signs with SHA-1';
    if (stack.resources.Topic.Properties.FifoTopic) yield 'WhatsApp takes no FIFO topic';
  },

  * delivery(stack) {
    const f = features(stack);
    const dead = { deadLetterTargetArn: QUEUE_ARN(stack, 'DeadLetterQueue') };
    const subscription = stack.resources[f.queue ? 'QueueSubscription' : 'FunctionSubscription'].Properties;
    const endpoint = f.queue ? QUEUE_ARN(stack, 'Queue') : `arn:aws:lambda:us-east-1:${ACCOUNT}:function:Function`;
    if (subscription.Protocol !== (f.queue ? 'sqs' : 'lambda') || subscription.Endpoint !== endpoint) yield 'the topic does not lead to the function or its queue';
    if (subscription.TopicArn !== TOPIC_ARN) yield 'the subscription is not to the topic';
    if (!same(subscription.RedrivePolicy, dead)) yield 'what SNS cannot hand over is lost';
    if (f.direct) {
      const { FunctionName: name, Action, Principal, SourceArn } = stack.resources.FunctionPermission.Properties;
      if (!same([name, Action, Principal, SourceArn], ['ref-Function', 'lambda:InvokeFunction', 'sns.amazonaws.com', TOPIC_ARN])) yield 'SNS may not call the function, or others may';
      const failures = stack.resources.FunctionFailures.Properties;
      if (failures.DestinationConfig?.OnFailure?.Destination !== dead.deadLetterTargetArn) yield 'events that fail are lost';
      if (failures.FunctionName !== 'ref-Function' || failures.Qualifier !== '$LATEST') yield 'the on-failure destination is another function\'s';
      if (Number(failures.MaximumRetryAttempts) !== 2) yield 'events are not tried again twice';
    }
    if (f.queue) {
      const queue = stack.resources.Queue.Properties;
      if (queue.RedrivePolicy?.deadLetterTargetArn !== dead.deadLetterTargetArn || !(queue.RedrivePolicy.maxReceiveCount >= 3)) yield 'the queue loses or never gives up what fails';
      yield* onlyService(stack, 'QueuePolicy', 'sns.amazonaws.com', 'sqs:SendMessage', { ArnEquals: { 'aws:SourceArn': TOPIC_ARN } });
      yield* tlsOnly(stack, 'QueuePolicy', [QUEUE_ARN(stack, 'Queue')]);
      if (!(queue.MessageRetentionPeriod < 7 * 86400)) yield 'the queue keeps events for longer than WhatsApp keeps audio';
      if (queue.SqsManagedSseEnabled !== true && !queue.KmsMasterKeyId) yield 'the queue is not encrypted';
      if (f.queued && !(queue.VisibilityTimeout >= 6 * Number(f.p.Timeout))) yield `the queue hides events for ${queue.VisibilityTimeout} s, less than six times the function's time`;
      if (f.worker && !(queue.VisibilityTimeout >= 120)) yield 'the queue hides events for less than a worker does';
    }
    if (f.queued) {
      const mapping = stack.resources.QueueToFunction.Properties;
      if (mapping.EventSourceArn !== QUEUE_ARN(stack, 'Queue') || mapping.FunctionName !== 'ref-Function') yield 'the queue is not mapped to the function';
      if (!same(mapping.FunctionResponseTypes, ['ReportBatchItemFailures'])) yield 'one bad event takes its whole batch with it';
      const limit = mapping.ScalingConfig?.MaximumConcurrency;
      if (f.p.Concurrency !== '0' && String(limit) !== f.p.Concurrency) yield 'more is polled than may run, and ends as dead letters';
    }
  },

  * deadLetters(stack) {
    const queue = stack.resources.DeadLetterQueue.Properties;
    if (Number(queue.MessageRetentionPeriod) !== 1209600) yield 'dead letters are not kept for 14 days';
    if (queue.SqsManagedSseEnabled !== true && !queue.KmsMasterKeyId) yield 'dead letters are not encrypted';
    yield* onlyService(stack, 'DeadLetterQueuePolicy', 'sns.amazonaws.com', 'sqs:SendMessage', { ArnEquals: { 'aws:SourceArn': TOPIC_ARN } });
    yield* tlsOnly(stack, 'DeadLetterQueuePolicy', [QUEUE_ARN(stack, 'DeadLetterQueue')]);
  },

  * policies(stack) {
    for (const { id, role, endpoint, document } of policiesOf(stack)) {
      if (document.Version !== '2012-10-17') yield `${id}: version ${document.Version}`;
      for (const one of document.Statement) {
        const where = `${id} ${one.Sid ?? ''}`;
        // Who may use an endpoint is in its conditions (`endpoints` checks them).
        if (!endpoint && one.Effect === 'Allow' && same(list(one.Principal?.AWS ?? one.Principal), ['*'])) yield `${where} allows everybody`;
        if ((one.NotAction && one.Effect !== 'Deny') || one.NotResource || one.NotPrincipal) yield `${where} says what is not meant`;
        for (const action of list(one.Action)) if (one.Effect === 'Allow' && action.includes('*')) yield `${where} allows ${action}`;
        if (!role || one.Effect !== 'Allow') continue;
        for (const resource of list(one.Resource)) if (resource === '*' && !EVERYWHERE.includes(one.Sid)) yield `${where} allows ${one.Action} on everything`;
      }
    }
  },

  * trust(stack) {
    const f = features(stack);
    const trusts = { Role: f.worker ? 'ecs-tasks.amazonaws.com' : 'lambda.amazonaws.com', WorkerExecutionRole: 'ecs-tasks.amazonaws.com' };
    for (const [id, service] of Object.entries(trusts)) {
      const role = stack.resources[id]?.Properties;
      if (!role) continue;
      const [one, ...more] = role.AssumeRolePolicyDocument.Statement;
      if (more.length > 0 || !same(one.Principal, { Service: service }) || one.Action !== 'sts:AssumeRole') yield `${id} can be taken on by others than ${service}`;
      if (f.worker && one.Condition?.StringEquals?.['aws:SourceAccount'] !== ACCOUNT) yield `${id} can be taken on for another account`;
      if (role.ManagedPolicyArns) yield `${id} has policies that do not stand here`;
    }
  },

  * platform(stack) {
    for (const [id, { Type, Metadata }] of Object.entries(stack.resources)) {
      if (Type !== 'AWS::IAM::Role') continue;
      const grants = Metadata?.PlatformGrants ?? {};
      for (const [sid, { Why, Page }] of Object.entries(grants)) {
        if (!Why || PLATFORM[sid]?.page !== Page) yield `${id} ${sid}: the page that asks for it is not ${PLATFORM[sid]?.page}`;
      }
      for (const { Sid, Effect, actions, resources } of statementsOf(stack, id)) {
        if (!/^(Code|Platform|NotCode)[A-Z]/.test(Sid ?? '') || (/^NotCode/.test(Sid) && Effect !== 'Deny')) yield `${id} has a statement ${Sid} that is neither the code's nor the platform's`;
        if (!Sid?.startsWith('Platform')) continue;
        if (!grants[Sid]) yield `${id} ${Sid} is not listed`;
        const known = PLATFORM[Sid];
        if (!known || !same([...actions].sort(), [...known.actions].sort()) || Effect !== (known.effect ?? 'Allow')) yield `${id} ${Sid}: ${actions} are not what ${known?.page} asks for`;
        else if (!resources.every((one) => known.on.test(one))) yield `${id} ${Sid} is on ${resources}`;
      }
    }
    const f = features(stack);
    yield* exactly('platform grants', statementsOf(stack).filter((one) => one.Sid.startsWith('Platform')).map((one) => one.Sid), [
      ...(f.worker ? [] : ['PlatformLogs']), ...(f.direct ? ['PlatformFailure'] : []), ...(f.queued ? ['PlatformQueue'] : []),
      ...(f.vpc ? ['PlatformNetwork', 'PlatformNetworkNotCode'] : []), ...(f.efs ? ['PlatformFileSystem'] : [])]);
  },

  * function(stack) {
    const fn = stack.resources.Function?.Properties;
    if (!fn) return;
    const f = features(stack);
    const wanted = f.image
      ? { PackageType: 'Image', Code: { ImageUri: f.p.ImageUri } }
      : { PackageType: 'Zip', Runtime: 'provided.al2023', Handler: 'bootstrap', Code: { S3Bucket: f.p.CodeBucket, S3Key: f.p.CodeKey } };
    for (const name of ['PackageType', 'Runtime', 'Handler', 'Code']) if (!same(fn[name], wanted[name])) yield `Function.${name} is ${JSON.stringify(fn[name])}`;
    if (!same(fn.Architectures, [f.p.Architecture])) yield 'another processor than the package\'s';
    if (String(fn.MemorySize) !== f.p.MemorySize || String(fn.Timeout) !== f.p.Timeout) yield 'memory or time are not as asked for';
    if (String(fn.ReservedConcurrentExecutions ?? '0') !== f.p.Concurrency) yield 'the limit of events at once is not as asked for';
    if (fn.LoggingConfig?.LogFormat !== 'JSON' || fn.LoggingConfig.LogGroup !== 'ref-LogGroup') yield 'the log is not JSON in its group';
    if (fn.Role !== `arn:aws:iam::${ACCOUNT}:role/Role`) yield 'the function runs as another role';
    if (!!fn.VpcConfig !== f.vpc || !!fn.FileSystemConfigs !== f.efs) yield 'network or file system where none is meant, or none where one is';
  },

  * environment(stack) {
    const f = features(stack);
    const env = environmentOf(stack);
    const at = `s3://${f.p.ModelBucket}/${f.p.ModelKey}`;
    const wanted = {
      CARACOLA_STORE: `s3://${bucketOf(stack)}`, CARACOLA_LANGUAGE: f.p.Language, CARACOLA_TIMEZONE: f.p.TimeZone, CARACOLA_REPLY: f.reply ? '1' : '',
      ...(f.efs && { CARACOLA_MODEL: `/mnt/model/${f.p.ModelFile}` }), ...(f.p.ModelDelivery === 's3' && { CARACOLA_MODEL: at }),
      ...(f.source && { CARACOLA_MODEL_SHA256: f.p.ModelSha256 }), ...(f.source && !f.worker && { CARACOLA_MODEL_SOURCE: at }),
      ...(f.worker && { CARACOLA_QUEUE: `https://sqs.us-east-1.amazonaws.com/${ACCOUNT}/Queue`, CARACOLA_METRICS: 'caracola', AWS_LAMBDA_LOG_FORMAT: 'JSON', AWS_REGION: 'us-east-1' }),
    };
    yield* exactly('variables', Object.keys(env), Object.keys(wanted));
    const page = readFileSync(join(SOURCE, 'docs/aws.md'), 'utf8');
    for (const name of Object.keys(env)) if (name.startsWith('CARACOLA_') && !page.includes(`\`${name}\``)) yield `docs/aws.md does not know ${name}`;
    for (const [name, value] of Object.entries(env)) if (String(value) !== wanted[name]) yield `${name} is '${value}', not '${wanted[name]}'`;
  },

  * logs(stack) {
    const { Properties: p } = stack.resources.LogGroup;
    if (String(p.RetentionInDays) !== stack.parameters.LogRetentionDays) yield 'logs are kept for longer or shorter than asked for';
  },

  * alarms(stack) {
    const f = features(stack);
    const alarms = Object.entries(stack.resources).filter(([, one]) => one.Type === 'AWS::CloudWatch::Alarm');
    const seen = alarms.filter(([, { Properties: p }]) => p.MetricName).map(([, { Properties: p }]) => `${p.Namespace} ${p.MetricName} ${p.Dimensions?.[0]?.Value ?? ''}`.trim());
    yield* exactly('alarms', seen, [
      f.worker ? 'Caracola caracola errors' : 'AWS/Lambda Errors ref-Function',
      'AWS/SQS ApproximateNumberOfMessagesVisible DeadLetterQueue', 'AWS/SQS ApproximateAgeOfOldestMessage DeadLetterQueue',
      f.queue ? 'AWS/SQS ApproximateAgeOfOldestMessage Queue' : 'AWS/Lambda AsyncEventAge ref-Function',
      ...(f.worker ? ['AWS/SQS ApproximateNumberOfMessagesVisible Queue'] : ['AWS/Lambda Throttles ref-Function']),
      ...(f.direct ? ['AWS/Lambda DestinationDeliveryFailures ref-Function'] : [])]);
    for (const [id, { Properties: p }] of alarms) {
      if (!p.AlarmDescription) yield `${id} does not say what to do`;
      if (p.TreatMissingData !== 'notBreaching') yield `${id} sounds where nothing happens`;
      if (/^Worker(More|Less)Alarm$/.test(id)) continue;
      const actions = f.p.AlarmEmail ? ['arn:aws:sns:us-east-1:123456789012:AlarmTopic'] : undefined;
      if (!same(p.AlarmActions, actions)) yield `${id} notifies ${p.AlarmActions}, not ${actions}`;
    }
    const age = stack.resources.AgeAlarm.Properties;
    if (Number(age.Threshold) !== (f.queue ? 3600 : 3600000)) yield 'AgeAlarm counts in another unit than its metric';
    if (!(stack.resources.DeadLetterAgeAlarm.Properties.Threshold < 6 * 86400)) yield 'DeadLetterAgeAlarm comes too late to save the audio';
    if (f.p.AlarmEmail) {
      yield* onlyService(stack, 'AlarmTopicPolicy', 'cloudwatch.amazonaws.com', 'sns:Publish', { StringEquals: { 'aws:SourceAccount': ACCOUNT } });
      const { Protocol, Endpoint } = stack.resources.AlarmSubscription.Properties;
      if (Protocol !== 'email' || Endpoint !== f.p.AlarmEmail) yield 'the alarms go to another address';
    }
    if (f.p.TestEmail && stack.resources.TestSubscription.Properties.Endpoint !== f.p.TestEmail) yield 'the test mails go to another address';
  },

  * dashboard(stack) {
    const { widgets } = JSON.parse(stack.resources.Dashboard.Properties.DashboardBody);
    const written = readFileSync(join(SOURCE, 'src/pipeline/service/service.c'), 'utf8') + readFileSync(join(SOURCE, 'src/pipeline/service/service_log.c'), 'utf8');
    const name = features(stack).worker ? 'caracola' : 'ref-Function';
    for (const { properties } of widgets) {
      if (properties.region !== 'us-east-1') yield `${properties.title}: region ${properties.region}`;
      let before = [];
      for (const row of properties.metrics) {
        if (row[0].expression) {
          if (!row[0].expression.includes(`Function="${name}"`)) yield `${properties.title} searches for another function`;
          continue;
        }
        const full = row.filter((one) => typeof one === 'string').map((one, i) => (one === '.' ? before[i] : one));
        before = full;
        if (full[0] === 'Caracola' && (!written.includes(`"${full[1]}"`) || full[3] !== name)) yield `${properties.title}: the program writes no ${full[1]} of ${full[3]}`;
      }
    }
  },

  ...NETWORK_CHECKS,
};

/** The program's own variables, as the function or the worker's container gets them. */
export function environmentOf(stack) {
  if (stack.resources.Function) return stack.resources.Function.Properties.Environment.Variables;
  const [container] = stack.resources.WorkerTask.Properties.ContainerDefinitions;
  return Object.fromEntries(container.Environment.map(({ Name, Value }) => [Name, Value]));
}
