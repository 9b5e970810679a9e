// Does with a template what CloudFormation does before it makes anything: checks the parameters, then
// the rules, decides the conditions, and resolves every reference. Physical names are made up, one for
// each resource and attribute, so that policies can be compared with what a program asks for.

export const ACCOUNT = '123456789012';
export const REGION = 'us-east-1';
const PSEUDO = {
  'AWS::AccountId': ACCOUNT, 'AWS::Region': REGION, 'AWS::Partition': 'aws', 'AWS::StackName': 'caracola', 'AWS::URLSuffix': 'amazonaws.com',
};
const GONE = Symbol('AWS::NoValue');

export class TemplateError extends Error {}
const fail = (where, why) => { throw new TemplateError(`${where}: ${why}`); };

// What Ref gives, where it is not a made-up id; and ARNs as they are written.
const arn = (service, resource, { region = REGION, account = ACCOUNT } = {}) => `arn:aws:${service}:${region}:${account}:${resource}`;
const REFS = {
  'AWS::S3::Bucket': (id) => `caracola-${id.toLowerCase()}`,
  'AWS::SNS::Topic': (id) => arn('sns', id),
  'AWS::SQS::Queue': (id) => `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/${id}`,
};
const ARNS = {
  'AWS::S3::Bucket': (id) => arn('s3', `caracola-${id.toLowerCase()}`, { region: '', account: '' }),
  'AWS::SQS::Queue': (id) => arn('sqs', id),
  'AWS::Lambda::Function': (id) => arn('lambda', `function:${id}`),
  'AWS::IAM::Role': (id) => arn('iam', `role/${id}`, { region: '' }),
  'AWS::Logs::LogGroup': (id) => arn('logs', `log-group:${id}:*`),
  'AWS::EFS::FileSystem': (id) => arn('elasticfilesystem', `file-system/${id}`),
  'AWS::EFS::AccessPoint': (id) => arn('elasticfilesystem', `access-point/${id}`),
};

/** How things are called, where the caller does not say. */
const MADE_UP = {
  pseudo: PSEUDO,
  ref: (id, type) => REFS[type]?.(id) ?? `ref-${id}`,
  attribute: (id, type, name) => {
    if (name === 'Arn') return ARNS[type]?.(id) ?? `arn-${id}`;
    return name.endsWith('Name') ? id : `${id}-${name}`;
  },
};

/** Parameters with defaults filled in; throws as CloudFormation refuses. All become strings. */
export function checkParameters(template, given) {
  const values = {};
  for (const name of Object.keys(given)) if (!template.Parameters?.[name]) fail(name, 'is no parameter');
  for (const [name, rule] of Object.entries(template.Parameters ?? {})) {
    if (given[name] === undefined && rule.Default === undefined) fail(name, 'has no value and no default');
    const value = String(given[name] ?? rule.Default);
    const bad = (why) => fail(name, `'${value}' ${rule.ConstraintDescription ?? why}`);
    if (rule.AllowedValues && !rule.AllowedValues.map(String).includes(value)) bad('is none of the allowed values');
    if (rule.AllowedPattern && !new RegExp(`^(?:${rule.AllowedPattern})$`).test(value)) bad('does not match');
    if (rule.MaxLength !== undefined && value.length > rule.MaxLength) bad('is too long');
    if (rule.Type === 'Number') {
      if (value === '' || Number.isNaN(Number(value))) bad('is no number');
      if (Number(value) < (rule.MinValue ?? -Infinity) || Number(value) > (rule.MaxValue ?? Infinity)) bad('is out of range');
    }
    values[name] = value;
  }
  return values;
}

class Expansion {
  constructor(template, given, names) {
    Object.assign(this, { template, names: { pseudo: PSEUDO, ...names } });
    this.parameters = checkParameters(template, given);
    this.conditions = new Map();
    this.edges = []; // {from, to, attribute, where, direct}: every reference that is really made; direct: it is the whole value
    this.used = { parameters: new Set(), conditions: new Set(), mappings: new Set() };
  }

  condition(name) {
    this.used.conditions.add(name);
    if (!this.conditions.has(name)) {
      const body = this.template.Conditions?.[name];
      if (!body) fail(name, 'is no condition');
      this.conditions.set(name, null);
      this.conditions.set(name, this.truth(body, `condition ${name}`));
    }
    return this.conditions.get(name) ?? fail(name, 'names itself');
  }

  truth(body, where) {
    const [[name, value]] = Object.entries(body);
    switch (name) {
      case 'Condition': return this.condition(value);
      case 'Fn::Equals': return String(this.value(value[0], where)) === String(this.value(value[1], where));
      case 'Fn::Not': return !this.truth(value[0], where);
      case 'Fn::And': return value.map((one) => this.truth(one, where)).every(Boolean);
      case 'Fn::Or': return value.map((one) => this.truth(one, where)).some(Boolean);
      default: return fail(where, `${name} gives no truth`);
    }
  }

  exists(id) {
    const resource = this.template.Resources[id];
    return !!resource && (!resource.Condition || this.condition(resource.Condition));
  }

