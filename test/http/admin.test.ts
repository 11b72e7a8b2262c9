// admin.test.ts: what the admin plane shows, and to which clients (behaviour §9, §11).
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { version } from '../../src/index.ts';
import {
  ask,
  eventually,
  finalize,
  openTestServer,
  sendAll,
  sendChunk,
  sizeOf,
  temporaryFolder,
  uploadView,
  type Answer,
  type TestServer,
} from '../helpers/app.ts';
import { contentBytes, filesIn, namespaceOf } from '../helpers/disk.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';

const parsed = (answer: Answer): Record<string, unknown> =>
  JSON.parse(answer.text) as Record<string, unknown>;

/** Of the rest of the plane; health, ready and the documents are another matter. */
const VIEWS = [
  'version',
  'config',
  'metrics',
  'uploads',
  'uploads/f',
  'uploads/f/content',
  'media',
  'rules',
  'requests',
  'clock',
  'state',
  'events',
];

describe('probes', () => {
  it('health says what is running, and warns when nothing would survive (D1)', async () => {
    const server = await openTestServer({ storage: 'disk' });
    const answer = await ask(server, '/__admin/health');
    expect([answer.status, parsed(answer)]).toEqual([
      200,
      { status: 'ok', version, storage: 'disk', durability: 'fsync', uptimeSeconds: expect.any(Number) },
    ]);
    for (const settings of [{ storage: 'memory' }, { storage: 'disk', durability: 'none' }] as const) {
      const other = parsed(await ask(await openTestServer(settings), '/__admin/health'));
      expect(other).toMatchObject({ durability: 'none', warning: expect.stringContaining('do not survive') });
    }
  });

  it('ready says yes, version says which (§9.3)', async () => {
    const server = await openTestServer();
    expect(parsed(await ask(server, '/__admin/ready'))).toEqual({ ready: true });
    expect(parsed(await ask(server, '/__admin/version'))).toEqual({ version, node: process.version });
  });
});

it('config shows every setting, and no secret (§9.3)', async () => {
  const server = await openTestServer({
    adminToken: 'hidden-token',
    apiKeys: ['hidden-key'],
    maxFileSize: '2MiB',
  });
  const { text } = await ask(server, '/__admin/config', {
    headers: { authorization: 'Bearer hidden-token' },
  });
  expect(text).not.toContain('hidden');
  expect(text).toContain('2097152');
});

