// http/routes/keys.test.ts: whose request it is, and which client sees what (K1-K5).
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { startServer } from '../../../src/index.ts';
import {
  ask,
  finalize,
  openTestServer,
  sendAll,
  sendChunk,
  sizeOf,
  temporaryFolder,
  uploadView,
  type Answer,
  type Asked,
  type TestServer,
} from '../../helpers/app.ts';
import { namespaceOf, putFolderAt, uploadLedger } from '../../helpers/disk.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';

const ROUTES: [string, string][] = [
  ['GET', '/media/chunks?fileId=f'],
  ['POST', '/media/chunks'],
  ['POST', '/media/videos'],
  ['POST', '/media/images'],
  ['GET', '/media/videos/0123456789abcdef01234567'],
  ['GET', '/media/images/0123456789abcdef01234567'],
  ['GET', '/channels'],
  ['GET', '/profiles'],
];
const NEEDS_KEY = ROUTES.filter(([, path]) => !path.startsWith('/media/chunks'));

const bearer = (key: string): Asked => ({ headers: { authorization: `Bearer ${key}` } });

describe('the key (K1)', () => {
  it('is taken from X-API-Key and from Authorization: Bearer, and means the same', async () => {
    const server = await openTestServer();
    await sendChunk(server, { key: 'k' });
    for (const asked of [
      { key: 'k' },
      bearer('k'),
      { headers: { authorization: 'bearer   k ' } },
      { headers: { 'x-api-key': ' k ' } },
    ])
      expect((await ask(server, '/media/chunks?fileId=f', asked)).body.data['exists']).toBe(true);
    for (const asked of [bearer('K'), { key: 'kk' }])
      expect((await ask(server, '/media/chunks?fileId=f', asked)).body.data['exists']).toBe(false);
  });

  it('in X-API-Key wins when both are sent; an empty one does not count', async () => {
    const server = await openTestServer();
    await sendChunk(server, { key: 'first' });
    const both = { ...bearer('second'), key: 'first' };
    expect((await ask(server, '/media/chunks?fileId=f', both)).body.data['exists']).toBe(true);
    const other = { ...bearer('first'), key: 'second' };
    expect((await ask(server, '/media/chunks?fileId=f', other)).body.data['exists']).toBe(false);
    const empty = { ...bearer('first'), key: ' ' };
    expect((await ask(server, '/media/chunks?fileId=f', empty)).body.data['exists']).toBe(true);
  });

  it('is not what Basic or an empty Bearer carries', async () => {
    const server = await openTestServer();
    for (const authorization of ['Basic azpr', 'Bearer', 'Bearer ', 'k', 'Token k']) {
      const answer = await ask(server, '/channels', { headers: { authorization } });
      expect([answer.status, answer.body.error], authorization).toEqual([401, 'api_key_missing']);
    }
  });
});

