// Seconds from the start of a process to its first token, for each way to get the model: a file that is in the
// memory of the machine, a file on its disk, and a model streamed from a local S3 with a given rate in MB a second.
// And how long a fill takes, and, with --sizes, how it depends on connections and parts, in memory.
//
//     make bench-delivery        or: node bench/model-delivery.mjs [--shape small] [--rates 100,300,600] [--runs 3]
//         [--threads 1] [--latency MS] [--sizes] [--model FILE] [--note FILE.ogg]
//
// The model is a random one of that shape in int8, made once in the build folder. The server limits its rate over all connections,
// as a function's network does, begins each answer after 15 ms, as S3 does at best, and checks no signatures.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { cpus, loadavg, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs, promisify } from 'node:util';

const SOURCE = process.env.CARACOLA_SOURCE_DIR ?? new URL('..', import.meta.url).pathname;
const BUILD = process.env.CARACOLA_BUILD_DIR ?? join(SOURCE, 'build');
const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: 'small' }, rates: { type: 'string', default: '100,300,600' }, runs: { type: 'string', default: '3' },
    threads: { type: 'string', default: '1' }, latency: { type: 'string', default: '15' }, sizes: { type: 'boolean', default: false }, model: { type: 'string' },
    note: { type: 'string', default: join(SOURCE, 'samples/panga-blanca.ogg') },
  },
});
const run = promisify(execFile);
const model = values.model ?? join(BUILD, `random-${values.shape}.cara`);
if (!existsSync(model)) execFileSync(join(BUILD, 'caracola'), ['model', 'random', '--quiet', values.shape, model], { stdio: 'inherit' });
const bytes = readFileSync(model);
const sha256 = createHash('sha256').update(bytes).digest('hex');
const CHUNK = 128 * 1024;

/** One pace for all answers: `rate` bytes a second, 0 for as fast as can be. */
function pacer(rate) {
  let free = performance.now();
  return async (n) => {
    if (!rate) return;
    const now = performance.now();
    free = Math.max(free, now - 20) + (1000 * n) / rate;
    if (free > now + 2) await new Promise((resolve) => setTimeout(resolve, free - now));
  };
}

const drained = (res) => new Promise((resolve) => {
  const go = () => { res.off('drain', go).off('close', go); resolve(); };
  res.on('drain', go).on('close', go);
});

async function serve(rate) {
  const pace = pacer(rate);
  const server = createServer(async (req, res) => {
    res.on('error', () => {});
    const head = { ETag: '"1"', 'Accept-Ranges': 'bytes' };
    const range = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '');
    await new Promise((resolve) => setTimeout(resolve, Number(values.latency)));
    if (!range) return res.writeHead(200, { ...head, 'Content-Length': bytes.length }).end();
    const [first, last] = [Number(range[1]), Number(range[2])];
    res.writeHead(206, { ...head, 'Content-Range': `bytes ${first}-${last}/${bytes.length}`, 'Content-Length': last - first + 1 });
    for (let at = first; at <= last && !res.destroyed; at += CHUNK) {
      const piece = bytes.subarray(at, Math.min(at + CHUNK, last + 1));
      await pace(piece.length);
      if (!res.write(piece)) await drained(res);
    }
    return res.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => { server.close(); server.closeAllConnections(); } };
}

async function measure(args, url = '') {
  const env = {
    PATH: process.env.PATH, CARACOLA_MODEL_SHA256: sha256, AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'bench', AWS_SECRET_ACCESS_KEY: 'bench',
    AWS_ENDPOINT_URL_S3: url, AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  };
  const began = performance.now();
  const { stdout } = await run(join(BUILD, 'bench/bench_delivery'), args, { env });
  return { ...JSON.parse(stdout), total_s: (performance.now() - began) / 1000 };
}

/** Each figure's median and, in brackets, least, which is more reliable on a shared machine. */
async function figures(work) {
  const all = [];
  for (let i = 0; i < Number(values.runs); i++) all.push(await work());
  return Object.fromEntries(Object.keys(all[0]).map((key) => {
    const sorted = all.map((one) => one[key]).sort((a, b) => a - b);
    return [key, `${sorted[sorted.length >> 1].toFixed(2)} (${sorted[0].toFixed(2)})`];
  }));
}

const fill = (into, url, ...how) => figures(async () => {
  const path = join(into, `caracola-delivery-${process.pid}.cara`);
  const one = await measure([S3, 'fill', path, ...how], url);
  rmSync(path);
  return one;
});
const S3 = 's3://bucket/model.cara';
const folder = mkdtempSync(join(tmpdir(), 'caracola-delivery-'));
const print = (...cells) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
const load = loadavg()[0].toFixed(0);
const rates = values.rates.split(',').map(Number);
const decode = (where, ...more) => [where, values.note, 'threads', values.threads, ...more];
try {
  process.stdout.write(`${basename(model)}, ${(statSync(model).size / 1e6).toFixed(0)} MB, ${basename(values.note)}, ${values.threads} thread(s), medians (and least) of ${values.runs}\n\n`);
  print('the model', 'ready s', 'first token s', 'all there, digest right s', 'processor s');
  print('---', '---', '---', '---', '---');
  const row = (name, one) => print(name, one.open_s, one.token_s, one.verified_s, one.processor_s);
  row('a file, in memory already', await figures(() => measure(decode(model))));
  row('a file, from this disk', await figures(() => measure(decode(model, 'cold'))));
  const fills = [];
  for (const rate of rates) {
    const server = await serve(rate * 1e6);
    row(`streamed, ${rate} MB/s`, await figures(() => measure(decode(S3), server.url)));
    fills.push([rate, await fill(folder, server.url)]);
    server.close();
  }
  process.stdout.write('\n');
  print('a fill', 's', 'processor s');
  print('---', '---', '---');
  for (const [rate, one] of fills) print(`${rate} MB/s`, one.fill_s, one.processor_s);
  if (values.sizes) {
    process.stdout.write('\n');
    print('connections', 'part MiB', ...rates.map((rate) => `${rate} MB/s: s`), 'unthrottled: s');
    print('---', '---', ...rates.map(() => '---'), '---');
    const servers = [];
    for (const rate of [...rates, 0]) servers.push(await serve(rate * 1e6));
    for (const [connections, part] of [[1, 8], [4, 8], [8, 8], [16, 8], [8, 2], [8, 4], [8, 16]]) {
      const cells = [];
      for (const { url } of servers) cells.push((await fill('/dev/shm', url, 'connections', String(connections), 'part', String(part))).fill_s);
      print(connections, part, ...cells);
    }
    for (const server of servers) server.close();
  }
  const commit = (() => {
    try { return execFileSync('git', ['-C', SOURCE, 'describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(); } catch { return 'no git'; }
  })();
  process.stdout.write(`\n${cpus()[0].model}, ${cpus().length} cores, load ${load} at the start, ${loadavg()[0].toFixed(0)} at the end; commit ${commit}\n`);
} finally {
  rmSync(folder, { recursive: true });
}
