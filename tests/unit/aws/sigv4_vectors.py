#!/usr/bin/env python3
"""Writes the SigV4 test vectors that test_sigv4 reads, on standard output.

    sigv4_vectors.py own          our own, computed by sigv4_oracle.py (a verifier written apart
                                  from the product): tests/data/aws/sigv4-vectors.json
    sigv4_vectors.py suite DIR    AWS's published cases in the same form; DIR is
                                  tests/aws-signing-test-suite/v4 of github.com/awslabs/aws-c-auth:
                                  test_sigv4 FILE then checks every stage of all of them
"""
import calendar, hashlib, json, os, re, sys, time, urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import sigv4_oracle as oracle

EMPTY = hashlib.sha256(b'').hexdigest()
ACCESS, SECRET = 'AKIDEXAMPLE', 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'


def case(name, method, path, query='', headers=(), body=b'', service='s3', region='us-east-1',
         when='20251015T011013Z', token=None, unsigned=False, key=None):
    s3 = service == 's3'
    payload = 'UNSIGNED-PAYLOAD' if unsigned else hashlib.sha256(body).hexdigest()
    headers = [['Host', 'host.example']] + [list(h) for h in headers] + [['X-Amz-Date', when]]
    if s3:
        headers.append(['x-amz-content-sha256', payload])
    if token:
        headers.append(['X-Amz-Security-Token', token])
    target = path + ('?' + query if query else '')
    raw = f'{method} {target} HTTP/1.1\r\n'
    raw += ''.join(f'{n}: {v}\r\n' for n, v in headers) + '\r\n'
    raw = raw.encode() + body
    signed = sorted({n.lower() for n, _ in headers})
    canonical, missing, _, _ = oracle.canon(raw, signed, not s3, not s3, payload)
    assert not missing
    scope = f'{when[:8]}/{region}/{service}/aws4_request'
    string = '\n'.join(['AWS4-HMAC-SHA256', when, scope,
                        hashlib.sha256(canonical.encode()).hexdigest()])
    signature = oracle.sign(SECRET, when[:8], region, service, string)
    authorization = (f'AWS4-HMAC-SHA256 Credential={ACCESS}/{scope}, '
                     f'SignedHeaders={";".join(signed)}, Signature={signature}')
    head, _, _ = raw.partition(b'\r\n\r\n')
    whole = head + b'\r\nAuthorization: ' + authorization.encode() + b'\r\n\r\n' + body
    ok, why, _ = oracle.verify(whole, SECRET, not s3, not s3)
    assert ok, (name, why)
    assert not oracle.verify(whole, SECRET + 'x', not s3, not s3)[0]
    vector = dict(name=name, method=method, path=path, query=query, headers=headers,
                  payload_hash=payload, s3=s3, keep_path=False, access_key=ACCESS,
                  secret_key=SECRET, region=region, service=service,
                  time_ms=calendar.timegm(time.strptime(when, '%Y%m%dT%H%M%SZ')) * 1000,
                  canonical=canonical, string_to_sign=string, signature=signature,
                  authorization=authorization)
    if key is not None:
        vector['key'] = key
    return vector


