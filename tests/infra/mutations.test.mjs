// Each assertion can fail: one error at a time is put into the template, and the check for it
// must find it. The template itself passes all of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHECKS } from './lib/checks.mjs';
import { expand, TemplateError } from './lib/expand.mjs';
import { readTemplate } from './lib/template.mjs';
import { VARIANTS } from './lib/variants.mjs';

const DIRECT = 'direct, zip, model by image';
const QUEUED = 'queued, zip, model by s3';
const VPC = 'vpc, zip, model by efs';
const WORKER = 'worker, image, model by s3';
const BEHIND = 'vpc, zip, model by efs, by endpoints, two zones';
const NATS = 'vpc, zip, model by efs, by internet, two zones';
const WORKERS_BEHIND = 'worker, image, model by s3, by endpoints, two zones';
const WORKERS_TWO = 'worker, image, model by s3, by internet, two zones';
const BEFORE = `${DIRECT}, a bucket of before`;
const MAIL = `${DIRECT}, e-mail`;
const DAYS = `${DIRECT}, days that end`;

const p = (t, id) => t.Resources[id].Properties;
const policy = (t, id) => p(t, id).PolicyDocument.Statement;
/** A statement of the role, conditional or not. */
const grant = (t, sid, id = 'Role') => p(t, id).Policies[0].PolicyDocument.Statement.map((one) => one['Fn::If']?.[1] ?? one).find((one) => one.Sid === sid);
const addStatement = (t, one, id = 'Role') => p(t, id).Policies[0].PolicyDocument.Statement.push(one);
const env = (t) => p(t, 'Function').Environment.Variables;
const drop = (list, name) => list.splice(list.indexOf(name), 1);