describe('without configured keys', () => {
  it.each(NEEDS_KEY)('%s %s needs a key, and any will do (K2)', async (method, path) => {
    const server = await openTestServer();
    for (const prefix of ['', '/api/v1']) {
      const refused = await ask(server, `${prefix}${path}`, { method });
      expect([refused.status, refused.body.error, refused.body.details]).toEqual([
        401,
        'api_key_missing',
        {},
      ]);
      expect((await ask(server, `${prefix}${path}`, { method, key: 'anything at all' })).status).not.toBe(
        401,
      );
    }
  });

  it('the chunk calls work without a key, in a namespace of their own (K3)', async () => {
    const server = await openTestServer();
    expect((await sendChunk(server)).status).toBe(200);
    expect((await uploadView(server)).namespace).toBe('public');
  });

  it('each key has uploads and entries of its own (K2, K4)', async () => {
    const server = await openTestServer();
    for (const key of ['a', 'b']) await sendAll(server, { key, content: Buffer.from(`of ${key}`) });
    const ids: string[] = [];
    for (const key of ['a', 'b']) {
      const { status, body } = await finalize(server, 'f', { key });
      expect(status).toBe(201);
      ids.push(body.data.id);
      const content = await fetch(new URL(`/__admin/media/${body.data.id}/content`, server.url), {
        headers: { 'x-api-key': key },
      });
      expect(await content.text()).toBe(`of ${key}`);
    }
    const foreign = await ask(server, `/media/videos/${ids[0]}`, { key: 'b' });
    expect([foreign.status, foreign.body.error]).toEqual([404, 'media_not_found']);
    expect((await ask(server, `/__admin/media/${ids[0]}`, { key: 'b' })).status).toBe(404);
    expect(await sizeOf(server, 'f', 'c')).toBeNull();
  });

  it('only a finalise takes an upload from the shared namespace, and only where its own lacks it (K3)', async () => {
    const server = await openTestServer();
    await sendChunk(server, { index: 0, total: 1, bytes: 'public' });
    expect(await sizeOf(server, 'f', 'k')).toBeNull();
    expect((await finalize(server, 'f', { key: 'k' })).status).toBe(201);

    await sendChunk(server, { fileId: 'own', index: 0, total: 1, bytes: 'public' });
    await sendChunk(server, { fileId: 'own', index: 0, total: 1, bytes: 'mine', key: 'k' });
    const { body } = await finalize(server, 'own', { key: 'k' });
    const content = await ask(server, `/__admin/media/${body.data.id}/content`, { key: 'k' });
    expect(content.text).toBe('mine');
    expect((await uploadView(server, 'own')).finalizedAs).toBeNull();
  });

  it('a keyless upload is in nobody’s way: the same fileId with other bytes is a key’s own upload (K3)', async () => {
    const server = await openTestServer();
    await sendChunk(server, { bytes: 'keyless' });
    expect((await sendChunk(server, { bytes: 'of worker 1', key: 'k' })).status).toBe(200);
    expect([await sizeOf(server), await sizeOf(server, 'f', 'k')]).toEqual([7, 11]);
  });

  it('a keyless request never sees what a key has', async () => {
    const server = await openTestServer();
    await sendChunk(server, { key: 'k' });
    expect(await sizeOf(server)).toBeNull();
  });

  it('a shared upload that one key finalised is not another’s, nor is it told whose (K4)', async () => {
    const server = await openTestServer();
    await sendAll(server);
    const made = await finalize(server, 'f', { key: 'first' });
    const other = await finalize(server, 'f', { key: 'second' });
    expect([other.status, other.body.error, other.body.details]).toEqual([409, 'already_finalized', {}]);
    expect(other.text).not.toContain(made.body.data.id);
    expect((await ask(server, `/media/videos/${made.body.data.id}`, { key: 'second' })).status).toBe(404);
  });
});

describe('with configured keys (K4)', () => {
  it.each(ROUTES)('%s %s takes those and no other', async (method, path) => {
    const server = await openTestServer({ apiKeys: ['one', 'two'] });
    for (const prefix of ['', '/api/v1']) {
      const missing = await ask(server, `${prefix}${path}`, { method });
      expect([missing.status, missing.body.error]).toEqual([401, 'api_key_missing']);
      for (const key of ['One', 'one ,two', 'on', 'onee', 'one,two', 'public']) {
        const invalid = await ask(server, `${prefix}${path}`, { method, key });
        expect([invalid.status, invalid.body.error, invalid.body.details], key).toEqual([
          401,
          'api_key_invalid',
          {},
        ]);
      }
      for (const asked of [{ key: 'one' }, { key: 'two' }, bearer('two')])
        expect((await ask(server, `${prefix}${path}`, { method, ...asked })).status).not.toBe(401);
    }
  });

  it('there is no fallback: an upload of the shared namespace does not exist to them', async () => {
    const before = await openTestServer({ storage: 'disk' });
    await sendAll(before);
    await before.close();
    const server = await openTestServer({ storage: 'disk', dataDir: before.dataDir, apiKeys: 'one,two' });
    expect(await sizeOf(server, 'f', 'one')).toBeNull();
    expect((await finalize(server, 'f', { key: 'one' })).status).toBe(404);
  });

  it('one key never sees another’s uploads: they do not exist to it', async () => {
    const server = await openTestServer({ apiKeys: ['one', 'two'] });
    await sendAll(server, { key: 'one' });
    expect(await sizeOf(server, 'f', 'two')).toBeNull();
    expect((await finalize(server, 'f', { key: 'two' })).body.error).toBe('upload_not_found');
    expect((await sendChunk(server, { index: 0, total: 9, key: 'two' })).status).toBe(200);
    expect(await sizeOf(server, 'f', 'one')).toBe(7);
  });

  it('a key from --api-keys-file works, one a line, and a comment does not', async () => {
    const apiKeysFile = join(await temporaryFolder(), 'keys');
    await writeFile(apiKeysFile, '# comment\n\n  from-the-file  \r\nanother\n');
    const server = await startServer({ apiKeysFile });
    try {
      const codes = ['from-the-file', 'another', '# comment', ''].map((key) =>
        ask(server, '/profiles', { key }),
      );
      expect((await Promise.all(codes)).map(({ status }) => status)).toEqual([200, 200, 401, 401]);
    } finally {
      await server.close();
    }
    await writeFile(apiKeysFile, '# only a comment\n');
    await expect(startServer({ apiKeysFile })).rejects.toThrow('holds no key');
  });
});

