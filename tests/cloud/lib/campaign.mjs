// The fault campaign: many messages through the real program, as Lambda would run it, while the cloud
// fails and the process is killed at random. All random numbers come from the seed.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { startCloud } from './cloud.mjs';
import { Random } from './faults.mjs';
import { eumEvent, makeMessage, snsToLambda, sqsToLambda } from './messages.mjs';
import { LambdaFunction } from './runtime.mjs';
import { Sandbox } from './sandbox.mjs';
import { judge } from './verdict.mjs';

const BUCKET = 'caracola-campaign';
const PREFIX = 'inbox/';

const EVERYWHERE = { 429: 0.006, 500: 0.008, 503: 0.01, drop: 0.006, reset: 0.01, length: 0.004, skew: 0.001, expired: 0.002, hang: 0.001, drip: 0.001 };
/** The plan: every call of every service may fail; some in special ways. */
export const RULES = [
  ...['s3', 'social'].flatMap((service) => Object.entries(EVERYWHERE).map(([kind, p]) => ({ op: `${service}.*`, kind, p }))),
  { op: 's3.PutObject', kind: '409', p: 0.01 },
  { op: 's3.GetObject', kind: 'digest', p: 0.01 },
  { op: 'runtime.next', kind: 'reset', p: 0.003 },
  { op: 'runtime.next', kind: '500', p: 0.003 },
  { op: 'runtime.response', kind: 'reset', p: 0.003 },
  { op: 'runtime.response', kind: '500', p: 0.003 },
  { op: 'runtime.error', kind: 'drop', p: 0.01 },
];

/** Bugs that a program might have, made from outside it: see S3.mutate(). */
export const BUGS = {
  // The write that completes a record is omitted, for one message in eight.
  'skip-write': () => ({
    put: ({ key, body }) =>
      (key.endsWith('.json') && !body.includes('"pending"') && createHash('sha256').update(key).digest()[0] % 8 === 0 ? 'skip' : undefined),
  }),
  // A salted hash in the name: the same within a process, different in the next one.
  'random-id': () => ({
    key: ({ key, accessKeyId }) => {
      const salt = (id) => createHash('sha256').update(accessKeyId + id).digest('base64url').slice(0, 11);
      return key.replace(/-([A-Za-z0-9_-]{11})\.json$/, (_, id) => `-${salt(id)}.json`);
    },
  }),
};

/** Batches of one to six messages, each in one or more notifications. */
function makeBatches(entries, random) {
  const left = random.shuffle([...entries]);
  const batches = [];
  while (left.length > 0) {
    const messages = left.splice(0, 1 + random.int(6)).map((entry) => entry.message);
    const events = [];
    while (messages.length > 0) events.push(messages.splice(0, 1 + random.int(3)));
    batches.push({ events, kind: random.pick(['sns', 'sns', 'sqs', 'sqs', 'sqs-raw']) });
  }
  return batches;
}

const wrap = ({ events, kind }) => {
  const bodies = events.map(eumEvent);
  return kind === 'sns' ? snsToLambda(bodies) : sqsToLambda(bodies, { raw: kind === 'sqs-raw' });
};

/** Kills the sandboxes' processes at random moments: by the clock, or at a call to the cloud. */
class Killer {
  constructor({ cloud, sandboxes, random, probability }) {
    Object.assign(this, { cloud, random, probability, byMoment: {}, kills: 0, meanMs: 300, meanCalls: 6, on: true });
    this.plans = new Map(); // sandbox -> {calls, phase, writes}: at which call, or write, and when in it
    for (const sandbox of sandboxes) sandbox.runtime.on('event', () => this.plan(sandbox));
    cloud.onPhase((phase, entry) => this.atCall(phase, entry));
  }

