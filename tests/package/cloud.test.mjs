// The packages in bare roots, against the test cloud: as Lambda functions and as workers. tests/package/run.py
// unpacks them and gives their folders in PACKAGE_ROOTS.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createServer } from 'node:tls';
import { startCloud } from '../cloud/lib/cloud.mjs';
import { Random } from '../cloud/lib/faults.mjs';
import { eumEvent, makeMessage, snsNotification, snsToLambda } from '../cloud/lib/messages.mjs';
import { asLambda, SOURCE } from '../cloud/lib/program.mjs';
import { recordKey } from '../cloud/lib/verdict.mjs';

const ROOTS = process.env.PACKAGE_ROOTS;
const ENTER = process.env.PACKAGE_ENTER;
const BUCKET = 'caracola-packages';
const DNS = '127.0.0.153'; // as roots.py wrote into resolv.conf
// What Lambda sets; the folders hold files that are no libraries.
const TASK = { LD_LIBRARY_PATH: '/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib' };
const IN = {
  zip: { command: ['/var/task/bootstrap'], env: TASK },
  'zip-small': { command: ['/var/task/bootstrap'], env: TASK },
  'zip-trusting': { command: ['/var/task/bootstrap'], env: TASK },
  image: { command: ['/usr/bin/caracola'], env: {} },
  'image-trusting': { command: ['/usr/bin/caracola'], env: {} },
  // Within what the unit of the worker allows.
  deb: { command: ['/usr/bin/caracola'], env: { PACKAGE_UNIT: join(SOURCE, 'infra/package/deb/caracola-worker.service') } },
};
const BUNDLE = { zip: 'var/task/share/ca-certificates.crt', image: 'etc/ssl/certs/ca-certificates.crt' };

const random = new Random('packages');
let cloud;
let n = 0;

const load = (name, text) => {
  const bytes = readFileSync(join(SOURCE, name));
  return { bytes, text, sha256: createHash('sha256').update(bytes).digest('base64') };
};
const sample = load('samples/panga-blanca.ogg', readFileSync(join(SOURCE, 'samples/panga-blanca.txt'), 'utf8').trim());

before(async () => {
  cloud = await startCloud();
  cloud.s3.createBucket(BUCKET);
});
after(async () => {
  await cloud.stop();
  assert.deepEqual(cloud.violations, []);
  assert.deepEqual(cloud.broken, []);
});

function note(voice = sample, mimeType = 'audio/ogg') {
  const entry = makeMessage(random, ++n, voice);
  entry.message.audio.mime_type = mimeType;
  cloud.social.addMedia(entry.mediaId, voice.bytes, mimeType);
  return entry;
}
const recordAt = (key) => JSON.parse(cloud.s3.text(BUCKET, key));
const recordOf = ({ message }) => recordAt(recordKey(message));
const textOf = (record) => record.transcription.text.trim().replaceAll(/\s+/g, ' ');
const event = (entry) => snsToLambda([eumEvent([entry.message])]);

/** Runs `work(fn, lines)` with the package of that root as a Lambda function. */
async function inLambda(root, env, work) {
  const { command, env: own } = IN[root];
  await asLambda(cloud, {
    command: ENTER, args: [join(ROOTS, root), ...command],
    env: { CARACOLA_MODEL: '', CARACOLA_STORE: `s3://${BUCKET}`, ...own, ...env },
  }, (fn, sandbox, lines) => {
    const cannotStart = new Promise((_, reject) => { sandbox.on('cannotStart', () => reject(new Error(`it does not start: ${lines.join('\n')}`))); });
    return Promise.race([work(fn, lines), cannotStart]);
  });
}

async function transcribes(root, env = {}, key = recordKey) {
  const entry = note();
  await inLambda(root, env, async (fn, lines) => {
    const outcome = await fn.invoke(event(entry));
    assert.ok(outcome.ok, `${JSON.stringify(outcome)}\n${lines.join('\n')}`);
  });
  assert.equal(textOf(recordAt(key(entry.message))), sample.text);
}

for (const root of ['zip', 'zip-small', 'image']) {
  test(`${root} as Lambda transcribes the sample note`, () => transcribes(root));
}

for (const root of ['zip', 'image']) {
  // Mazatlán is seven hours behind, all year.
  test(`${root} knows the time zones`, () => transcribes(root, { CARACOLA_TIMEZONE: 'America/Mazatlan' },
    (message) => recordKey({ ...message, timestamp: message.timestamp - 7 * 3600 })));

  test(`${root} finds hosts by /etc/hosts`, () => transcribes(root, { AWS_ENDPOINT_URL_S3: cloud.endpoints.s3.replace('127.0.0.1', 'localhost') }));
}

