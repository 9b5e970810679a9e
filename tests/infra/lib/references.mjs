// Each Ref and GetAtt of a stack: that AWS documents what it returns, and that this fits where it goes, by the
// patterns, lengths and values of the registry's schemas (as cfn-lint holds them) and of the pages.
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expand } from './expand.mjs';
import { DOCUMENTED, FORMATS, IN_WORDS, RETURNS } from './returns.mjs';
import { readTemplate, SOURCE } from './template.mjs';

const FOLDER = join(SOURCE, 'tests/infra');
const types = new Set([...Object.keys(RETURNS), ...['caracola.yaml', 'bootstrap.yaml'].flatMap((name) => Object.values(readTemplate(name).Resources).map(({ Type }) => Type))]);
/** The registry's schemas of all types in use. */
export const SCHEMAS = JSON.parse(execFileSync(join(FOLDER, '.venv/bin/python'), [join(FOLDER, 'schemas.py'), ...types], { encoding: 'utf8', maxBuffer: 1 << 26 }));
const db = loadAwsServiceSpecSync();
const specOf = (type) => db.lookup('resource', 'cloudFormationType', 'equals', type)[0];

const nameOf = (pointer) => pointer.split('/')[2];
export const identifierOf = (type) => SCHEMAS[type].primaryIdentifier.map(nameOf);
/** What GetAtt offers: read-only properties, and those of the CDK's specification, which has the older ones. */
export const attributesOf = (type) => new Set([...(SCHEMAS[type].readOnlyProperties ?? []).map(nameOf), ...Object.keys(specOf(type).attributes)]);

const compiled = new Map();
/** Schemas are written for Java and Python. */
const pattern = (source) => {
  if (!compiled.has(source)) {
    const text = source.replaceAll('\\Z', '$').replaceAll('\\p{Print}', '[\\x20-\\x7e]');
    let found;
    try { found = new RegExp(text, 'u'); } catch { found = new RegExp(text); }
    compiled.set(source, found);
  }
  return compiled.get(source);
};
const whole = (source) => pattern(`^(?:${source})$`);

function* checkValue(root, schema, value, where) {
  const shown = () => JSON.stringify(value).slice(0, 120);
  if (schema.$ref) {
    const target = schema.$ref.slice(2).split('/').reduce((node, key) => node[key.replaceAll('~1', '/').replaceAll('~0', '~')], root);
    yield* checkValue(root, target, value, where);
  }
  if (typeof value === 'string') {
    if (schema.pattern && !pattern(schema.pattern).test(value)) yield `${where} is ${shown()}, which does not match ${schema.pattern}`;
    if (value.length < (schema.minLength ?? 0) || value.length > (schema.maxLength ?? Infinity)) yield `${where} has ${value.length} characters: ${shown()}`;
    if (schema.format && FORMATS[schema.format] === undefined) yield `${where}: the format ${schema.format} is not known here`;
    else if (schema.format && FORMATS[schema.format] && !whole(FORMATS[schema.format]).test(value)) yield `${where} is ${shown()}, which is no ${schema.format}`;
  }
  if (schema.enum && typeof value !== 'object' && !schema.enum.map(String).includes(String(value))) yield `${where} is ${shown()}, none of ${schema.enum}`;
  if (schema.minimum !== undefined && Number(value) < schema.minimum) yield `${where} is less than ${schema.minimum}`;
  if (schema.maximum !== undefined && Number(value) > schema.maximum) yield `${where} is more than ${schema.maximum}`;
  for (const one of schema.allOf ?? []) yield* checkValue(root, one, value, where);
  for (const choices of [schema.anyOf, schema.oneOf]) {
    const complaints = (choices ?? []).map((one) => [...checkValue(root, one, value, where)]);
    if (complaints.length > 0 && !complaints.some((list) => list.length === 0)) yield complaints[0][0];
  }
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0) || value.length > (schema.maxItems ?? Infinity)) yield `${where} has ${value.length} entries`;
    if (schema.items) for (const one of value) yield* checkValue(root, schema.items, one, where);
  } else if (value && typeof value === 'object') {
    for (const [name, one] of Object.entries(value)) {
      const named = schema.properties?.[name] ?? Object.entries(schema.patternProperties ?? {}).find(([key]) => pattern(key).test(name))?.[1];
      if (named) yield* checkValue(root, named, one, `${where}.${name}`);
    }
  }
}