it('keys appear in no log line, metric, error or view, whatever goes wrong (K5)', async () => {
  const secrets = ['s3cret-in-the-header', 's3cret-in-bearer', 's3cret-unknown', 's3cret-admin'];
  const [header = '', inBearer = '', unknown = '', adminToken = ''] = secrets;
  const server = await openTestServer({
    storage: 'disk',
    apiKeys: [header, inBearer],
    adminToken,
    logLevel: 'trace',
  });
  const answers: Answer[] = [];
  const everything = async (asked: Asked): Promise<void> => {
    for (const [method, path] of [
      ...ROUTES,
      ['GET', '/nope'],
      ['PUT', '/profiles'],
      ['GET', '/media/videos/%FF'],
    ] as const)
      answers.push(await ask(server, path, { method, ...asked }));
  };
  await everything({ key: header });
  await everything(bearer(inBearer));
  await everything({ key: unknown });
  await everything({
    ...bearer(header),
    key: unknown,
    headers: { cookie: `key=${header}`, 'x-admin-token': adminToken },
  });
  await sendAll(server, { key: header, total: 2 });
  answers.push(await finalize(server, 'f', { key: header }), await finalize(server, 'f', { key: unknown }));
  putFolderAt(uploadLedger(server.dataDir, 'broken', namespaceOf(header)));
  answers.push(await ask(server, '/media/chunks?fileId=broken', { key: header }));
  expect(server.takeErrors()).toHaveLength(1);
  const connection = await openConnection(server.port);
  await connection.write(
    `GET /profiles HTTP/1.1\r\nHost: x\r\nX-API-Key: ${header}\r\nbroken header\r\n\r\n`,
  );
  answers.push((await connection.answer()) as unknown as Answer);
  for (const path of ['metrics', 'uploads/f', 'media', 'health', 'version', 'config', 'requests'])
    answers.push(
      await ask(server, `/__admin/${path}`, {
        key: header,
        headers: { authorization: `Bearer ${adminToken}` },
      }),
    );
  const written = JSON.stringify([server.log, answers.map(({ text }) => text)]);
  expect(server.log.length).toBeGreaterThan(20);
  for (const secret of secrets) expect(written).not.toContain(secret);
  expect(written, 'a namespace is shown as a short hash').toContain(namespaceOf(header));
});

it('a key that a client sends twice, or that is no ASCII, is refused or taken, and never a crash', async () => {
  const server = await openTestServer({ apiKeys: ['k'] });
  const connection = await openConnection(server.port);
  const codes: unknown[] = [];
  for (const key of ['k\r\nX-API-Key: k', 'kéy', '\u00ff', 'k'.repeat(8_000)]) {
    await connection.write(
      Buffer.from(requestBytes('GET /profiles', { 'x-api-key': key }).toString(), 'latin1'),
    );
    codes.push((await connection.answer())?.status);
  }
  expect(codes).toEqual([401, 401, 401, 401]);
});

it('two servers in one process share nothing', async () => {
  const [one, two]: TestServer[] = [await openTestServer(), await openTestServer()];
  if (one === undefined || two === undefined) throw new Error('two servers were opened');
  await sendChunk(one);
  expect(await sizeOf(two)).toBeNull();
  const count = /requests_total\{operation="uploadChunk"/;
  expect((await ask(one, '/__admin/metrics')).text).toMatch(count);
  expect((await ask(two, '/__admin/metrics')).text).not.toMatch(count);
});
