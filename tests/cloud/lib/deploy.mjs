// `caracola setup` and `teardown` against the test cloud, through the real AWS CLI.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { PROGRAM, SOURCE } from './program.mjs';

/** Debian's, which is the oldest supported version; a newer one where that is not installed. */
export const AWS = ['/usr/bin', ...process.env.PATH.split(delimiter)].map((folder) => join(folder, 'aws')).find(existsSync);
if (!AWS) throw new Error("no AWS CLI: install Debian's package awscli (make deps does)");

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
export const template = (name) => readFileSync(join(SOURCE, 'infra', `${name}.yaml`), 'utf8');

/** A folder with a small zip, an image as an OCI archive, and an `aws` that notes how it is called. */
export class Bench {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'caracola-setup-test-'));
    this.zip = join(this.folder, 'package.zip');
    // A zip of one empty file, by hand: 'bootstrap', stored.
    const name = Buffer.from('bootstrap');
    const head = (signature, rest) => { const b = Buffer.alloc(rest); b.writeUInt32LE(signature); return b; };
    const local = head(0x04034b50, 30);
    local.writeUInt16LE(name.length, 26);
    const central = head(0x02014b50, 46);
    central.writeUInt16LE(name.length, 28);
    const end = head(0x06054b50, 22);
    end.writeUInt16LE(1, 8);
    end.writeUInt16LE(1, 10);
    end.writeUInt32LE(central.length + name.length, 12);
    end.writeUInt32LE(local.length + name.length, 16);
    writeFileSync(this.zip, Buffer.concat([local, name, central, name, end]));
    this.calls = join(this.folder, 'calls');
    this.aws = join(this.folder, 'aws');
    writeFileSync(this.aws, `#!/bin/sh\necho "$@" >>'${this.calls}'\nexec '${AWS}' "$@"\n`);
    chmodSync(this.aws, 0o755);
  }

  /** An OCI archive with one layer that holds `text`. */
  image(text = 'hello') {
    const root = join(this.folder, `image-${sha256(text).slice(0, 8)}`);
    const blobs = join(root, 'blobs/sha256');
    mkdirSync(blobs, { recursive: true });
    const blob = (mediaType, bytes) => {
      writeFileSync(join(blobs, sha256(bytes)), bytes);
      return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
    };
    writeFileSync(join(root, 'file'), text);
    const layer = execFileSync('tar', ['-C', root, '-c', '--sort=name', '--mtime=@0', 'file']);
    rmSync(join(root, 'file'));
    const config = blob('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify({
      architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
    })));
    const manifest = blob('application/vnd.oci.image.manifest.v1+json', Buffer.from(JSON.stringify({
      schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json', config, layers: [blob('application/vnd.oci.image.layer.v1.tar', layer)],
    })));
    writeFileSync(join(root, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(join(root, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
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

  /** {code, out, err}; `meanwhile(child)` may do something to it; `aws: false` for commands without that flag. `answers` puts it on a terminal. */
  async run(cloud, args, { env = {}, unset = [], answers = null, meanwhile = null, aws = true } = {}) {
    const all = this.env(cloud, env);
    for (const name of unset) delete all[name];
    const command = [PROGRAM, ...args, ...(!aws || args.includes('--aws') ? [] : ['--aws', this.aws])];
    if (answers) command.unshift('python3', join(SOURCE, 'tests/cloud/answer.py'), JSON.stringify(answers));
    const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env: all });
    const text = { out: '', err: '' };
    child.stdout.setEncoding('utf8').on('data', (piece) => { text.out += piece; });
    child.stderr.setEncoding('utf8').on('data', (piece) => { text.err += piece; });
    const ended = once(child, 'close');
    await meanwhile?.(child, text);
    const [code] = await ended;
    return { code, ...text };
  }
}