// [check, variant, what is wrong, how it is put in]
const MUTATIONS = [
  ['schema', DIRECT, 'a type that does not exist', (t) => { t.Resources.Topic.Type = 'AWS::SNS::Topics'; }],
  ['schema', DIRECT, 'a property that does not exist', (t) => { p(t, 'Function').Memory = 128; }],
  ['schema', DIRECT, 'a property of an inner type that does not exist', (t) => { p(t, 'Bucket').LifecycleConfiguration.Rules[0].Expiry = 1; }],
  ['schema', DIRECT, 'a required property that is missing', (t) => { delete p(t, 'Function').Role; }],
  ['schema', DIRECT, 'text where a number goes', (t) => { p(t, 'DeadLetterQueue').MessageRetentionPeriod = 'long'; }],
  ['schema', DIRECT, 'a list where text goes', (t) => { p(t, 'Topic').SignatureVersion = ['2']; }],
  ['schema', DIRECT, 'a value that is not allowed', (t) => { p(t, 'Function').PackageType = 'Tar'; }],
  ['schema', DIRECT, 'an attribute of a resource that does not exist', (t) => { t.Resources.Topic.Conditions = 'IsVpc'; }],
  ['schema', DIRECT, 'GetAtt of an attribute that does not exist', (t) => { p(t, 'FunctionPermission').SourceArn = { 'Fn::GetAtt': ['Topic', 'Url'] }; }],
  ['schema', DIRECT, 'a number out of range', (t) => { p(t, 'FunctionFailures').MaximumEventAgeInSeconds = 21601; }],
  ['schema', QUEUED, 'a queue that waits for 21 s', (t) => { p(t, 'Queue').ReceiveMessageWaitTimeSeconds = 21; }],
  ['schema', VPC, 'two resources that wait for each other', (t) => { p(t, 'FileSystem').FileSystemTags = [{ Key: 'a', Value: { Ref: 'MountTarget' } }]; }],
  ['references', VPC, 'the id of a route, with its |, in a tag', (t) => { p(t, 'Function').Tags[1]['Fn::If'][1].Value = { Ref: 'PrivateDefaultRoute' }; }],
  ['references', WORKER, 'the target of scaling, with its |, in a tag', (t) => { p(t, 'FailuresAlarm').Tags = [{ Key: 'scales', Value: { Ref: 'WorkerCount' } }]; }],
  ['references', WORKER, 'Ref of a policy of scaling, which is documented in two ways', (t) => { p(t, 'WorkerMoreAlarm').AlarmActions = [{ Ref: 'WorkerMore' }]; }],
  ['references', WORKER, 'the name of a role for its ARN', (t) => { p(t, 'WorkerTask').TaskRoleArn = { Ref: 'Role' }; }],
  ['references', WORKER, 'the ARN of a cluster for its name', (t) => { p(t, 'WorkerCount').ResourceId = { 'Fn::Sub': 'service/${WorkerCluster.Arn}/${WorkerService.Name}' }; }],
  ['references', QUEUED, 'the URL of a queue for its ARN', (t) => { p(t, 'QueueToFunction').EventSourceArn = { Ref: 'Queue' }; }],
  ['references', QUEUED, 'the ARN of a queue for its URL', (t) => { p(t, 'QueuePolicy').Queues = [{ 'Fn::GetAtt': ['Queue', 'Arn'] }]; }],
  ['references', DIRECT, 'the name of a topic for its ARN', (t) => { p(t, 'FunctionPermission').SourceArn = { 'Fn::GetAtt': ['Topic', 'TopicName'] }; }],
  ['references', DIRECT, 'the URL of a queue in a policy', (t) => { grant(t, 'PlatformFailure').Resource = { Ref: 'DeadLetterQueue' }; }],
  ['references', DIRECT, 'an attribute that does not exist', (t) => { t.Outputs.RoleArn.Value = { 'Fn::GetAtt': ['Role', 'Name'] }; }],
  ['references', DIRECT, 'Ref of a type that nothing is known of', (t) => { t.Outputs.DashboardUrl.Value = { Ref: 'Dashboard' }; }],
  ['references', VPC, 'the address for its allocation', (t) => { p(t, 'NatGateway').AllocationId = { 'Fn::GetAtt': ['NatAddress', 'PublicIp'] }; }],
  ['references', VPC, 'a subnet for its network', (t) => { p(t, 'SecurityGroup').VpcId = { Ref: 'PrivateSubnet' }; }],
  ['references', VPC, 'the id of an access point for its ARN', (t) => { p(t, 'Function').FileSystemConfigs['Fn::If'][1][0].Arn = { Ref: 'AccessPoint' }; }],
  ['references', DIRECT, 'a description that is too long', (t) => { p(t, 'Function').Description = { 'Fn::Sub': `\${Topic}${'x'.repeat(256)}` }; }],
  ['references', DIRECT, 'a log group with a blank in its name', (t) => { p(t, 'LogGroup').LogGroupName = { 'Fn::Sub': '/caracola ${AWS::StackName}' }; }],
  ['references', DIRECT, 'a value that the registry does not have', (t) => { p(t, 'Bucket').VersioningConfiguration = { Status: 'On' }; }],
  ['expand', DIRECT, 'a reference to nothing', (t) => { p(t, 'TopicPolicy').Topics = [{ Ref: 'Topics' }]; }],
  ['expand', DIRECT, 'a reference to what is not made', (t) => { p(t, 'Function').VpcConfig = { SubnetIds: [{ Ref: 'PrivateSubnet' }], SecurityGroupIds: [] }; }],
  ['expand', DIRECT, 'an output of what is not made', (t) => { delete t.Outputs.QueueUrl.Condition; }],
  ['expand', DIRECT, 'a Sub of nothing', (t) => { t.Outputs.DashboardUrl.Value = { 'Fn::Sub': '${Region}' }; }],
  ['expand', QUEUED, 'a mapping without the key', (t) => { delete t.Mappings.Visibility['300']; }],
  ['expand', DIRECT, 'a condition that does not exist', (t) => { t.Resources.Queue.Condition = 'HasQueues'; }],
  ['expand', DIRECT, 'DependsOn what is not made', (t) => { t.Resources.Function.DependsOn = 'MountTarget'; }],
  ['inventory', DIRECT, 'a queue where none is wanted', (t) => { t.Conditions.HasQueue = { 'Fn::Equals': ['a', 'a'] }; t.Conditions.IsDirect = { 'Fn::Equals': ['a', 'a'] }; }],
  ['inventory', VPC, 'no mount target', (t) => { delete t.Resources.MountTarget; p(t, 'Function').Tags = []; }],
  ['outputs', DIRECT, 'another bucket', (t) => { t.Outputs.BucketName.Value = 'mine'; }],
  ['outputs', MAIL, 'the topic of events for that of alarms', (t) => { t.Outputs.AlarmTopicArn.Value = { Ref: 'Topic' }; }],
  ['outputs', WORKER, 'no queue', (t) => { delete t.Outputs.QueueUrl; }],
  ['bucket', DIRECT, 'public policies', (t) => { p(t, 'Bucket').PublicAccessBlockConfiguration.BlockPublicPolicy = false; }],
  ['bucket', DIRECT, 'no encryption', (t) => { delete p(t, 'Bucket').BucketEncryption; }],
  ['bucket', DIRECT, 'access lists', (t) => { p(t, 'Bucket').OwnershipControls.Rules[0].ObjectOwnership = 'ObjectWriter'; }],
  ['bucket', DIRECT, 'a bucket that goes with the stack', (t) => { t.Resources.Bucket.DeletionPolicy = 'Delete'; }],
  ['bucket', DIRECT, 'plain HTTP', (t) => { policy(t, 'BucketPolicy')[0].Condition.Bool['aws:SecureTransport'] = true; }],
  ['bucket', DIRECT, 'plain HTTP to the objects', (t) => { policy(t, 'BucketPolicy')[0].Resource.pop(); }],
  ['bucket', DIRECT, 'days that end though none are to', (t) => { t.Conditions.Expires = { 'Fn::Equals': ['a', 'a'] }; }],
  ['bucket', DAYS, 'models that end with the days', (t) => { p(t, 'Bucket').LifecycleConfiguration.Rules[2]['Fn::If'][1].Prefix = ''; }],
  ['bucket', DAYS, 'quarantine that stays', (t) => { p(t, 'Bucket').LifecycleConfiguration.Rules.pop(); }],
  ['bucket', DIRECT, 'no versions', (t) => { delete p(t, 'Bucket').VersioningConfiguration; }],
  ['bucket', DIRECT, 'versions that never end', (t) => { p(t, 'Bucket').LifecycleConfiguration.Rules.splice(1, 1); }],
  ['bucket', DAYS, 'versions that end at another time', (t) => { p(t, 'Bucket').LifecycleConfiguration.Rules[1].NoncurrentVersionExpiration.NoncurrentDays = 30; }],
  ['bucket', DIRECT, 'old versions of one folder that end', (t) => { p(t, 'Bucket').LifecycleConfiguration.Rules[1].Prefix = '20'; }],
  ['bucket', DIRECT, 'one version that is always kept', (t) => { p(t, 'Bucket').LifecycleConfiguration.Rules[1].NoncurrentVersionExpiration.NewerNoncurrentVersions = 1; }],
  ['bucket', DIRECT, 'markers with names in them', (t) => { delete p(t, 'Bucket').LifecycleConfiguration.Rules[1].ExpiredObjectDeleteMarker; }],
  ['keeps', DIRECT, 'a role that may delete', (t) => { drop(p(t, 'Role').Policies[0].PolicyDocument.Statement, grant(t, 'NotCodeBucket')); }],
  ['keeps', DIRECT, 'a role that may delete messages, not the bucket', (t) => { grant(t, 'NotCodeBucket').Resource['Fn::If'][1].pop(); }],
  ['keeps', DIRECT, 'a role that may change the bucket', (t) => { grant(t, 'NotCodeBucket').Resource['Fn::If'][1].shift(); }],
  ['keeps', DIRECT, 'a role that may delete old versions', (t) => { grant(t, 'NotCodeBucket').NotAction.push('s3:DeleteObjectVersion'); }],
  ['keeps', BEFORE, 'a role that may delete from a bucket of before', (t) => { grant(t, 'NotCodeBucket').Resource['Fn::If'].splice(2, 1, { 'Fn::GetAtt': ['Role', 'Arn'] }); }],
  ['keeps', WORKER, 'a bucket that lets workers delete', (t) => { policy(t, 'BucketPolicy').pop(); }],
  ['keeps', DIRECT, 'a bucket that lets the program end versions', (t) => { policy(t, 'BucketPolicy')[1].NotAction.push('s3:PutLifecycleConfiguration'); }],
  ['keeps', DIRECT, 'a bucket from which no one can delete', (t) => { delete policy(t, 'BucketPolicy')[1].Condition; }],
  ['keeps', DIRECT, 'a bucket that the program cannot write to', (t) => { policy(t, 'BucketPolicy')[1].NotAction.splice(1, 1); }],
  ['topic', DIRECT, 'any account may publish', (t) => { delete policy(t, 'TopicPolicy')[0].Condition; }],
  ['topic', DIRECT, 'another service may publish', (t) => { policy(t, 'TopicPolicy')[0].Principal.Service = 's3.amazonaws.com'; }],
  ['topic', DIRECT, 'plain HTTP', (t) => { policy(t, 'TopicPolicy').pop(); }],
  ['topic', DIRECT, 'signatures with SHA-1', (t) => { delete p(t, 'Topic').SignatureVersion; }],
  ['delivery', DIRECT, 'no redrive policy', (t) => { delete p(t, 'FunctionSubscription').RedrivePolicy; }],
  ['delivery', DIRECT, 'any topic may call the function', (t) => { delete p(t, 'FunctionPermission').SourceArn; }],
  ['delivery', DIRECT, 'no on-failure destination', (t) => { delete p(t, 'FunctionFailures').DestinationConfig; }],
  ['delivery', DIRECT, 'one try', (t) => { p(t, 'FunctionFailures').MaximumRetryAttempts = 0; }],
  ['delivery', QUEUED, 'no batch item failures', (t) => { delete p(t, 'QueueToFunction').FunctionResponseTypes; }],
  ['delivery', QUEUED, 'a visibility of five times', (t) => { t.Mappings.Visibility['300'].Seconds = 1500; }],
  ['delivery', QUEUED, 'more polled than may run', (t) => { delete p(t, 'QueueToFunction').ScalingConfig; }],
  ['delivery', QUEUED, 'any topic may send', (t) => { delete policy(t, 'QueuePolicy')[0].Condition; }],
  ['delivery', QUEUED, 'events kept for 8 days', (t) => { p(t, 'Queue').MessageRetentionPeriod = 691200; }],
  ['delivery', QUEUED, 'no encryption', (t) => { delete p(t, 'Queue').SqsManagedSseEnabled; }],
  ['delivery', WORKER, 'no dead letters', (t) => { delete p(t, 'Queue').RedrivePolicy; }],
  ['delivery', WORKER, 'hidden for less than a worker hides', (t) => { p(t, 'Queue').VisibilityTimeout = 30; }],
  ['deadLetters', DIRECT, 'four days', (t) => { p(t, 'DeadLetterQueue').MessageRetentionPeriod = 345600; }],
  ['deadLetters', DIRECT, 'no encryption', (t) => { p(t, 'DeadLetterQueue').SqsManagedSseEnabled = false; }],
  ['deadLetters', DIRECT, 'plain HTTP', (t) => { policy(t, 'DeadLetterQueuePolicy')[1].Effect = 'Allow'; }],
  ['policies', DIRECT, 'a wildcard action', (t) => { grant(t, 'CodeObjects').Action = ['s3:*']; }],
  ['policies', DIRECT, 'a grant on everything', (t) => { grant(t, 'CodeMedia').Resource = '*'; }],
  ['policies', DIRECT, 'everybody may send', (t) => { policy(t, 'DeadLetterQueuePolicy')[0].Principal = '*'; }],
  ['policies', DIRECT, 'NotAction', (t) => { grant(t, 'CodeList').NotAction = 's3:DeleteObject'; }],
  ['policies', DIRECT, 'an old version of the language', (t) => { p(t, 'TopicPolicy').PolicyDocument.Version = '2008-10-17'; }],
  ['trust', DIRECT, 'another account may take on the role', (t) => { p(t, 'Role').AssumeRolePolicyDocument.Statement[0].Principal = { AWS: '999999999999' }; }],
  ['trust', DIRECT, 'a managed policy', (t) => { p(t, 'Role').ManagedPolicyArns = ['arn:aws:iam::aws:policy/AdministratorAccess']; }],
  ['trust', WORKER, 'tasks of another account', (t) => { delete p(t, 'WorkerExecutionRole').AssumeRolePolicyDocument.Statement[0].Condition; }],
  ['platform', DIRECT, 'a permission that nothing uses', (t) => { addStatement(t, { Sid: 'Extra', Effect: 'Allow', Action: 'sns:Publish', Resource: { Ref: 'Topic' } }); }],
  ['platform', DIRECT, 'a platform grant that is not listed', (t) => { delete t.Resources.Role.Metadata.PlatformGrants.PlatformLogs; }],
  ['platform', DIRECT, 'another page', (t) => { t.Resources.Role.Metadata.PlatformGrants.PlatformLogs.Page = 'https://example.org/'; }],
  ['platform', DIRECT, 'more logs than asked for', (t) => { grant(t, 'PlatformLogs').Action.push('logs:CreateLogGroup'); }],
  ['platform', DIRECT, 'no dead letters for the function', (t) => { drop(p(t, 'Role').Policies[0].PolicyDocument.Statement, p(t, 'Role').Policies[0].PolicyDocument.Statement.find((one) => one['Fn::If']?.[1].Sid === 'PlatformFailure')); }],
  ['platform', QUEUED, 'polling of the dead letters', (t) => { grant(t, 'PlatformQueue').Resource = { 'Fn::GetAtt': ['DeadLetterQueue', 'Arn'] }; }],
  ['platform', VPC, 'the program may make interfaces', (t) => { p(t, 'NotCodePolicy').PolicyDocument.Statement[0].Effect = 'Allow'; }],
  ['platform', WORKER, 'any repository', (t) => { grant(t, 'PlatformPull', 'WorkerExecutionRole').Resource = { 'Fn::Sub': 'arn:aws:ecr:${AWS::Region}:${AWS::AccountId}:repository/*' }; }],
  ['function', DIRECT, 'another runtime', (t) => { p(t, 'Function').Runtime = 'provided.al2'; }],
  ['function', DIRECT, 'no limit', (t) => { delete p(t, 'Function').ReservedConcurrentExecutions; }],
  ['function', DIRECT, 'a log elsewhere', (t) => { delete p(t, 'Function').LoggingConfig.LogGroup; }],
  ['function', 'direct, image, model by image', 'a handler for an image', (t) => { p(t, 'Function').Handler = 'bootstrap'; }],
  ['function', DIRECT, 'three seconds', (t) => { p(t, 'Function').Timeout = 3; }],
  ['function', `${DIRECT}, arm64, 900 s, two at once`, 'another processor', (t) => { p(t, 'Function').Architectures = ['x86_64']; }],
  ['environment', DIRECT, 'no store', (t) => { delete env(t).CARACOLA_STORE; }],
  ['environment', DIRECT, 'replies though none are wanted', (t) => { env(t).CARACOLA_REPLY = '1'; }],
  ['environment', DIRECT, 'a variable too many', (t) => { env(t).DEBUG = '1'; }],
  ['environment', QUEUED, 'a model without its digest', (t) => { delete env(t).CARACOLA_MODEL_SHA256; }],
  ['environment', VPC, 'the model elsewhere', (t) => { env(t).CARACOLA_MODEL['Fn::If'][1] = '/mnt/model.cara'; }],
  ['environment', WORKER, 'no queue', (t) => { p(t, 'WorkerTask').ContainerDefinitions[0].Environment.shift(); }],
  ['logs', DIRECT, 'logs for ever', (t) => { delete p(t, 'LogGroup').RetentionInDays; }],
  ['alarms', DIRECT, 'no alarm for failures', (t) => { delete t.Resources.FailuresAlarm; }],
  ['alarms', DIRECT, 'no alarm for lost events', (t) => { delete t.Resources.LostAlarm; }],
  ['alarms', DIRECT, 'seconds for milliseconds', (t) => { p(t, 'AgeAlarm').Threshold = 3600; }],
  ['alarms', DIRECT, 'an alarm where nothing happens', (t) => { p(t, 'ThrottlesAlarm').TreatMissingData = 'breaching'; }],
  ['alarms', DIRECT, 'too late for the audio', (t) => { p(t, 'DeadLetterAgeAlarm').Threshold = 604800; }],
  ['alarms', DIRECT, 'the wrong queue', (t) => { p(t, 'DeadLettersAlarm').Dimensions[0].Value = 'x'; }],
  ['alarms', MAIL, 'no address is notified', (t) => { delete p(t, 'DeadLettersAlarm').AlarmActions; }],
  ['alarms', MAIL, 'another address is notified', (t) => { p(t, 'AlarmSubscription').Endpoint = 'x@example.org'; }],
  ['alarms', MAIL, 'any account may publish alarms', (t) => { delete policy(t, 'AlarmTopicPolicy')[0].Condition; }],
  ['dashboard', DIRECT, 'a metric that nothing writes', (t) => { const body = p(t, 'Dashboard').DashboardBody['Fn::Sub']; body[0] = body[0].replace('AudioSeconds', 'AudioSecs'); }],
  ['network', VPC, 'another range', (t) => { p(t, 'Vpc').CidrBlock = '172.16.0.0/16'; }],
  ['network', VPC, 'private and public swapped', (t) => { p(t, 'PrivateSubnet').CidrBlock = '10.0.2.0/24'; }],
  ['network', VPC, 'two zones', (t) => { p(t, 'PrivateSubnet').AvailabilityZone['Fn::Select'][0] = 1; }],
  ['network', VPC, 'no NAT on the way out', (t) => { p(t, 'PrivateDefaultRoute').GatewayId = { Ref: 'InternetGateway' }; delete p(t, 'PrivateDefaultRoute').NatGatewayId; }],
  ['network', VPC, 'NAT in the private subnet', (t) => { p(t, 'NatGateway').SubnetId = { Ref: 'PrivateSubnet' }; }],
  ['network', NATS, 'both subnets in one zone', (t) => { p(t, 'PrivateSubnet2').AvailabilityZone['Fn::Select'][0] = 0; }],
  ['network', NATS, 'one zone that needs the other', (t) => { p(t, 'PrivateDefaultRoute2').NatGatewayId = { Ref: 'NatGateway' }; }],
  ['network', NATS, 'both NAT gateways in one zone', (t) => { p(t, 'NatGateway2').SubnetId = { Ref: 'PublicSubnet' }; }],
  ['network', NATS, 'a second subnet with the routes of the first', (t) => { p(t, 'PrivateSubnetRoutes2').RouteTableId = { Ref: 'PrivateRouteTable' }; }],
  ['network', NATS, 'the same range twice', (t) => { p(t, 'PublicSubnet2').CidrBlock = '10.0.2.0/24'; }],
  ['network', WORKERS_TWO, 'a second subnet without routes', (t) => { p(t, 'PublicSubnetRoutes2').SubnetId = { Ref: 'PublicSubnet' }; }],
  ['network', BEHIND, 'a way to the internet', (t) => { t.Conditions.OwnPublic = t.Conditions.OwnNetwork; t.Conditions.OwnNat = t.Conditions.OwnVpc; }],
  ['network', BEHIND, 'names that are not answered', (t) => { p(t, 'Vpc').EnableDnsHostnames = false; }],
  ['endpoints', BEHIND, 'no endpoint for the media', (t) => { delete t.Resources.SocialMessagingEndpoint; p(t, 'Function').Tags.splice(4, 1); }],
  ['endpoints', BEHIND, 'endpoints that nothing calls', (t) => { delete t.Resources.LogsEndpoint.Condition; p(t, 'LogsEndpoint').PolicyDocument.Statement[0].Condition.ArnEquals['aws:PrincipalArn'] = { 'Fn::GetAtt': ['Role', 'Arn'] }; }],
  ['endpoints', BEHIND, 'another service', (t) => { p(t, 'SocialMessagingEndpoint').ServiceName = { 'Fn::Sub': 'com.amazonaws.${AWS::Region}.sms-voice' }; }],
  ['endpoints', BEHIND, 'names of its own only', (t) => { p(t, 'SocialMessagingEndpoint').PrivateDnsEnabled = false; }],
  ['endpoints', BEHIND, 'an endpoint in one zone', (t) => { p(t, 'SocialMessagingEndpoint').SubnetIds.pop(); }],
  ['endpoints', BEHIND, 'an endpoint for the whole network', (t) => { delete p(t, 'SocialMessagingEndpoint').SecurityGroupIds; }],
  ['endpoints', BEHIND, 'a policy where none is taken', (t) => { p(t, 'SocialMessagingEndpoint').PolicyDocument = p(t, 'SqsEndpoint').PolicyDocument; p(t, 'SocialMessagingEndpoint').PolicyDocument.Statement[0].Resource = '*'; }],
  ['endpoints', BEHIND, 'S3 for one zone', (t) => { p(t, 'S3Endpoint').RouteTableIds.pop(); }],
  ['endpoints', BEHIND, 'S3 by an interface, which costs', (t) => { p(t, 'S3Endpoint').VpcEndpointType = 'Interface'; }],
  ['endpoints', BEHIND, 'any bucket', (t) => { p(t, 'S3Endpoint').PolicyDocument.Statement[0].Resource = 'arn:aws:s3:::*'; }],
  ['endpoints', BEHIND, 'deleting', (t) => { p(t, 'S3Endpoint').PolicyDocument.Statement[0].Action.push('s3:DeleteObject'); }],
  ['endpoints', BEHIND, 'anybody', (t) => { delete p(t, 'S3Endpoint').PolicyDocument.Statement[0].Condition; }],
  ['endpoints', BEHIND, 'no model through S3', (t) => { p(t, 'S3Endpoint').PolicyDocument.Statement.splice(2, 1); }],
  ['endpoints', BEHIND, 'layers of images that a function does not fetch', (t) => { const s = p(t, 'S3Endpoint').PolicyDocument.Statement; s.push(s.pop()['Fn::If'][1]); }],
  ['endpoints', BEHIND, 'no policy', (t) => { delete p(t, 'S3Endpoint').PolicyDocument; }],
  ['endpoints', WORKERS_BEHIND, 'no layers of the image', (t) => { p(t, 'S3Endpoint').PolicyDocument.Statement.pop(); }],
  ['endpoints', WORKERS_BEHIND, 'a queue that workers cannot clear', (t) => { p(t, 'SqsEndpoint').PolicyDocument.Statement[0].Action.splice(1, 1); }],
  ['endpoints', WORKERS_BEHIND, 'every queue', (t) => { p(t, 'SqsEndpoint').PolicyDocument.Statement[0].Resource = '*'; }],
  ['endpoints', WORKERS_BEHIND, 'no registry', (t) => { delete t.Resources.EcrDkrEndpoint; p(t, 'WorkerService').Tags.splice(4, 1); }],
  ['endpoints', WORKERS_BEHIND, 'a log that the program may write', (t) => { p(t, 'LogsEndpoint').PolicyDocument.Statement[0].Condition.ArnEquals['aws:PrincipalArn'] = { 'Fn::GetAtt': ['Role', 'Arn'] }; }],
  ['securityGroups', BEHIND, 'endpoints for everybody', (t) => { const [one] = p(t, 'EndpointSecurityGroup').SecurityGroupIngress; delete one.SourceSecurityGroupId; one.CidrIp = '0.0.0.0/0'; }],
  ['securityGroups', BEHIND, 'endpoints that call others', (t) => { delete p(t, 'EndpointSecurityGroup').SecurityGroupEgress; }],
  ['securityGroups', WORKERS_BEHIND, 'endpoints for another group', (t) => { p(t, 'EndpointSecurityGroup').SecurityGroupIngress[0].SourceSecurityGroupId = { 'Fn::GetAtt': ['EndpointSecurityGroup', 'GroupId'] }; }],
  ['securityGroups', VPC, 'a function that may call everything', (t) => { delete p(t, 'SecurityGroup').SecurityGroupEgress; }],
  ['inNetwork', NATS, 'the function in one zone', (t) => { p(t, 'Function').VpcConfig['Fn::If'][1].SubnetIds.pop(); }],
  ['inNetwork', NATS, 'a file system in one zone', (t) => { p(t, 'MountTarget2').SubnetId = { Ref: 'PrivateSubnet' }; }],
  ['inNetwork', NATS, 'the function before the second way out', (t) => { p(t, 'Function').Tags.splice(6, 1); }],
  ['inNetwork', NATS, 'the function before the second mount target', (t) => { p(t, 'Function').Tags.pop(); }],
  ['inNetwork', BEHIND, 'the function before its endpoints', (t) => { p(t, 'Function').Tags.splice(4, 1); }],
  ['worker', WORKERS_BEHIND, 'an address without use', (t) => { p(t, 'WorkerService').NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp = 'ENABLED'; }],
  ['worker', WORKERS_BEHIND, 'workers before their registry', (t) => { p(t, 'WorkerService').Tags.splice(3, 1); }],
  ['worker', WORKERS_BEHIND, 'workers before the routes of the second zone', (t) => { p(t, 'WorkerService').Tags.pop(); }],
  ['worker', WORKERS_TWO, 'workers in one zone', (t) => { p(t, 'WorkerService').NetworkConfiguration.AwsvpcConfiguration.Subnets.pop(); }],
  ['network', DIRECT, 'a network for nothing', (t) => { delete t.Resources.Vpc.Condition; }],
  ['securityGroups', VPC, 'NFS from everywhere', (t) => { const one = p(t, 'SecurityGroupNfs'); delete one.SourceSecurityGroupId; one.CidrIp = '0.0.0.0/0'; }],
  ['securityGroups', VPC, 'another port', (t) => { p(t, 'SecurityGroupNfs').ToPort = 2050; }],
  ['securityGroups', WORKER, 'SSH to workers', (t) => { p(t, 'WorkerSecurityGroup').SecurityGroupIngress = [{ IpProtocol: 'tcp', FromPort: 22, ToPort: 22, CidrIp: '0.0.0.0/0' }]; }],
  ['securityGroups', WORKER, 'workers may call all', (t) => { delete p(t, 'WorkerSecurityGroup').SecurityGroupEgress; }],
  ['inNetwork', VPC, 'the function in the public subnet', (t) => { p(t, 'Function').VpcConfig['Fn::If'][1].SubnetIds = [{ Ref: 'PublicSubnet' }]; }],
  ['inNetwork', VPC, 'the function before its routes', (t) => { p(t, 'Function').Tags.shift(); }],
  ['inNetwork', VPC, 'the function before its way out', (t) => { p(t, 'Function').Tags.splice(1, 1); }],
  ['inNetwork', VPC, 'the function before its file system', (t) => { p(t, 'Function').Tags.splice(2, 1); }],
  ['inNetwork', VPC, 'no encryption', (t) => { p(t, 'FileSystem').Encrypted = false; }],
  ['inNetwork', VPC, 'NFS without TLS', (t) => { delete p(t, 'FileSystem').FileSystemPolicy; }],
  ['inNetwork', VPC, 'any access point', (t) => { delete grant(t, 'PlatformFileSystem').Condition; }],
  ['inNetwork', VPC, 'an access point of root', (t) => { p(t, 'AccessPoint').PosixUser.Uid = '0'; }],
  ['inNetwork', VPC, 'another place', (t) => { p(t, 'Function').FileSystemConfigs['Fn::If'][1][0].LocalMountPath = '/mnt/efs'; }],
  ['worker', WORKER, 'a size that Fargate does not have', (t) => { t.Mappings.Worker.medium.Memory = '32768'; }],
  ['worker', WORKER, 'no way out', (t) => { p(t, 'WorkerService').NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp = 'DISABLED'; }],
  ['worker', WORKER, 'workers before their way out', (t) => { p(t, 'WorkerService').Tags.splice(1, 1); }],
  ['worker', WORKER, 'another command', (t) => { p(t, 'WorkerTask').ContainerDefinitions[0].Command = ['handle']; }],
  ['worker', WORKER, 'files that can be changed', (t) => { delete p(t, 'WorkerTask').ContainerDefinitions[0].ReadonlyRootFilesystem; }],
  ['worker', WORKER, 'the wrong policy', (t) => { p(t, 'WorkerMoreAlarm').AlarmActions = [{ 'Fn::GetAtt': ['WorkerLess', 'Arn'] }]; }],
  ['worker', WORKER, 'a gap between steps', (t) => { p(t, 'WorkerMore').StepScalingPolicyConfiguration.StepAdjustments.splice(1, 1); }],
  ['worker', WORKER, 'the execution role for the program', (t) => { p(t, 'WorkerTask').TaskRoleArn = { 'Fn::GetAtt': ['WorkerExecutionRole', 'Arn'] }; }],
];

const original = readTemplate('caracola.yaml');
for (const [check, variant, what, mutate] of MUTATIONS) {
  test(`${check} sees ${what}`, () => {
    const template = structuredClone(original);
    mutate(template);
    const { parameters } = VARIANTS.find(({ name }) => name === variant);
    if (check === 'expand') {
      assert.throws(() => expand(template, parameters), TemplateError);
      return;
    }
    assert.notDeepEqual([...CHECKS[check](expand(template, parameters))], []);
  });
}

test('every check is shown to be able to fail', () => {
  const shown = new Set(MUTATIONS.map(([check]) => check));
  assert.deepEqual(Object.keys(CHECKS).filter((name) => !shown.has(name)), []);
});
