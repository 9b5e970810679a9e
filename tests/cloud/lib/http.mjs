// The HTTP side that every double shares: reads a request, checks its signature, applies the
// fault plan, and records everything.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';

const BODY_LIMIT = 64 * 1024 * 1024;

/** Thrown by a handler; the service writes it in its own error format. */
export class ServiceError extends Error {
  constructor(status, code, message, headers = {}) {
    super(message);
    Object.assign(this, { status, code, headers });
  }
}

function readHead(req) {
  const headers = new Map();
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i].toLowerCase();
    if (!headers.has(name)) headers.set(name, []);
    headers.get(name).push(req.rawHeaders[i + 1]);
  }
  const cut = req.url.indexOf('?');
  return {
    method: req.method,
    target: req.url,
    path: cut < 0 ? req.url : req.url.slice(0, cut),
    query: cut < 0 ? '' : req.url.slice(cut + 1),
    headers,
    header: (name) => headers.get(name)?.[0],
    body: Buffer.alloc(0),
  };
}

/** Reads the body; resolves to null if the client closed the connection. `stopAfter` bytes end it early. */
function readBody(req, stopAfter = Infinity) {
  return new Promise((resolve) => {
    const parts = [];
    let n = 0;
    req.on('data', (part) => {
      parts.push(part);
      n += part.length;
      if (n > BODY_LIMIT || n >= stopAfter) resolve(Buffer.concat(parts));
    });
    req.on('end', () => resolve(Buffer.concat(parts)));
    req.on('error', () => resolve(null));
    req.on('close', () => resolve(null));
  });
}

function write(res, response, now, cut = null) {
  const body = Buffer.from(response.body ?? '');
  const headers = { ...response.headers, Date: new Date(now).toUTCString() };
  const bodiless = response.status === 204 || response.status === 304 || response.head;
  if (!bodiless) headers['Content-Length'] = String(body.length + (cut?.extra ?? 0));
  res.sendDate = false;
  if (!cut) {
    res.writeHead(response.status, headers).end(bodiless ? undefined : body);
    return;
  }
  // A fault: what is left of the answer, then the end of the connection.
  const { socket } = res;
  const end = () => setTimeout(() => (cut.reset ? socket?.resetAndDestroy() : socket?.destroy()), 5);
  if (bodiless || (cut.reset && body.length === 0)) {
    // No body to cut: the header is cut instead, otherwise the client would have the whole answer.
    socket?.write(`HTTP/1.1 ${response.status} `, end);
    return;
  }
  const kept = body.subarray(0, cut.keep ?? body.length);
  res.writeHead(response.status, headers).flushHeaders();
  if (kept.length === 0) end();
  else res.write(kept, end);
}

/** One byte every so many ms: of the body, or of the whole answer where it has none. */
async function drip(res, response, now, everyMs) {
  const body = Buffer.from(response.body ?? '');
  const headers = { ...response.headers, Date: new Date(now).toUTCString(), 'Content-Length': String(body.length) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const head = Buffer.from(`HTTP/1.1 ${response.status} OK\r\n${lines}\r\n`);
  const { socket } = res;
  let bytes = body;
  if (response.head || body.length === 0) bytes = head;
  else socket.write(head);
  for (const byte of bytes) {
    if (socket.destroyed) return;
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => { setTimeout(resolve, everyMs); });
  }
  socket.destroy();
}

/**
 * Starts `service` on a free port of the loopback and gives its {url, close}.
 *
 * A service has: `name` (in operation names), `signingName` (null where requests are not signed),
 * `region`, `route(request)` giving {op, key?, action?, unsigned?, conditional?, slow?} or null from the head alone,
 * `handle(route, request, context)` giving {status, headers, body}, `error(status, code, message,
 * request)` in the service's shape, and `faultError(kind)` giving [status, code, message]; and
 * `actionOf(request)` where the IAM action stands in the body.
 */
export async function serve(service, cloud) {
  const server = createServer((req, res) => {
    answer(service, cloud, req, res).catch((error) => {
      cloud.broke(service.name, error);
      if (!res.headersSent) res.writeHead(500).end(String(error.stack));
    });
  });
  server.requestTimeout = 0; // Runtime API clients wait as long as it takes.
  server.keepAliveTimeout = service.keepAliveMs ?? 5000;
  const sockets = new Set();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => {
      server.close(resolve);
      for (const socket of sockets) socket.destroy();
    }),
  };
}

