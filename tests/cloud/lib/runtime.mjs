// A double of the Lambda Runtime API and of what is behind it: a function with a queue of
// asynchronous events, tried again after errors, time-outs and crashes, and sandboxes that serve it.
import { randomBytes, randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { json, ServiceError } from './http.mjs';

const PREFIX = '/2018-06-01/runtime';
const RESPONSE_LIMIT = 6 * 1024 * 1024;

/** The function: events wait here until a sandbox asks for one. */
export class LambdaFunction extends EventEmitter {
  /** `retries`: tries after the first one, as MaximumRetryAttempts; `retryDelayMs(attempt)`. */
  constructor({ name = 'caracola', timeoutMs = 60000, retries = 2, retryDelayMs = () => 50 } = {}) {
    super();
    Object.assign(this, { name, timeoutMs, retries, retryDelayMs });
    this.arn = `arn:aws:lambda:us-east-1:123456789012:function:${name}`;
    this.queue = [];
    this.waiters = new Set();
    this.outcomes = []; // every try's end, in order
    this.dead = []; // events without attempts left: the on-failure destination
    this.pending = 0; // events not yet settled
  }

  /** Queues an event; resolves when it is settled: {ok, attempts, body?, error?}. */
  invoke(event, tag = null) {
    this.pending++;
    return new Promise((resolve) => {
      const body = typeof event === 'string' ? event : JSON.stringify(event);
      this.queue.push({ id: randomUUID(), body, tag, attempts: 0, settle: resolve });
      this.wake();
    });
  }

  wake() {
    for (const waiter of [...this.waiters]) waiter();
  }

  /** The next event, or null once `cancelled` resolves. */
  async take(cancelled) {
    let over = false;
    cancelled.then(() => { over = true; });
    while (!over) {
      const invocation = this.queue.shift();
      if (invocation) {
        invocation.attempts++;
        return invocation;
      }
      await new Promise((resolve) => {
        const waiter = () => { this.waiters.delete(waiter); resolve(); };
        this.waiters.add(waiter);
        cancelled.then(waiter);
      });
    }
    return null;
  }

  /** One attempt has ended: `kind` is response, error, crash or timeout. */
  ended(invocation, kind, facts = {}) {
    const outcome = { id: invocation.id, tag: invocation.tag, attempt: invocation.attempts, kind, at: Date.now(), ...facts };
    this.outcomes.push(outcome);
    this.emit('outcome', outcome);
    if (kind === 'response') {
      this.pending--;
      invocation.settle({ ok: true, attempts: invocation.attempts, body: facts.body });
    } else if (invocation.attempts > this.retries) {
      this.pending--;
      this.dead.push({ body: invocation.body, tag: invocation.tag, last: outcome });
      invocation.settle({ ok: false, attempts: invocation.attempts, kind, error: facts.error });
    } else {
      setTimeout(() => { this.queue.push(invocation); this.wake(); }, this.retryDelayMs(invocation.attempts));
      return;
    }
    if (this.pending === 0) this.emit('idle');
  }
}

/** The Runtime API as one sandbox sees it. Emits 'timeout', 'next' (waiting for an event) and 'event'. */
export class Runtime extends EventEmitter {
  name = 'runtime';
  signingName = null;
  keepAliveMs = 3600 * 1000;

  constructor(fn) {
    super();
    this.fn = fn;
    this.current = null; // {invocation, requestId, deadline}
    this.initErrors = [];
    this.waiting = false;
    this.used = false;
  }

  error(status, code, message) { return json(status, { errorMessage: message, errorType: code }); }

  faultError(kind) {
    return kind === '500' ? [500, 'InternalServerError', 'Container error'] : [{ 429: 429, 503: 503 }[kind] ?? 500, 'ServiceError', 'as the test asked'];
  }

  route(request) {
    if (request.method === 'GET' && request.path === `${PREFIX}/invocation/next`) return { op: 'next' };
    if (request.method !== 'POST') return null;
    if (request.path === `${PREFIX}/init/error`) return { op: 'initError' };
    const match = /^\/invocation\/([^/]+)\/(response|error)$/.exec(request.path.slice(PREFIX.length));
    return match && request.path.startsWith(PREFIX) ? { op: match[2], id: match[1] } : null;
  }

  handle(route, request, { gone }) {
    if (route.op === 'next') return this.next(gone);
    if (route.op === 'initError') {
      this.initErrors.push(this.errorOf(request));
      this.emit('initError', this.initErrors.at(-1));
      return json(202, { status: 'OK' });
    }
    if (!this.current || this.current.requestId !== route.id) throw new ServiceError(400, 'InvalidRequestID', 'Invalid request ID');
    if (route.op === 'response' && request.body.length > RESPONSE_LIMIT) {
      throw new ServiceError(413, 'RequestEntityTooLarge', 'Exceeded maximum allowed payload size (6291556 bytes).');
    }
    const { startedAt } = this.current;
    const facts = { ms: Date.now() - startedAt, cold: this.current.cold };
    if (route.op === 'response') this.end('response', { ...facts, body: request.body.toString() });
    else this.end('error', { ...facts, error: this.errorOf(request) });
    return json(202, { status: 'OK' });
  }

  errorOf(request) {
    let body = {};
    try { body = JSON.parse(request.body); } catch { /* recognised by the missing fields */ }
    return { type: request.header('lambda-runtime-function-error-type') ?? '', ...body };
  }

  async next(gone) {
    if (this.current) throw new ServiceError(403, 'InvalidStateTransition', 'The last event has no response yet.');
    this.waiting = true;
    this.emit('next');
    let over = false;
    gone.then(() => { over = true; });
    let invocation = await this.fn.take(Promise.race([gone, this.closed ?? new Promise(() => {})]));
    this.waiting = false;
    if (!invocation) return null;
    if (over) {
      // No process is there to take it: it was never handed out.
      invocation.attempts--;
      this.fn.queue.unshift(invocation);
      this.fn.wake();
      return null;
    }
    const startedAt = Date.now();
    const deadline = startedAt + this.fn.timeoutMs;
    const requestId = randomUUID();
    const timer = setTimeout(() => this.emit('timeout'), this.fn.timeoutMs);
    this.current = { invocation, requestId, startedAt, deadline, timer, cold: !this.used };
    this.used = true;
    this.emit('event', this.current);
    return {
      status: 200, body: invocation.body,
      headers: {
        'Content-Type': 'application/json',
        'Lambda-Runtime-Aws-Request-Id': requestId,
        'Lambda-Runtime-Deadline-Ms': String(deadline),
        'Lambda-Runtime-Invoked-Function-Arn': this.fn.arn,
        'Lambda-Runtime-Trace-Id': `Root=1-${Math.floor(startedAt / 1000).toString(16)}-${randomBytes(12).toString('hex')};Sampled=0`,
      },
    };
  }

  end(kind, facts) {
    const { invocation, timer, startedAt } = this.current;
    clearTimeout(timer);
    this.current = null;
    this.fn.ended(invocation, kind, { ms: Date.now() - startedAt, ...facts });
  }

  /** The process behind it is gone; its next one starts cold. */
  processEnded(kind = 'crash') {
    this.used = false;
    if (this.current) this.end(kind, {});
  }
}
