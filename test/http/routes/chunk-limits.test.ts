// routes/chunk-limits.test.ts: chunks that are too large, empty, too late, too many, or find no room (C13-C16).
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  advanceClock,
  ask,
  eventually,
  finalize,
  metric,
  openTestServer,
  sendAll,
  sendChunk,
  sizeOf,
  status,
  type Answer,
} from '../../helpers/app.ts';
import { cutTail, flipByte } from '../../helpers/damage.ts';
import { contentBytes, putFolderAt, uploadBytes, uploadLedger } from '../../helpers/disk.ts';
import { chunkParts, fieldsFirst, formOf } from '../../helpers/multipart.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';
import { tinyChunks } from './tiny-chunks-suite.ts';
import { CHUNK, post } from './chunk-steps.ts';

tinyChunks(500);

describe('the size limit (C13)', () => {
  it('is 5 GiB when nothing is said', async () => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    const { contentType } = formOf([]);
    await connection.write(
      requestBytes('POST /media/chunks', { 'content-type': contentType, 'content-length': 6 * 1024 ** 3 }),
    );
    const answer = await connection.answer();
    expect(answer?.status).toBe(413);
    expect(answer?.text).toContain(`"maxBytes":${5 * 1024 ** 3}`);
  });

  it('counts all chunks together: exactly the limit is taken, one byte more is not, and what is stored stays', async () => {
    const server = await openTestServer({ maxFileSize: 1_000 });
    await sendChunk(server, { index: 0, total: 3, bytes: 'x'.repeat(600) });
    for (const parts of [chunkParts, fieldsFirst]) {
      const chunk = { ...CHUNK, chunkIndex: 1, totalChunks: 3, bytes: Buffer.alloc(401) };
      const answer = await post(server, parts(chunk));
      expect(answer.status).toBe(413);
      expect([answer.body.error, answer.body.details]).toEqual([
        'upload_too_large',
        { maxBytes: 1_000, currentSize: 600 },
      ]);
    }
    expect(await sizeOf(server)).toBe(600);
    expect((await sendChunk(server, { index: 1, total: 3, bytes: 'x'.repeat(400) })).status).toBe(200);
    expect((await sendChunk(server, { index: 2, total: 3, bytes: 'x' })).status).toBe(413);
    expect(await sizeOf(server)).toBe(1_000);
  });
});

describe('an empty chunk (C14)', () => {
  it.each([chunkParts, fieldsFirst])('0 of 1 is an empty file, which can be finalised', async (partsOf) => {
    const server = await openTestServer({ storage: 'disk' });
    const answer = await post(server, partsOf({ ...CHUNK, bytes: Buffer.alloc(0) }));
    expect([answer.status, answer.body.data]).toEqual([200, { completed: true, fileId: 'f' }]);
    expect(await sizeOf(server)).toBe(0);
    const { body } = await finalize(server);
    const content = await fetch(new URL(`/__admin/media/${body.data.id}/content`, server.url), {
      headers: { 'x-api-key': 'k' },
    });
    expect([content.status, await content.text()]).toEqual([200, '']);
  });

  it.each([0, 1])('%i of 2 is refused', async (index) => {
    const server = await openTestServer();
    if (index === 1) await sendChunk(server, { index: 0, total: 2 });
    const answer = await sendChunk(server, { index, total: 2, bytes: '' });
    expect([answer.status, answer.body.error]).toEqual([400, 'empty_chunk']);
  });
});