  plan(sandbox) {
    this.plans.delete(sandbox);
    if (!this.on || this.random.next() >= this.probability) return;
    const process = sandbox.process;
    const way = this.random.pick(['clock', 'call', 'write']);
    if (way === 'clock') {
      const timer = setTimeout(() => {
        if (this.on && sandbox.process === process) this.kill(sandbox, 'by the clock');
      }, this.random.next() * this.meanMs * 1.2);
      timer.unref();
    } else {
      const writes = way === 'write';
      const calls = this.random.int(writes ? 4 : Math.ceil(this.meanCalls) + 1);
      this.plans.set(sandbox, { writes, calls, phase: this.random.pick(['received', 'applied', 'answered']) });
    }
  }

  async atCall(phase, entry) {
    const sandbox = this.cloud.keys.byId.get(entry.accessKeyId)?.sandbox;
    const plan = sandbox && this.plans.get(sandbox);
    if (!plan || !this.on || plan.phase !== phase || sandbox.key.accessKeyId !== entry.accessKeyId) return undefined;
    if ((plan.writes && entry.op !== 's3.PutObject') || plan.calls-- > 0) return undefined;
    this.plans.delete(sandbox);
    const write = entry.op === 's3.PutObject' ? 'a write' : 'a call';
    const when = { received: `before ${write}`, applied: `after ${write}, before its answer`, answered: `after the answer to ${write}` }[phase];
    this.kill(sandbox, when);
    // Killed while the request was sent: it may be executed or not.
    return phase === 'received' && this.random.int(2) === 0 ? 'abandon' : undefined;
  }

  kill(sandbox, moment) {
    if (!sandbox.kill(moment)) return;
    this.kills++;
    this.byMoment[moment] = (this.byMoment[moment] ?? 0) + 1;
  }

  learn(ms, calls) {
    this.meanMs += 0.05 * (ms - this.meanMs);
    this.meanCalls += 0.05 * (calls - this.meanCalls);
  }
}

/**
 * Runs it and gives {ok, verdict, kills, ...}. `program`: {command, args, env}. `say(line)` gets the report.
 */
