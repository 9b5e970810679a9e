// The network of the first system, and that of workers; and what runs in it.
import { ACCOUNT } from './expand.mjs';
import { exactly, features, same, waitsFor } from './features.mjs';

const ofType = (stack, type) => Object.entries(stack.resources).filter(([, one]) => one.Type === type).map(([id]) => id);
// Sizes that Fargate offers: processors -> memory from, to, in steps of (MB).
const FARGATE = { 1024: [2048, 8192, 1024], 2048: [4096, 16384, 1024], 4096: [8192, 30720, 1024], 8192: [16384, 61440, 4096] };
const ANYWHERE = '0.0.0.0/0';

export const NETWORK_CHECKS = {
  * network(stack) {
    const f = features(stack);
    if (!f.network) {
      for (const [id, { Type }] of Object.entries(stack.resources)) if (/^AWS::(EC2|EFS)::/.test(Type)) yield `${id} is needless here`;
      return;
    }
    const p = (id) => stack.resources[id]?.Properties ?? {};
    if (p('Vpc').CidrBlock !== '10.0.0.0/16') yield 'the network is not 10.0.0.0/16';
    const subnets = { PublicSubnet: '10.0.2.0/24', ...(f.nat && { PrivateSubnet: '10.0.1.0/24' }) };
    yield* exactly('subnets', ofType(stack, 'AWS::EC2::Subnet'), Object.keys(subnets));
    for (const [id, cidr] of Object.entries(subnets)) {
      if (p(id).CidrBlock !== cidr || p(id).VpcId !== 'ref-Vpc') yield `${id} is not ${cidr}`;
      if (p(id).AvailabilityZone !== 'us-east-1a') yield `${id} is in another zone`;
    }
    const ways = [['Public', { GatewayId: 'ref-InternetGateway' }], ...(f.nat ? [['Private', { NatGatewayId: 'ref-NatGateway' }]] : [])];
    yield* exactly('routes', ofType(stack, 'AWS::EC2::Route'), ways.map(([side]) => `${side}DefaultRoute`));
    for (const [side, gateway] of ways) {
      if (!same(p(`${side}DefaultRoute`), { RouteTableId: `ref-${side}RouteTable`, DestinationCidrBlock: ANYWHERE, ...gateway })) yield `${side}DefaultRoute does not lead out by ${Object.values(gateway)}`;
      if (!same(p(`${side}SubnetRoutes`), { SubnetId: `ref-${side}Subnet`, RouteTableId: `ref-${side}RouteTable` })) yield `${side}Subnet has other routes`;
    }
    if (!same(p('InternetGatewayAttachment'), { VpcId: 'ref-Vpc', InternetGatewayId: 'ref-InternetGateway' })) yield 'the internet gateway is not the network\'s';
    if (f.nat && (p('NatGateway').SubnetId !== 'ref-PublicSubnet' || p('NatGateway').AllocationId !== 'NatAddress-AllocationId')) yield 'NAT is not in the public subnet with its elastic IP';
  },

  * securityGroups(stack) {
    const f = features(stack);
    yield* exactly('security groups', ofType(stack, 'AWS::EC2::SecurityGroup'), [...(f.nat ? ['SecurityGroup'] : []), ...(f.worker ? ['WorkerSecurityGroup'] : [])]);
    for (const id of ofType(stack, 'AWS::EC2::SecurityGroup')) if (stack.resources[id].Properties.SecurityGroupIngress) yield `${id} lets in more than NFS from itself`;
    const ingress = ofType(stack, 'AWS::EC2::SecurityGroupIngress');
    yield* exactly('ways in', ingress, f.nat ? ['SecurityGroupNfs'] : []);
    for (const id of ingress) {
      const { GroupId, SourceSecurityGroupId, IpProtocol, FromPort, ToPort, CidrIp, CidrIpv6 } = stack.resources[id].Properties;
      if (!same([GroupId, SourceSecurityGroupId, IpProtocol, FromPort, ToPort, CidrIp, CidrIpv6], ['SecurityGroup-GroupId', 'SecurityGroup-GroupId', 'tcp', 2049, 2049, undefined, undefined])) yield `${id} is not NFS from itself`;
    }
    if (f.worker) {
      const out = stack.resources.WorkerSecurityGroup.Properties.SecurityGroupEgress?.map(({ IpProtocol, FromPort, ToPort }) => [IpProtocol, FromPort, ToPort]);
      if (!same(out, [['tcp', 443, 443]])) yield 'workers may call more than HTTPS';
    }
  },

  * inNetwork(stack) {
    const f = features(stack);
    if (f.vpc) {
      const fn = stack.resources.Function.Properties;
      const [subnet, group] = f.existing ? [f.p.ExistingSubnetId, f.p.ExistingSecurityGroupId] : ['ref-PrivateSubnet', 'SecurityGroup-GroupId'];
      if (!same(fn.VpcConfig, { SubnetIds: [subnet], SecurityGroupIds: [group] })) yield 'the function is in another subnet or group';
      if (f.nat && !['PrivateDefaultRoute', 'PrivateSubnetRoutes'].every((id) => waitsFor(stack, 'Function').has(id))) yield 'the function may be there before its way out';
    }
    if (!f.efs) return;
    const mounted = stack.resources.Function.Properties.FileSystemConfigs;
    const point = f.existing ? f.p.ExistingAccessPointArn : `arn:aws:elasticfilesystem:us-east-1:${ACCOUNT}:access-point/AccessPoint`;
    if (!same(mounted, [{ Arn: point, LocalMountPath: '/mnt/model' }])) yield 'the function does not mount the access point at /mnt/model';
    const grant = stack.resources.Role.Properties.Policies[0].PolicyDocument.Statement.find((one) => one.Sid === 'PlatformFileSystem');
    if (grant?.Condition?.StringEquals?.['elasticfilesystem:AccessPointArn'] !== point) yield 'the role may mount by other access points';
    if (!f.ownEfs) return;
    const { FileSystem: system, MountTarget: target, AccessPoint: access } = Object.fromEntries(Object.entries(stack.resources).map(([id, one]) => [id, one.Properties]));
    if (system.Encrypted !== true) yield 'the file system is not encrypted';
    const deny = system.FileSystemPolicy?.Statement?.find((one) => one.Sid === 'TlsOnly');
    if (deny?.Effect !== 'Deny' || String(deny.Condition?.Bool?.['aws:SecureTransport']) !== 'false' || deny.Principal?.AWS !== '*' || deny.Action !== '*') yield 'the file system takes what comes without TLS';
    if (!same(target, { FileSystemId: 'ref-FileSystem', SubnetId: 'ref-PrivateSubnet', SecurityGroups: ['SecurityGroup-GroupId'] })) yield 'the file system is mounted elsewhere';
    if (access.FileSystemId !== 'ref-FileSystem' || access.PosixUser?.Uid === '0' || !access.RootDirectory?.CreationInfo) yield 'the access point is root\'s, or cannot make its folder';
    if (access.PosixUser?.Uid !== access.RootDirectory?.CreationInfo?.OwnerUid) yield 'the access point\'s user cannot write to its folder';
    if (!waitsFor(stack, 'Function').has('MountTarget')) yield 'the function may be there before its file system can be mounted';
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
    if (!same(net?.Subnets, ['ref-PublicSubnet']) || !same(net?.SecurityGroups, ['WorkerSecurityGroup-GroupId']) || net?.AssignPublicIp !== 'ENABLED') yield 'workers have no way out, or others have one in';
    if (!same(stack.resources.WorkerService.DependsOn, ['PublicDefaultRoute', 'PublicSubnetRoutes'])) yield 'workers may be there before their way out';
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
