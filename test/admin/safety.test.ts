// safety.test.ts: the admin plane in staging: where it listens, who may use it, which pages may use it, which rules it accepts.
// http/admin.test.ts also tests what is served where; these tests say what must never happen.
import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/options.ts';
import { startServer } from '../../src/index.ts';
import { openTestServer, temporaryFolder } from '../helpers/app.ts';
import { openConnection } from '../helpers/raw.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { rawExchange, requestBytes, type RawAnswer } from '../helpers/raw.ts';

interface Refused {
  readonly error: string;
  readonly details: { readonly problems: readonly object[] };
}

describe('a path of the plane that is written otherwise', () => {
  it.each(['/%5F_admin/none', '/__%61dmin/none', 'http://localhost/__admin/none'])(
    'and leads nowhere is none of the contract either: %s',
    async (target) => {
      const server = await openTestServer();
      server.controls.addRules('public', { fault: 'close', times: 'always' });
      const answer = await rawExchange(server.port, [requestBytes(`GET ${target}`)]);
      expect([answer?.status, server.journal?.count('*')]).toEqual([404, 0]);
    },
  );

  it.each(['/%5F_admin/rules', '/__%61dmin/rules', 'http://localhost/__admin/rules'])(
    '%s',
    async (target) => {
      const server = await openTestServer();
      server.controls.addRules('public', { fault: 'close', times: 'always' });
      const ask = (line: string): Promise<RawAnswer | null> => {
        const headers = { origin: 'https://app.example.com', 'access-control-request-method': 'POST' };
        return rawExchange(server.port, [requestBytes(line, headers)]);
      };
      expect((await ask(`GET ${target}`))?.status, 'no rule breaks it').toBe(200);
      expect(server.journal?.count('*'), 'it is no exchange of the contract').toBe(0);
      const { status, headers } = (await ask(`OPTIONS ${target}`)) ?? {};
      expect(headers?.['access-control-allow-origin'], 'no page is let in').toBeUndefined();
      expect(status).not.toBe(204);
    },
  );
});

describe('bound beyond loopback', () => {
  it.each([
    [{ host: '0.0.0.0' }, false],
    [{ host: '::' }, false],
    [{ host: '0.0.0.0', adminCorsOrigin: ['*'] }, false],
    [{ host: '0.0.0.0', apiKeys: ['k'] }, false],
    [{ host: '0.0.0.0', adminToken: 't' }, true],
    [{ host: '127.0.0.1' }, true],
    [{ host: 'localhost' }, true],
  ])('%j: the plane is on: %s (§9.1)', async (settings, isOn) => {
    const server = await openTestServer(settings);
    expect(server.adminUrl !== null).toBe(isOn);
    const headers = { authorization: 'Bearer t', 'x-admin-token': 't' };
    const own = new DoubleClient({ url: `http://127.0.0.1:${server.port}` }, 'k', headers);
    const plane = [
      'GET config',
      'GET rules',
      'POST rules',
      'POST reset',
      'GET state',
      'GET events?namespace=x',
    ];
    for (const line of plane) {
      const { status } = await own.admin(line, line.startsWith('POST') ? {} : undefined);
      expect([line, status === 404]).toEqual([line, !isOn]);
    }
    for (const probe of ['health', 'ready']) expect((await own.admin(`GET ${probe}`)).status).toBe(200);
  });

  it('rules are taken only if they end by themselves, over HTTP and in process', async () => {
    const server = await openTestServer({ host: '0.0.0.0', adminToken: 't' });
    const url = `http://127.0.0.1:${server.port}`;
    const own = new DoubleClient({ url }, 'k', { 'x-admin-token': 't' });
    for (const method of ['POST', 'PUT']) {
      const { status, body } = await own.admin<Refused>(`${method} rules`, [
        { fault: 'close', ttlMs: '10m' },
        { fault: 'close' },
      ]);
      expect([status, body.error, body.details.problems]).toEqual([
        400,
        'invalid_rule',
        [
          {
            pointer: '/1/ttlMs',
            message: 'required, because other machines can reach the server; for example "10m"',
          },
        ],
      ]);
    }
    expect((await own.admin('POST rules', { fault: 'close', ttlMs: '10m' })).status).toBe(201);
    const double = await startServer({ host: '0.0.0.0' });
    try {
      expect(() => double.rules.add({ fault: 'close' })).toThrow('/ttlMs');
      expect(double.rules.add({ fault: 'close', ttlMs: 1_000 })).toHaveLength(1);
    } finally {
      await double.close();
    }
  });

  it('an answer that a rule touched says so (§10.19)', async () => {
    const server = await openTestServer({ host: '0.0.0.0', adminToken: 't' });
    const own = new DoubleClient({ url: `http://127.0.0.1:${server.port}` }, 'k', { 'x-admin-token': 't' });
    for (const fault of ['status@headers:503', 'delay@response:1ms', 'empty@response', 'forget@headers']) {
      await own.admin('PUT rules', [
        { id: 'staged', match: { operation: 'getUploadStatus' }, fault, ttlMs: '1m' },
      ]);
      const { headers } = await own.ask('GET', '/media/chunks?fileId=f');
      expect([fault, headers['x-mock-fault']]).toEqual([fault, 'staged']);
    }
  });
});

