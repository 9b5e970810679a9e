// What Ref and GetAtt return for each type that the templates use, as AWS documents it. `identifier` is the type's
// primary identifier: Ref returns its parts, joined by "|" where there are several
// (https://docs.aws.amazon.com/cloudcontrolapi/latest/userguide/resource-identifier.html). `noRef`: why the page does
// not promise that; then a template must use GetAtt. `values(id, properties)` are values of the documented form, one
// for each resource. references.test.mjs compares identifiers and attributes with AWS's registry.
import { createHash } from 'node:crypto';
import { ACCOUNT, REGION } from './expand.mjs';

const REFERENCE = 'https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-';
const hex = (id, n = 17) => createHash('sha256').update(id).digest('hex').slice(0, n);
const arn = (service, resource, { region = REGION, account = ACCOUNT } = {}) => `arn:aws:${service}:${region}:${account}:${resource}`;
const named = (id) => `caracola-${id}-${hex(id, 12).toUpperCase()}`;
const row = (page, identifier, values, more = {}) => ({ page: `${REFERENCE}${page}.html`, identifier, values, ...more });

export const RETURNS = {
  'AWS::ApplicationAutoScaling::ScalableTarget': row('applicationautoscaling-scalabletarget', ['ResourceId', 'ScalableDimension', 'ServiceNamespace'],
    (id, { ResourceId, ScalableDimension, ServiceNamespace }) => ({ ResourceId, ScalableDimension, ServiceNamespace })),
  'AWS::ApplicationAutoScaling::ScalingPolicy': row('applicationautoscaling-scalingpolicy', ['Arn', 'ScalableDimension'],
    (id) => ({ Arn: arn('autoscaling', `scalingPolicy:12ab3c4d-56789-0ef1-2345-6ghi7jk8lm90:resource/ecs/service/c/s:policyName/${id}`) }),
    { noRef: 'the page says the ARN, the registry ARN|dimension' }),
  'AWS::EC2::EIP': row('ec2-eip', ['PublicIp', 'AllocationId'], (id) => ({ PublicIp: '192.0.2.1', AllocationId: `eipalloc-${hex(id)}` }),
    { noRef: 'the page says the address alone, the registry address|allocation' }),
  'AWS::EC2::InternetGateway': row('ec2-internetgateway', ['InternetGatewayId'], (id) => ({ InternetGatewayId: `igw-${hex(id)}` })),
  'AWS::EC2::NatGateway': row('ec2-natgateway', ['NatGatewayId'], (id) => ({ NatGatewayId: `nat-${hex(id)}` })),
  'AWS::EC2::Route': row('ec2-route', ['RouteTableId', 'CidrBlock'], (id, { RouteTableId, DestinationCidrBlock }) => ({ RouteTableId, CidrBlock: DestinationCidrBlock })),
  'AWS::EC2::RouteTable': row('ec2-routetable', ['RouteTableId'], (id) => ({ RouteTableId: `rtb-${hex(id)}` })),
  'AWS::EC2::SecurityGroup': row('ec2-securitygroup', ['Id'], (id) => ({ Id: `sg-${hex(id)}`, GroupId: `sg-${hex(id)}` }),
    { noRef: 'the page says the id or the name, depending on the VPC' }),
  'AWS::EC2::Subnet': row('ec2-subnet', ['SubnetId'], (id) => ({ SubnetId: `subnet-${hex(id)}` })),
  'AWS::EC2::SubnetRouteTableAssociation': row('ec2-subnetroutetableassociation', ['Id'], (id) => ({ Id: `rtbassoc-${hex(id)}` })),
  'AWS::EC2::VPC': row('ec2-vpc', ['VpcId'], (id) => ({ VpcId: `vpc-${hex(id)}` })),
  'AWS::EC2::VPCEndpoint': row('ec2-vpcendpoint', ['Id'], (id) => ({ Id: `vpce-${hex(id)}` })),
  'AWS::ECR::Repository': row('ecr-repository', ['RepositoryName'], (id) => {
    const name = `caracola-${id.toLowerCase()}-${hex(id, 12)}`;
    return { RepositoryName: name, Arn: arn('ecr', `repository/${name}`), RepositoryUri: `${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com/${name}` };
  }),
  'AWS::ECS::Cluster': row('ecs-cluster', ['ClusterName'], (id) => ({ ClusterName: named(id), Arn: arn('ecs', `cluster/${named(id)}`) })),
  'AWS::ECS::Service': row('ecs-service', ['ServiceArn', 'Cluster'], (id) => ({ Name: named(id), ServiceArn: arn('ecs', `service/c/${named(id)}`) }),
    { noRef: 'the page says the ARN, the registry ARN|cluster' }),
  'AWS::ECS::TaskDefinition': row('ecs-taskdefinition', ['TaskDefinitionArn'], (id) => ({ TaskDefinitionArn: arn('ecs', `task-definition/${named(id)}:1`) })),
  'AWS::EFS::AccessPoint': row('efs-accesspoint', ['AccessPointId'],
    (id) => ({ AccessPointId: `fsap-${hex(id)}`, Arn: arn('elasticfilesystem', `access-point/fsap-${hex(id)}`) })),
  'AWS::EFS::FileSystem': row('efs-filesystem', ['FileSystemId'],
    (id) => ({ FileSystemId: `fs-${hex(id)}`, Arn: arn('elasticfilesystem', `file-system/fs-${hex(id)}`) })),
  'AWS::EFS::MountTarget': row('efs-mounttarget', ['Id'], (id) => ({ Id: `fsmt-${hex(id)}` })),
  'AWS::IAM::Role': row('iam-role', ['RoleName'], (id) => ({ RoleName: named(id), Arn: arn('iam', `role/${named(id)}`, { region: '' }) })),
  'AWS::Lambda::Function': row('lambda-function', ['FunctionName'], (id) => ({ FunctionName: named(id), Arn: arn('lambda', `function:${named(id)}`) })),
  'AWS::Logs::LogGroup': row('logs-loggroup', ['LogGroupName'], (id, { LogGroupName }) => ({ LogGroupName, Arn: arn('logs', `log-group:${LogGroupName}:*`) })),
  'AWS::S3::Bucket': row('s3-bucket', ['BucketName'], (id) => {
    const name = `caracola-${id.toLowerCase()}-${hex(id, 12)}`;
    return { BucketName: name, Arn: arn('s3', name, { region: '', account: '' }) };
  }),
  'AWS::SNS::Topic': row('sns-topic', ['TopicArn'], (id) => ({ TopicArn: arn('sns', named(id)) })),
  'AWS::SQS::Queue': row('sqs-queue', ['QueueUrl'], (id) => ({
    QueueUrl: `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${named(id)}`, QueueName: named(id), Arn: arn('sqs', named(id)),
  })),
};

