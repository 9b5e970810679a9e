// The fault campaign in a short form, with the real program: it passes, and each bug makes it fail.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { campaign } from './lib/campaign.mjs';
import { loadVoices } from './lib/messages.mjs';
import { BUILD } from './lib/probe.mjs';

const SOURCE = process.env.CARACOLA_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;
const voices = loadVoices(join(SOURCE, 'tests/data/nano/voices'), 3);
const program = { command: join(BUILD, 'caracola'), env: { CARACOLA_MODEL: join(SOURCE, 'models/demo.cara') } };

async function run(options) {
  const lines = [];
  const log = [];
  const result = await campaign({
    seed: 6, voices, program, sandboxes: 3, timeoutS: 6, checkTexts: false,
    say: (line) => lines.push(line), output: (line) => log.push(line), ...options,
  });
  return { ...result, report: [...lines, ...log.slice(-20)].join('\n') };
}

test('60 messages, 40 % of them voice, under faults and kills: each has one whole record', async (t) => {
  const { ok, report, kills, tally } = await run({ messages: 60, minKills: 8, limitS: 200 });
  t.diagnostic(report.split('\n').find((line) => line.startsWith('seed 6: 60 messages')) ?? '');
  assert.ok(ok, report);
  assert.match(report, /lost 0, duplicated 0 \(\d+ s, ok\)/);
  assert.ok(kills >= 8 && tally.total > 0, report);
});

// Without faults or kills, so that it is the bug that is found.
const calm = { messages: 24, voices: voices.slice(0, 2), voiceShare: 0.1, minKills: 0, minFaults: 0, rules: [], limitS: 60, timeoutS: 3 };
for (const bug of ['skip-write', 'random-id']) {
  test(`the bug ${bug} is found`, async () => {
    const { ok, report, verdict } = await run({ ...calm, bug });
    assert.ok(!ok, report);
    assert.ok(verdict.complete < calm.messages, report);
    if (bug === 'skip-write') assert.ok(verdict.lost > 0, report);
    else assert.ok(verdict.wrong + verdict.duplicated > 0 && verdict.lost === 0, report);
  });
}
