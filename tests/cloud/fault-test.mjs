// The fault campaign from the command line. Its last line says `lost N, duplicated N`; the exit status is
// 0 where every message has exactly one complete record and nothing else is in the store.
//
//   node tests/cloud/fault-test.mjs [--seed N] [--messages N] [--kills N] [--sandboxes N] [--limit SECONDS]
//        [--bug skip-write|random-id] [--program PATH] [--model FILE] [--voices FOLDER] [--log FILE]
import { createWriteStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BUGS, campaign } from './lib/campaign.mjs';
import { loadVoices } from './lib/messages.mjs';
import { BUILD } from './lib/probe.mjs';

const SOURCE = process.env.CARACOLA_SOURCE_DIR ?? new URL('../..', import.meta.url).pathname;
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' }, messages: { type: 'string', default: '1000' }, kills: { type: 'string', default: '100' },
    sandboxes: { type: 'string', default: '4' }, limit: { type: 'string', default: '480' }, bug: { type: 'string' },
    program: { type: 'string', default: join(BUILD, 'caracola') }, model: { type: 'string', default: join(SOURCE, 'models/demo.cara') },
    voices: { type: 'string', default: join(SOURCE, 'tests/data/nano/voices') }, log: { type: 'string' },
  },
});
function usage(message) {
  process.stderr.write(`fault-test: ${message}\n`);
  process.exit(2);
}
const number = (name) => {
  const n = Number(values[name]);
  return Number.isInteger(n) && n >= 0 ? n : usage(`--${name} takes a whole number, not '${values[name]}'`);
};
if (values.bug !== undefined && !(values.bug in BUGS)) usage(`--bug takes ${Object.keys(BUGS).join(' or ')}, not '${values.bug}'`);
for (const name of ['program', 'model', 'voices']) if (!existsSync(values[name])) usage(`--${name}: ${values[name]} is not there; build first`);

const log = values.log ? createWriteStream(values.log) : null;
const script = values.program.endsWith('.mjs');
const { ok } = await campaign({
  seed: number('seed'), messages: number('messages'), minKills: number('kills'), sandboxes: number('sandboxes'), limitS: number('limit'),
  bug: values.bug ?? null, voices: loadVoices(values.voices, 12), checkTexts: !script,
  program: { command: script ? process.execPath : values.program, args: script ? [values.program] : [], env: { CARACOLA_MODEL: values.model } },
  output: (line) => log?.write(line + '\n'),
}).catch((error) => {
  process.stderr.write(`fault-test: ${error.message}\n`);
  return { ok: false };
});
log?.end();
process.exitCode = ok ? 0 : 1;