def own():
    out = []
    keys = ['2025-10-15/5215512345678-01-10-13-abcdefghijk.json', 'with space.json', 'a+b.json',
            'a=b.json', 'María José.json', 'a//b', '/leading', 'trailing/', 'a/../b/./c',
            'per%cent%2F.json', "quote'(*)!.json", 'á' * 10, 'x' * 1000, '+' * 1000,
            'tab\tand\x01.json', '~-_.A0z', 'snow☃😀.ogg', '?query&#x']
    for key in keys:
        path = '/bucket/' + urllib.parse.quote(key, safe='/-_.~')
        label = key if len(key) < 40 else f'{key[0]} x {len(key)}'
        out.append(case(f'get {label}', 'GET', path, key=key))
    path = '/bucket/' + urllib.parse.quote(keys[0], safe='/-_.~')
    out += [
        case('put json', 'PUT', path, body=b'{"id":"wamid.x"}',
             headers=[['Content-Type', 'application/json']]),
        case('put if-none-match', 'PUT', path, body=b'{}', headers=[['If-None-Match', '*']]),
        case('put if-match', 'PUT', path, body=b'{}', headers=[['If-Match', '"0123abcd"']]),
        case('put unsigned', 'PUT', path, body=b'ogg', unsigned=True),
        case('put with token', 'PUT', path, body=b'{}', token='IQoJb3JpZ2luX2VjE/+token=='),
        case('put kms', 'PUT', path, body=b'{}',
             headers=[['x-amz-server-side-encryption', 'aws:kms'],
                      ['x-amz-server-side-encryption-aws-kms-key-id',
                       'arn:aws:kms:us-east-1:111122223333:key/a-b']]),
        case('head', 'HEAD', path),
        case('list', 'GET', '/bucket/',
             'list-type=2&encoding-type=url&prefix=2025-10-15%2F1908647269898587.&max-keys=1000'),
        case('list page', 'GET', '/bucket/',
             'prefix=a%20b%2Bc%3Dd%C3%A9&list-type=2&continuation-token=1%2F2%2B3%3D%3D'),
        case('query sorting', 'GET', '/', 'b=2&a=2&a=1&A=0&b=&a-=x&ab=y&%C3%A9=1&a%20=z&c'),
        case('query with plus and lower-case hex', 'GET', '/', 'x=a+b&y=%2f%3d'),
        case('header folding', 'GET', '/', headers=[
            ['X-Two', '  b   c  '], ['X-One', 'z'], ['x-one', 'a'], ['X-Empty', ''],
            ['X-Utf8', 'sí  señor']]),
        case('china', 'GET', path, region='cn-north-1'),
        case('empty path', 'GET', '/'),
    ]
    social = dict(service='social-messaging', headers=[['Content-Type', 'application/json']])
    out += [
        case('media get', 'POST', '/v1/whatsapp/media/get', body=b'{"mediaId":"1"}', **social),
        case('media delete', 'DELETE', '/v1/whatsapp/media',
             'mediaId=1&originationPhoneNumberId=phone-number-id-0f3c', **social),
        case('double encoding', 'GET', '/a%20b/%C3%A9/c%2Fd', **social),
        case('normalising', 'GET', '/a/./b//../c/', **social),
        case('normalising to the root', 'GET', '/a/../../..', **social),
        case('sqs', 'POST', '/', body=b'{"QueueUrl":"https://q"}', service='sqs', headers=[
            ['Content-Type', 'application/x-amz-json-1.0'],
            ['X-Amz-Target', 'AmazonSQS.ReceiveMessage']]),
        case('year 2100', 'POST', '/', body=b'', service='sts', when='21000228T235959Z'),
    ]
    return out


def suite(folder):
    out = []
    for name in sorted(os.listdir(folder)):
        def text(file):
            with open(os.path.join(folder, name, file), encoding='utf-8', newline='') as f:
                return f.read()
        context = json.loads(text('context.json'))
        head, _, body = text('request.txt').replace('\r\n', '\n').partition('\n\n')
        lines = head.split('\n')
        method, target = re.match(r'(\S+) (.*) HTTP/1\.[01]$', lines[0]).groups()
        path, _, query = target.partition('?')
        headers = []
        for line in lines[1:]:
            if line[:1] in (' ', '\t'):
                headers[-1][1] += '\n' + line
            elif line:
                headers.append(list(line.split(':', 1)))
        stamp = context['timestamp']
        when = stamp.replace('-', '').replace(':', '')
        headers.append(['X-Amz-Date', when])
        token = context['credentials'].get('token')
        if token and not context.get('omit_session_token'):
            headers.append(['X-Amz-Security-Token', token])
        payload = hashlib.sha256(body.encode()).hexdigest()
        if context.get('sign_body'):
            headers.append(['x-amz-content-sha256', payload])
        out.append(dict(
            name=name, method=method, path=path, query=query, headers=headers,
            payload_hash=payload, s3=False, keep_path=not context.get('normalize', True),
            access_key=context['credentials']['access_key_id'],
            secret_key=context['credentials']['secret_access_key'], region=context['region'],
            service=context['service'],
            time_ms=calendar.timegm(time.strptime(stamp, '%Y-%m-%dT%H:%M:%SZ')) * 1000,
            canonical=text('header-canonical-request.txt').replace('\r\n', '\n'),
            string_to_sign=text('header-string-to-sign.txt').replace('\r\n', '\n'),
            signature=text('header-signature.txt').strip()))
    return out


vectors = suite(sys.argv[2]) if sys.argv[1:2] == ['suite'] else own()
print('[\n' + ',\n'.join(json.dumps(v, ensure_ascii=False) for v in vectors) + '\n]')
