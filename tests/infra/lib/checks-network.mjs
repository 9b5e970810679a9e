// The network of the first system, and that of workers; and what runs in it.
import { ACCOUNT } from './expand.mjs';
import { ENDPOINTS, endpointsOf, exactly, features, list, same, waitsFor, zonesOf } from './features.mjs';
import { statementsOf } from './iam.mjs';

const ofType = (stack, type) => Object.entries(stack.resources).filter(([, one]) => one.Type === type).map(([id]) => id);
// Sizes that Fargate offers: processors -> memory from, to, in steps of (MB).
const FARGATE = { 1024: [2048, 8192, 1024], 2048: [4096, 16384, 1024], 4096: [8192, 30720, 1024], 8192: [16384, 61440, 4096] };
const ANYWHERE = '0.0.0.0/0';
const RANGES = { PrivateSubnet: '10.0.1.0/24', PublicSubnet: '10.0.2.0/24', PrivateSubnet2: '10.0.3.0/24', PublicSubnet2: '10.0.4.0/24' };
// What Lambda and EFS do from their own side, or by the mount target, and not from the function's interface.
const FROM_OUTSIDE = ['PlatformLogs', 'PlatformFailure', 'PlatformNetwork', 'PlatformFileSystem'];

/** What `id` does not wait for: `names` in each zone, and `once`. */
function* missing(stack, id, names, once) {
  const before = waitsFor(stack, id);
  const f = features(stack);
  for (const name of [...names.flatMap((one) => (one === 'PublicDefaultRoute' ? [one] : zonesOf(f).map((zone) => one + zone))), ...once]) if (!before.has(name)) yield `${id} may be there before ${name}`;
}

