// A double of AWS Lambda as an administrator sees it: settings of functions, and calling them.
import { randomUUID } from 'node:crypto';
import { json, ServiceError } from './http.mjs';

const NAME = '([^/]+)';
const ROUTES = [
  ['GET', new RegExp(`^/2015-03-31/functions/${NAME}/configuration$`), 'GetFunctionConfiguration', 'lambda:GetFunctionConfiguration'],
  ['GET', new RegExp(`^/2019-09-25/functions/${NAME}/event-invoke-config$`), 'GetFunctionEventInvokeConfig', 'lambda:GetFunctionEventInvokeConfig'],
  ['GET', /^\/2015-03-31\/event-source-mappings\/?$/, 'ListEventSourceMappings', 'lambda:ListEventSourceMappings'],
  ['GET', /^\/2016-08-19\/account-settings\/?$/, 'GetAccountSettings', 'lambda:GetAccountSettings'],
  ['POST', new RegExp(`^/2015-03-31/functions/${NAME}/invocations$`), 'Invoke', 'lambda:InvokeFunction'],
];

export class Functions {
  name = 'lambda';
  signingName = 'lambda';

  constructor({ region, accountId = '123456789012' }) {
    Object.assign(this, { region, accountId, pageLimit: 100, limit: 1000, reserved: 0 });
    this.functions = new Map(); // `limit`, `reserved`: functions at once that the account may run, and those that are reserved
  }

  /**
   * A function. `fn`: the LambdaFunction (runtime.mjs) that is called, or anything with its invoke(). `invokeConfig`: what
   * GetFunctionEventInvokeConfig gives, or null. `sources`: ARNs, state and response types of event source mappings.
   */
  create(name, { fn = null, config = {}, variables = {}, invokeConfig = null, sources = [] } = {}) {
    const arn = `arn:aws:lambda:${this.region}:${this.accountId}:function:${name}`;
    const one = {
      fn, invokeConfig, sources,
      config: {
        FunctionName: name, FunctionArn: arn, Role: `arn:aws:iam::${this.accountId}:role/${name}`, PackageType: 'Zip', Runtime: 'provided.al2023',
        Timeout: 900, MemorySize: 3008, EphemeralStorage: { Size: 512 }, Architectures: ['x86_64'], State: 'Active', LastUpdateStatus: 'Successful',
        LoggingConfig: { LogFormat: 'JSON', LogGroup: `/aws/lambda/${name}` }, VpcConfig: { SubnetIds: [], SecurityGroupIds: [], VpcId: '' },
        Environment: { Variables: variables }, ...config,
      },
    };
    this.functions.set(name, one);
    return one;
  }

  route(request) {
    for (const [method, path, op, action] of ROUTES) {
      const found = method === request.method ? path.exec(request.path) : null;
      if (found) return { op, action, function: decodeURIComponent(found[1] ?? new URLSearchParams(request.query).get('FunctionName') ?? '') };
    }
    return null;
  }

  error(status, code, message) { return json(status, { Type: status < 500 ? 'User' : 'Service', message }, { 'x-amzn-errortype': code }); }

  authError({ code, why }) {
    return [403, { ExpiredToken: 'ExpiredTokenException', InvalidAccessKeyId: 'UnrecognizedClientException', InvalidToken: 'UnrecognizedClientException' }[code] ??
      'InvalidSignatureException', why];
  }

  faultError(kind) {
    return { 429: [429, 'TooManyRequestsException', 'Rate exceeded'], 500: [500, 'ServiceException', 'inside'], expired: [403, 'ExpiredTokenException', 'expired'] }[kind] ??
      [503, 'ServiceUnavailableException', 'overloaded'];
  }

  handle(route, request) {
    if (route.op === 'GetAccountSettings') {
      return json(200, {
        AccountLimit: { TotalCodeSize: 80530636800, CodeSizeUnzipped: 262144000, CodeSizeZipped: 52428800, ConcurrentExecutions: this.limit, UnreservedConcurrentExecutions: this.limit - this.reserved },
        AccountUsage: { TotalCodeSize: 0, FunctionCount: this.functions.size },
      });
    }
    const one = this.functions.get(route.function.split(':').pop());
    if (!one) throw new ServiceError(404, 'ResourceNotFoundException', `Function not found: ${route.function}`);
    return this[route.op](one, request);
  }

  GetFunctionConfiguration(one) { return json(200, one.config); }

  GetFunctionEventInvokeConfig(one) {
    if (!one.invokeConfig) throw new ServiceError(404, 'ResourceNotFoundException', `The function ${one.config.FunctionName} doesn't have an EventInvokeConfig`);
    return json(200, { LastModified: 1760000000, FunctionArn: one.config.FunctionArn, ...one.invokeConfig });
  }

  ListEventSourceMappings(one, request) {
    const start = Number(new URLSearchParams(request.query).get('Marker') ?? 0);
    const mappings = one.sources.slice(start, start + this.pageLimit).map((source) => ({
      UUID: randomUUID(), BatchSize: 1, FunctionArn: one.config.FunctionArn, State: 'Enabled', ...source,
    }));
    const end = start + this.pageLimit;
    return json(200, { EventSourceMappings: mappings, ...(end < one.sources.length ? { NextMarker: String(end) } : {}) });
  }

  async Invoke(one, request) {
    if (request.header('x-amz-invocation-type') === 'Event') throw new ServiceError(400, 'InvalidParameterValueException', 'this double waits for the answer');
    const { ok, body, error } = await one.fn.invoke(request.body.toString());
    const headers = { 'X-Amz-Executed-Version': '$LATEST', ...(ok ? {} : { 'X-Amz-Function-Error': 'Unhandled' }) };
    return { status: 200, headers, body: ok ? body : JSON.stringify({ errorMessage: error?.errorMessage ?? 'RequestId: 0 Error: Runtime exited', errorType: error?.errorType ?? 'Runtime.ExitError' }) };
  }
}
