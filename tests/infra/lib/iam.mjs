// What a role's policies allow, and what a program asked for.
import { ACCOUNT } from './expand.mjs';
import { list } from './features.mjs';

const pattern = (text) => new RegExp(`^${text.split('*').map((part) => part.replace(/[.?+^${}()|[\]\\]/g, '\\$&')).join('.*')}$`);

/** All statements of a role, those of policies beside it too. */
export function statementsOf(stack, roleId = 'Role') {
  const own = (stack.resources[roleId].Properties.Policies ?? []).flatMap((policy) => policy.PolicyDocument.Statement);
  const beside = Object.entries(stack.resources)
    .filter(([id, { Type }]) => Type === 'AWS::IAM::RolePolicy' && stack.edges.some((edge) => edge.from === id && edge.to === roleId && edge.attribute === null))
    .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement);
  return [...own, ...beside].map((one) => ({ ...one, actions: list(one.Action ?? one.NotAction), resources: list(one.Resource) }));
}

export const matches = (grant, asked) => pattern(grant).test(asked);

/** Compares the grants to code with requests {action, resource}: sentences, none where they are equal. */
export function* compare(statements, requests) {
  const grants = statements.filter((one) => one.Effect === 'Allow' && one.Sid.startsWith('Code'))
    .flatMap(({ Sid, actions, resources }) => actions.flatMap((action) => resources.map((resource) => ({ Sid, action, resource, used: 0 }))));
  const denied = new Set();
  for (const { action, resource } of requests) {
    const able = grants.filter((grant) => grant.action === action && matches(grant.resource, resource));
    if (able.length === 0) denied.add(`the program asked for ${action} on ${resource.replace(/\d{4}-\d\d-\d\d.*/, '…')}, which nothing grants`);
    for (const grant of able) grant.used++;
  }
  yield* denied;
  for (const { Sid, action, resource, used } of grants) if (used === 0) yield `${Sid} grants ${action} on ${resource}, which the program never asked for`;
}

/** What a principal is to a policy's conditions: the ones that our templates use. Of an unknown one it cannot be said. */
const HOLDS = {
  ArnEquals: (known, wanted) => known === wanted,
  StringEquals: (known, wanted) => known === wanted,
  Bool: (known, wanted) => String(known) === String(wanted),
};

function applies(statement, action, resource, context) {
  const any = (patterns, text) => list(patterns).some((one) => matches(one, text));
  if (statement.Action !== undefined ? !any(statement.Action, action) : any(statement.NotAction, action)) return false;
  if (!any(statement.Resource, resource)) return false;
  return Object.entries(statement.Condition ?? {}).every(([operator, keys]) => Object.entries(keys).every(([key, wanted]) => {
    if (!HOLDS[operator] || !(key in context)) throw new Error(`${operator} on ${key} is not known here`);
    return list(wanted).some((one) => HOLDS[operator](context[key], one));
  }));
}

/** 'denied', 'allowed', or 'not granted': as IAM decides where one statement of `statements` denies, one allows, or none does either. */
export function decide(statements, action, resource, roleId = 'Role') {
  const context = { 'aws:PrincipalArn': `arn:aws:iam::${ACCOUNT}:role/${roleId}`, 'aws:SecureTransport': true };
  const found = statements.filter((one) => /^s3:/.test(list(one.Action ?? one.NotAction)[0]) && applies(one, action, resource, context)).map((one) => one.Effect);
  if (found.includes('Deny')) return 'denied';
  return found.includes('Allow') ? 'allowed' : 'not granted';
}
