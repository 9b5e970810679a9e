// Reads a CloudFormation template: YAML 1.1, as CloudFormation takes it, with its short tags.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';

export const SOURCE = process.env.CARACOLA_SOURCE_DIR ?? new URL('../../..', import.meta.url).pathname;

const FUNCTIONS = ['And', 'Equals', 'FindInMap', 'GetAZs', 'If', 'Join', 'Not', 'Or', 'Select', 'Split', 'Sub'];

const customTags = [['Ref', 'Ref'], ['Condition', 'Condition'], ...FUNCTIONS.map((name) => [name, `Fn::${name}`])]
  .flatMap(([tag, name]) => [undefined, 'seq'].map((collection) => ({ tag: `!${tag}`, collection, resolve: (value) => ({ [name]: value }) })));
customTags.push({
  tag: '!GetAtt',
  resolve: (text) => ({ 'Fn::GetAtt': [text.slice(0, text.indexOf('.')), text.slice(text.indexOf('.') + 1)] }),
});

export function parseTemplate(text) {
  const document = parseDocument(text, { version: '1.1', customTags });
  const troubles = [...document.errors, ...document.warnings];
  if (troubles.length > 0) throw new Error(troubles.map((trouble) => trouble.message).join('\n'));
  return JSON.parse(JSON.stringify(document)); // what a tag holds becomes plain only so
}

export const templatePath = (name) => join(SOURCE, 'infra', name);
export const readTemplate = (name) => parseTemplate(readFileSync(templatePath(name), 'utf8'));