async function answer(service, cloud, req, res) {
  const request = readHead(req);
  res.on('error', () => {});
  const gone = new Promise((resolve) => res.on('close', resolve));
  const route = service.route(request) ?? { op: 'Unknown' };
  const op = `${service.name}.${route.op}`;
  const entry = cloud.record({
    op, key: route.key ?? '', action: route.action ?? null, method: request.method,
    target: request.target, at: Date.now(), status: 0, fault: null, code: '', accessKeyId: '',
  });
  const fault = cloud.faults.decide(op, { key: route.key, conditional: route.conditional });
  entry.fault = fault?.kind ?? null;

  if (fault?.kind === 'drop') {
    const length = Number(request.header('content-length') ?? 0);
    if (length > 1) await readBody(req, Math.ceil(length * fault.random.next()));
    req.socket.resetAndDestroy();
    return;
  }
  const body = await readBody(req);
  if (body === null) return;
  request.body = body;
  if (body.length > BODY_LIMIT) throw new Error(`${op}: body of ${body.length} bytes`);

  const send = (response, cut) => {
    entry.status = response.status;
    const id = randomUUID();
    response.headers = { 'x-amzn-requestid': id, 'x-amz-request-id': id, ...response.headers };
    if (!res.destroyed) write(res, response, cloud.now(), cut);
  };
  const fail = (status, code, message, headers = {}) => {
    entry.code = code;
    const response = service.error(status, code, message, request);
    Object.assign(response.headers, headers);
    return send(response);
  };

  cloud.capture?.(service, route, request);
  if (route.op === 'Unknown') {
    cloud.violation(op, 'UnknownOperation', `${request.method} ${request.target}`);
    return fail(404, 'UnknownOperationException', `${request.method} ${request.path} is no operation here`);
  }
  let accessKeyId = '';
  if (service.signingName && !route.unsigned) {
    const verdict = cloud.keys.judge(request, service.signingName, service.region, cloud.now());
    accessKeyId = entry.accessKeyId = verdict.accessKeyId;
    entry.signed = verdict.ok ? 'ok' : verdict.code;
    if (!verdict.ok) {
      cloud.unsigned(op, verdict);
      const [status, code, message] = service.authError(verdict);
      return fail(status, code, message);
    }
  }
  const action = route.action ?? service.actionOf?.(request);
  if (action) {
    entry.action = action;
    cloud.permissions.add(action);
    if (cloud.denied.has(action)) {
      return fail(403, service.name === 's3' ? 'AccessDenied' : 'AccessDeniedException', `User: ${accessKeyId} is not authorized to perform: ${action}`);
    }
  }

  if (fault?.kind === 'skew') {
    cloud.skewMs = fault.ms ?? (fault.random.int(2) ? 1 : -1) * (20 + fault.random.int(100)) * 60000;
    if (service.signingName && !route.unsigned) {
      const verdict = cloud.keys.judge(request, service.signingName, service.region, cloud.now());
      if (!verdict.ok) return fail(...service.authError(verdict));
    }
  } else if (fault && ['429', '500', '503', '409', 'expired'].includes(fault.kind)) {
    const [status, code, message, headers] = service.faultError(fault.kind);
    const after = fault.retryAfter === undefined ? {} : { 'Retry-After': String(fault.retryAfter) };
    return fail(status, code, message, { ...headers, ...after });
  } else if (fault?.kind === 'digest' && ['PUT', 'POST'].includes(request.method) && service.name === 's3') {
    return fail(400, 'BadDigest', 'The Content-MD5 or checksum value that you specified did not match what the server received.');
  } else if (fault?.kind === 'hang' && !(fault.applied ?? fault.random.next() < 0.5)) {
    await gone;
    return;
  }

  // A test may kill the client at this very moment; then the request may or may not count.
  if ((await cloud.phase('received', entry)) === 'abandon') return req.socket.destroy();
  let response;
  try {
    response = await service.handle(route, request, { accessKeyId, gone, entry });
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    return fail(error.status, error.code, error.message, error.headers);
  }
  if (response === null) return; // the client closed the connection
  await cloud.phase('applied', entry);

  const size = Buffer.from(response.body ?? '').length;
  if (fault?.kind === 'hang') {
    await gone;
  } else if (fault?.kind === 'drip') {
    entry.status = response.status;
    await drip(res, response, cloud.now(), fault.everyMs ?? 1000);
  } else if (fault?.kind === 'reset') {
    send(response, { reset: true, keep: fault.random.int(Math.max(size, 1)) });
  } else if (fault?.kind === 'length') {
    send(response, { extra: 1 + fault.random.int(4096), keep: size });
  } else {
    if (fault?.kind === 'digest' && size > 0) {
      response.body = Buffer.from(response.body);
      response.body[fault.random.int(size)] ^= 1 + fault.random.int(255);
    }
    send(response);
    await cloud.phase('answered', entry);
  }
}

export const json = (status, value, headers = {}) => ({
  status,
  headers: { 'Content-Type': 'application/json', ...headers },
  body: JSON.stringify(value),
});

export const escapeXml = (text) =>
  text.replace(/[&<>"\r]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\r': '&#13;' })[c]);