describe('the token', () => {
  it('is taken as Bearer and as X-Admin-Token, and names no namespace', async () => {
    const server = await openTestServer({ adminToken: 'the-token' });
    for (const headers of [{ authorization: 'Bearer the-token' }, { 'x-admin-token': 'the-token' }]) {
      const admin = new DoubleClient(server, undefined, headers);
      await admin.admin('PUT state', { fixture: 'half-uploaded' });
      expect(
        (await admin.admin<{ uploads: { namespace: string }[] }>('GET uploads')).body.uploads,
      ).toMatchObject([{ namespace: 'public' }]);
    }
  });

  it.each(['', 'the-toke', 'the-tokenn', 'The-token', 'Bearer the-token', '*'])(
    '%j is another',
    async (given) => {
      const server = await openTestServer({ adminToken: 'the-token' });
      for (const headers of [{ authorization: `Bearer ${given}` }, { 'x-admin-token': given }]) {
        const { status } = await new DoubleClient(server, undefined, headers).admin('GET uploads');
        expect(status).toBe(401);
      }
    },
  );

  it('is nowhere to be read', async () => {
    const server = await openTestServer({ adminToken: 'the-hidden-token', apiKeys: ['the-hidden-key'] });
    const admin = new DoubleClient(server, 'the-hidden-key', { 'x-admin-token': 'the-hidden-token' });
    await admin.chunk();
    for (const path of ['config', 'metrics', 'requests', 'requests?format=har', 'uploads', 'state']) {
      const { status, text } = await admin.admin(`GET ${path}`);
      expect([path, status, text.includes('hidden')]).toEqual([path, 200, false]);
    }
    expect(JSON.stringify(server.log)).not.toContain('hidden');
  });
});

describe('config', () => {
  it('says of every setting what it is and where it came from', async () => {
    const server = await openTestServer({ adminToken: 't', maxFileSize: '2MiB' });
    const admin = new DoubleClient(server, undefined, { 'x-admin-token': 't' });
    expect((await admin.admin('GET config')).body).toMatchObject({
      maxFileSize: { value: 2_097_152, source: 'option' },
      adminToken: { value: '[redacted]', source: 'option' },
      uploadTtl: { value: 86_400_000, source: 'default' },
      seed: { value: null, source: 'default' },
      apiKeys: { value: [], source: 'default' },
    });
  });
});

const PAGE = 'https://app.example.com';