export async function campaign({
  seed = 1, messages = 1000, voiceShare = 0.4, voices, program, sandboxes: n = 4, minKills = 100, limitS = 480, timeoutS = 10, bug = null,
  rules = RULES, minFaults = 1, checkTexts = true, say = console.log, output = () => {},
}) {
  const random = new Random(`campaign ${seed}`);
  const startedAt = Date.now();
  const seconds = () => (Date.now() - startedAt) / 1000;
  const cloud = await startCloud({ seed, s3: { pageLimit: 5 } });
  for (const bucket of [BUCKET, 'caracola-reference']) cloud.s3.createBucket(bucket);
  // The claim of a process that died stays, until the function's time would have ended. So the
  // pauses between tries grow, as Lambda's do, only not to minutes.
  const pause = (tries) => random.int(Math.min(3000, 100 * 2 ** tries));
  const fn = new LambdaFunction({ timeoutMs: 1000 * timeoutS, retries: 1000, retryDelayMs: pause });
  const programFor = (bucket) => ({
    cloud, command: program.command, args: program.args ?? [], output, memoryMb: 1769,
    env: { ...program.env, CARACOLA_STORE: `s3://${bucket}/${PREFIX.slice(0, -1)}` },
  });
  const done = [];
  try {
    // The text of each voice note, by the same program without faults.
    const reference = await transcribeOnce({ cloud, fn: new LambdaFunction({ timeoutMs: 60000, retries: 0 }), voices, random, programFor });
    if (checkTexts) {
      const right = voices.filter((voice) => plain(reference.get(voice.name)) === plain(voice.text)).length;
      if (right < voices.length / 2) throw new Error(`only ${right} of ${voices.length} voice notes are transcribed correctly even without faults`);
    }
    say(`seed ${seed}: ${voices.length} voice notes transcribed without faults in ${seconds().toFixed(1)} s`);

    const nVoice = Math.round(messages * voiceShare);
    const entries = Array.from({ length: messages }, (_, i) => makeMessage(random, i, i < nVoice ? random.pick(voices) : null));
    for (const { voice, mediaId } of entries) if (voice) cloud.social.addMedia(mediaId, voice.bytes, 'audio/ogg');
    const batches = makeBatches(entries, random);
    // At least once: some come again, some in other batches.
    const deliveries = [...batches];
    for (const batch of batches) for (let again = 0; again < 2; again++) if (random.next() < 0.15) deliveries.push(batch);
    deliveries.push(...makeBatches(random.shuffle([...entries]).slice(0, Math.ceil(messages / 20)), random));
    random.shuffle(deliveries);

    cloud.faults.plan(seed, rules);
    if (bug) cloud.s3.mutate(BUGS[bug]());
    const sandboxes = Array.from({ length: n }, () => new Sandbox({ fn, ...programFor(BUCKET) }));
    const killer = new Killer({ cloud, sandboxes, random, probability: Math.min(0.35, (0.9 * minKills) / deliveries.length) });
    let cannotStart = null;
    const calls = new Map();
    cloud.onPhase((phase, entry) => { if (phase === 'received') calls.set(entry.accessKeyId, (calls.get(entry.accessKeyId) ?? 0) + 1); });
    fn.on('outcome', ({ kind, ms }) => { if (kind === 'response') killer.learn(ms, (cloud.log.length / Math.max(1, fn.outcomes.length)) || 6); });
    for (const sandbox of sandboxes) sandbox.on('cannotStart', ({ code, signal }) => { cannotStart ??= `the program ends before its first event (${signal ?? `status ${code}`})`; });

    const bad = [];
    const deliver = async (batch) => {
      let rest = batch;
      for (let round = 1;; round++) {
        const event = wrap(rest);
        const outcome = await fn.invoke(event);
        if (!outcome.ok) return bad.push(`an event was given up after ${outcome.attempts} tries`);
        if (rest.kind === 'sns') return undefined;
        // SQS delivers again exactly what the program names.
        const names = failedItems(outcome.body, event, bad);
        if (names.size === 0) return undefined;
        rest = { ...rest, events: rest.events.filter((_, i) => names.has(event.Records[i].messageId)) };
        await new Promise((resolve) => setTimeout(resolve, pause(round)));
      }
    };
    const overtime = new Promise((resolve) => {
      const timer = setInterval(() => {
        if (seconds() > limitS) resolve(`not done within ${limitS} s`);
        else if (cannotStart) resolve(cannotStart);
        else return;
        clearInterval(timer);
      }, 100);
      done.push(() => clearInterval(timer));
    });
    done.push(async () => { killer.on = false; await Promise.all(sandboxes.map((sandbox) => sandbox.stop())); });
    await Promise.all(sandboxes.map((sandbox) => sandbox.start()));
    const work = (async () => {
      await Promise.all(deliveries.map(deliver));
      // Too few kills so far: repeat the same deliveries.
      for (let extra = 0; killer.kills < minKills && extra < 20 * minKills; extra += n) {
        killer.probability = 0.9;
        await Promise.all(Array.from({ length: n }, () => deliver(random.pick(batches))));
      }
    })();
    const failure = await Promise.race([work, overtime]);
    if (failure) bad.push(failure);
    await done.pop()();

    const verdict = judge(cloud.s3, BUCKET, PREFIX, entries, (voice) => reference.get(voice.name));
    const ended = {};
    for (const { kind } of fn.outcomes) ended[kind] = (ended[kind] ?? 0) + 1;
    for (const { op, code, why } of cloud.violations.slice(0, 10)) bad.push(`${op}: ${code}: ${why}`);
    for (const { service, error } of cloud.broken.slice(0, 3)) bad.push(`a defect of the test cloud's ${service}: ${error}`);
    if (killer.kills < minKills) bad.push(`only ${killer.kills} kills of ${minKills}`);
    if (cloud.faults.tally().total < minFaults) bad.push('no faults were injected');
    say(`${messages} messages, ${nVoice} of them voice, in ${batches.length} batches, delivered ${deliveries.length} times to ${n} sandboxes`);
    say(`kills: ${killer.kills}${Object.entries(killer.byMoment).sort().map(([moment, k]) => `\n  ${moment.padEnd(36)} ${k}`).join('')}`);
    say(cloud.faults.tallyText());
    const cpu = cpuSeconds();
    if (cpu) say(`processor time: ${cpu.programs.toFixed(0)} s in the program's processes, ${cpu.cloud.toFixed(0)} s in the test cloud`);
    say(`tries: ${Object.entries(ended).sort().map(([kind, k]) => `${kind} ${k}`).join(', ')}; requests: ${cloud.log.length}, refused for their signature: ${cloud.violations.length}`);
    for (const line of [...bad, ...verdict.details.slice(0, 20)]) say(`  ${line}`);
    const ok = bad.length === 0 && verdict.complete === messages && verdict.lost + verdict.duplicated + verdict.orphans + verdict.wrong === 0;
    say(`seed ${seed}${bug ? ` with the bug ${bug}` : ''}: ${messages} messages, ${verdict.complete} complete, incomplete ${verdict.wrong}, orphans ${verdict.orphans}, ` +
      `lost ${verdict.lost}, duplicated ${verdict.duplicated} (${seconds().toFixed(0)} s, ${ok ? 'ok' : 'FAILED'})`);
    return { ok, verdict, kills: killer.kills, bad, tally: cloud.faults.tally(), seconds: seconds() };
  } finally {
    for (const end of done.reverse()) await end();
    await cloud.stop();
  }
}

