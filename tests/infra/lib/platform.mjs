// The grants that only the platform uses, and the page that asks for each. `on`: where they may apply.
const NETWORK = ['CreateNetworkInterface', 'DescribeNetworkInterfaces', 'DescribeSubnets', 'DeleteNetworkInterface', 'AssignPrivateIpAddresses', 'UnassignPrivateIpAddresses']
  .map((name) => `ec2:${name}`);
const LAMBDA = 'https://docs.aws.amazon.com/lambda/latest/dg';
const ECS = 'https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html';
export const PLATFORM = {
  PlatformLogs: { actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], on: /:log-group:LogGroup:\*$/, page: `${LAMBDA}/monitoring-cloudwatchlogs.html` },
  PlatformFailure: { actions: ['sqs:SendMessage'], on: /:DeadLetterQueue$/, page: `${LAMBDA}/invocation-async-retain-records.html` },
  PlatformQueue: { actions: ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'], on: /:Queue$/, page: `${LAMBDA}/services-sqs-configure.html` },
  PlatformNetwork: { actions: NETWORK, on: /^\*$/, page: `${LAMBDA}/configuration-vpc.html` },
  PlatformNetworkNotCode: { actions: NETWORK, on: /^\*$/, effect: 'Deny', page: `${LAMBDA}/configuration-vpc.html` },
  PlatformFileSystem: {
    actions: ['elasticfilesystem:ClientMount', 'elasticfilesystem:ClientWrite'], on: /:file-system\/(FileSystem|\*)$/, page: `${LAMBDA}/configuration-filesystem.html`,
  },
  PlatformWorkerLogs: { actions: ['logs:CreateLogStream', 'logs:PutLogEvents'], on: /:log-group:LogGroup:\*$/, page: ECS },
  PlatformPull: { actions: ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'], on: /:repository\/caracola-repository$/, page: ECS },
  PlatformPullToken: { actions: ['ecr:GetAuthorizationToken'], on: /^\*$/, page: ECS },
};
// The only statements that may be on everything: AWS knows no resource for these actions.
export const EVERYWHERE = ['PlatformNetwork', 'PlatformPullToken'];