/** Each text and number in properties: [place without list positions, value]. */
function* leaves(value, where) {
  if (Array.isArray(value)) for (const one of value) yield* leaves(one, where);
  else if (value && typeof value === 'object') for (const [name, one] of Object.entries(value)) yield* leaves(one, `${where}.${name}`);
  else yield [where, value];
}

/** IN_WORDS' entries that some value was compared with. */
export const wordsUsed = new Set();

function* checkWords(where, value) {
  for (const entry of IN_WORDS) {
    const [place, wanted, page] = entry;
    if (!place.test(where)) continue;
    wordsUsed.add(entry);
    if (value === undefined || !whole(wanted).test(String(value))) yield `${where} is ${JSON.stringify(value)}, which does not match ${wanted} (${page})`;
  }
}

/** The types and attributes that the CDK's specification wants in a property: ["AWS::EC2::VPC.VpcId"], or none. */
function wantedIn(type, path) {
  let properties = specOf(type).properties, found;
  for (const name of path) {
    found = properties?.[name];
    let inner = found?.type;
    while (inner?.type === 'array') inner = inner.element;
    properties = inner?.type === 'ref' ? db.get('typeDefinition', inner.reference.$ref).properties : undefined;
  }
  return (found?.relationshipRefs ?? []).map((one) => `${one.cloudFormationType}.${one.propertyName}`);
}

/** The specification's own mistakes: it names an attribute that the type does not have. */
const AS_WANTED = { 'AWS::EC2::SecurityGroup.GroupId': 'AWS::EC2::SecurityGroup.Id', 'AWS::ApplicationAutoScaling::ScalingPolicy.Arn': 'AWS::ApplicationAutoScaling::ScalingPolicy.Id' };

function* checkEdges(stack, edges) {
  for (const { to, attribute, where, direct } of edges) {
    const type = stack.resources[to].Type;
    const row = RETURNS[type];
    const what = attribute === null ? `Ref of ${to}` : `${to}.${attribute}`;
    if (!row) yield `${where}: ${what} is of ${type}, which lib/returns.mjs does not know`;
    else if (attribute === null && row.noRef) yield `${where}: ${what} is not used, since ${row.noRef} (${row.page})`;
    else if (attribute !== null && !attributesOf(type).has(attribute)) yield `${where}: ${type} has no ${attribute}`;
    else if (attribute === null && row.identifier.length > 1 && direct && !IN_WORDS.some(([place]) => place.test(typed(stack, where)))) {
      yield `${where}: ${what} has the parts ${row.identifier.join('|')}, and nothing says that this place takes them`;
    }
    const [id, ...path] = where.replace(/\[\d+\]/g, '').split('.');
    if (!row || !direct || !stack.resources[id]) continue;
    const wanted = wantedIn(stack.resources[id].Type, path);
    const names = attribute === null ? row.identifier : [attribute];
    const given = names.map((name) => `${type}.${name}`).map((name) => AS_WANTED[name] ?? name);
    if (wanted.some((one) => one.startsWith(`${type}.`)) && !given.some((one) => wanted.includes(one))) yield `${where}: ${what} is not ${wanted.join(' or ')}`;
  }
}

/** "Id.Property[0].x" to "AWS::Type.Property.x". */
const typed = (stack, where) => {
  const [id, ...path] = where.replace(/\[\d+\]/g, '').split('.');
  return [stack.resources[id]?.Type ?? id, ...path].join('.');
};

/** Sentences about references whose value does not fit, none where all do. `stack`: as expand() gives it. */
export function* checkReferences({ template, parameters }) {
  const stack = expand(template, parameters, DOCUMENTED);
  yield* checkEdges(stack, stack.edges);
  for (const [id, { Type: type, Properties: properties }] of Object.entries(stack.resources)) {
    if (!SCHEMAS[type]) continue; // `schema` says that there is no such type
    for (const complaint of checkValue(SCHEMAS[type], SCHEMAS[type], properties, type)) yield `${id}: ${complaint}`;
    for (const [where, value] of leaves(properties, type)) for (const complaint of checkWords(where, value)) yield `${id}: ${complaint}`;
  }
}