/** Names for expand(): values as CloudFormation would return them. What is not documented becomes undefined. */
export const DOCUMENTED = {
  ref: (id, type, properties) => {
    const { identifier, noRef, values } = RETURNS[type] ?? { noRef: 'unknown' };
    if (noRef) return undefined;
    const known = values(id, properties());
    return identifier.map((name) => known[name]).join('|');
  },
  attribute: (id, type, name, properties) => RETURNS[type]?.values(id, properties())[name],
};

const ID = (prefix) => `${prefix}-[0-9a-f]{8,40}`;
const ARN = 'arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12})?:[^|\\s]+';
/** What the registry's formats mean. */
export const FORMATS = {
  'AWS::EC2::SecurityGroup.Id': ID('sg'), 'AWS::EC2::Subnet.Id': ID('subnet'), 'AWS::EC2::VPC.Id': ID('vpc'),
  'AWS::IAM::Role.Arn': 'arn:aws[a-z-]*:iam::[0-9]{12}:role/[\\w+=,.@/-]+', 'AWS::SNS::Topic.Arn': 'arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\\w-]{1,256}',
  'AWS::SQS::Queue.Arn': 'arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[\\w-]{1,80}', 'AWS::Logs::LogGroup.Name': '[.\\w/#-]{1,512}',
  'AWS::S3::Bucket.Name': '[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]', 'ipv4-network': '(\\d{1,3}\\.){3}\\d{1,3}/\\d{1,2}',
  'AWS::EC2::SecurityGroup.Ids': null, 'AWS::EC2::Subnet.Ids': null, json: null, // lists, objects: what is in them is checked itself
};

