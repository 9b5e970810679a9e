// A reporter for node:test that writes flat TAP: one line a case, details as comments, so that Meson
// and our counter read every case.
export default async function* tap(source) {
  yield 'TAP version 13\n';
  const path = [];
  let n = 0;
  const comment = (text) => String(text).split('\n').map((line) => `#   ${line}\n`).join('');
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      path.length = data.nesting;
      path.push(data.name);
    } else if (type === 'test:stderr' || type === 'test:stdout' || type === 'test:diagnostic') {
      const text = (data.message ?? '').trimEnd();
      if (type !== 'test:diagnostic' || data.nesting > 0) yield comment(text);
    } else if (type === 'test:pass' || type === 'test:fail') {
      const cause = data.details?.error;
      // A suite has no line of its own, unless it failed otherwise than by its cases.
      if (data.details?.type === 'suite' && (type === 'test:pass' || cause?.failureType === 'subtestsFailed')) continue;
      const name = [...path.slice(0, data.nesting), data.name].join(' > ').replaceAll('#', '');
      const skip = data.skip === undefined ? '' : ` # SKIP ${typeof data.skip === 'string' ? data.skip : ''}`;
      yield `${type === 'test:pass' ? 'ok' : 'not ok'} ${++n} - ${name}${skip}\n`;
      if (type === 'test:fail') yield comment(cause?.cause?.stack ?? cause?.cause ?? cause?.stack ?? cause);
    }
  }
  yield `1..${n}\n`;
}
