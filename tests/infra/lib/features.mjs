// What a stack must contain, derived from its parameters.
export const list = (value) => (value === undefined ? [] : [value].flat());
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** What of a stack's parameters decides what is in it. */
export function features({ parameters: p }) {
  const worker = p.Variant === 'worker';
  const vpc = p.Variant === 'vpc';
  const existing = p.ExistingSubnetId !== '';
  return {
    worker, vpc, existing, queue: worker || p.Variant === 'queued', queued: p.Variant === 'queued', direct: vpc || p.Variant === 'direct',
    efs: p.ModelDelivery === 'efs', nat: vpc && !existing, network: worker || (vpc && !existing), ownEfs: p.ModelDelivery === 'efs' && !existing,
    image: p.PackageType === 'image', ownBucket: p.StoreBucket === '', reply: p.Reply === 'yes', source: p.ModelKey !== '', p,
  };
}

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
    ...when(f.network, 'Vpc PublicSubnet InternetGateway InternetGatewayAttachment PublicRouteTable PublicDefaultRoute PublicSubnetRoutes'),
    ...when(f.nat, 'PrivateSubnet NatAddress NatGateway PrivateRouteTable PrivateDefaultRoute PrivateSubnetRoutes SecurityGroup SecurityGroupNfs'),
    ...when(f.ownEfs, 'FileSystem MountTarget AccessPoint'),
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
