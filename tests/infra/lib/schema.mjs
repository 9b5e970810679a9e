// Validates an expanded stack by AWS's own schemas of resource types (npm: @aws-cdk/aws-service-spec):
// types and properties that exist, what is required, of which type, out of which values.
import { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';
import { waitsFor } from './features.mjs';

const db = loadAwsServiceSpecSync();
const schemaOf = (type) => db.lookup('resource', 'cloudFormationType', 'equals', type)[0];

const SCALARS = {
  string: (value) => typeof value !== 'object',
  integer: (value) => /^-?\d+$/.test(String(value)),
  number: (value) => String(value) !== '' && !Number.isNaN(Number(value)),
  boolean: (value) => value === true || value === false || value === 'true' || value === 'false',
  json: () => true,
  'date-time': (value) => !Number.isNaN(Date.parse(value)),
};

// What AWS limits in words only, in the pages of these properties.
const LIMITS = {
  'AWS::Lambda::Function.MemorySize': [128, 10240],
  'AWS::Lambda::Function.Timeout': [1, 900],
  'AWS::SQS::Queue.VisibilityTimeout': [0, 43200],
  'AWS::SQS::Queue.MessageRetentionPeriod': [60, 1209600],
  'AWS::SQS::Queue.ReceiveMessageWaitTimeSeconds': [0, 20],
  'AWS::Lambda::EventInvokeConfig.MaximumRetryAttempts': [0, 2],
  'AWS::Lambda::EventInvokeConfig.MaximumEventAgeInSeconds': [60, 21600],
  'AWS::Lambda::EventSourceMapping.ScalingConfig.MaximumConcurrency': [2, 1000],
};

function* checkType(type, value, where) {
  const shown = () => JSON.stringify(value)?.slice(0, 80);
  if (value === undefined || value === null) yield `${where} is empty`;
  else if (SCALARS[type.type]) {
    if (!SCALARS[type.type](value)) yield `${where} is no ${type.type}: ${shown()}`;
    else if (type.allowedValues && !type.allowedValues.map(String).includes(String(value))) {
      yield `${where} is none of ${type.allowedValues.join(', ')}: ${shown()}`;
    }
  } else if (type.type === 'array') {
    if (!Array.isArray(value)) yield `${where} is no list: ${shown()}`;
    else for (const [i, one] of value.entries()) yield* checkType(type.element, one, `${where}[${i}]`);
  } else if (type.type === 'map') {
    if (typeof value !== 'object' || Array.isArray(value)) yield `${where} is no map: ${shown()}`;
    else for (const [key, one] of Object.entries(value)) yield* checkType(type.element, one, `${where}.${key}`);
  } else if (type.type === 'ref') {
    const { $ref: id } = type.reference;
    yield* checkProperties(db.get('typeDefinition', id).properties, value, where);
  } else if (type.type === 'tag') {
    if (typeof value !== 'object' || !('Key' in value) || !('Value' in value)) yield `${where} is no tag: ${shown()}`;
  } else if (type.type === 'union') {
    const complaints = type.types.map((one) => [...checkType(one, value, where)]);
    if (!complaints.some((list) => list.length === 0)) yield complaints.sort((a, b) => a.length - b.length)[0][0];
  } else yield `${where} has the schema type ${type.type}, which is not known here`;
  const limit = LIMITS[where.replace(/^\S+ (?=AWS::)/, '')];
  if (limit && (Number(value) < limit[0] || Number(value) > limit[1])) yield `${where} is not from ${limit[0]} to ${limit[1]}: ${shown()}`;
}

function* checkProperties(properties, value, where) {
  if (typeof value !== 'object' || Array.isArray(value)) {
    yield `${where} is no object`;
    return;
  }
  for (const [name, one] of Object.entries(value)) {
    if (!properties[name]) yield `${where} has no property ${name}`;
    else yield* checkType(properties[name].type, one, `${where}.${name}`);
  }
  for (const [name, { required }] of Object.entries(properties)) {
    if (required && !(name in value)) yield `${where} needs ${name}`;
  }
}

const ATTRIBUTES = new Set(['Type', 'Condition', 'Properties', 'DependsOn', 'Metadata', 'DeletionPolicy', 'UpdateReplacePolicy']);

/** What is wrong with an expanded stack, as sentences. */
export function* validate({ resources, edges }) {
  for (const [id, resource] of Object.entries(resources)) {
    const schema = schemaOf(resource.Type);
    for (const name of Object.keys(resource)) if (!ATTRIBUTES.has(name)) yield `${id} has no attribute ${name}`;
    if (!schema) yield `${id} has the type ${resource.Type}, which does not exist`;
    else yield* checkProperties(schema.properties, resource.Properties, `${id} ${resource.Type}`);
  }
  for (const { from, to, attribute } of edges) {
    const type = resources[to].Type;
    if (attribute !== null && schemaOf(type) && !schemaOf(type).attributes[attribute]) yield `${from} takes ${attribute} of ${to}, which ${type} does not have`;
  }
  for (const id of Object.keys(resources)) if (waitsFor({ resources, edges }, id).has(id)) yield `${id} depends on itself`;
}