export const NETWORK_CHECKS = {
  * network(stack) {
    const f = features(stack);
    if (!f.network) {
      for (const [id, { Type }] of Object.entries(stack.resources)) if (/^AWS::(EC2|EFS)::/.test(Type)) yield `${id} is needless here`;
      return;
    }
    const p = (id) => stack.resources[id]?.Properties ?? {};
    if (p('Vpc').CidrBlock !== '10.0.0.0/16') yield 'the network is not 10.0.0.0/16';
    if (p('Vpc').EnableDnsSupport !== true || p('Vpc').EnableDnsHostnames !== true) yield 'private names of endpoints and file systems are not answered';
    const sides = [...(f.public ? ['Public'] : []), ...(f.private ? ['Private'] : [])];
    const subnets = sides.flatMap((side) => zonesOf(f).map((zone) => `${side}Subnet${zone}`));
    yield* exactly('subnets', ofType(stack, 'AWS::EC2::Subnet'), subnets);
    for (const id of subnets) {
      if (p(id).CidrBlock !== RANGES[id] || p(id).VpcId !== 'ref-Vpc') yield `${id} is not ${RANGES[id]}`;
      if (p(id).AvailabilityZone !== (id.endsWith('2') ? 'us-east-1b' : 'us-east-1a')) yield `${id} is in another zone`;
      const table = id.startsWith('Public') ? 'PublicRouteTable' : id.replace('Subnet', 'RouteTable');
      if (!same(p(id.replace('Subnet', 'SubnetRoutes')), { SubnetId: `ref-${id}`, RouteTableId: `ref-${table}` })) yield `${id} has other routes`;
      if (p(table).VpcId !== 'ref-Vpc') yield `${table} is of another network`;
    }
    const ways = [...(f.public ? [['PublicDefaultRoute', 'PublicRouteTable', { GatewayId: 'ref-InternetGateway' }]] : []),
      ...(f.nat ? zonesOf(f).map((zone) => [`PrivateDefaultRoute${zone}`, `PrivateRouteTable${zone}`, { NatGatewayId: `ref-NatGateway${zone}` }]) : [])];
    yield* exactly('routes', ofType(stack, 'AWS::EC2::Route'), ways.map(([id]) => id));
    for (const [id, table, gateway] of ways) {
      if (!same(p(id), { RouteTableId: `ref-${table}`, DestinationCidrBlock: ANYWHERE, ...gateway })) yield `${id} does not lead out by ${Object.values(gateway)}`;
    }
    if (f.public && !same(p('InternetGatewayAttachment'), { VpcId: 'ref-Vpc', InternetGatewayId: 'ref-InternetGateway' })) yield 'the internet gateway is not the network\'s';
    for (const zone of f.nat ? zonesOf(f) : []) {
      const { SubnetId, AllocationId } = p(`NatGateway${zone}`);
      if (SubnetId !== `ref-PublicSubnet${zone}` || AllocationId !== `NatAddress${zone}-AllocationId`) yield 'NAT is not in the public subnet of its zone with its elastic IP';
    }
    if (f.endpoints && Object.values(stack.resources).some(({ Type }) => /^AWS::EC2::(InternetGateway|NatGateway|EIP|Route)$/.test(Type))) yield 'there is a way to the internet';
  },

  // Each endpoint that is needed and no other, private names, and a policy that allows what the roles may do and no more.
  * endpoints(stack) {
    const f = features(stack);
    yield* exactly('endpoints', ofType(stack, 'AWS::EC2::VPCEndpoint'), endpointsOf(f));
    const subnets = zonesOf(f).map((zone) => `ref-PrivateSubnet${zone}`);
    const roles = { Role: statementsOf(stack), WorkerExecutionRole: f.worker ? statementsOf(stack, 'WorkerExecutionRole') : [] };
    for (const id of endpointsOf(f)) {
      const p = stack.resources[id]?.Properties ?? {};
      if (p.ServiceName !== `com.amazonaws.us-east-1.${ENDPOINTS[id]}` || p.VpcId !== 'ref-Vpc') yield `${id} is of another service or network`;
      if (id === 'S3Endpoint') {
        if (p.VpcEndpointType !== 'Gateway' || !same(p.RouteTableIds, zonesOf(f).map((zone) => `ref-PrivateRouteTable${zone}`))) yield 'S3 is not in the routes of each zone';
      } else if (p.VpcEndpointType !== 'Interface' || p.PrivateDnsEnabled !== true || !same(p.SubnetIds, subnets) || !same(p.SecurityGroupIds, ['EndpointSecurityGroup-GroupId'])) {
        yield `${id} cannot be reached by its usual name in each zone, or by others than the program`;
      }
      if (id === 'SocialMessagingEndpoint') {
        if (p.PolicyDocument) yield 'End User Messaging Social takes no policy of an endpoint';
        continue;
      }
      const given = (p.PolicyDocument?.Statement ?? []).filter((one) => one.Sid !== 'ImageLayers');
      if (given.length === 0) yield `${id} allows everything`;
      for (const one of given) {
        const role = Object.keys(roles).find((name) => one.Condition?.ArnEquals?.['aws:PrincipalArn'] === `arn:aws:iam::${ACCOUNT}:role/${name}`);
        if (one.Effect !== 'Allow' || !role) yield `${id} ${one.Sid} is for others than the program`;
        const missing = list(one.Action).filter((action) => list(one.Resource).some((resource) => !roles[role]?.some((grant) => grant.Effect === 'Allow' && grant.actions.includes(action) && grant.resources.includes(resource))));
        if (missing.length > 0) yield `${id} ${one.Sid} allows ${missing}, which ${role} may not do`;
      }
      const layers = p.PolicyDocument?.Statement?.filter((one) => one.Sid === 'ImageLayers') ?? [];
      if (layers.length !== (id === 'S3Endpoint' && f.worker ? 1 : 0)) yield `${id}: the image's layers cannot be fetched, or are not needed`;
      for (const one of layers) if (one.Action !== 's3:GetObject' || one.Resource !== 'arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*') yield `${id} allows more than the image's layers`;
    }
    // And the other way round: whatever a role may do can be done through the endpoints.
    if (!f.endpoints) return;
    const through = endpointsOf(f).flatMap((id) => stack.resources[id]?.Properties.PolicyDocument?.Statement ?? []);
    for (const [role, statements] of Object.entries(roles)) {
      for (const { Sid, Effect, actions, resources } of statements) {
        const reached = (action) => through.some((one) => list(one.Action).includes(action) && resources.every((resource) => list(one.Resource).includes(resource)));
        if (Effect !== 'Allow' || /^social-messaging:/.test(actions[0]) || FROM_OUTSIDE.includes(Sid)) continue;
        for (const action of actions) if (!reached(action)) yield `${role} may ${action}, but no endpoint lets it through`;
      }
    }
  },

  * securityGroups(stack) {
    const f = features(stack);
    yield* exactly('security groups', ofType(stack, 'AWS::EC2::SecurityGroup'),
      [...(f.ownVpc ? ['SecurityGroup'] : []), ...(f.worker ? ['WorkerSecurityGroup'] : []), ...(f.endpoints ? ['EndpointSecurityGroup'] : [])]);
    for (const id of ofType(stack, 'AWS::EC2::SecurityGroup')) if (id !== 'EndpointSecurityGroup' && stack.resources[id].Properties.SecurityGroupIngress) yield `${id} lets in more than NFS from itself`;
    const ingress = ofType(stack, 'AWS::EC2::SecurityGroupIngress');
    yield* exactly('ways in', ingress, f.ownVpc ? ['SecurityGroupNfs'] : []);
    for (const id of ingress) {
      const { GroupId, SourceSecurityGroupId, IpProtocol, FromPort, ToPort, CidrIp, CidrIpv6 } = stack.resources[id].Properties;
      if (!same([GroupId, SourceSecurityGroupId, IpProtocol, FromPort, ToPort, CidrIp, CidrIpv6], ['SecurityGroup-GroupId', 'SecurityGroup-GroupId', 'tcp', 2049, 2049, undefined, undefined])) yield `${id} is not NFS from itself`;
    }
    const rules = (id, name) => (stack.resources[id]?.Properties[name] ?? []).map((one) => [one.IpProtocol, one.FromPort, one.ToPort, one.CidrIp ?? one.SourceSecurityGroupId]);
    const https = ['tcp', 443, 443, ANYWHERE];
    if (f.worker && !same(rules('WorkerSecurityGroup', 'SecurityGroupEgress'), [https])) yield 'workers may call more than HTTPS';
    if (f.ownVpc && !same(rules('SecurityGroup', 'SecurityGroupEgress'), [https, ['tcp', 2049, 2049, '10.0.0.0/16']])) yield 'the function may call more than HTTPS and NFS';
    if (!f.endpoints) return;
    const caller = `${f.worker ? 'WorkerSecurityGroup' : 'SecurityGroup'}-GroupId`;
    if (!same(rules('EndpointSecurityGroup', 'SecurityGroupIngress'), [['tcp', 443, 443, caller]])) yield 'endpoints answer others than the program';
    if (!same(rules('EndpointSecurityGroup', 'SecurityGroupEgress'), [['-1', undefined, undefined, '127.0.0.1/32']])) yield 'endpoints may call others';
  },

  * inNetwork(stack) {
    const f = features(stack);
    if (f.vpc) {
      const fn = stack.resources.Function.Properties;
      const [subnets, group] = f.existing ? [[f.p.ExistingSubnetId], f.p.ExistingSecurityGroupId] : [zonesOf(f).map((zone) => `ref-PrivateSubnet${zone}`), 'SecurityGroup-GroupId'];
      if (!same(fn.VpcConfig, { SubnetIds: subnets, SecurityGroupIds: [group] })) yield 'the function is in another subnet or group';
      yield* missing(stack, 'Function', f.ownVpc ? ['PrivateSubnetRoutes', ...(f.nat ? ['PrivateDefaultRoute'] : [])] : [], endpointsOf(f));
    }
    if (!f.efs) return;
    const mounted = stack.resources.Function.Properties.FileSystemConfigs;
    const point = f.existing ? f.p.ExistingAccessPointArn : `arn:aws:elasticfilesystem:us-east-1:${ACCOUNT}:access-point/AccessPoint`;
    if (!same(mounted, [{ Arn: point, LocalMountPath: '/mnt/model' }])) yield 'the function does not mount the access point at /mnt/model';
    const grant = stack.resources.Role.Properties.Policies[0].PolicyDocument.Statement.find((one) => one.Sid === 'PlatformFileSystem');
    if (grant?.Condition?.StringEquals?.['elasticfilesystem:AccessPointArn'] !== point) yield 'the role may mount by other access points';
    if (!f.ownEfs) return;
    const { FileSystem: system, AccessPoint: access } = Object.fromEntries(Object.entries(stack.resources).map(([id, one]) => [id, one.Properties]));
    if (system.Encrypted !== true) yield 'the file system is not encrypted';
    const deny = system.FileSystemPolicy?.Statement?.find((one) => one.Sid === 'TlsOnly');
    if (deny?.Effect !== 'Deny' || String(deny.Condition?.Bool?.['aws:SecureTransport']) !== 'false' || deny.Principal?.AWS !== '*' || deny.Action !== '*') yield 'the file system takes what comes without TLS';
    for (const zone of zonesOf(f)) {
      const target = stack.resources[`MountTarget${zone}`]?.Properties;
      if (!same(target, { FileSystemId: 'ref-FileSystem', SubnetId: `ref-PrivateSubnet${zone}`, SecurityGroups: ['SecurityGroup-GroupId'] })) yield 'the file system is mounted elsewhere';
    }
    if (access.FileSystemId !== 'ref-FileSystem' || access.PosixUser?.Uid === '0' || !access.RootDirectory?.CreationInfo) yield 'the access point is root\'s, or cannot make its folder';
    if (access.PosixUser?.Uid !== access.RootDirectory?.CreationInfo?.OwnerUid) yield 'the access point\'s user cannot write to its folder';
    yield* missing(stack, 'Function', ['MountTarget'], []);
  },

  * worker(stack) {
    const f = features(stack);
    if (!f.worker) return;
    const task = stack.resources.WorkerTask.Properties;
    const service = stack.resources.WorkerService.Properties;
    const [container, ...more] = task.ContainerDefinitions;
    const [from, to, step] = FARGATE[task.Cpu] ?? [];
    if (!(Number(task.Memory) >= from && Number(task.Memory) <= to && Number(task.Memory) % step === 0)) yield `Fargate has no ${task.Cpu} with ${task.Memory} MB`;
    if (!same(task.RequiresCompatibilities, ['FARGATE']) || task.NetworkMode !== 'awsvpc' || service.LaunchType !== 'FARGATE') yield 'workers are not on Fargate';
    if (task.RuntimePlatform?.CpuArchitecture !== { x86_64: 'X86_64', arm64: 'ARM64' }[f.p.Architecture]) yield 'another processor than the package\'s';
    if (task.TaskRoleArn !== `arn:aws:iam::${ACCOUNT}:role/Role` || task.ExecutionRoleArn !== `arn:aws:iam::${ACCOUNT}:role/WorkerExecutionRole`) yield 'workers run as another role';
    if (more.length > 0 || container.Image !== f.p.ImageUri || !same(container.Command, ['worker'])) yield 'the container is no worker';
    if (container.ReadonlyRootFilesystem !== true || container.Privileged) yield 'the container may change its own files';
    if (!(container.StopTimeout >= 30)) yield 'a worker has no time to hand its event back';
    const log = container.LogConfiguration;
    if (log?.LogDriver !== 'awslogs' || log.Options['awslogs-group'] !== 'ref-LogGroup') yield 'the log goes elsewhere';
    const net = service.NetworkConfiguration?.AwsvpcConfiguration;
    const side = f.endpoints ? 'Private' : 'Public';
    if (!same(net?.Subnets, zonesOf(f).map((zone) => `ref-${side}Subnet${zone}`)) || !same(net?.SecurityGroups, ['WorkerSecurityGroup-GroupId'])) yield 'workers have no way out, or others have one in';
    if (net?.AssignPublicIp !== (f.endpoints ? 'DISABLED' : 'ENABLED')) yield 'workers have no address on the way out, or one without use';
    yield* missing(stack, 'WorkerService', [`${side}SubnetRoutes`, ...(f.public ? ['PublicDefaultRoute'] : [])], endpointsOf(f).filter((id) => !['SqsEndpoint', 'SocialMessagingEndpoint'].includes(id)));
    const count = stack.resources.WorkerCount.Properties;
    if (String(count.MaxCapacity) !== f.p.Concurrency || String(count.MinCapacity) !== f.p.WorkerMinimum) yield 'the number of workers is not as asked for';
    if (count.ResourceId !== 'service/ref-WorkerCluster/WorkerService') yield 'another service is scaled';
    for (const [alarm, policy] of [['WorkerMoreAlarm', 'WorkerMore'], ['WorkerLessAlarm', 'WorkerLess']]) {
      if (!same(stack.resources[alarm].Properties.AlarmActions, [`arn-${policy}`])) yield `${alarm} does not start ${policy}`;
      if (stack.resources[policy].Properties.ScalingTargetId !== 'ref-WorkerCount') yield `${policy} scales something else`;
    }
    const steps = stack.resources.WorkerMore.Properties.StepScalingPolicyConfiguration.StepAdjustments;
    const gap = steps.some((one, i) => one.MetricIntervalUpperBound !== steps[i + 1]?.MetricIntervalLowerBound);
    if (steps[0].MetricIntervalLowerBound !== 0 || gap) yield 'the steps have gaps';
  },
};