it('metrics are Prometheus text, and count what has happened (§9.3)', async () => {
  const server = await openTestServer({ pendingTime: '1h' });
  await sendAll(server, { fileId: 'a', content: Buffer.alloc(1_000), total: 2, key: 'k' });
  await sendChunk(server, { fileId: 'b', index: 0, total: 2, bytes: Buffer.alloc(500), key: 'k' });
  await sendChunk(server, { fileId: 'b', index: 0, total: 2, bytes: 'other', key: 'k' });
  await finalize(server, 'a');
  await ask(server, '/nowhere');
  const aborted = await openConnection(server.port);
  await aborted.write(
    requestBytes('POST /media/chunks', {
      'content-type': 'multipart/form-data; boundary=b',
      'content-length': 99,
    }),
  );
  aborted.reset();
  const answer = await eventually(
    () => ask(server, '/__admin/metrics'),
    ({ text }) => text.includes('requests_aborted_total{'),
  );
  expect(answer.headers.get('content-type')).toContain('text/plain; version=0.0.4');
  for (const line of [
    'requests_total{operation="uploadChunk",status="200",code=""} 3',
    'requests_total{operation="uploadChunk",status="409",code="chunk_conflict"} 1',
    'requests_total{operation="createVideo",status="201",code=""} 1',
    'requests_total{operation="unknown",status="404",code="not_found"} 1',
    'requests_aborted_total{operation="uploadChunk"} 1',
    'uploads_completed_total 1',
    'uploads_expired_total 0',
    'entries_created_total{type="video"} 1',
    'open_uploads 1',
    'stored_bytes 1500',
    'entries{status="pending"} 1',
    'chunk_seconds_count 4',
  ])
    expect(answer.text).toContain(`\nxenonflare_mock_${line}\n`);
  expect(answer.text).toMatch(/\nxenonflare_mock_received_bytes_total\{operation="uploadChunk"\} \d{4,}\n/);
  expect(answer.text).toMatch(/\nxenonflare_mock_process_resident_memory_bytes \d{7,}\n/);
  for (const [, name] of answer.text.matchAll(/^(xenonflare_mock_\w+?)(?:_bucket|_sum|_count)?[{ ]/gm))
    expect(answer.text).toContain(`# HELP ${name} `);
});

describe('an upload', () => {
  it('is shown with its chunks: where they lie, how long they are, their CRC-32 (§9.4, §11.6)', async () => {
    const server = await openTestServer({ uploadTtl: '1h' });
    const [one, two] = [Buffer.from('first '), Buffer.from('second')];
    await sendChunk(server, { index: 0, total: 3, bytes: one, key: 'k' });
    await sendChunk(server, { index: 1, total: 3, bytes: two, key: 'k' });
    const view = parsed(await ask(server, '/__admin/uploads/f', { key: 'k' }));
    const hex = (bytes: Buffer): string => crc32(bytes).toString(16).padStart(8, '0');
    expect(view).toEqual({
      fileId: 'f',
      namespace: namespaceOf('k'),
      totalChunks: 3,
      currentSize: 12,
      receivedBytes: 12,
      completed: false,
      finalizedAs: null,
      expiresAt: expect.any(String),
      damaged: null,
      received: [[0, 1]],
      chunks: [
        { index: 0, offset: 0, bytes: 6, crc32: hex(one), at: expect.any(String) },
        { index: 1, offset: 6, bytes: 6, crc32: hex(two), at: expect.any(String) },
      ],
    });
    const { chunks } = view as { chunks: { at: string }[] };
    expect(Date.parse(String(view['expiresAt'])) - Date.parse(chunks[1]?.at ?? '')).toBe(3_600_000);
    expect((await uploadView(server, 'f', 'k')).sha256).toBe(
      createHash('sha256').update('first second').digest('hex'),
    );
  });

  it('with a gap shows what lies beyond it, without a place', async () => {
    const server = await openTestServer({ chunkOrder: 'any' });
    for (const index of [3, 0]) await sendChunk(server, { index, total: 4, bytes: 'four' });
    const view = await uploadView(server);
    expect(view).toMatchObject({ currentSize: 4, receivedBytes: 8 });
    expect(view.chunks.map(({ index, offset }) => [index, offset])).toEqual([
      [0, 0],
      [3, null],
    ]);
    expect((await ask(server, '/__admin/uploads/f/content')).text).toBe('four');
  });

  it('is listed for its own key, and for nobody else (§9.2)', async () => {
    const server = await openTestServer();
    await sendChunk(server, { fileId: 'public' });
    for (const key of ['a', 'b']) await sendChunk(server, { fileId: `of ${key}`, key });
    const listed = async (key?: string): Promise<unknown> => {
      const { uploads, meta } = parsed(
        await ask(server, '/__admin/uploads', key === undefined ? {} : { key }),
      ) as {
        uploads: { fileId: string }[];
        meta: { total: number };
      };
      expect(meta.total).toBe(uploads.length);
      return uploads.map(({ fileId }) => fileId);
    };
    expect([await listed(), await listed('a'), await listed('b'), await listed('c')]).toEqual([
      ['public'],
      ['of a'],
      ['of b'],
      [],
    ]);
    expect((await ask(server, '/__admin/uploads/of%20a', { key: 'b' })).status).toBe(404);
  });

  it('can be deleted: its bytes are gone, its fileId is free, its entry stays (§9.4)', async () => {
    const server = await openTestServer({ storage: 'disk' });
    await sendAll(server, { fileId: 'a' });
    await sendAll(server, { fileId: 'b' });
    const { body } = await finalize(server, 'b');
    for (const fileId of ['a', 'b']) {
      const deleted = await ask(server, `/__admin/uploads/${fileId}`, { method: 'DELETE' });
      expect([deleted.status, parsed(deleted)]).toEqual([200, { deleted: true, fileId }]);
      expect(await sizeOf(server, fileId)).toBeNull();
      const again = await ask(server, `/__admin/uploads/${fileId}`, { method: 'DELETE' });
      expect([again.status, again.body.error]).toEqual([404, 'upload_not_found']);
    }
    expect(contentBytes(server.dataDir)).toBe(7);
    expect((await ask(server, `/__admin/media/${body.data.id}/content`, { key: 'k' })).text).toBe('content');
    await sendAll(server, { fileId: 'b', content: Buffer.from('another') });
    expect((await finalize(server, 'b')).status, 'a new upload is a new entry').toBe(201);
  });

  it('that is not there is 404', async () => {
    const server = await openTestServer();
    for (const path of [
      'uploads/f',
      'uploads/f/content',
      'media/0123456789abcdef01234567',
      'media/x/content',
    ]) {
      const answer = await ask(server, `/__admin/${path}`);
      expect([answer.status, answer.body.error]).toEqual([
        404,
        `${path.startsWith('media') ? 'media' : 'upload'}_not_found`,
      ]);
    }
  });
});

describe('an entry', () => {
  it('is shown with what the wire does not show, for its own key (§9.5)', async () => {
    const server = await openTestServer({ pendingTime: '1h' });
    await sendAll(server, { content: Buffer.from('content') });
    const { body } = await finalize(server);
    const view = parsed(await ask(server, `/__admin/media/${body.data.id}?digest=sha256`, { key: 'k' }));
    const sha256 = createHash('sha256').update('content').digest('hex');
    const own = {
      type: 'video',
      fileId: 'f',
      bytes: 7,
      namespace: namespaceOf('k'),
      failures: [],
      damaged: null,
      fields: { fileId: 'f', platforms: '["instagram"]' },
    };
    expect(view).toEqual({ ...body.data, ...own, sha256 });
    expect((await ask(server, `/__admin/media/${body.data.id}`, { key: 'other' })).status).toBe(404);
    expect(parsed(await ask(server, '/__admin/media', { key: 'other' }))).toMatchObject({
      media: [],
      meta: { total: 0 },
    });
  });
});

describe('content', () => {
  const CONTENT = Buffer.from(Array.from({ length: 1_000 }, (_, i) => i % 251));

  /** Chunks in their own segments, so that a range can begin and end in any of them. */
  async function stored(kind: string): Promise<{ server: TestServer; path: string }> {
    const server = await openTestServer({ storage: 'disk', chunkOrder: 'any' });
    for (const index of [2, 0, 1, 3]) {
      const bytes = CONTENT.subarray(index * 250, (index + 1) * 250);
      await sendChunk(server, { index, total: 4, bytes, key: 'k' });
    }
    if (kind === 'an upload') return { server, path: '/__admin/uploads/f/content' };
    const { body } = await finalize(server);
    const path =
      kind === 'an entry' ? `/__admin/media/${body.data.id}/content` : '/__admin/uploads/f/content';
    return { server, path };
  }

  const get = async (
    server: TestServer,
    path: string,
    range?: string,
  ): Promise<{ status: number; headers: Headers; bytes: Buffer }> => {
    const headers = { 'x-api-key': 'k', ...(range === undefined ? {} : { range }) };
    const response = await fetch(new URL(path, server.url), { headers });
    return {
      status: response.status,
      headers: response.headers,
      bytes: Buffer.from(await response.arrayBuffer()),
    };
  };

  describe.each(['an upload', 'an entry', 'an upload that became an entry'])('of %s', (kind) => {
    it('is whole without a range, and with one that is none (§9.5)', async () => {
      const { server, path } = await stored(kind);
      for (const range of [
        undefined,
        'bytes=',
        'bytes=-',
        'bytes=5-2',
        'bytes=0-1,5-6',
        'items=0-1',
        'bytes=a-b',
        'bytes 0-1',
      ]) {
        const { status, headers, bytes } = await get(server, path, range);
        expect([status, headers.get('accept-ranges'), headers.get('content-length')], range).toEqual([
          200,
          'bytes',
          '1000',
        ]);
        expect(bytes.equals(CONTENT)).toBe(true);
      }
    });

    it('is answered 206 with exactly the bytes of the range (§9.4)', async () => {
      const { server, path } = await stored(kind);
      for (const [range, from, to] of [
        ['bytes=0-0', 0, 1],
        ['bytes=0-999', 0, 1_000],
        ['bytes=0-', 0, 1_000],
        ['bytes=249-250', 249, 251],
        ['bytes=240-760', 240, 761],
        ['bytes=999-', 999, 1_000],
        ['bytes=999-5000', 999, 1_000],
        ['bytes=-1', 999, 1_000],
        ['bytes=-300', 700, 1_000],
        ['bytes=-5000', 0, 1_000],
        ['bytes=500-99999999999999999999', 500, 1_000],
      ] as const) {
        const { status, headers, bytes } = await get(server, path, range);
        expect([status, headers.get('content-range')], range).toEqual([206, `bytes ${from}-${to - 1}/1000`]);
        expect(headers.get('content-length')).toBe(String(to - from));
        expect(bytes.equals(CONTENT.subarray(from, to))).toBe(true);
      }
    });

    it('is answered 416 with the length when the range lies outside', async () => {
      const { server, path } = await stored(kind);
      for (const range of ['bytes=1000-', 'bytes=1000-2000', 'bytes=-0', 'bytes=99999999999999999999-']) {
        const { status, headers, bytes } = await get(server, path, range);
        expect([status, headers.get('content-range')], range).toEqual([416, 'bytes */1000']);
        expect(bytes.toString()).toContain('range_not_satisfiable');
      }
    });
  });

  it('of an empty file is empty, and has no range', async () => {
    const server = await openTestServer();
    await sendChunk(server, { bytes: '' });
    const whole = await ask(server, '/__admin/uploads/f/content');
    expect([whole.status, whole.text, whole.headers.get('content-length')]).toEqual([200, '', '0']);
    expect((await ask(server, '/__admin/uploads/f/content', { headers: { range: 'bytes=0-' } })).status).toBe(
      416,
    );
    expect((await uploadView(server)).sha256).toBe(createHash('sha256').digest('hex'));
  });
});

it('the contract is served as it is, and as a page', async () => {
  const server = await openTestServer();
  const text = readFileSync(new URL('../../openapi.yaml', import.meta.url), 'utf8');
  const yaml = await ask(server, '/__admin/openapi.yaml');
  expect([yaml.status, yaml.headers.get('content-type'), yaml.text === text]).toEqual([
    200,
    'application/yaml; charset=utf-8',
    true,
  ]);
  const page = await ask(server, '/__admin/docs');
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(page.text).toMatch(/^<!doctype html>/i);
});

/** An address by which other machines reach this machine; loopback when it has no other address. */
const OUTSIDE =
  Object.values(networkInterfaces())
    .flat()
    .find((one) => one?.family === 'IPv4' && !one.internal)?.address ?? '127.0.0.1';

const at = (host: string, url: string): { url: string } => ({ url: `http://${host}:${new URL(url).port}` });

describe('beyond loopback', () => {
  it('the plane is off without a token, but for the probes (§9.1)', async () => {
    const server = await openTestServer({ host: '0.0.0.0' });
    expect(server.adminUrl).toBeNull();
    for (const host of ['127.0.0.1', OUTSIDE]) {
      for (const path of [...VIEWS, 'openapi.yaml', 'docs', 'docs/page.js']) {
        const answer = await ask(at(host, server.url), `/__admin/${path}`, { key: 'k' });
        expect([answer.status, answer.body.error], path).toEqual([404, 'not_found']);
      }
      expect((await ask(at(host, server.url), '/__admin/health')).status).toBe(200);
      expect((await ask(at(host, server.url), '/__admin/ready')).status).toBe(200);
      expect((await ask(at(host, server.url), '/profiles', { key: 'k' })).status).toBe(200);
    }
  });

  it('the plane is there with a token', async () => {
    const server = await openTestServer({ host: '0.0.0.0', adminToken: 'token' });
    const headers = { authorization: 'Bearer token' };
    expect((await ask(at(OUTSIDE, server.url), '/__admin/uploads', { headers })).status).toBe(200);
    expect((await ask(at(OUTSIDE, server.url), '/__admin/uploads')).status).toBe(401);
  });
});

describe('with --admin-token', () => {
  it('every view wants it, on loopback, too (§9.1)', async () => {
    const server = await openTestServer({ adminToken: 'token' });
    const wrong = [
      {},
      { key: 'k' },
      { headers: { authorization: 'Bearer Token' } },
      { headers: { 'x-admin-token': '' } },
    ];
    for (const path of VIEWS) {
      for (const asked of wrong) {
        const answer = await ask(server, `/__admin/${path}`, asked);
        expect([answer.status, answer.body.error, answer.body.details], path).toEqual([
          401,
          'admin_token_invalid',
          {},
        ]);
      }
    }
  });

  it('the probes do not, and a change is not made without it', async () => {
    const server = await openTestServer({ adminToken: 'token' });
    await sendAll(server);
    expect((await ask(server, '/__admin/health')).status).toBe(200);
    expect((await ask(server, '/__admin/ready')).status).toBe(200);
    expect((await ask(server, '/__admin/uploads/f', { method: 'DELETE' })).status).toBe(401);
    expect(await sizeOf(server)).toBe(7);
  });

  it('it is taken from Authorization and from X-Admin-Token, and X-API-Key still names the namespace', async () => {
    const server = await openTestServer({ adminToken: 'token' });
    await sendAll(server, { key: 'k' });
    for (const token of [{ authorization: 'Bearer token' }, { 'x-admin-token': 'token' }]) {
      const listed = parsed(await ask(server, '/__admin/uploads', { key: 'k', headers: token }));
      expect(listed).toMatchObject({ uploads: [{ fileId: 'f' }] });
      expect(parsed(await ask(server, '/__admin/uploads', { headers: token }))).toMatchObject({
        uploads: [],
      });
    }
  });
});

/** Each of them reads or changes what lies in a namespace. */
const CALLS = [
  ['GET', 'uploads'],
  ['GET', 'uploads/f'],
  ['GET', 'uploads/f/content'],
  ['DELETE', 'uploads/f'],
  ['GET', 'media'],
  ['GET', 'state'],
  ['PUT', 'state'],
  ['POST', 'reset'],
] as const;

describe('?namespace=', () => {
  it('shows another namespace, or all of them (§9.2)', async () => {
    const server = await openTestServer();
    await sendChunk(server, { fileId: 'public' });
    await sendChunk(server, { fileId: 'of k', key: 'k' });
    const listed = async (namespace: string): Promise<unknown> =>
      (
        parsed(await ask(server, `/__admin/uploads?namespace=${namespace}`)) as {
          uploads: { fileId: string; namespace: string }[];
        }
      ).uploads.map((upload) => [upload.fileId, upload.namespace]);
    expect(await listed(namespaceOf('k'))).toEqual([['of k', namespaceOf('k')]]);
    expect(await listed('public')).toEqual([['public', 'public']]);
    expect((await listed('*')) as unknown[]).toHaveLength(2);
  });

  it('that no key becomes is refused, and no path is made of it', async () => {
    const parent = await temporaryFolder();
    const server = await openTestServer({ storage: 'disk', dataDir: `${parent}/data` });
    await sendChunk(server);
    const before = [...filesIn(parent).keys()];
    const headers = { 'content-type': 'application/json' };
    const hostile = [
      '..',
      '../../../../tmp',
      '%2e%2e%2f',
      '/etc',
      'ns_',
      'ns_0123456789ABCDEF',
      `ns_${'0'.repeat(17)}`,
    ];
    for (const namespace of [...hostile, '', 'public/..', 'k', '\0']) {
      for (const [method, path] of CALLS) {
        const body = method === 'GET' || method === 'DELETE' ? {} : { headers, body: '{}' };
        const query = `?namespace=${encodeURIComponent(namespace)}`;
        const answer = await ask(server, `/__admin/${path}${query}`, { method, ...body });
        const what = `${method} ${path}${query}`;
        expect([answer.status, answer.body.error], what).toEqual([400, 'invalid_request']);
      }
    }
    expect([...filesIn(parent).keys()]).toEqual(before);
  });
});

describe('with --admin-port', () => {
  it('the plane is there, on loopback, and nowhere else; the probes are on both (§9.1)', async () => {
    const server = await openTestServer({ host: '0.0.0.0', adminPort: 0 });
    expect(server.adminUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/__admin$/);
    const admin = { url: server.adminUrl ?? '' };
    expect(new URL(admin.url).port).not.toBe(String(server.port));
    await sendAll(at('127.0.0.1', server.url));
    expect(parsed(await ask(admin, '/__admin/uploads'))).toMatchObject({ uploads: [{ fileId: 'f' }] });
    expect((await ask(at('127.0.0.1', server.url), '/__admin/uploads')).status).toBe(404);
    for (const one of [admin, at('127.0.0.1', server.url)]) {
      expect((await ask(one, '/__admin/health')).status).toBe(200);
      expect((await ask(one, '/__admin/ready')).status).toBe(200);
    }
    expect((await ask(admin, '/profiles', { key: 'k' })).status, 'no contract route there').toBe(404);
    if (OUTSIDE !== '127.0.0.1')
      await expect(ask(at(OUTSIDE, admin.url), '/__admin/health')).rejects.toThrow('fetch failed');
  });

  it('and --admin-token, it wants the token there', async () => {
    const server = await openTestServer({ adminPort: 0, adminToken: 'token' });
    const admin = { url: server.adminUrl ?? '' };
    expect((await ask(admin, '/__admin/uploads')).status).toBe(401);
    expect(
      (await ask(admin, '/__admin/uploads', { headers: { authorization: 'Bearer token' } })).status,
    ).toBe(200);
  });
});