describe('pages of other origins', () => {
  const preflight = { origin: PAGE, 'access-control-request-method': 'PUT' };

  it.each([
    ['by default', {}],
    ['when the contract routes take any', { corsOrigin: ['*'] }],
    ['when another is allowed', { adminCorsOrigin: ['https://other.example.com'] }],
  ])('can read nothing %s', async (_name, settings) => {
    const own = new DoubleClient(await openTestServer(settings), 'k');
    for (const path of ['rules', 'requests', 'state', 'health', 'events?namespace=x', 'none']) {
      for (const method of ['GET', 'OPTIONS']) {
        const { headers } = await own.ask(method, `/__admin/${path}`, { headers: preflight });
        const allowed = headers['access-control-allow-origin'];
        expect([path, method, allowed === PAGE || allowed === '*']).toEqual([path, method, false]);
      }
    }
  });

  it('can change nothing, not even by what a browser sends without asking', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.chunk();
    for (const origin of [PAGE, 'null', 'http://localhost:1', 'http://127.0.0.1.example.com']) {
      for (const line of [
        'POST reset',
        'PUT rules',
        'POST rules',
        'DELETE uploads/f',
        'PUT state',
        'PUT clock',
      ]) {
        const [method = '', path = ''] = line.split(' ');
        const { status, body } = await own.ask<Refused>(method, `/__admin/${path}`, {
          headers: { origin, 'content-type': 'text/plain' },
          body: '{}',
        });
        expect([line, status, body.error]).toEqual([line, 403, 'admin_origin_forbidden']);
      }
    }
    expect(await own.size()).toBe(5);
  });

  it('are not those of the plane itself', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    const { status } = await own.ask('POST', '/__admin/reset', { headers: { origin: server.url } });
    expect(status).toBe(200);
  });

  it.each([[[PAGE, 'https://other.example.com']], [['*']]])(
    'can do everything with --admin-cors-origin %j, and still need the token',
    async (adminCorsOrigin) => {
      const server = await openTestServer({ adminCorsOrigin, adminToken: 't' });
      const own = new DoubleClient(server, 'k');
      for (const path of ['rules', 'events', 'health', 'requests/1']) {
        const asked = await own.ask('OPTIONS', `/__admin/${path}`, {
          headers: { ...preflight, 'access-control-request-headers': 'content-type,x-admin-token' },
        });
        expect([path, asked.status, asked.headers['access-control-allow-origin']]).toEqual([
          path,
          204,
          adminCorsOrigin.includes('*') ? '*' : PAGE,
        ]);
        expect(asked.headers['access-control-allow-methods']).toContain('PUT');
        expect(asked.headers['access-control-allow-headers']).toContain('x-admin-token');
      }
      const refused = await own.ask('PUT', '/__admin/rules', { headers: { origin: PAGE }, json: [] });
      expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([
        401,
        adminCorsOrigin.includes('*') ? '*' : PAGE,
      ]);
      const headers = { origin: PAGE, 'x-admin-token': 't' };
      expect((await own.ask('PUT', '/__admin/rules', { headers, json: [] })).status).toBe(200);
      const contract = await own.ask('OPTIONS', '/media/chunks', { headers: preflight });
      expect(contract.headers['access-control-allow-methods'], 'the contract has its own').not.toContain(
        'PUT',
      );
    },
  );

  it('that are allowed can read the events, too', async () => {
    const server = await openTestServer({ adminCorsOrigin: [PAGE] });
    const answer = await fetch(`${server.url}/__admin/events`, { headers: { origin: PAGE } });
    expect(answer.headers.get('access-control-allow-origin')).toBe(PAGE);
    await answer.body?.cancel();
  });

  it('are allowed on the port of the plane, where it has its own', async () => {
    const server = await openTestServer({ adminPort: 0, adminCorsOrigin: [PAGE] });
    const own = new DoubleClient(server, 'k');
    const asked = await own.ask('OPTIONS', `${server.adminUrl}/rules`, { headers: preflight });
    expect([asked.status, asked.headers['access-control-allow-origin']]).toEqual([204, PAGE]);
    const elsewhere = await own.ask('OPTIONS', '/__admin/rules', { headers: preflight });
    expect(elsewhere.headers['access-control-allow-origin']).toBeUndefined();
  });
});

describe('a name that was made one of this machine (DNS rebinding)', () => {
  const get = async (settings: ConfigInput, host: string, headers = {}): Promise<number> => {
    const own = new DoubleClient(await openTestServer(settings), 'k');
    return (await own.ask('GET', '/__admin/rules', { headers: { host, ...headers } })).status;
  };

  it.each([
    'attacker.example',
    'attacker.example:4310',
    '127.0.0.1.nip.io',
    'localhost.attacker.example',
    '1',
  ])('is not answered to, though its page has the same origin: %j', async (host) => {
    expect(await get({}, host, { origin: `http://${host}` })).toBe(403);
  });

  it.each([
    '127.0.0.1',
    '127.0.0.1:4310',
    '10.0.0.7:80',
    '[::1]:4310',
    '[::1]',
    'localhost',
    'LOCALHOST:1',
    'a.localhost',
  ])('is not what an address or localhost is: %s', async (host) => {
    expect(await get({}, host)).toBe(200);
  });

  it('is answered to when it is that of an allowed origin, or when the token comes with it', async () => {
    const host = 'mock.example.com:4310';
    expect(await get({ adminCorsOrigin: ['http://mock.example.com:4310'] }, host)).toBe(200);
    expect(await get({ adminCorsOrigin: ['*'] }, host)).toBe(200);
    expect(await get({ adminToken: 't' }, host, { 'x-admin-token': 't' })).toBe(200);
  });

  it('is answered to by the contract and the probes', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    const headers = { host: 'mock.example.com' };
    for (const path of ['/channels', '/__admin/health', '/__admin/ready'])
      expect((await own.ask('GET', path, { headers })).status).toBe(200);
  });
});

