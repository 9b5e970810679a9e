// Runs cloud_probe, one call of our C client a run.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const BUILD = process.env.CARACOLA_BUILD_DIR ?? new URL('../../../build', import.meta.url).pathname;
const PROGRAM = process.env.CLOUD_PROBE ?? join(BUILD, 'tests/cloud/cloud_probe');

/** {code, stdout, stderr, ms}; a probe that takes over `timeoutMs` is killed and fails the test. */
export function probe(args, env, { timeoutMs = 30000 } = {}) {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not built: run ninja, or set CLOUD_PROBE`);
  const started = Date.now();
  return new Promise((resolve, reject) => {
    execFile(PROGRAM, args, { env: { PATH: process.env.PATH, ...env }, timeout: timeoutMs, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error?.killed) reject(new Error(`cloud_probe ${args[0]} took over ${timeoutMs} ms`));
      else if (error?.signal) reject(new Error(`cloud_probe ${args[0]} ended by ${error.signal}: ${stderr}`));
      else resolve({ code: error?.code ?? 0, stdout, stderr, ms: Date.now() - started });
    });
  });
}
