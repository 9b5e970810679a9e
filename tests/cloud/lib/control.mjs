// An interface for tests that are not JavaScript: plain JSON over HTTP, unsigned, never subject to faults.
import { createServer } from 'node:http';

async function readAll(req) {
  const parts = [];
  for await (const part of req) parts.push(part);
  return Buffer.concat(parts);
}

/** The calls. Each takes (cloud, query parameters, body bytes) and gives a value to be shown as JSON. */
const CALLS = {
  'GET /health': () => ({ ok: true }),
  'GET /env': (cloud) => cloud.clientEnv(),
  'GET /summary': (cloud) => cloud.summary(),
  'GET /tally': (cloud) => cloud.faults.tally(),
  'GET /log': (cloud) => cloud.log,
  'GET /violations': (cloud) => cloud.violations,
  'POST /violations/clear': (cloud) => { cloud.violations.length = 0; },
  // {"op": "s3.GetObject", "kind": "503", "times": 2, "after": 0, "key": "", "retryAfter": 1}
  'POST /fault': (cloud, _query, body) => {
    const { op, kind, ...options } = JSON.parse(body);
    cloud.faults.command(op, String(kind), options);
  },
  // {"seed": 7, "rules": [{"op": "s3.*", "kind": "500", "p": 0.1}]}
  'POST /plan': (cloud, _query, body) => {
    const { seed = 1, rules = [] } = JSON.parse(body);
    cloud.faults.plan(seed, rules.map((rule) => ({ ...rule, kind: String(rule.kind) })));
  },
  'POST /quiet': (cloud) => cloud.faults.quiet(),
  'POST /skew': (cloud, query) => { cloud.skewMs = Number(query.get('ms')); },
  'POST /bucket': (cloud, query) => cloud.s3.createBucket(query.get('name'), query.get('region') ?? cloud.region),
  'GET /objects': (cloud, query) => cloud.s3.keys(query.get('bucket')),
  'GET /object': (cloud, query) => cloud.s3.object(query.get('bucket'), query.get('key'))?.body ?? null,
  'POST /object': (cloud, query, body) => { cloud.s3.put(query.get('bucket'), query.get('key'), body); },
  'POST /media': (cloud, query, body) => {
    cloud.social.addMedia(query.get('id'), body, query.get('type') ?? 'audio/ogg', { extension: query.get('extension') });
  },
  'GET /sent': (cloud) => cloud.social.sent,
  'POST /queue': (cloud, query) => ({
    url: cloud.sqs.createQueue(query.get('name'), { visibilitySeconds: Number(query.get('visibility') ?? 30) }).url,
  }),
  'POST /message': (cloud, query, body) => ({ id: cloud.sqs.send(query.get('queue'), body.toString()) }),
  'GET /depth': (cloud, query) => cloud.sqs.depth(query.get('queue')),
};

export async function control(cloud) {
  const server = createServer(async (req, res) => {
    const url = new URL(req.url, 'http://127.0.0.1');
    const call = CALLS[`${req.method} ${url.pathname}`];
    try {
      if (!call) throw new Error(`no call ${req.method} ${url.pathname}; there are ${Object.keys(CALLS).join(', ')}`);
      const value = call(cloud, url.searchParams, await readAll(req));
      if (Buffer.isBuffer(value)) return res.end(value);
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify(value ?? { ok: true }) + '\n');
    } catch (error) {
      res.statusCode = 400;
      res.end(JSON.stringify({ error: error.message }) + '\n');
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }),
  };
}
