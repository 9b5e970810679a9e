// What a stack must contain, derived from its parameters.
export const list = (value) => (value === undefined ? [] : [value].flat());
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** What of a stack's parameters decides what is in it. */
export function features({ parameters: p }) {
  const worker = p.Variant === 'worker';
  const vpc = p.Variant === 'vpc';
  const existing = p.ExistingSubnetId !== '';
  const network = worker || (vpc && !existing); // of its own
  const endpoints = network && p.Network === 'endpoints';
  const zones = network ? Number(p.Zones) : 0;
  return {
    worker, vpc, existing, queue: worker || p.Variant === 'queued', queued: p.Variant === 'queued', direct: vpc || p.Variant === 'direct',
    efs: p.ModelDelivery === 'efs', network, endpoints, zones, nat: network && vpc && !endpoints, ownVpc: network && vpc,
    private: network && (vpc || endpoints), public: network && !endpoints, ownEfs: p.ModelDelivery === 'efs' && !existing,
    image: p.PackageType === 'image', ownBucket: p.StoreBucket === '', reply: p.Reply === 'yes', source: p.ModelKey !== '', p,
  };
}

/** The suffix of names in each zone: "", "2". */
export const zonesOf = ({ zones }) => ['', '2'].slice(0, zones);
const inEachZone = (f, condition, names) => (condition ? names.split(' ').flatMap((name) => zonesOf(f).map((zone) => name + zone)) : []);

/** The endpoints that a stack needs: what its program calls, and what ECS calls from a task's interface. */
export const ENDPOINTS = {
  S3Endpoint: 's3', SocialMessagingEndpoint: 'social-messaging', SqsEndpoint: 'sqs', LogsEndpoint: 'logs', EcrApiEndpoint: 'ecr.api', EcrDkrEndpoint: 'ecr.dkr',
};
export const endpointsOf = (f) => (f.endpoints ? Object.keys(ENDPOINTS).slice(0, f.worker ? 6 : 2) : []);

/** The names of what a stack has, by what it is to do. */
export function inventory(stack) {
  const f = features(stack);
  const when = (condition, names) => (condition ? names.split(' ') : []);
  return [
    ...'Topic TopicPolicy DeadLetterQueue DeadLetterQueuePolicy Role LogGroup Dashboard FailuresAlarm DeadLettersAlarm DeadLetterAgeAlarm AgeAlarm'.split(' '),
    ...when(f.ownBucket, 'Bucket BucketPolicy'), ...when(f.p.TestEmail, 'TestSubscription'),
    ...when(f.p.AlarmEmail, 'AlarmTopic AlarmTopicPolicy AlarmSubscription'),
    ...when(f.direct, 'FunctionSubscription FunctionPermission FunctionFailures LostAlarm'), ...when(f.queued, 'QueueToFunction'),
    ...when(!f.worker, 'Function ThrottlesAlarm'), ...when(f.queue, 'Queue QueuePolicy QueueSubscription'), ...when(f.vpc, 'NotCodePolicy'),
    ...when(f.network, 'Vpc'), ...when(f.public, 'InternetGateway InternetGatewayAttachment PublicRouteTable PublicDefaultRoute'),
    ...inEachZone(f, f.public, 'PublicSubnet PublicSubnetRoutes'), ...inEachZone(f, f.private, 'PrivateSubnet PrivateRouteTable PrivateSubnetRoutes'),
    ...inEachZone(f, f.nat, 'NatAddress NatGateway PrivateDefaultRoute'), ...when(f.ownVpc, 'SecurityGroup SecurityGroupNfs'),
    ...when(f.endpoints, 'EndpointSecurityGroup'), ...endpointsOf(f),
    ...when(f.ownEfs, 'FileSystem AccessPoint'), ...inEachZone(f, f.ownEfs, 'MountTarget'),
    ...when(f.worker, 'WorkerCluster WorkerSecurityGroup WorkerExecutionRole WorkerTask WorkerService WorkerCount WorkerMore WorkerLess WorkerMoreAlarm WorkerLessAlarm ErrorsInLog'),
  ].sort();
}

export function* exactly(what, got, wanted) {
  for (const one of got) if (!wanted.includes(one)) yield `${what}: ${one} is too many`;
  for (const one of wanted) if (!got.includes(one)) yield `${what}: ${one} is missing`;
}

/** All that CloudFormation makes before a resource. */
export function waitsFor({ resources, edges }, id) {
  const seen = new Set();
  const go = (one) => [...edges.filter(({ from }) => from === one).map(({ to }) => to), ...list(resources[one].DependsOn)]
    .filter((to) => !seen.has(to)).forEach((to) => { seen.add(to); go(to); });
  go(id);
  return seen;
}
