// Our program as Lambda runs it, for one event after the other.
import { join } from 'node:path';
import { BUILD } from './probe.mjs';
import { LambdaFunction } from './runtime.mjs';
import { Sandbox } from './sandbox.mjs';

export const SOURCE = process.env.CARACOLA_SOURCE_DIR ?? new URL('../../..', import.meta.url).pathname;
export const PROGRAM = join(BUILD, 'caracola');
export const MODEL = join(SOURCE, 'models/demo.cara');

/** Runs `work(fn, sandbox, lines)`; `lines` is what the program has printed so far. */
export async function asLambda(cloud, { env = {}, timeoutMs = 60000, retries = 0, retryDelayMs = () => 50, ...more }, work) {
  const fn = new LambdaFunction({ timeoutMs, retries, retryDelayMs });
  const lines = [];
  const sandbox = new Sandbox({
    cloud, fn, command: PROGRAM, env: { CARACOLA_MODEL: MODEL, ...env }, output: (line) => lines.push(line), ...more,
  });
  try {
    await sandbox.start();
    return await work(fn, sandbox, lines);
  } finally {
    await sandbox.stop();
  }
}