const TAGS = 'https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html';
/** What pages say and schemas do not: [place, without list positions], pattern, page. Each is used by some variant. */
export const IN_WORDS = [
  [/\.(File)?System?Tags\.Key$|\.Tags\.Key$/, '(?!aws:)[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]{1,128}', TAGS],
  [/\.(File)?System?Tags\.Value$|\.Tags\.Value$/, '[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]{0,256}', TAGS],
  [/^AWS::\S+\.(SourceArn|EventSourceArn|TaskDefinition|AlarmActions|OKActions)$/, ARN, `${REFERENCE}cloudwatch-alarm.html`],
  [/^AWS::SNS::TopicPolicy\.Topics$/, 'arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[\\w-]{1,256}', `${REFERENCE}sns-topicpolicy.html`],
  [/^AWS::SQS::QueuePolicy\.Queues$/, 'https://sqs\\.[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?/[0-9]{12}/[\\w-]{1,80}', `${REFERENCE}sqs-queuepolicy.html`],
  [/\.deadLetterTargetArn$/, 'arn:aws[a-z-]*:sqs:[a-z0-9-]+:[0-9]{12}:[\\w-]{1,80}', `${REFERENCE}sqs-queue.html`],
  [/^AWS::SNS::Subscription\.Endpoint$/, `${ARN}|[^@\\s|]+@[^@\\s|]+`, `${REFERENCE}sns-subscription.html`],
  [/^AWS::Lambda::EventInvokeConfig\.DestinationConfig\.OnFailure\.Destination$/, ARN, `${REFERENCE}lambda-eventinvokeconfig.html`],
  [/^AWS::Lambda::Function\.Environment\.Variables\./, '[^\\0|]*', 'https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html'],
  [/^AWS::\S+\.RouteTableIds?$/, ID('rtb'), `${REFERENCE}ec2-route.html`],
  [/^AWS::\S+\.InternetGatewayId$|^AWS::EC2::Route\.GatewayId$/, ID('igw'), `${REFERENCE}ec2-vpcgatewayattachment.html`],
  [/^AWS::EC2::Route\.NatGatewayId$/, ID('nat'), `${REFERENCE}ec2-route.html`],
  [/^AWS::EC2::NatGateway\.AllocationId$/, ID('eipalloc'), `${REFERENCE}ec2-natgateway.html`],
  [/^AWS::\S+\.SubnetIds?$|\.Subnets$/, ID('subnet'), `${REFERENCE}ec2-subnet.html`],
  [/^AWS::\S+\.SecurityGroups$/, ID('sg'), `${REFERENCE}ec2-securitygroup.html`],
  [/^AWS::EFS::(MountTarget|AccessPoint)\.FileSystemId$/, ID('fs'), `${REFERENCE}efs-mounttarget.html`],
  [/^AWS::ApplicationAutoScaling::ScalableTarget\.ResourceId$/, 'service/[\\w-]{1,255}/[\\w-]{1,255}', `${REFERENCE}applicationautoscaling-scalabletarget.html`],
  [/^AWS::ApplicationAutoScaling::ScalingPolicy\.ScalingTargetId$/, 'service/[^|]+\\|ecs:service:DesiredCount\\|ecs', `${REFERENCE}applicationautoscaling-scalingpolicy.html`],
  [/^AWS::CloudWatch::\S+\.Dimensions\.Value$/, '[\\x20-\\x7e]{1,255}', 'https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html'],
  [/^AWS::CloudWatch::Dashboard\.DashboardName$/, '[\\w-]{1,255}', `${REFERENCE}cloudwatch-dashboard.html`],
  [/\.Statement\.Resource$/, `${ARN}|\\*`, 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html'],
  [/^AWS::EC2::VPCEndpoint\.ServiceName$/, 'com\\.amazonaws\\.[a-z0-9-]+\\.[a-z0-9.-]+', 'https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html'],
  [/\.Statement\.Condition\.Arn(Equals|Like)\./, ARN, 'https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html'],
  [/AccessPointArn$/, `arn:aws[a-z-]*:elasticfilesystem:[a-z0-9-]+:[0-9]{12}:access-point/${ID('fsap')}`, `${REFERENCE}efs-accesspoint.html`],
];