/** Answers every question with 127.0.0.1, as a name server; rejects where that port is not free. */
async function nameServer(asked) {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => {
    let end = 12;
    const labels = [];
    for (; query[end]; end += query[end] + 1) labels.push(query.toString('latin1', end + 1, end + 1 + query[end]));
    const question = query.subarray(12, end + 5);
    asked.add(labels.join('.'));
    const isA = query.readUInt16BE(end + 1) === 1;
    const head = Buffer.from(query.subarray(0, 12));
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt32BE(0x00010000 | (isA ? 1 : 0), 4);
    head.writeUInt32BE(0, 8);
    const answer = isA ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]) : Buffer.alloc(0);
    socket.send(Buffer.concat([head, question, answer]), from.port, from.address);
  });
  const failure = once(socket, 'error').then(([error]) => { throw error; });
  failure.catch(() => {});
  socket.bind(53, DNS);
  await Promise.race([once(socket, 'listening'), failure]);
  return socket;
}

for (const root of ['zip', 'image', 'deb']) {
  test(`${root} finds hosts by DNS`, { skip: process.getuid() !== 0 && 'a name server needs root' }, async () => {
    const asked = new Set();
    const socket = await nameServer(asked);
    try {
      await transcribes(root, { AWS_ENDPOINT_URL_S3: cloud.endpoints.s3.replace('127.0.0.1', 's3.caracola.test') });
    } finally {
      socket.close();
    }
    assert.deepEqual([...asked], ['s3.caracola.test']);
  });
}

/** The S3 double behind TLS, with a certificate for localhost that only `pem` verifies. */
async function overTls(work) {
  const key = join(ROOTS, 'tls.key');
  const pem = join(ROOTS, 'tls.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
    '-days', '2', '-keyout', key, '-out', pem], { stdio: 'pipe' });
  const { port } = new URL(cloud.endpoints.s3);
  const server = createServer({ key: readFileSync(key), cert: readFileSync(pem) }, (socket) => {
    const inner = connect(port, '127.0.0.1');
    for (const [one, other] of [[socket, inner], [inner, socket]]) one.on('error', () => other.destroy()).on('close', () => other.destroy()).pipe(other);
  });
  server.on('tlsClientError', () => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await work({ AWS_ENDPOINT_URL_S3: `https://localhost:${server.address().port}` }, readFileSync(pem));
  } finally {
    server.close();
  }
}

for (const root of ['zip', 'image']) {
  test(`${root} trusts its own certificates, and no others`, () => overTls(async (env, pem) => {
    const entry = note();
    await inLambda(root, env, async (fn, lines) => {
      assert.equal((await fn.invoke(event(entry))).ok, false);
      assert.match(lines.join('\n'), /certificate/i);
    });
    // The same, with that certificate in the place of the bundle.
    const bundle = join(ROOTS, `${root}-trusting`, BUNDLE[root]);
    cpSync(join(ROOTS, root), join(ROOTS, `${root}-trusting`), { recursive: true });
    rmSync(bundle);
    writeFileSync(bundle, pem);
    await transcribes(`${root}-trusting`, env);
  }));
}

for (const root of ['zip', 'image']) {
  test(`${root} reads M4A by its libav module`, async () => {
    const entry = note(load('tests/data/audio/speech.m4a'), 'audio/mp4');
    await inLambda(root, {}, async (fn) => assert.ok((await fn.invoke(event(entry))).ok));
    assert.equal(recordOf(entry).transcription.ok, true);
  });
}

test('zip without the libav module says so in the record', async () => {
  const entry = note(load('tests/data/audio/speech.m4a'), 'audio/mp4');
  await inLambda('zip-small', {}, async (fn) => assert.ok((await fn.invoke(event(entry))).ok));
  assert.equal(recordOf(entry).transcription.ok, false);
  assert.equal(recordOf(entry).transcription.error, 'audio_module');
});

for (const root of ['image', 'deb']) {
  test(`${root} as a worker transcribes the sample note`, async () => {
    const entry = note();
    const queue = cloud.sqs.createQueue(root);
    cloud.sqs.send(root, JSON.stringify(snsNotification(eumEvent([entry.message]))));
    const child = spawn(ENTER, [join(ROOTS, root), ...IN[root].command, 'worker'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH, CARACOLA_QUEUE: queue.url, CARACOLA_STORE: `s3://${BUCKET}`, ...IN[root].env, ...cloud.clientEnv() },
    });
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
    const exit = once(child, 'exit');
    let ended = false;
    exit.then(() => { ended = true; });
    while (cloud.sqs.depth(root) > 0 && !ended) await new Promise((resolve) => { setTimeout(resolve, 50); });
    child.kill('SIGTERM');
    assert.deepEqual(await exit, [130, null], log);
    assert.equal(textOf(recordOf(entry)), sample.text);
  });
}