  reference(id, attribute, where, direct) {
    const resource = this.template.Resources[id];
    if (!resource) fail(where, `refers to ${id}, which is nothing here`);
    if (!this.exists(id)) fail(where, `refers to ${id}, which is not made under these parameters`);
    this.edges.push({ from: this.current, to: id, attribute, where, direct });
    // Asked for to name it: those references are counted where they stand.
    const properties = () => {
      const { edges } = this;
      this.edges = [];
      try { return this.value(resource.Properties ?? {}, id); } finally { this.edges = edges; }
    };
    if (attribute !== null) return this.names.attribute(id, resource.Type, attribute, properties);
    return this.names.ref(id, resource.Type, properties);
  }

  ref(name, where, direct) {
    if (name === 'AWS::NoValue') return GONE;
    if (name in this.names.pseudo) return this.names.pseudo[name];
    if (name in this.parameters) {
      this.used.parameters.add(name);
      return this.parameters[name];
    }
    return this.reference(name, null, where, direct);
  }

  sub(argument, where) {
    const [text, extra] = Array.isArray(argument) ? argument : [argument, {}];
    const values = this.value(extra, where);
    const unused = Object.keys(values).filter((name) => !text.includes(`\${${name}}`));
    if (unused.length > 0) fail(where, `Sub does not use ${unused}`);
    return text.replace(/\$\{([^!}][^}]*)\}/g, (_, name) => {
      if (name in values) return values[name];
      const dot = name.indexOf('.');
      const value = dot < 0 ? this.ref(name, where, false) : this.reference(name.slice(0, dot), name.slice(dot + 1), where, false);
      return value === GONE ? fail(where, 'NoValue in Sub') : value;
    });
  }

  value(node, where) {
    if (Array.isArray(node)) return node.map((one, i) => this.value(one, `${where}[${i}]`)).filter((one) => one !== GONE);
    if (node === null || typeof node !== 'object') return node;
    const names = Object.keys(node);
    const call = names.length === 1 && (names[0] === 'Ref' || names[0].startsWith('Fn::')) ? names[0] : null;
    if (!call) {
      const all = names.map((name) => [name, this.value(node[name], `${where}.${name}`)]);
      return Object.fromEntries(all.filter(([, value]) => value !== GONE));
    }
    const argument = node[call];
    switch (call) {
      case 'Ref': return this.ref(argument, where, true);
      case 'Fn::GetAtt': return this.reference(argument[0], argument[1], where, true);
      case 'Fn::Sub': return this.sub(argument, where);
      case 'Fn::If': {
        if (argument.length !== 3) fail(where, 'If takes three');
        return this.value(argument[this.condition(argument[0]) ? 1 : 2], where);
      }
      case 'Fn::Join': return this.value(argument[1], where).join(argument[0]);
      case 'Fn::Split': return this.value(argument[1], where).split(argument[0]);
      case 'Fn::Select': return this.value(argument[1], where)[argument[0]] ?? fail(where, 'Select finds nothing');
      case 'Fn::GetAZs': return [`${REGION}a`, `${REGION}b`];
      case 'Fn::FindInMap': {
        const [map, key, name] = this.value(argument, where);
        this.used.mappings.add(map);
        return this.template.Mappings?.[map]?.[key]?.[name] ?? fail(where, `${map} has no ${key}.${name}`);
      }
      default: return fail(where, `${call} is not known`);
    }
  }

  rules() {
    const broken = [];
    for (const [name, rule] of Object.entries(this.template.Rules ?? {})) {
      if (rule.RuleCondition && !this.truth(rule.RuleCondition, `rule ${name}`)) continue;
      for (const one of rule.Assertions) if (!this.truth(one.Assert, `rule ${name}`)) broken.push(one.AssertDescription);
    }
    return broken;
  }

  run() {
    const broken = this.rules();
    if (broken.length > 0) throw new TemplateError(broken.join('; '));
    const resources = {};
    for (const [id, resource] of Object.entries(this.template.Resources)) {
      if (!this.exists(id)) continue;
      this.current = id;
      const properties = this.value(resource.Properties ?? {}, id);
      resources[id] = { ...resource, Properties: properties };
      for (const other of [resource.DependsOn ?? []].flat()) {
        if (!this.exists(other)) fail(id, `DependsOn ${other}, which is not made under these parameters`);
      }
    }
    this.current = 'Outputs';
    const outputs = {};
    for (const [name, output] of Object.entries(this.template.Outputs ?? {})) {
      if (!output.Condition || this.condition(output.Condition)) outputs[name] = this.value(output.Value, `output ${name}`);
    }
    return { resources, outputs, edges: this.edges, used: this.used, parameters: this.parameters, template: this.template };
  }
}

/**
 * {resources, outputs, edges, used, parameters, template}; throws a TemplateError with the reason. `names`: {pseudo, ref(id, type,
 * properties), attribute(id, type, name, properties)} for the physical names, without `pseudo` those made up here; `properties()` gives the resource's own.
 */
export const expand = (template, given = {}, names = MADE_UP) => new Expansion(template, given, names).run();
