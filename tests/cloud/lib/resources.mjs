// What the CloudFormation double does for each kind of resource: how it is named, what its attributes
// are, and what becomes of it in the other doubles. Kinds without an entry exist in name only.
import { randomBytes } from 'node:crypto';

const unique = () => randomBytes(6).toString('hex');
const lower = (text) => text.toLowerCase().replace(/[^a-z0-9-]/g, '');

/** `service` is that of its ARN. */
const KINDS = {
  'AWS::S3::Bucket': {
    name: ({ stackName, logicalId }) => `${lower(stackName)}-${lower(logicalId)}-${unique()}`,
    attributes: ({ physicalId }) => ({ Arn: `arn:aws:s3:::${physicalId}` }),
    create: ({ physicalId }, { s3 }) => s3.createBucket(physicalId),
    apply: ({ physicalId, properties }, { s3 }) => { s3.bucket(physicalId).versioned = properties.VersioningConfiguration?.Status === 'Enabled'; },
    remove: ({ physicalId }, { s3 }) => {
      if (s3.buckets.get(physicalId)?.versions.size) throw new Error('The bucket you tried to delete is not empty');
      s3.buckets.delete(physicalId);
    },
  },
  'AWS::ECR::Repository': {
    name: ({ stackName, logicalId }) => `${lower(stackName)}-${lower(logicalId)}-${unique()}`,
    attributes: ({ physicalId, region, accountId }) => ({
      Arn: `arn:aws:ecr:${region}:${accountId}:repository/${physicalId}`,
      RepositoryUri: `${accountId}.dkr.ecr.${region}.amazonaws.com/${physicalId}`,
    }),
    create: ({ physicalId }, { ecr }) => ecr.createRepository(physicalId),
    remove: ({ physicalId, properties }, { ecr }) => ecr.deleteRepository(physicalId, properties.EmptyOnDelete === true),
  },
  'AWS::Lambda::Function': {
    service: 'lambda',
    arn: ({ physicalId }) => `function:${physicalId}`,
    replaces: ['PackageType', 'FunctionName'],
    apply: ({ physicalId, properties }, { functions }) => {
      const { fn = null, invokeConfig = null } = functions.functions.get(physicalId) ?? {}; // `fn`: what a test has it do
      const { MemorySize, Timeout, Environment, LoggingConfig } = properties;
      functions.create(physicalId, {
        fn, invokeConfig, variables: Environment?.Variables ?? {}, config: { MemorySize: Number(MemorySize), Timeout: Number(Timeout), LoggingConfig },
      });
    },
    remove: ({ physicalId }, { functions }) => functions.functions.delete(physicalId),
    check: ({ properties }, { s3, ecr }) => {
      const { S3Bucket, S3Key, ImageUri } = properties.Code ?? {};
      for (const { Key, Value } of properties.Tags ?? []) {
        if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(Value)) throw new Error(`1 validation error detected: Value at 'tags.${Key}.member' failed to satisfy constraint`);
      }
      if (ImageUri && !ecr.has(ImageUri)) throw new Error(`Source image ${ImageUri} does not exist. Provide a valid source image.`);
      if (!ImageUri && !s3.buckets.get(S3Bucket)?.objects.has(S3Key)) {
        throw new Error('Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.');
      }
    },
  },
  'AWS::Lambda::EventInvokeConfig': {
    apply: ({ properties: { FunctionName, Qualifier: _, ...config } }, { functions }) => { functions.functions.get(FunctionName).invokeConfig = config; },
  },
  'AWS::SNS::Topic': {
    service: 'sns', arn: ({ physicalId }) => physicalId, ref: ({ attributes }) => attributes.Arn,
    create: ({ physicalId }, { sns }) => sns.createTopic(physicalId, { policy: { Statement: [] } }),
    remove: ({ attributes }, { sns }) => sns.topics.delete(attributes.Arn),
  },
  'AWS::SNS::TopicPolicy': {
    apply: ({ properties }, { sns }) => { for (const topic of properties.Topics) sns.topics.get(topic).attributes.Policy = JSON.stringify(properties.PolicyDocument); },
  },
  'AWS::SNS::Subscription': {
    create: ({ properties: p }, { sns }) => sns.subscribe(p.TopicArn, p.Protocol, p.Endpoint, { confirmed: p.Protocol !== 'email' }),
  },
  'AWS::SQS::Queue': {
    service: 'sqs', arn: ({ physicalId }) => physicalId,
    attributes: ({ physicalId }) => ({ QueueName: physicalId }),
    ref: ({ physicalId, accountId }, { sqs }) => `${sqs.endpoint}/${accountId}/${physicalId}`,
    create: ({ physicalId, properties: p }, { sqs }) => sqs.createQueue(physicalId, {
      visibilitySeconds: Number(p.VisibilityTimeout ?? 30), retentionSeconds: Number(p.MessageRetentionPeriod ?? 345600),
    }),
    remove: ({ physicalId }, { sqs }) => sqs.queues.delete(physicalId),
  },
  'AWS::IAM::Role': { service: 'iam', global: true, arn: ({ physicalId }) => `role/${physicalId}` },
  'AWS::Logs::LogGroup': {
    service: 'logs', name: ({ properties, logicalId }) => properties.LogGroupName ?? `${logicalId}-${unique()}`,
    arn: ({ physicalId }) => `log-group:${physicalId}:*`,
  },
  'AWS::EFS::FileSystem': { service: 'elasticfilesystem', name: () => `fs-${unique()}`, arn: ({ physicalId }) => `file-system/${physicalId}` },
  'AWS::EFS::AccessPoint': { service: 'elasticfilesystem', name: () => `fsap-${unique()}`, arn: ({ physicalId }) => `access-point/${physicalId}` },
  'AWS::EC2::SecurityGroup': { name: () => `sg-${unique()}`, attributes: ({ physicalId }) => ({ GroupId: physicalId }) },
  'AWS::EC2::Route': {
    name: ({ properties }) => `${properties.RouteTableId}|${properties.DestinationCidrBlock}`, attributes: ({ properties }) => ({ CidrBlock: properties.DestinationCidrBlock }),
  },
  'AWS::ApplicationAutoScaling::ScalingPolicy': { service: 'autoscaling', arn: ({ physicalId }) => `scalingPolicy:${physicalId}` },
  'AWS::ECS::Service': { attributes: ({ physicalId }) => ({ Name: physicalId }) },
  'AWS::EC2::EIP': { attributes: () => ({ AllocationId: `eipalloc-${unique()}` }) },
};

