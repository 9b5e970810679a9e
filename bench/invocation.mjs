// How long an invocation takes, cold (from the start of the process to its response) and warm, and where
// the time goes: the program as Lambda runs it, the demo model, the test cloud on loopback, one voice note.
//
//     make bench-invocation        or: tests/cloud/run.sh ../../bench/invocation.mjs [--cold N] [--warm N]
//         [--note FILE.ogg] [--memory MB] [--program PATH] [--model FILE]
//
// Prints medians. "Processor" is the processor time of the process, which is more reliable on a shared machine.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { startCloud } from '../tests/cloud/lib/cloud.mjs';
import { Random } from '../tests/cloud/lib/faults.mjs';
import { eumEvent, makeMessage, snsToLambda } from '../tests/cloud/lib/messages.mjs';
import { BUILD } from '../tests/cloud/lib/probe.mjs';
import { LambdaFunction } from '../tests/cloud/lib/runtime.mjs';
import { Sandbox } from '../tests/cloud/lib/sandbox.mjs';

const SOURCE = process.env.CARACOLA_SOURCE_DIR ?? new URL('..', import.meta.url).pathname;
const { values } = parseArgs({
  options: {
    cold: { type: 'string', default: '10' }, warm: { type: 'string', default: '20' }, memory: { type: 'string', default: '1769' },
    note: { type: 'string', default: join(SOURCE, 'samples/panga-blanca.ogg') },
    program: { type: 'string', default: join(BUILD, 'caracola') }, model: { type: 'string', default: join(SOURCE, 'models/demo.cara') },
  },
});
const Bucket = 'caracola-bench';
const bytes = readFileSync(values.note);
const voice = { bytes, sha256: createHash('sha256').update(bytes).digest('base64') };
const random = new Random('bench');
const cloud = await startCloud();
cloud.s3.createBucket(Bucket);
let n = 0;
let lines = [];

/** Milliseconds of the processor that `pid` has used so far. */
function processorMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

async function start() {
  const fn = new LambdaFunction({ timeoutMs: 120000, retries: 0 });
  const sandbox = new Sandbox({
    cloud, fn, command: values.program, memoryMb: Number(values.memory), output: (line) => lines.push(line),
    env: { CARACOLA_STORE: `s3://${Bucket}`, CARACOLA_MODEL: values.model },
  });
  sandbox.on('cannotStart', () => {
    process.stderr.write(`the program cannot start: ${JSON.stringify(sandbox.runtime.initErrors[0] ?? lines.at(-1) ?? '')}\n`);
    process.exit(1);
  });
  const asked = new Promise((resolve) => sandbox.runtime.once('next', () => resolve(performance.now())));
  return { fn, sandbox, asked };
}

/** One event with a new message; gives where its time went, in ms. `began` is when the clock starts. */
async function invoke({ fn, sandbox, asked }, began) {
  const { message, mediaId } = makeMessage(random, ++n, voice);
  cloud.social.addMedia(mediaId, bytes, 'audio/ogg');
  const used = sandbox.process ? processorMs(sandbox.process.pid) : 0;
  const requests = cloud.log.length;
  began ??= performance.now();
  if (!sandbox.process) await sandbox.start();
  const outcome = await fn.invoke(snsToLambda([eumEvent([message])]));
  const total = performance.now() - began;
  if (!outcome.ok) throw new Error(`${outcome.kind}: ${JSON.stringify(outcome.error)}`);
  const processor = processorMs(sandbox.process.pid) - used;
  const key = cloud.s3.keys(Bucket).find((k) => k.endsWith('.json') && cloud.s3.text(Bucket, k).includes(message.id));
  const { times } = JSON.parse(cloud.s3.text(Bucket, key)).caracola;
  const parts = {
    'start of the process to the first /next': Math.max(0, (await asked) - began),
    'opening the model': 1000 * times.model_s,
    'having the media copied, and fetching it': 1000 * times.media_s,
    'decoding the audio': 1000 * times.audio_s, 'mel spectrogram': 1000 * times.mel_s,
    encoder: 1000 * times.encode_s, decoder: 1000 * times.decode_s,
  };
  const known = Object.values(parts).reduce((sum, part) => sum + part, 0);
  parts['record, claim, answer and the rest'] = total - known;
  return { total, processor, requests: cloud.log.length - requests, parts };
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function report(title, runs) {
  const of = (pick) => runs.map(pick);
  const ms = (list) => median(list).toFixed(list.every((x) => x >= 100) ? 0 : 1).padStart(8);
  const line = (name, list) => process.stdout.write(`  ${name.padEnd(44)} ${ms(list)} ms\n`);
  const fastest = Math.min(...of((run) => run.total)).toFixed(0);
  process.stdout.write(`${title}: ${runs.length} runs, medians; the fastest took ${fastest} ms; ${median(of((run) => run.requests))} requests\n`);
  line('in all', of((run) => run.total));
  for (const name of Object.keys(runs[0].parts)) if (runs.some((run) => run.parts[name] > 0)) line(`  ${name}`, of((run) => run.parts[name]));
  line('processor', of((run) => run.processor));
}

const load = loadavg()[0].toFixed(1);
try {
  const cold = [];
  for (let i = 0; i < Number(values.cold); i++) {
    const one = await start();
    cold.push(await invoke(one, performance.now()));
    await one.sandbox.stop();
  }
  const one = await start();
  await invoke(one, performance.now());
  const warm = [];
  for (let i = 0; i < Number(values.warm); i++) warm.push(await invoke(one));
  await one.sandbox.stop();
  const commit = (() => {
    try { return execFileSync('git', ['-C', SOURCE, 'describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(); } catch { return 'no git'; }
  })();
  const seconds = JSON.parse(cloud.s3.text(Bucket, cloud.s3.keys(Bucket).find((k) => k.endsWith('.json')))).caracola.audio_seconds;
  process.stdout.write(`${basename(values.note)} (${seconds} s), ${basename(values.model)}, ${values.memory} MB; ${cpus()[0].model}, ${cpus().length} cores, ` +
    `load ${load} at the start, ${loadavg()[0].toFixed(1)} at the end; commit ${commit}\n`);
  report('cold, from the start of the process to its response', cold);
  report('warm', warm);
} finally {
  await cloud.stop();
}
