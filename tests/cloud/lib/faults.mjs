// Faults: on command, or by a seeded plan. Every one that is injected is recorded.
import { createHash } from 'node:crypto';

/** What can fail, and what the client sees of it. */
export const KINDS = {
  429: 'the service says that it is asked too often',
  500: 'the service fails inside',
  503: 'the service is overloaded (S3: SlowDown)',
  409: 'a conditional write meets another one (S3 only)',
  hang: 'no answer, ever; the request may have been carried out',
  drop: 'the connection is reset while the request is read; nothing was done',
  reset: 'the request is carried out, the answer is cut by a reset in its middle',
  length: 'the answer promises more bytes than come',
  digest: 'one byte of the answer is flipped (on an upload: the service says that the digest differs)',
  skew: "the service's clock jumps; it stays there",
  drip: 'the answer comes one byte at a time (a second, or `everyMs`)',
  expired: 'the credentials are said to have expired',
};

/** A small seeded generator (mulberry32): the same seed gives the same run. */
export class Random {
  constructor(seed) {
    this.state = createHash('sha256').update(String(seed)).digest().readUInt32LE(0);
  }
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  int(n) { return Math.floor(this.next() * n); }
  pick(list) { return list[this.int(list.length)]; }
  shuffle(list) {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [list[i], list[j]] = [list[j], list[i]];
    }
    return list;
  }
}

const matches = (pattern, op) =>
  pattern === op || pattern === '*' || (pattern.endsWith('.*') && op.startsWith(pattern.slice(0, -1)));

export class Faults {
  /** `rules`: [{op: 's3.GetObject' | 's3.*' | '*', kind, p}], p between 0 and 1. */
  constructor({ seed = 1, rules = [] } = {}) {
    this.commanded = [];
    this.injected = [];
    this.plan(seed, rules);
  }

  plan(seed, rules) {
    for (const rule of rules) {
      if (!(rule.kind in KINDS)) throw new Error(`no fault of kind '${rule.kind}'`);
      if (!(rule.p >= 0 && rule.p <= 1)) throw new Error(`p must lie in 0..1, not ${rule.p}`);
    }
    this.seed = seed;
    this.rules = rules;
    this.counts = new Map();
  }

  /** The next `times` requests of `op` (whose key holds `key`, if given) fail as `kind`. */
  command(op, kind, { times = 1, after = 0, key = '', ...params } = {}) {
    if (!(kind in KINDS)) throw new Error(`no fault of kind '${kind}'`);
    this.commanded.push({ op, kind, left: times, after, key, params });
  }

  /** Ends the plan and forgets commands; what was injected stays recorded. */
  quiet() {
    this.rules = [];
    this.commanded = [];
  }

  /**
   * The fault for this request, or null. The n-th request of an operation draws the same numbers
   * whatever other operations do meanwhile.
   */
  decide(op, facts = {}) {
    const n = (this.counts.get(op) ?? 0) + 1;
    this.counts.set(op, n);
    for (const c of this.commanded) {
      if (c.left <= 0 || !matches(c.op, op) || !(facts.key ?? '').includes(c.key)) continue;
      if (c.after > 0) {
        c.after--;
        continue;
      }
      c.left--;
      return this.record(op, c.kind, n, facts, new Random(`${this.seed} ${op} ${n}`), c.params);
    }
    if (this.rules.length === 0) return null;
    const random = new Random(`${this.seed} ${op} ${n}`);
    let draw = random.next();
    for (const rule of this.rules) {
      if (!matches(rule.op, op) || (rule.kind === '409' && !facts.conditional)) continue;
      if (draw < rule.p) return this.record(op, rule.kind, n, facts, random, {});
      draw -= rule.p;
    }
    return null;
  }

  record(op, kind, n, facts, random, params) {
    const fault = { op, kind: String(kind), n, key: facts.key ?? '', random, ...params };
    this.injected.push({ op, kind: String(kind), n, key: fault.key, at: Date.now() });
    return fault;
  }

  /** {op: {kind: count}} and the total of all that was injected. */
  tally() {
    const byOp = {};
    for (const { op, kind } of this.injected) {
      byOp[op] ??= {};
      byOp[op][kind] = (byOp[op][kind] ?? 0) + 1;
    }
    return { total: this.injected.length, byOp };
  }

  /** The tally as lines of text, one an operation. */
  tallyText() {
    const { total, byOp } = this.tally();
    const lines = Object.keys(byOp).sort().map((op) => {
      const parts = Object.entries(byOp[op]).sort().map(([kind, count]) => `${kind} ${count}`);
      return `  ${op.padEnd(36)} ${parts.join(', ')}`;
    });
    return [`faults injected: ${total}`, ...lines].join('\n');
  }
}