it('draining: ready says so first, the rest of the plane still answers (§9.3)', async () => {
  const server = await openTestServer({ adminPort: 0 });
  const own = new DoubleClient(server, 'k');
  const sender = new DoubleClient(server, 'k');
  await own.admin('GET ready');
  await own.admin('POST rules', {
    id: 'slow',
    match: { operation: 'uploadChunk' },
    fault: 'delay@pre-commit:500ms',
  });
  const sending = sender.chunk();
  expect((await own.admin('POST rules/slow/wait', { timeoutMs: 60_000 })).status).toBe(200);
  // Far longer than the rule's delay: on a busy machine a shorter grace could end before the chunk has its answer.
  const drained = server.drain(60_000);
  const { status, body } = await own.admin('GET ready');
  expect([status, body]).toEqual([503, { ready: false }]);
  expect((await own.admin('GET rules')).status).toBe(200);
  expect((await sending).status).toBe(200);
  await drained;
});

it('an import makes no file outside of the data folder, whatever it is called', async () => {
  const parent = await temporaryFolder();
  const own = new DoubleClient(await openTestServer({ storage: 'disk', dataDir: `${parent}/data` }), 'k');
  for (const fileId of ['../../x', '/etc/passwd', '..', 'a/../../b', '.']) {
    const { status } = await own.admin('PUT state', {
      uploads: [{ fileId, totalChunks: 1, chunks: [{ index: 0, bytes: 1 }] }],
    });
    expect([fileId, status, await own.size(fileId)]).toEqual([fileId, 200, 1]);
  }
  const { readdir } = await import('node:fs/promises');
  expect(await readdir(parent)).toEqual(['data']);
});

describe('without a token, a request that came through a proxy', () => {
  it.each([
    ['x-forwarded-for', '10.0.0.1'],
    ['x-forwarded-host', 'uploads.example.com'],
    ['x-forwarded-proto', 'https'],
    ['x-real-ip', '10.0.0.1'],
    ['forwarded', 'for=10.0.0.1'],
    ['via', '1.1 proxy'],
  ])('is refused, whatever its Host says: %s', async (name, value) => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.chunk();
    const proxied = new DoubleClient(server, 'k', { [name]: value });
    for (const line of ['GET uploads?namespace=*', 'POST reset', 'GET docs', 'GET docs/page.js']) {
      const { status, body } = await proxied.admin<Refused>(line);
      expect([line, status, body.error]).toEqual([line, 403, 'admin_proxy_forbidden']);
    }
    expect((await proxied.admin('GET health')).status, 'probes are for everybody').toBe(200);
    expect((await proxied.chunk({ index: 0 })).status, 'so are the contract routes').toBe(200);
    expect(await own.size()).toBe(5);
  });

  it('is refused in HTTP/1.0, which a stock nginx speaks, without any header', async () => {
    const { port } = await openTestServer();
    const statusOf = async (path: string, version: string): Promise<number | undefined> => {
      const connection = await openConnection(port);
      await connection.write(
        `GET ${path} HTTP/${version}\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
      );
      return (await connection.answer())?.status;
    };
    expect(await statusOf('/__admin/uploads?namespace=*', '1.0')).toBe(403);
    expect(await statusOf('/__admin/uploads?namespace=*', '1.1')).toBe(200);
    expect(await statusOf('/__admin/ready', '1.0'), 'probes are for everybody').toBe(200);
    expect(await statusOf('/media/chunks?fileId=f', '1.0'), 'so are the contract routes').toBe(200);
  });

  it('is answered where there is a token', async () => {
    const server = await openTestServer({ adminToken: 't' });
    const proxied = new DoubleClient(server, 'k', { 'x-admin-token': 't', 'x-forwarded-for': '10.0.0.1' });
    expect((await proxied.admin('GET uploads')).status).toBe(200);
  });
});

describe('a request in absolute form (RFC 9112 §3.2.2)', () => {
  it.each([
    ['http://evil.test/__admin/version', 'localhost', 403],
    ['http://127.0.0.1/__admin/version', 'evil.test', 200],
    ['http://localhost:1/__admin/version', 'evil.test', 200],
  ])('is for whom its target names: %s with Host: %s', async (target, host, status) => {
    const { port } = await openTestServer();
    const connection = await openConnection(port);
    await connection.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect((await connection.answer())?.status).toBe(status);
  });
});

describe('a body that is null', () => {
  it.each([
    'POST reset',
    'POST verify',
    'PUT clock',
    'POST requests/count',
    'POST requests/find',
    'POST requests/wait',
  ])('is refused, and is not taken for one that was left out: %s', async (line) => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.chunk();
    const [method = '', path = ''] = line.split(' ');
    const { status } = await own.ask(method, `/__admin/${path}`, { body: 'null' });
    expect(status).toBe(400);
    expect(await own.size()).toBe(5);
  });
});
