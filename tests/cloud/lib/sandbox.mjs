// Runs a program as Lambda does: a process that serves one event at a time through its own Runtime
// API, started again when it ends, frozen between events if asked.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { Runtime } from './runtime.mjs';

const MAX_FAILED_STARTS = 10;

/** Emits 'spawn', 'exit' ({code, signal}), and 'cannotStart' when the program fails to start again and again. */
export class Sandbox extends EventEmitter {
  /**
   * `env`: the function's own variables. `freeze`: stop the process while it waits for an event.
   * `output(line)` gets what the program prints, by line.
   */
  constructor({ cloud, fn, command, args = [], env = {}, freeze = false, memoryMb = 1769, output = () => {} }) {
    super();
    Object.assign(this, { cloud, fn, command, args, env, freeze, memoryMb, output });
    this.runtime = new Runtime(fn);
    this.exits = [];
    this.failedStarts = 0;
    this.stopping = false;
    this.runtime.on('timeout', () => this.kill('timeout'));
    this.runtime.on('event', () => { this.failedStarts = 0; this.thaw(); });
    this.runtime.on('next', () => { if (this.freeze) this.freezeSoon(); });
  }

  async start() {
    this.runtime.closed = new Promise((resolve) => { this.closeRuntime = resolve; });
    this.server = await this.cloud.serve(this.runtime);
    this.spawn();
  }

  spawn() {
    const key = this.key = this.cloud.keys.issue('sandbox');
    key.sandbox = this;
    this.process = spawn(this.command, this.args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH, LANG: 'C.UTF-8', TZ: ':UTC',
        AWS_LAMBDA_RUNTIME_API: this.server.url.replace('http://', ''),
        AWS_LAMBDA_FUNCTION_NAME: this.fn.name, AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(this.memoryMb), AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
        AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${this.fn.name}`, AWS_LAMBDA_LOG_STREAM_NAME: 'test',
        AWS_LAMBDA_LOG_FORMAT: 'JSON', AWS_LAMBDA_LOG_LEVEL: 'INFO', _HANDLER: 'bootstrap', LAMBDA_TASK_ROOT: '/var/task',
        ...this.cloud.clientEnv(key), ...this.env,
      },
    });
    this.startedAt = process.hrtime.bigint();
    for (const stream of [this.process.stdout, this.process.stderr]) {
      let rest = '';
      stream.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop();
        for (const line of lines) this.output(line);
      });
    }
    this.process.on('error', (error) => this.output(`cannot start ${this.command}: ${error.message}`));
    this.process.on('close', (code, signal) => this.ended(code, signal));
    this.failedStarts++;
    this.emit('spawn');
  }

  ended(code, signal) {
    this.process = null;
    this.exits.push({ code, signal, why: this.why ?? null });
    this.runtime.processEnded(this.why === 'timeout' ? 'timeout' : 'crash');
    this.emit('exit', { code, signal, why: this.why ?? null });
    this.why = null;
    if (this.stopping) return;
    if (this.failedStarts > MAX_FAILED_STARTS) this.emit('cannotStart', { code, signal });
    else this.spawn();
  }

  /** SIGKILL, now. `why` is kept with the exit. */
  kill(why) {
    if (!this.process) return false;
    this.why = why;
    return this.process.kill('SIGKILL');
  }

  freezeSoon() {
    // After /next has reached the API, Lambda freezes the sandbox until there is an event.
    setTimeout(() => { if (this.process && this.runtime.waiting) this.process.kill('SIGSTOP'); }, 20);
  }

  thaw() { if (this.process && this.freeze) this.process.kill('SIGCONT'); }

  async stop() {
    this.stopping = true;
    if (this.process) {
      const gone = once(this, 'exit');
      this.kill('stop');
      await gone;
    }
    this.closeRuntime?.();
    await this.server?.close();
  }
}
