// routes/replies.test.ts: what goes wrong before and beside the operations, and what every answer carries.
import { describe, expect, it } from 'vitest';
import { loadContract } from '../../../src/contract/contract.ts';
import type { AppObserver } from '../../../src/http/server.ts';
import { errorSchema } from '../../../src/contract/bodies.ts';
import { ask, openTestServer, sendAll, sendChunk, wireOf, type Answer } from '../../helpers/app.ts';
import { formOf } from '../../helpers/multipart.ts';
import { openConnection, requestBytes, type RawAnswer } from '../../helpers/raw.ts';
import { contentType, chunk } from './replies-steps.ts';

function expectRefusal(answer: Answer, status: number, code: string): void {
  expect([answer.status, answer.body.error], answer.text).toEqual([status, code]);
  expect(errorSchema.parse(JSON.parse(answer.text)).message.length).toBeGreaterThan(10);
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.headers.get('x-request-id')).toBe(answer.body.requestId);
}

describe('a path that is not there is 404', () => {
  it.each([
    '/',
    '/media',
    '/media/chunk',
    '/media/chunks/',
    '/media/chunks/f',
    '/media/videos/a/b',
    '/api/v1',
    '/api/v2/profiles',
    '/api/v1/api/v1/profiles',
    '/api/v1/__admin/health',
    '/PROFILES',
    '/__admin',
    '/__admin/nothing',
    '//channels',
  ])('GET %s', async (path) => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    await connection.write(requestBytes(`GET ${path}`, { 'x-api-key': 'k' }));
    const answer = await connection.answer();
    expect([answer?.status, wireOf(answer?.text).error]).toEqual([404, 'not_found']);
  });

  it.each([
    ['a form', contentType, chunk],
    ['broken JSON', 'application/json', '{"a'],
    ['a large JSON body', 'application/json', JSON.stringify('x'.repeat(2_000_000))],
    ['an unknown type', 'text/x-unknown', 'x'],
    ['no known type', 'x', 'x'],
  ])('also with %s as its body, and the connection goes on', async (_name, type, body) => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    await connection.write(requestBytes('POST /nowhere', { 'content-type': type }, body));
    expect((await connection.answer())?.status).toBe(404);
    await connection.write(requestBytes('GET /media/chunks?fileId=f'));
    expect((await connection.answer())?.status).toBe(200);
  });

  it('in the envelope of every error (§1.5)', async () => {
    const server = await openTestServer();
    const answer = await ask(server, `/nowhere/${'x'.repeat(500)}?key=secret`);
    expectRefusal(answer, 404, 'not_found');
    expect(answer.text).not.toContain('secret');
    expect(answer.text.length).toBeLessThan(500);
  });

  it('also when a part of it is longer than any id', async () => {
    const server = await openTestServer();
    for (const path of [`/media/videos/${'x'.repeat(5_000)}`, `/__admin/uploads/${'x'.repeat(5_000)}`]) {
      const answer = await ask(server, path, { key: 'k' });
      expect(answer.status).toBe(404);
      expect(errorSchema.safeParse(JSON.parse(answer.text)).success, answer.text).toBe(true);
    }
  });
});

describe('a method that a path does not have is 405, and Allow lists those that it has', () => {
  it.each([
    ['PUT', '/media/chunks', 'GET, HEAD, POST'],
    ['DELETE', '/api/v1/media/chunks?fileId=f', 'GET, HEAD, POST'],
    ['PATCH', '/media/videos', 'POST'],
    ['GET', '/media/videos', 'POST'],
    ['GET', '/media/images', 'POST'],
    ['POST', '/media/videos/0123456789abcdef01234567', 'GET, HEAD'],
    ['DELETE', '/media/images/0123456789abcdef01234567', 'GET, HEAD'],
    ['POST', '/channels', 'GET, HEAD'],
    ['PUT', '/profiles', 'GET, HEAD'],
    ['POST', '/__admin/health', 'GET, HEAD'],
    ['PUT', '/__admin/uploads/f', 'GET, HEAD, DELETE'],
  ])('%s %s', async (method, path, allowed) => {
    const server = await openTestServer();
    const answer = await ask(server, path, { method, key: 'k' });
    expectRefusal(answer, 405, 'method_not_allowed');
    expect(answer.headers.get('allow')).toBe(allowed);
    expect(answer.body.details).toEqual({ allow: allowed.split(', ') });
  });

  it.each([contentType, 'application/json', 'text/plain'])('also with a body of type %s', async (type) => {
    const server = await openTestServer();
    const answer = await ask(server, '/media/chunks', {
      method: 'PUT',
      headers: { 'content-type': type },
      body: '{"a',
    });
    expectRefusal(answer, 405, 'method_not_allowed');
  });

  it('also for methods that nobody has', async () => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    for (const method of ['PROPFIND', 'TRACE', 'MKCOL', 'SEARCH']) {
      await connection.write(requestBytes(`${method} /profiles`, { 'x-api-key': 'k', 'content-length': 0 }));
      const answer = await connection.answer();
      expect([404, 405], `${method}: ${answer?.text}`).toContain(answer?.status);
    }
  });
});

