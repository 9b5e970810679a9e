// What a role's policies allow, and what a program asked for.
const list = (value) => (value === undefined ? [] : [value].flat());
const pattern = (text) => new RegExp(`^${text.split('*').map((part) => part.replace(/[.?+^${}()|[\]\\]/g, '\\$&')).join('.*')}$`);

/** All statements of a role, those of policies beside it too. */
export function statementsOf(stack, roleId = 'Role') {
  const own = (stack.resources[roleId].Properties.Policies ?? []).flatMap((policy) => policy.PolicyDocument.Statement);
  const beside = Object.entries(stack.resources)
    .filter(([id, { Type }]) => Type === 'AWS::IAM::RolePolicy' && stack.edges.some((edge) => edge.from === id && edge.to === roleId && edge.attribute === null))
    .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement);
  return [...own, ...beside].map((one) => ({ ...one, actions: list(one.Action), resources: list(one.Resource) }));
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
