// `caracola setup` and `teardown` against the test cloud, through the real AWS CLI.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { PROGRAM, SOURCE } from './program.mjs';

/** Debian's, which is the oldest supported version; a newer one where that is not installed. */
export const AWS = ['/usr/bin', ...process.env.PATH.split(delimiter)].map((folder) => join(folder, 'aws')).find(existsSync);
if (!AWS) throw new Error("no AWS CLI: install Debian's package awscli (make deps does)");

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
export const template = (name) => readFileSync(join(SOURCE, 'infra', `${name}.yaml`), 'utf8');

/** A program for Linux, as far as its head shows. */
export function elf(machine = 62) {
  const bytes = Buffer.alloc(64);
  bytes.write('\x7fELF\x02\x01\x01', 'latin1');
  bytes.writeUInt16LE(2, 16);
  bytes.writeUInt16LE(machine, 18);
  return bytes;
}

/** A zip by hand: [{name, body, mode, size, flags}]; `size` replaces the size that its directory says. Bodies are packed. */
export function makeZip(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, body = Buffer.alloc(0), mode = 0o644, size = body.length, flags = 0 } of files) {
    const packed = deflateRawSync(body);
    const local = Buffer.alloc(30);
    const central = Buffer.alloc(46);
    local.writeUInt32LE(0x04034b50);
    central.writeUInt32LE(0x02014b50);
    central[5] = 3; // made on Unix
    for (const [head, from] of [[local, 6], [central, 8]]) {
      head.writeUInt16LE(flags, from);
      head.writeUInt16LE(8, from + 2);
      head.writeUInt32LE(packed.length, from + 12);
      head.writeUInt32LE(size, from + 16);
      head.writeUInt16LE(name.length, from + 20);
    }
    central.writeUInt32LE((0o100000 | mode) * 65536, 38);
    central.writeUInt32LE(at, 42);
    parts.push(local, Buffer.from(name), packed);
    directory.push(central, Buffer.from(name));
    at += 30 + name.length + packed.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50);
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(directory.reduce((n, one) => n + one.length, 0), 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** A small package for Lambda: a program and two time zones. */
export const packageZip = (machine) => makeZip([
  { name: 'bootstrap', body: elf(machine), mode: 0o755 },
  { name: 'share/zoneinfo/America/Mazatlan', body: Buffer.from('TZif2') },
  { name: 'share/zoneinfo/UTC', body: Buffer.from('TZif2') },
]);

/** A folder with a small zip, an image as an OCI archive, and an `aws` that notes how it is called. */
export class Bench {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'caracola-setup-test-'));
    this.zip = this.file('package.zip', packageZip());
    this.calls = join(this.folder, 'calls');
    this.aws = join(this.folder, 'aws');
    writeFileSync(this.aws, `#!/bin/sh\necho "$@" >>'${this.calls}'\nexec '${AWS}' "$@"\n`);
    chmodSync(this.aws, 0o755);
  }

  /** An `aws` that gives the same answer again to who the caller is and which stacks there are: for runs that change nothing, since each start of the CLI takes a second. */
  quickAws() {
    const path = join(this.folder, 'quick-aws');
    writeFileSync(path, `#!/bin/sh
case "$1 $2" in
"sts get-caller-identity" | "cloudformation describe-stacks") ;;
*) exec '${this.aws}' "$@" ;;
esac
kept='${this.folder}'/kept-$(echo "$@ $AWS_ACCESS_KEY_ID" | md5sum | cut -c1-32)
if [ ! -f "$kept.status" ]; then
    '${this.aws}' "$@" >"$kept.out" 2>"$kept.err"
    echo $? >"$kept.status"
fi
cat "$kept.err" >&2
cat "$kept.out"
exit "$(cat "$kept.status")"
`);
    chmodSync(path, 0o755);
    return path;
  }

  /** Writes a file into the folder; its path. */
  file(name, content) {
    writeFileSync(join(this.folder, name), content);
    return join(this.folder, name);
  }

  /** An OCI archive with one layer that holds `text` and a time zone. */
  image(text = 'hello', { architecture = 'amd64', env = [], pack = null, withoutLayer = false } = {}) {
    const root = join(this.folder, `image-${sha256(text).slice(0, 8)}-${architecture}`);
    const blobs = join(root, 'blobs/sha256');
    mkdirSync(blobs, { recursive: true });
    const blob = (mediaType, bytes) => {
      writeFileSync(join(blobs, sha256(bytes)), bytes);
      return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
    };
    writeFileSync(join(root, 'file'), text);
    mkdirSync(join(root, 'usr/share/zoneinfo/America'), { recursive: true });
    writeFileSync(join(root, 'usr/share/zoneinfo/America/Mazatlan'), 'TZif2');
    const plain = execFileSync('tar', ['-C', root, '-c', '--sort=name', '--mtime=@0', 'file', 'usr']);
    const layer = pack ? pack(plain) : plain;
    rmSync(join(root, 'file'));
    rmSync(join(root, 'usr'), { recursive: true });
    const config = blob('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify({
      architecture, os: 'linux', config: { Env: env }, rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(plain)}`] },
    })));
    const manifest = blob('application/vnd.oci.image.manifest.v1+json', Buffer.from(JSON.stringify({
      schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config, layers: [blob(`application/vnd.oci.image.layer.v1.tar${pack ? '+gzip' : ''}`, layer)],
    })));
    writeFileSync(join(root, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(join(root, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
    if (withoutLayer) rmSync(join(blobs, sha256(layer)));
    const path = `${root}.oci.tar`;
    execFileSync('tar', ['-C', root, '-cf', path, 'oci-layout', 'index.json', 'blobs']);
    return path;
  }

  /** Every command line that the AWS CLI was given. */
  lines() { return existsSync(this.calls) ? readFileSync(this.calls, 'utf8').trim().split('\n') : []; }
  remove() { rmSync(this.folder, { recursive: true, force: true }); }

  env(cloud, more = {}) {
    return { PATH: '/usr/bin:/bin', HOME: this.folder, TMPDIR: this.folder, TERM: 'xterm', ...cloud.clientEnv(), ...more };
  }

  /** Runs the command that an interrupted run printed, in a shell. */
  async follow(cloud, { err, out }) {
    const shown = (err + out).replaceAll(/\x1b\[[0-9;]*[A-Za-z]/g, ''); // colours of a terminal
    const line = /caracola: interrupted; .*to continue, run: (caracola .*?)\r?$/m.exec(shown)?.[1];
    if (!line) throw new Error(`no command is printed: ${err}${out}`);
    const env = this.env(cloud);
    return this.watch(spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...env, PATH: `${dirname(PROGRAM)}:${env.PATH}` } }));
  }

  /** {code, out, err} of a process. */
  async watch(child, meanwhile = null) {
    const text = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (piece) => { text.out += piece; });
    child.stderr.setEncoding('utf8').on('data', (piece) => { text.err += piece; });
    const ended = once(child, 'close');
    await meanwhile?.(child, text);
    const [code] = await ended;
    return { code, ...text };
  }

  /** {code, out, err}; `meanwhile(child)` may do something to it; `aws: false` for commands without that flag. `answers` puts it on a terminal. */
  async run(cloud, args, { env = {}, unset = [], answers = null, meanwhile = null, aws = true } = {}) {
    const all = this.env(cloud, env);
    for (const name of unset) delete all[name];
    const command = [PROGRAM, ...args, ...(!aws || args.includes('--aws') ? [] : ['--aws', this.aws])];
    if (answers) command.unshift('python3', join(SOURCE, 'tests/cloud/answer.py'), JSON.stringify(answers));
    return this.watch(spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: all }), meanwhile);
  }
}