export class Resource {
  constructor({ stackName, logicalId, type, properties, region, accountId }) {
    Object.assign(this, { stackName, logicalId, type, properties, region, accountId, kind: KINDS[type] ?? {} });
    this.physicalId = this.kind.name?.(this) ?? `${stackName}-${logicalId}-${unique()}`;
    const { service, global, arn } = this.kind;
    this.attributes = {
      ...(service ? { Arn: `arn:aws:${service}:${global ? '' : region}:${accountId}:${arn(this)}` } : {}),
      ...this.kind.attributes?.(this),
    };
  }

  ref(cloud) { return this.kind.ref?.(this, cloud) ?? this.physicalId; }

  attribute(name) {
    if (!(name in this.attributes)) throw new Error(`${this.logicalId}: this double knows no attribute ${name} of ${this.type}`);
    return this.attributes[name];
  }

  /** Whether AWS would make another one for these properties. */
  isReplacedBy(properties) {
    return (this.kind.replaces ?? []).some((name) => JSON.stringify(this.properties[name]) !== JSON.stringify(properties[name]));
  }

  create(cloud) {
    this.kind.check?.(this, cloud);
    this.kind.create?.(this, cloud);
    this.kind.apply?.(this, cloud);
  }

  update(properties, cloud) {
    const before = this.properties;
    this.properties = properties;
    try {
      this.kind.check?.(this, cloud);
    } catch (error) {
      this.properties = before;
      throw error;
    }
    this.kind.apply?.(this, cloud);
  }

  remove(cloud) { this.kind.remove?.(this, cloud); }
}
