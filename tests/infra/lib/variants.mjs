// Every way to run that the template offers: variant, package and delivery of the model, and each choice
// beside them at least once.
const IMAGE = { PackageType: 'image', ImageUri: '123456789012.dkr.ecr.us-east-1.amazonaws.com/caracola-repository:0.1.0' };
const ZIP = { PackageType: 'zip', CodeBucket: 'caracola-code', CodeKey: 'packages/caracola-lambda-x86_64.zip' };
const SOURCE = { ModelBucket: 'caracola-models', ModelKey: 'models/model.cara', ModelSha256: 'ab'.repeat(32) };
export const EXISTING = {
  ExistingAccessPointArn: 'arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0',
  ExistingSubnetId: 'subnet-0123456789abcdef0', ExistingSecurityGroupId: 'sg-0123456789abcdef0',
};

const PACKAGES = { zip: ZIP, image: IMAGE };
const DELIVERIES = { image: {}, s3: SOURCE, efs: SOURCE };
const plain = [];
for (const Variant of ['direct', 'queued', 'vpc', 'worker']) {
  for (const [name, pack] of Object.entries(PACKAGES)) {
    for (const [ModelDelivery, model] of Object.entries(DELIVERIES)) {
      if (Variant === 'worker' && name === 'zip') continue;
      if (Variant !== 'vpc' && ModelDelivery === 'efs') continue;
      plain.push({ name: `${Variant}, ${name}, model by ${ModelDelivery}`, parameters: { Variant, ModelDelivery, ...pack, ...model } });
    }
  }
}
const find = (name) => plain.find((one) => one.name === name).parameters;
const ways = ['direct, zip, model by image', 'queued, zip, model by s3', 'vpc, zip, model by efs', 'worker, image, model by s3'];
const choices = {
  reply: { Reply: 'yes' },
  'days that end': { MessageRetentionDays: 30, VersionRetentionDays: 7, LogRetentionDays: 7 },
  'e-mail': { AlarmEmail: 'ops@example.org', TestEmail: 'dev@example.org' },
  'a bucket of before': { StoreBucket: 'first-system-messages' },
  'arm64, 900 s, two at once': { Architecture: 'arm64', Timeout: 900, Concurrency: 2 },
};
const chosen = ways.flatMap((way) => Object.entries(choices).map(([what, parameters]) => ({ name: `${way}, ${what}`, parameters: { ...find(way), ...parameters } })));
// The networks: each way to AWS, in one zone and two, with all that lies in them.
const networks = [];
for (const way of ['vpc, zip, model by image', 'vpc, zip, model by s3', 'vpc, zip, model by efs', 'worker, image, model by image', 'worker, image, model by s3']) {
  for (const Network of ['internet', 'endpoints']) {
    for (const Zones of [1, 2]) {
      if (Network === 'internet' && Zones === 1) continue; // the default
      networks.push({ name: `${way}, by ${Network}, ${Zones === 1 ? 'one zone' : 'two zones'}`, parameters: { ...find(way), Network, Zones } });
    }
  }
  networks.push({ name: `${way}, by endpoints, a bucket of before`, parameters: { ...find(way), Network: 'endpoints', StoreBucket: 'first-system-messages' } });
}
const unlimited = ways.slice(0, 3).map((way) => ({ name: `${way}, no limit`, parameters: { ...find(way), Concurrency: 0 } }));

export const VARIANTS = [
  ...plain, ...chosen, ...networks, ...unlimited,
  { name: 'vpc, zip, the first system\'s network and model', parameters: { ...find('vpc, zip, model by image'), ModelDelivery: 'efs', ModelFile: 'medium.pt', ...EXISTING } },
];
export const parametersOf = (name) => VARIANTS.find((one) => one.name === name).parameters;

// What is not allowed, and the error that CloudFormation must give.
export const IMPOSSIBLE = [
  [{ ...ZIP, CodeKey: '' }, /zip needs CodeBucket and CodeKey/],
  [{ PackageType: 'image' }, /image needs ImageUri/],
  [{ ...ZIP, Variant: 'worker' }, /worker needs PackageType image/],
  [{ ...IMAGE, Variant: 'worker', Concurrency: 0 }, /worker needs a Concurrency of 1 or more/],
  [{ ...ZIP, ...SOURCE, ModelDelivery: 'efs' }, /efs needs Variant vpc/],
  [{ ...ZIP, Variant: 'vpc', ModelDelivery: 'efs' }, /to fill from/],
  [{ ...ZIP, ModelDelivery: 's3' }, /s3 needs ModelBucket, ModelKey and ModelSha256/],
  [{ ...ZIP, ...SOURCE, ModelSha256: '', ModelDelivery: 's3' }, /go together/],
  [{ ...ZIP, ...SOURCE, ModelSha256: '', Variant: 'vpc', ModelDelivery: 'efs' }, /go together/],
  [{ ...ZIP, ...SOURCE, ModelBucket: '', ModelDelivery: 's3' }, /go together/],
  [{ ...ZIP, ...SOURCE }, /are for ModelDelivery s3 or efs/],
  [{ ...ZIP, Variant: 'queued', Concurrency: 1 }, /queued needs a Concurrency of 2 or more/],
  [{ ...ZIP, ...SOURCE, Variant: 'vpc', ModelDelivery: 'efs', ...EXISTING, ExistingSubnetId: '' }, /go together/],
  [{ ...ZIP, Variant: 'vpc', ...EXISTING }, /is for Variant vpc with ModelDelivery efs/],
  [{ ...ZIP, Network: 'endpoints' }, /need Variant vpc or worker/],
  [{ ...ZIP, Variant: 'queued', Zones: 2 }, /need Variant vpc or worker/],
  [{ ...ZIP, Variant: 'vpc', ModelDelivery: 'efs', ...EXISTING, Network: 'endpoints' }, /not for ExistingSubnetId/],
  [{ ...ZIP, Variant: 'vpc', ModelDelivery: 'efs', ...EXISTING, Zones: 2 }, /not for ExistingSubnetId/],
  [{ ...ZIP, Variant: 'vpc', Zones: 3 }, /allowed values/],
  [{ ...ZIP, Variant: 'vpc', Network: 'none' }, /allowed values/],
  [{ ...ZIP, VersionRetentionDays: 0 }, /out of range/],
  [{ ...ZIP, Variant: 'both' }, /allowed values/],
  [{ ...ZIP, MemorySize: 127 }, /out of range/],
  [{ ...ZIP, MemorySize: 10241 }, /out of range/],
  [{ ...ZIP, Timeout: 3 }, /allowed values/],
  [{ ...ZIP, Language: 'klingon' }, /allowed values/],
  [{ ...ZIP, TimeZone: 'UTC; rm' }, /time zone database/],
  [{ ...ZIP, AlarmEmail: 'nobody' }, /e-mail address/],
  [{ ...ZIP, StoreBucket: 'UPPER' }, /a bucket's name/],
  [{ ...ZIP, Reply: 'maybe' }, /allowed values/],
  [{ ...IMAGE, ImageUri: 'docker.io/library/caracola:1' }, /dkr\.ecr/],
  [{ ...ZIP, ...SOURCE, ModelDelivery: 's3', ModelKey: '*' }, /without \*/],
  [{ ...ZIP, ...SOURCE, ModelDelivery: 's3', ModelSha256: 'AB' }, /64 hexadecimal digits/],
  [{ ...ZIP, Nothing: 1 }, /no parameter/],
];