it('HEAD is GET without its body', async () => {
  const server = await openTestServer();
  const connection = await openConnection(server.port);
  for (const path of ['/media/chunks?fileId=f', '/profiles', '/media/chunks', '/__admin/health']) {
    const ask = async (method: string): Promise<RawAnswer | null> => {
      await connection.write(requestBytes(`${method} ${path}`, { 'x-api-key': 'k', 'content-length': 0 }));
      return connection.answer({ isHead: method === 'HEAD' });
    };
    const [head, get] = [await ask('HEAD'), await ask('GET')];
    expect([head?.status, head?.headers['content-type'], head?.text]).toEqual([
      get?.status,
      get?.headers['content-type'],
      '',
    ]);
    expect(head?.headers['content-length']).toBe(get?.headers['content-length']);
  }
  expect(connection.leftOver).toBe('');
});

it('what a proxy says of where a request came from changes nothing: answers name no host', async () => {
  const server = await openTestServer();
  const same = { 'x-request-id': 'same' };
  const forwarded = {
    forwarded: 'for=203.0.113.9;host=evil.example;proto=https',
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
  };
  const made = await ask(server, '/media/chunks?fileId=f', { headers: { ...same, ...forwarded } });
  expect(made.status).toBe(200);
  for (const path of ['/media/chunks?fileId=f', '/channels', '/nowhere', '/__admin/health']) {
    const plain = await ask(server, path, { key: 'k', headers: same });
    const proxied = await ask(server, path, { key: 'k', headers: { ...same, ...forwarded } });
    expect([proxied.status, proxied.text], path).toEqual([plain.status, plain.text]);
    expect(proxied.headers.has('location')).toBe(false);
    expect(JSON.stringify([...proxied.headers])).not.toContain('evil.example');
  }
});

describe('a request id', () => {
  it('of a proxy is kept, when it is short and harmless', async () => {
    const server = await openTestServer();
    const answer = await ask(server, '/profiles', { headers: { 'x-request-id': 'trace-1.2_3' } });
    expect([answer.headers.get('x-request-id'), answer.body.requestId]).toEqual([
      'trace-1.2_3',
      'trace-1.2_3',
    ]);
    expect(server.log.find(({ reqId }) => reqId === 'trace-1.2_3')).toMatchObject({
      status: 401,
      code: 'api_key_missing',
    });
  });

  it.each(['x'.repeat(65), 'a b', '{"a":1}', '', 'a;b'])('%j is replaced by one of ours', async (id) => {
    const server = await openTestServer();
    const answer = await ask(server, '/profiles', { headers: { 'x-request-id': id } });
    expect(answer.body.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });
});

it('there is one log line and one count for each request, with what it was about', async () => {
  const server = await openTestServer();
  await sendAll(server, { fileId: 'my file' });
  await sendChunk(server, { fileId: 'my file', index: 1, total: 2 });
  const lines = server.log.filter(({ msg }) => msg === 'request');
  expect(lines).toMatchObject([
    {
      operation: 'uploadChunk',
      method: 'POST',
      status: 200,
      code: '',
      namespace: 'public',
      fileId: 'my file',
      chunkIndex: 0,
      bytes: 7,
    },
    {
      operation: 'uploadChunk',
      status: 409,
      code: 'total_chunks_mismatch',
      fileId: 'my file',
      chunkIndex: 1,
    },
  ]);
  const { text } = await ask(server, '/__admin/metrics');
  expect(text).toContain('xenonflare_mock_requests_total{operation="uploadChunk",status="200",code=""} 1');
  expect(text).toContain(
    'xenonflare_mock_requests_total{operation="uploadChunk",status="409",code="total_chunks_mismatch"} 1',
  );
});

it('an answer that cannot be sent costs its connection, and no more', async () => {
  const observe: AppObserver = (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      const fail = (): never => {
        throw new Error('no head can be written');
      };
      if (request.url === '/profiles') reply.raw.writeHead = fail;
      done();
    });
  };
  const server = await openTestServer({}, { observe });
  const connection = await openConnection(server.port);
  await connection.write(requestBytes('GET /profiles', { 'x-api-key': 'k' }));
  expect(await connection.answer()).toBeNull();
  expect((await ask(server, '/channels', { key: 'k' })).status).toBe(200);
  expect(server.takeErrors()).toMatchObject([{ msg: 'the answer could not be sent' }]);
});

