// Servers written by others, each used for what it does correctly: fauxqs (npm) for S3 keys and pages, SQS and
// SNS to SQS; moto (Python, only where it is installed) as one more S3.
import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { buildApp } from 'fauxqs';

/** Checks no signatures and no conditions; see docs/test-cloud.md. */
export async function startFauxqs() {
  const app = buildApp({ logger: false, host: '127.0.0.1' });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address();
  return { name: 'fauxqs', url: `http://127.0.0.1:${port}`, close: () => app.close() };
}

const PYTHON = process.env.CARACOLA_PYTHON ?? 'python3';

export function motoVersion() {
  const run = spawnSync(PYTHON, ['-c', 'import moto, moto.server; print(moto.__version__)'], { encoding: 'utf8' });
  return run.status === 0 ? run.stdout.trim() : null;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Null where moto is not installed: the caller reports that. */
export async function startMoto() {
  const version = motoVersion();
  if (version === null) {
    process.stderr.write('\n*** moto not present: skipped. The S3 checks ran against one independent server fewer. ***\n\n');
    return null;
  }
  const port = await freePort();
  const child = spawn(PYTHON, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const close = async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await new Promise((resolve) => child.on('close', resolve));
  };
  for (let tries = 0; tries < 300; tries++) {
    try {
      await fetch(`${url}/moto-api/`);
      return { name: `moto ${version}`, url, close };
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  await close();
  throw new Error('moto is present, but its server did not answer within 30 s');
}
