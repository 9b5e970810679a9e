// infra/*.yaml: every variant is expanded, and each resource, permission and reference is checked.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { CHECKS, privateBucket } from './lib/checks.mjs';
import { ACCOUNT, expand } from './lib/expand.mjs';
import { attributesOf, checkReferences, identifierOf, SCHEMAS, wordsUsed } from './lib/references.mjs';
import { IN_WORDS, RETURNS } from './lib/returns.mjs';
import { validate } from './lib/schema.mjs';
import { readTemplate, SOURCE, templatePath } from './lib/template.mjs';
import { IMPOSSIBLE, VARIANTS } from './lib/variants.mjs';

const template = readTemplate('caracola.yaml');
const bootstrap = readTemplate('bootstrap.yaml');
const none = (complaints) => assert.deepEqual([...complaints], []);

for (const { name, parameters } of VARIANTS) {
  test(name, async (t) => {
    const stack = expand(template, parameters);
    for (const [what, check] of Object.entries(CHECKS)) await t.test(what, () => none(check(stack)));
  });
}

test('what cannot be is refused, with the reason', () => {
  for (const [parameters, why] of IMPOSSIBLE) assert.throws(() => expand(template, parameters), why);
});

test('nothing is there that no variant uses', () => {
  const stacks = VARIANTS.map(({ parameters }) => expand(template, parameters));
  const unused = (what, names, used) => assert.deepEqual(names.filter((name) => !used.has(name)), [], what);
  const together = (pick) => new Set(stacks.flatMap((stack) => [...pick(stack)]));
  unused('parameters', Object.keys(template.Parameters), together((stack) => stack.used.parameters));
  unused('conditions', Object.keys(template.Conditions), together((stack) => stack.used.conditions));
  unused('mappings', Object.keys(template.Mappings), together((stack) => stack.used.mappings));
  unused('resources', Object.keys(template.Resources), together((stack) => Object.keys(stack.resources)));
  unused('outputs', Object.keys(template.Outputs), together((stack) => Object.keys(stack.outputs)));
});

test('each parameter has a description, a label and a place in one group', () => {
  const { ParameterGroups: groups, ParameterLabels: labels } = template.Metadata['AWS::CloudFormation::Interface'];
  const names = Object.keys(template.Parameters).sort();
  assert.deepEqual(groups.flatMap((group) => group.Parameters).sort(), names);
  assert.deepEqual(Object.keys(labels).sort(), names);
  for (const group of groups) assert.ok(group.Label.default);
  for (const [name, parameter] of Object.entries(template.Parameters)) {
    assert.ok(parameter.Description, name);
    assert.ok(parameter.AllowedValues || parameter.AllowedPattern || parameter.MaxLength || parameter.MaxValue !== undefined, `${name} takes anything`);
    if (parameter.AllowedPattern) assert.ok(parameter.ConstraintDescription, `${name} does not say what it wants`);
  }
});

test('the languages are the program\'s', () => {
  const source = readFileSync(join(SOURCE, 'src/tokenizer/language.c'), 'utf8');
  const table = source.slice(source.indexOf('languages[CARA_N_LANGUAGES]'), source.indexOf('} aliases[]'));
  const codes = [...table.matchAll(/\{"([a-z]{2,3})",\s+"/g)].map(([, code]) => code);
  assert.ok(codes.length >= 99);
  assert.deepEqual(template.Parameters.Language.AllowedValues, ['', ...codes]);
});

test('every timeout has a visibility of six times, and every size of a worker exists on Fargate', () => {
  const { Visibility, Worker } = template.Mappings;
  assert.deepEqual(Object.keys(Visibility), template.Parameters.Timeout.AllowedValues.map(String));
  for (const [timeout, { Seconds }] of Object.entries(Visibility)) assert.ok(Seconds >= 6 * timeout);
  assert.deepEqual(Object.keys(Worker), template.Parameters.WorkerSize.AllowedValues);
  for (const WorkerSize of Object.keys(Worker)) {
    const { parameters } = VARIANTS.find(({ name }) => name.startsWith('worker'));
    none(CHECKS.worker(expand(template, { ...parameters, WorkerSize })));
  }
});

test('the bootstrap stack', () => {
  const stack = expand(bootstrap);
  none(validate(stack));
  none(privateBucket(stack, 'Bucket', 'BucketPolicy'));
  assert.deepEqual(Object.keys(stack.resources), ['Bucket', 'BucketPolicy', 'Repository']);
  const repository = stack.resources.Repository.Properties;
  const [allow, ...more] = repository.RepositoryPolicyText.Statement;
  assert.equal(more.length, 0);
  assert.deepEqual(allow.Principal, { Service: 'lambda.amazonaws.com' });
  assert.deepEqual(allow.Action, ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer']);
  assert.equal(allow.Condition.StringEquals['aws:SourceAccount'], ACCOUNT);
  assert.equal(JSON.parse(repository.LifecyclePolicy.LifecyclePolicyText).rules.length, 1);
  assert.deepEqual(stack.outputs, { BucketName: 'caracola-bucket', RepositoryUri: 'Repository-RepositoryUri' });
});

test('what Ref and GetAtt return is as the registry has it, of types that are used', () => {
  const stacks = [...VARIANTS.map(({ parameters }) => expand(template, parameters)), expand(bootstrap)];
  stacks.forEach((stack) => none(checkReferences(stack)));
  const referred = new Set(stacks.flatMap((stack) => stack.edges.map(({ to }) => stack.resources[to].Type)));
  const there = new Set([template, bootstrap].flatMap(({ Resources }) => Object.values(Resources).map(({ Type }) => Type)));
  assert.deepEqual([...referred].filter((type) => !RETURNS[type]), []);
  assert.deepEqual(Object.keys(RETURNS).filter((type) => !there.has(type)), []);
  for (const [type, { page, identifier, values }] of Object.entries(RETURNS)) {
    assert.match(page, /^https:\/\/docs\.aws\.amazon\.com\/AWSCloudFormation\/.*\/aws-resource-[a-z0-9-]+\.html$/);
    assert.deepEqual(identifier, identifierOf(type), type);
    const known = new Set([...attributesOf(type), ...identifier, ...Object.keys(SCHEMAS[type].properties)]);
    assert.deepEqual(Object.keys(values('Id', {})).filter((name) => !known.has(name)), [], type);
  }
  assert.deepEqual(IN_WORDS.filter((one) => !wordsUsed.has(one)).map(([place]) => place.source), []);
});

test('cfn-lint', async () => {
  const regions = ['us-east-1', 'eu-west-1', 'sa-east-1'].flatMap((region) => ['-r', region]);
  const { stdout } = await promisify(execFile)(join(SOURCE, 'tests/infra/.venv/bin/cfn-lint'), [...regions, '--', templatePath('caracola.yaml'), templatePath('bootstrap.yaml')])
    .catch((error) => ({ stdout: error.stdout || error.stderr || String(error) }));
  assert.equal(stdout.trim(), '');
});