describe('a 401 (§1.6)', () => {
  it('says what would be taken (RFC 9110 §15.5.2)', async () => {
    const open = await openTestServer();
    const closed = await openTestServer({ apiKeys: ['k'], adminToken: 't' });
    const challengeOf = async (...asked: Parameters<typeof ask>): Promise<unknown> => {
      const { status, headers } = await ask(...asked);
      return [status, headers.get('www-authenticate')];
    };
    expect(await challengeOf(open, '/channels')).toEqual([401, 'Bearer realm="xenonflare"']);
    expect(await challengeOf(closed, '/media/chunks?fileId=f', { key: 'other' })).toEqual([
      401,
      'Bearer realm="xenonflare", error="invalid_token"',
    ]);
    expect(await challengeOf(closed, '/__admin/uploads')).toEqual([
      401,
      'Bearer realm="xenonflare-mock admin"',
    ]);
  });
});

describe('a path that is written out', () => {
  it.each(['count', 'find', 'wait'])('has its own methods alone: GET /__admin/requests/%s', async (name) => {
    const server = await openTestServer();
    for (const method of ['GET', 'DELETE']) {
      const answer = await ask(server, `/__admin/requests/${name}`, { method });
      expect([answer.status, answer.body.error, answer.headers.get('allow')]).toEqual([
        405,
        'method_not_allowed',
        'POST',
      ]);
    }
  });
});

describe('a path that cannot be decoded', () => {
  it('is refused as the contract says, and pages can read it', async () => {
    const server = await openTestServer();
    const answer = await ask(server, '/media/videos/%zz', {
      key: 'k',
      headers: { origin: 'https://app.example' },
    });
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
    expect(answer.body.details).toMatchObject({ fields: [{ field: 'path' }] });
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example');
  });
});

describe('a route that is missing', () => {
  const messageOf = async (settings: Parameters<typeof openTestServer>[0]): Promise<string> => {
    const { port } = await openTestServer(settings);
    return (await ask({ url: `http://127.0.0.1:${port}` }, '/__admin/docs')).body.message;
  };

  it('because the admin plane is off says so, and how to have it', async () => {
    const message = await messageOf({ host: '0.0.0.0' });
    expect(message).toContain('the admin plane, which is off');
    expect(message).not.toContain('/__admin/openapi.yaml');
  });

  it('because the admin plane has a port of its own says where that is', async () => {
    expect(await messageOf({ adminPort: 0 })).toMatch(/http:\/\/127\.0\.0\.1:\d+\/__admin\/docs/);
  });
});

describe('a defect of the server', () => {
  const failing = loadContract().operations.filter(({ statuses }) =>
    statuses.get(500)?.codes.includes('internal_error'),
  );

  it.each(failing.map(({ operationId, method, path }) => [operationId, method, path.replace('{id}', '0')]))(
    'is 500 without a word of its text: %s',
    async (_operationId, method = '', path = '') => {
      const observe: AppObserver = (app) => {
        app.addHook('preHandler', (request, _reply, done) => {
          done(
            request.routeOptions.config.operationId === undefined ? undefined : new Error('of the inside'),
          );
        });
      };
      const server = await openTestServer({}, { observe });
      const { contentType: type, body } = formOf([]);
      const form = method === 'POST' ? { headers: { 'content-type': type }, body } : {};
      const answer = await ask(server, `${path}?fileId=f`, { method, key: 'k', ...form });
      expect([answer.status, answer.body.error, answer.headers.get('retry-after')]).toEqual([
        500,
        'internal_error',
        '1',
      ]);
      expect(answer.text).not.toContain('of the inside');
      expect(server.takeErrors()).toMatchObject([{ msg: 'internal_error' }]);
    },
  );

  it.each(['videos', 'images'])(
    'a path of %s that cannot be decoded is none: it is the client’s',
    async (type) => {
      const server = await openTestServer();
      expect((await ask(server, `/media/${type}/%zz`, { key: 'k' })).status).toBe(400);
    },
  );
});