/** The message ids that a partial batch response names; anything else in it is noted in `bad`. */
function failedItems(body, event, bad) {
  let items;
  try {
    items = JSON.parse(body).batchItemFailures;
  } catch { /* noted below */ }
  if (!Array.isArray(items)) {
    bad.push(`an answer to an SQS event is no partial batch response: ${String(body).slice(0, 100)}`);
    return new Set();
  }
  const known = new Set(event.Records.map((record) => record.messageId));
  for (const { itemIdentifier } of items) if (!known.has(itemIdentifier)) bad.push(`an unknown item is said to have failed: ${itemIdentifier}`);
  return new Set(items.map((item) => item.itemIdentifier));
}

/** Processor time of this process and of the children it has waited for, or null where the system does not report it. */
function cpuSeconds() {
  try {
    const fields = readFileSync('/proc/self/stat', 'latin1').replace(/^.*\) /s, '').split(' ');
    const at = (i) => Number(fields[i - 3]) / 100; // man proc counts from 1, and we start at the third
    return { cloud: at(14) + at(15), programs: at(16) + at(17) };
  } catch {
    return null;
  }
}

export const plain = (text) => (text ?? '').toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ').trim();

async function transcribeOnce({ cloud, fn, voices, random, programFor }) {
  const sandbox = new Sandbox({ fn, ...programFor('caracola-reference') });
  const failure = new Promise((resolve) => sandbox.on('cannotStart', () => resolve({ ok: false, kind: 'no start' })));
  await sandbox.start();
  try {
    const texts = new Map();
    for (const [i, voice] of voices.entries()) {
      const { message, mediaId } = makeMessage(random, 900000 + i, voice);
      cloud.social.addMedia(mediaId, voice.bytes, 'audio/ogg');
      const outcome = await Promise.race([fn.invoke(snsToLambda([eumEvent([message])])), failure]);
      if (!outcome.ok) {
        const init = sandbox.runtime.initErrors[0];
        throw new Error(`the program fails even without faults: ${outcome.kind} ${JSON.stringify(outcome.error ?? init ?? '')}`);
      }
      const record = cloud.s3.keys('caracola-reference').filter((key) => key.endsWith('.json'))
        .map((key) => JSON.parse(cloud.s3.text('caracola-reference', key))).find((r) => r.id === message.id);
      if (record?.transcription?.ok !== true) throw new Error(`${voice.name} has no transcript even without faults: ${JSON.stringify(record?.transcription)}`);
      texts.set(voice.name, record.transcription.text);
    }
    return texts;
  } finally {
    await sandbox.stop();
  }
}