describe('an upload that nobody goes on with (C15)', () => {
  const TTL = 60_000;

  it.each(['memory', 'disk'] as const)(
    'expires a time-to-live after its last chunk, bytes and all, in %s (F4)',
    async (storage) => {
      const server = await openTestServer({ storage, uploadTtl: TTL });
      await sendChunk(server, { index: 0, total: 3 });
      await advanceClock(server, TTL * 0.6);
      await sendChunk(server, { index: 1, total: 3 });
      await advanceClock(server, TTL * 0.6);
      expect(await sizeOf(server), 'the second chunk renewed it').toBe(10);
      await advanceClock(server, TTL * 0.5);
      expect((await status(server)).body.data).toEqual({ exists: false, currentSize: 0, fileId: 'f' });
      expect(await metric(server, 'stored_bytes')).toBe(0);
      expect(await metric(server, 'uploads_expired_total')).toBe(1);
      expect((await finalize(server)).status).toBe(404);
      expect(
        (await sendChunk(server, { index: 0, total: 2, bytes: 'new' })).status,
        'the fileId is free again',
      ).toBe(200);
    },
  );

  it('is erased without being asked for, unless a request is in flight or it became an entry', async () => {
    const server = await openTestServer({ storage: 'disk', uploadTtl: TTL });
    await sendAll(server, { fileId: 'entry', content: Buffer.from('entry') });
    const entry = await finalize(server, 'entry');
    await sendChunk(server, { fileId: 'busy', index: 0, total: 2, bytes: 'busy' });
    await sendChunk(server, { fileId: 'idle', index: 0, total: 2, bytes: 'idle' });
    const second = { fileId: 'busy', chunkIndex: 1, totalChunks: 2, bytes: Buffer.from('more') };
    const { contentType, body } = formOf(fieldsFirst(second));
    const connection = await openConnection(server.port);
    await connection.write(
      requestBytes('POST /media/chunks', { 'content-type': contentType, 'content-length': body.length }),
    );
    await connection.write(body.subarray(0, -50));
    await eventually(
      () => contentBytes(server.dataDir),
      (bytes) => bytes > 13,
    );
    await advanceClock(server, 2 * TTL);
    expect(existsSync(uploadBytes(server.dataDir, 'idle'))).toBe(false);
    expect(existsSync(uploadLedger(server.dataDir, 'entry'))).toBe(false);
    await connection.write(body.subarray(-50));
    expect((await connection.answer())?.status).toBe(200);
    expect(await sizeOf(server, 'busy')).toBe(8);
    const content = await ask(server, `/__admin/media/${entry.body.data.id}/content`, { key: 'k' });
    expect(content.text).toBe('entry');
  });

  it('is collected after a while when its clock is the real one', async () => {
    const server = await openTestServer({ storage: 'disk', uploadTtl: '300ms' });
    await sendChunk(server, { index: 0, total: 2 });
    await eventually(
      () => contentBytes(server.dataDir),
      (bytes) => bytes === 0,
    );
    expect(existsSync(uploadLedger(server.dataDir, 'f'))).toBe(false);
    // Nor does its namespace leave a folder behind.
    await eventually(
      () => Promise.all(['ledgers', 'bytes'].map((kind) => readdir(join(server.dataDir, kind)))),
      (left) => left.flat().length === 0,
    );
  });
});

describe('no room (C16)', () => {
  describe.each(['memory', 'disk'] as const)('in %s', (storage) => {
    it.each([
      ['the fields come first', fieldsFirst, '16MiB'],
      ['the file comes first', chunkParts, '16MiB'],
      ['the file comes first and does not fit into memory', chunkParts, 0],
    ] as const)(
      'when %s: 507 changes nothing, and the upload goes on when there is room (§8.8)',
      async (...[, partsOf, spoolMemory]) => {
        const server = await openTestServer({ storage, spoolMemory, maxStoredBytes: 1_000 });
        await sendChunk(server, { fileId: 'other', index: 0, total: 2, bytes: 'x'.repeat(500) });
        const chunk = { ...CHUNK, totalChunks: 2, bytes: Buffer.alloc(300, 1) };
        expect((await post(server, partsOf(chunk))).status).toBe(200);
        const next = { ...chunk, chunkIndex: 1 };
        for (let i = 0; i < 3; i += 1) {
          const refused = await post(server, partsOf(next));
          expect([refused.status, refused.body.error]).toEqual([507, 'insufficient_storage']);
          expect(refused.headers.get('retry-after')).toBe('1');
          expect(await sizeOf(server)).toBe(300);
          expect(await metric(server, 'stored_bytes')).toBe(800);
        }
        expect((await post(server, partsOf(chunk))).status, 're-sent: no room is needed').toBe(200);
        expect((await ask(server, '/__admin/uploads/other', { method: 'DELETE' })).status).toBe(200);
        expect((await post(server, partsOf(next))).body.data).toEqual({ completed: true, fileId: 'f' });
        expect(await sizeOf(server)).toBe(600);
      },
    );
  });
});

