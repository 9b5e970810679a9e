// Starts the test cloud, prints one JSON line with its endpoints and the variables that point a
// client at it, and ends when its standard input closes or on SIGTERM.
//
//   node tests/cloud/start.mjs [--seed N] [--bucket NAME]... [--page-limit N] [--extensions table]
import { parseArgs } from 'node:util';
import { startCloud } from './lib/cloud.mjs';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    bucket: { type: 'string', multiple: true, default: ['caracola-test'] },
    'page-limit': { type: 'string', default: '1000' },
    extensions: { type: 'string', default: 'subtype' },
  },
});
const cloud = await startCloud({
  seed: Number(values.seed),
  s3: { pageLimit: Number(values['page-limit']) },
  social: { extensions: values.extensions },
});
for (const bucket of values.bucket) cloud.s3.createBucket(bucket);
process.stdout.write(JSON.stringify({ endpoints: cloud.endpoints, env: cloud.clientEnv(), buckets: values.bucket }) + '\n');

async function end() {
  await cloud.stop();
  process.exit(cloud.broken.length === 0 ? 0 : 1);
}
process.stdin.resume().on('end', end).on('error', end);
process.on('SIGTERM', end).on('SIGINT', end);