describe('no room for one key', () => {
  it.each(['memory', 'disk'] as const)(
    'in %s: 507 for it alone, whichever part comes first, until something of it is deleted',
    async (storage) => {
      const server = await openTestServer({ storage, spoolMemory: 0, maxStoredBytesPerKey: 1_000 });
      const send = (fileId: string, key: string): Promise<Answer> =>
        sendChunk(server, { fileId, index: 0, total: 2, bytes: 'x'.repeat(600), key });
      expect((await send('a', 'k')).status).toBe(200);
      const refused = await send('b', 'k');
      expect([refused.status, refused.body.error]).toEqual([507, 'insufficient_storage']);
      expect(refused.body.details).toEqual({ maxStoredBytesPerKey: 1_000 });
      expect((await send('b', 'another')).status).toBe(200);
      expect((await ask(server, '/__admin/uploads/a', { method: 'DELETE', key: 'k' })).status).toBe(200);
      expect((await send('b', 'k')).status).toBe(200);
      expect(await metric(server, 'stored_bytes')).toBe(1_200);
    },
  );
});

describe('unfinished uploads', () => {
  it('beyond --max-open-uploads are refused for this key alone, until one is finalised or deleted (§7.4)', async () => {
    const server = await openTestServer({ maxOpenUploads: 2 });
    const begin = (fileId: string, key = 'k'): Promise<Answer> =>
      sendChunk(server, { fileId, index: 0, total: 1, key });
    await begin('a');
    await begin('b');
    const refused = await begin('c');
    expect([refused.status, refused.body.error]).toEqual([429, 'too_many_open_uploads']);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect((await begin('a')).status, 'one that is there goes on').toBe(200);
    expect((await begin('c', 'another')).status).toBe(200);
    await finalize(server, 'a');
    expect((await begin('c')).status).toBe(200);
    expect((await begin('d')).status).toBe(429);
    await ask(server, '/__admin/uploads/b', { method: 'DELETE', key: 'k' });
    expect((await begin('d')).status).toBe(200);
  });

  it('that were refused do not count', async () => {
    const server = await openTestServer({ maxOpenUploads: 1 });
    for (const fileId of ['a', 'b', 'c']) {
      const answer = await sendChunk(server, { fileId, index: 0, total: 2, bytes: '' });
      expect(answer.body.error).toBe('empty_chunk');
    }
    expect((await sendChunk(server, { fileId: 'd' })).status).toBe(200);
  });
});

describe('a stored upload that fails its checks', () => {
  const damages: [string, (dataDir: string) => Promise<void>][] = [
    ['a byte of its ledger is another', (dataDir) => flipByte(uploadLedger(dataDir, 'f'), 20)],
    ['bytes are missing', (dataDir) => cutTail(`${uploadBytes(dataDir, 'f')}/main`, 1)],
    ['all bytes are missing', (dataDir) => rm(uploadBytes(dataDir, 'f'), { recursive: true })],
  ];

  it.each(damages)('because %s is reported, and every other goes on (D2)', async (_name, damage) => {
    const before = await openTestServer({ storage: 'disk' });
    const { dataDir } = before;
    for (const fileId of ['f', 'other']) await sendChunk(before, { fileId, index: 0, total: 2 });
    await before.close();
    await damage(dataDir);
    const server = await openTestServer({ storage: 'disk', dataDir });
    const answers = [
      await status(server),
      await sendChunk(server, { index: 1, total: 2 }),
      await finalize(server),
      await ask(server, '/__admin/uploads/f'),
    ];
    for (const { status: code, body, headers } of answers) {
      expect([code, body.error, headers.get('retry-after')]).toEqual([500, 'upload_damaged', null]);
      expect(body.message).not.toContain(dataDir);
    }
    expect(
      server.takeErrors().map(({ msg }) => msg),
      'told once',
    ).toEqual(['upload_damaged']);
    expect(await sizeOf(server, 'other')).toBe(5);
    await ask(server, '/__admin/uploads/f', { method: 'DELETE' });
    expect((await sendChunk(server)).status, 'deleted, it can be sent anew').toBe(200);
  });

  it('because its ledger cannot be read is reported without a word of where it lies, once in the log (D5)', async () => {
    const server = await openTestServer({ storage: 'disk' });
    putFolderAt(uploadLedger(server.dataDir, 'f'));
    for (const answer of [await status(server), await sendChunk(server)]) {
      expect([answer.status, answer.text]).toEqual([500, expect.stringContaining('upload_damaged')]);
      expect(answer.text).not.toContain(server.dataDir);
    }
    expect(server.takeErrors()).toMatchObject([{ msg: 'upload_damaged', systemError: 'EISDIR' }]);
  });
});
