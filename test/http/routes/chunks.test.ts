// http/routes/chunks.test.ts: the rules of the two chunk operations, one by one (C1-C9, C13-C16).
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../../src/config/options.ts';
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
  uploadView,
  type Answer,
  type TestServer,
} from '../../helpers/app.ts';
import { cutTail, flipByte } from '../../helpers/damage.ts';
import { contentBytes, filesIn, putFolderAt, uploadBytes, uploadLedger } from '../../helpers/disk.ts';
import { BOUNDARY, chunkParts, fieldsFirst, formOf, type Part } from '../../helpers/multipart.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';
import { diceOf, SEED } from '../../helpers/seed.ts';
import { tinyChunks } from './tiny-chunks-suite.ts';

const CHUNK = { fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.from('bytes') };

function post(server: TestServer, parts: readonly Part[], key?: string): Promise<Answer> {
  const { contentType, body } = formOf(parts);
  return ask(server, '/media/chunks', {
    method: 'POST',
    headers: { 'content-type': contentType },
    body,
    ...(key === undefined ? {} : { key }),
  });
}

function fieldsOf(answer: Answer): string[] {
  const { fields } = answer.body.details as { fields: { field: string }[] };
  return fields.map(({ field }) => field);
}

describe('the status of an upload', () => {
  it('an unknown fileId is no error: it does not exist and has 0 bytes (C1)', async () => {
    const server = await openTestServer();
    const answer = await status(server, 'never-sent');
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      success: true,
      data: { exists: false, currentSize: 0, fileId: 'never-sent' },
    });
  });

  it('counts the acknowledged bytes, and is never to be cached (C2, §1.4)', async () => {
    const server = await openTestServer();
    await sendChunk(server, { index: 0, total: 3, bytes: 'abc' });
    await sendChunk(server, { index: 1, total: 3, bytes: 'de' });
    const answer = await status(server);
    expect(answer.body).toEqual({ success: true, data: { exists: true, currentSize: 5, fileId: 'f' } });
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  it.each([
    ['missing', ''],
    ['under another name', '?fileid=f'],
    ['given twice', '?fileId=a&fileId=b'],
    ['empty', '?fileId='],
    ['one NUL', '?fileId=a%00b'],
    ['one newline', '?fileId=a%0Ab'],
    ['one C1 control character', '?fileId=a%C2%85b'],
    ['257 characters long', `?fileId=${'x'.repeat(257)}`],
    ['not UTF-8', '?fileId=%FF'],
    ['cut off inside a character', '?fileId=a%E2%82'],
    ['not percent-encoded', '?fileId=100%'],
  ])('of a fileId that is %s is refused, and the field is named (C4)', async (_name, query) => {
    const server = await openTestServer();
    const answer = await ask(server, `/media/chunks${query}`);
    expect(answer.status).toBe(400);
    expect(answer.body.error).toBe('invalid_request');
    expect(fieldsOf(answer)).toEqual(['fileId']);
  });
});

describe('chunks in sequence', () => {
  it('each is received, and the last one completes the upload (C5)', async () => {
    const server = await openTestServer();
    const first = await sendChunk(server, { index: 0, total: 2, bytes: 'one' });
    expect([first.status, first.body]).toEqual([
      200,
      { success: true, data: { completed: false, chunkIndex: 0 }, message: 'Chunk received' },
    ]);
    const last = await sendChunk(server, { index: 1, total: 2, bytes: 'two' });
    expect([last.status, last.body]).toEqual([
      200,
      { success: true, data: { completed: true, fileId: 'f' }, message: 'Upload complete' },
    ]);
  });

  it.each(['memory', 'disk'] as const)(
    'of any sizes become the file that was cut, in %s (C2)',
    async (storage) => {
      const dice = diceOf(SEED);
      console.info(`TEST_SEED=${SEED}`);
      const server = await openTestServer({ storage });
      const chunks = Array.from({ length: 12 }, () => dice.bytes(dice.pick([1, 7, 1_000, 65_536, 200_000])));
      let sent = 0;
      for (const [index, bytes] of chunks.entries()) {
        await sendChunk(server, { index, total: chunks.length, bytes });
        sent += bytes.length;
        expect(await sizeOf(server)).toBe(sent);
      }
      const content = await fetch(new URL('/__admin/uploads/f/content', server.url));
      expect(Buffer.from(await content.arrayBuffer()).equals(Buffer.concat(chunks))).toBe(true);
    },
  );

  it('currentSize never goes back, whatever comes between two chunks (C2)', async () => {
    const dice = diceOf(SEED);
    console.info(`TEST_SEED=${SEED}`);
    const server = await openTestServer();
    const total = 20;
    const chunks = Array.from({ length: total }, () => dice.bytes(dice.between(1, 50)));
    let next = 0;
    let size = 0;
    for (let round = 0; round < 120; round += 1) {
      const index = dice.pick(
        [next, next, next - 1, 0, next + 1, total - 1].filter((i) => i >= 0 && i < total),
      );
      const isOwn = dice.chance(0.8);
      const bytes = isOwn ? (chunks[index] ?? Buffer.alloc(0)) : dice.bytes(51);
      const answer = await sendChunk(server, { index, total: dice.chance(0.9) ? total : total + 1, bytes });
      const now = (await sizeOf(server)) ?? 0;
      expect(now).toBeGreaterThanOrEqual(size);
      if (answer.status === 200 && index === next) {
        expect(now).toBe(size + bytes.length);
        chunks[index] = bytes;
        next += 1;
      } else expect(now).toBe(size);
      size = now;
    }
  });
});

describe('a chunk is whole or not at all (C3)', () => {
  const bytes = Buffer.from('second');
  const second = { ...CHUNK, chunkIndex: 1, totalChunks: 3, bytes };
  const refused: [string, readonly Part[], number, string][] = [
    ['its fields are bad', chunkParts({ ...second, chunkIndex: 'x' }), 400, 'invalid_request'],
    ['a field is missing', chunkParts(second).slice(0, 3), 400, 'invalid_request'],
    ['the file is missing', chunkParts(second).slice(1), 400, 'invalid_request'],
    ['it has no bytes', chunkParts({ ...second, bytes: Buffer.alloc(0) }), 400, 'empty_chunk'],
    ['it leaves a gap', chunkParts({ ...second, chunkIndex: 2 }), 409, 'chunk_out_of_order'],
    ['it is another than the stored one', chunkParts({ ...second, chunkIndex: 0 }), 409, 'chunk_conflict'],
    ['totalChunks is another', chunkParts({ ...second, totalChunks: 4 }), 409, 'total_chunks_mismatch'],
    ['the file is too large', chunkParts({ ...second, bytes: Buffer.alloc(2_000) }), 413, 'upload_too_large'],
  ];

  describe.each(['memory', 'disk'] as const)('in %s', (storage) => {
    it.each(refused)('refused because %s, it leaves nothing behind', async (...[, parts, code, error]) => {
      const server = await openTestServer({ storage, maxFileSize: 1_000 });
      await sendChunk(server, { index: 0, total: 3, bytes: 'first' });
      for (const order of [parts, parts.toReversed()]) {
        const answer = await post(server, order);
        expect([answer.status, answer.body.error], answer.text).toEqual([code, error]);
        expect(await sizeOf(server)).toBe(5);
        expect(await metric(server, 'stored_bytes')).toBe(5);
      }
      expect((await uploadView(server)).chunks).toHaveLength(1);
      const next = await sendChunk(server, { index: 1, total: 3, bytes });
      expect(next.status, 'the upload goes on').toBe(200);
    });

    it('refused as the first of its upload, there is no upload', async () => {
      const server = await openTestServer({ storage, maxFileSize: 1_000 });
      for (const parts of [
        chunkParts({ ...CHUNK, totalChunks: 2, bytes: Buffer.alloc(0) }),
        fieldsFirst({ ...CHUNK, totalChunks: 2, bytes: Buffer.alloc(0) }),
        fieldsFirst({ ...CHUNK, bytes: Buffer.alloc(1_001) }),
        [...fieldsFirst(CHUNK), { name: 'file', value: 'again' }],
        chunkParts({ ...CHUNK, chunkIndex: 1, totalChunks: 2 }),
      ]) {
        expect((await post(server, parts)).status).toBeGreaterThanOrEqual(400);
        expect(await sizeOf(server)).toBeNull();
        expect(await metric(server, 'stored_bytes')).toBe(0);
        expect(await metric(server, 'open_uploads')).toBe(0);
      }
    });
  });
});

describe('the fields of a chunk (C4)', () => {
  it.each([
    '',
    '-1',
    '+0',
    '00',
    '01',
    '1.0',
    '1e0',
    ' 0',
    '0 ',
    '0x0',
    'zero',
    '１',
    '0,0',
    '99999999999999999999',
  ])('chunkIndex %j is refused and named', async (chunkIndex) => {
    const server = await openTestServer();
    for (const parts of [chunkParts, fieldsFirst]) {
      const answer = await post(server, parts({ ...CHUNK, totalChunks: 3, chunkIndex }));
      expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
      expect(fieldsOf(answer)).toEqual(['chunkIndex']);
    }
  });

  it.each(['', '0', '-1', '1.5', '1000001', '1e6', 'NaN', '१'])(
    'totalChunks %j is refused and named',
    async (totalChunks) => {
      const server = await openTestServer();
      const answer = await post(server, chunkParts({ ...CHUNK, totalChunks }));
      expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
      expect(fieldsOf(answer)).toEqual(['totalChunks']);
    },
  );

  it('chunkIndex must be less than totalChunks', async () => {
    const server = await openTestServer();
    const answer = await post(server, chunkParts({ ...CHUNK, chunkIndex: 2, totalChunks: 2 }));
    expect(answer.status).toBe(400);
    expect(fieldsOf(answer)).toEqual(['chunkIndex']);
  });

  it('a million chunks is the most: the first of them is taken', async () => {
    const server = await openTestServer();
    const answer = await post(server, chunkParts({ ...CHUNK, totalChunks: 1_000_000 }));
    expect(answer.body.data).toEqual({ completed: false, chunkIndex: 0 });
  });

  it('every bad field is named in one answer, each with a sentence (§11.2)', async () => {
    const server = await openTestServer();
    const answer = await post(
      server,
      chunkParts({ ...CHUNK, fileId: '', chunkIndex: 'x', totalChunks: 'y' }),
    );
    expect(fieldsOf(answer)).toEqual(['fileId', 'totalChunks', 'chunkIndex']);
    for (const field of fieldsOf(answer)) expect(answer.body.message).toContain(`${field}: got `);
  });

  it('every missing part is named in one answer', async () => {
    const server = await openTestServer();
    const answer = await post(server, [{ name: 'other', value: 'x' }]);
    expect(answer.status).toBe(400);
    expect(fieldsOf(answer).toSorted()).toEqual(['chunkIndex', 'file', 'fileId', 'totalChunks']);
  });

  it('a fileId that is not UTF-8 is refused', async () => {
    const server = await openTestServer();
    const parts = chunkParts(CHUNK).toSpliced(3, 1, { name: 'fileId', value: Buffer.from([0x61, 0xff]) });
    const answer = await post(server, parts);
    expect(answer.status).toBe(400);
    expect(fieldsOf(answer)).toEqual(['fileId']);
  });
});

tinyChunks(500);

describe('a chunk that is sent again', () => {
  it('with the same bytes gets its first answer at any later time, and nothing is written (C6)', async () => {
    const server = await openTestServer({ storage: 'disk' });
    const send = (index: number): Promise<Answer> =>
      sendChunk(server, { index, total: 3, bytes: `chunk ${index}` });
    const first: string[] = [];
    const checkAll = async (): Promise<void> => {
      const before = [...filesIn(server.dataDir)];
      for (const [index, text] of first.entries()) {
        const again = await send(index);
        expect([again.status, again.text]).toEqual([200, text]);
      }
      expect([...filesIn(server.dataDir)]).toEqual(before);
    };
    for (const index of [0, 1, 2]) {
      first.push((await send(index)).text);
      await checkAll();
    }
    expect((await finalize(server)).status).toBe(201);
    await checkAll();
    expect(await sizeOf(server)).toBe(21);
  });

  it.each([
    ['of the same length', 'BYTES'],
    ['that are fewer', 'byte'],
    ['that are more', 'bytes and more'],
    ['of which there are none', ''],
  ])('with other bytes %s is a conflict (C7)', async (_name, bytes) => {
    const server = await openTestServer();
    await sendChunk(server, { index: 0, total: 2, bytes: 'bytes' });
    for (const parts of [chunkParts, fieldsFirst]) {
      const answer = await post(server, parts({ ...CHUNK, totalChunks: 2, bytes: Buffer.from(bytes) }));
      if (bytes === '') expect(answer.body.error).toBe('empty_chunk');
      else {
        expect(answer.status).toBe(409);
        expect(answer.body).toMatchObject({
          error: 'chunk_conflict',
          details: { chunkIndex: 0, storedBytes: 5 },
        });
      }
    }
    expect((await uploadView(server)).chunks).toMatchObject([{ index: 0, bytes: 5 }]);
  });

  it('under another totalChunks is refused with the one that is known (C9)', async () => {
    const server = await openTestServer();
    await sendChunk(server, { index: 0, total: 3 });
    for (const [index, total] of [
      [0, 2],
      [1, 4],
    ] as const) {
      const answer = await sendChunk(server, { index, total });
      expect(answer.status).toBe(409);
      expect(answer.body).toMatchObject({ error: 'total_chunks_mismatch', details: { totalChunks: 3 } });
    }
  });
});

describe('a gap (C8)', () => {
  it('is refused with the chunk and the byte to go on from, and nothing is written', async () => {
    const server = await openTestServer();
    await sendChunk(server, { index: 0, total: 4, bytes: 'four' });
    for (const index of [2, 3]) {
      const answer = await sendChunk(server, { index, total: 4, bytes: 'x' });
      expect(answer.status).toBe(409);
      expect([answer.body.error, answer.body.details]).toEqual([
        'chunk_out_of_order',
        { expectedChunkIndex: 1, currentSize: 4 },
      ]);
    }
    expect((await uploadView(server)).chunks).toHaveLength(1);
  });

  it('before the first chunk is one, too: the last chunk alone completes nothing', async () => {
    const server = await openTestServer();
    const answer = await sendChunk(server, { index: 1, total: 2 });
    expect(answer.body.details).toEqual({ expectedChunkIndex: 0, currentSize: 0 });
    expect(await sizeOf(server)).toBeNull();
  });
});

describe('with --chunk-order any (C8)', () => {
  it('currentSize counts up to the first gap, and the chunk that closes the last one completes', async () => {
    const server = await openTestServer({ chunkOrder: 'any' });
    const sizes: unknown[] = [];
    for (const index of [3, 1, 4, 0, 2]) {
      const { body } = await sendChunk(server, { index, total: 5, bytes: 'x'.repeat(10 ** index) });
      sizes.push([index, body.data['completed'], await sizeOf(server)]);
    }
    expect(sizes).toEqual([
      [3, false, 0],
      [1, false, 0],
      [4, false, 0],
      [0, false, 11],
      [2, true, 11_111],
    ]);
    expect((await sendChunk(server, { index: 4, total: 5, bytes: 'x'.repeat(10_000) })).body.data).toEqual({
      completed: false,
      chunkIndex: 4,
    });
    expect(
      (await sendChunk(server, { index: 2, total: 5, bytes: 'x'.repeat(100) })).body.data['completed'],
    ).toBe(true);
  });

  it.each(['memory', 'disk'] as const)('chunks in parallel become one file, in %s', async (storage) => {
    const dice = diceOf(SEED);
    console.info(`TEST_SEED=${SEED}`);
    const server = await openTestServer({ storage, chunkOrder: 'any' });
    const chunks = Array.from({ length: 24 }, () => dice.bytes(dice.between(1, 40_000)));
    const order = dice.shuffled([...chunks.entries()]);
    const seen: number[] = [];
    const answers = await Promise.all(
      order.map(async ([index, bytes]) => {
        const answer = await sendChunk(server, { index, total: chunks.length, bytes });
        seen.push((await sizeOf(server)) ?? 0);
        return answer;
      }),
    );
    expect(answers.map((answer) => answer.status)).toEqual(chunks.map(() => 200));
    expect(answers.filter(({ body }) => body.data['completed'] === true)).toHaveLength(1);
    expect(seen.at(-1)).toBe(Buffer.concat(chunks).length);
    expect((await finalize(server)).status).toBe(201);
    const content = await fetch(new URL('/__admin/uploads/f/content', server.url));
    expect(Buffer.from(await content.arrayBuffer()).equals(Buffer.concat(chunks))).toBe(true);
  });

  it('a chunk that makes the file too large is refused, also when others came first', async () => {
    const server = await openTestServer({ chunkOrder: 'any', maxFileSize: 10 });
    expect((await sendChunk(server, { index: 1, total: 2, bytes: 'sixsix' })).status).toBe(200);
    const answer = await sendChunk(server, { index: 0, total: 2, bytes: 'fivefive' });
    expect([answer.status, answer.body.details]).toEqual([413, { maxBytes: 10, currentSize: 0 }]);
  });
});

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

it('a body that is not a form is refused as such (C11)', async () => {
  const server = await openTestServer();
  for (const contentType of [
    'application/json',
    'application/octet-stream',
    'text/plain',
    'multipart/mixed; boundary=b',
    'x',
  ]) {
    const answer = await ask(server, '/media/chunks', {
      method: 'POST',
      headers: { 'content-type': contentType },
      body: '{"fileId":"f"}',
    });
    expect([answer.status, answer.body.error], contentType).toEqual([415, 'unsupported_media_type']);
  }
  const bare = await openConnection(server.port);
  for (const body of ['', 'bytes']) {
    await bare.write(requestBytes('POST /media/chunks', {}, body));
    expect((await bare.answer())?.status, 'no Content-Type at all').toBe(415);
  }
});

it.each([
  ['no boundary', 'multipart/form-data', ''],
  ['an empty boundary', 'multipart/form-data; boundary=""', ''],
  ['an empty body', `multipart/form-data; boundary=${BOUNDARY}`, ''],
  ['another boundary in the body', 'multipart/form-data; boundary=other', formOf(chunkParts(CHUNK)).body],
  [
    'LF instead of CRLF',
    formOf([]).contentType,
    formOf(chunkParts(CHUNK)).body.toString('latin1').replaceAll('\r\n', '\n'),
  ],
  ['text instead of a form', formOf([]).contentType, 'just text'],
  [
    'the head of a part without an end',
    formOf([]).contentType,
    `--${BOUNDARY}\r\nContent-Disposition: form-data`,
  ],
  [
    'a part whose headers are too large',
    formOf([]).contentType,
    formOf([{ name: 'x'.repeat(20_000), value: '' }, ...chunkParts(CHUNK)]).body,
  ],
  [
    'too many parts',
    formOf([]).contentType,
    formOf([...Array.from({ length: 100 }, () => ({ name: 'x', value: '' })), ...chunkParts(CHUNK)]).body,
  ],
  [
    'a field that is too large',
    formOf([]).contentType,
    formOf(fieldsFirst({ ...CHUNK, fileId: 'x'.repeat(70_000) })).body,
  ],
])('a form with %s is refused, and nothing is stored (C11, §7.4)', async (_name, contentType, body) => {
  const server = await openTestServer();
  const answer = await ask(server, '/media/chunks', {
    method: 'POST',
    headers: { 'content-type': contentType },
    body,
  });
  expect([answer.status, answer.body.error]).toEqual([400, 'malformed_multipart']);
  expect(await sizeOf(server)).toBeNull();
  expect(await metric(server, 'stored_bytes')).toBe(0);
});

it.each<[string, ConfigInput, readonly Part[]]>([
  [
    '--max-parts',
    { maxParts: 5 },
    [...fieldsFirst(CHUNK), { name: 'x', value: '' }, { name: 'y', value: '' }],
  ],
  [
    '--max-part-header-bytes',
    { maxPartHeaderBytes: 200 },
    [...fieldsFirst(CHUNK), { name: 'x'.repeat(200), value: '' }],
  ],
  ['--max-field-bytes', { maxFieldBytes: 100 }, fieldsFirst({ ...CHUNK, fileId: 'x'.repeat(101) })],
])('%s is what a form may have: beyond it nothing is stored (§7.4)', async (_flag, settings, parts) => {
  const usual = await openTestServer();
  expect((await post(usual, parts)).status, 'by default it may').toBe(200);
  const strict = await openTestServer(settings);
  const answer = await post(strict, parts);
  expect([answer.status, answer.body.error]).toEqual([400, 'malformed_multipart']);
  expect(await metric(strict, 'stored_bytes')).toBe(0);
  expect((await post(strict, fieldsFirst(CHUNK))).status).toBe(200);
});

it('more than 16 MiB beside the file is nobody’s upload, and refused before it is read', async () => {
  const server = await openTestServer();
  const connection = await openConnection(server.port);
  const { contentType } = formOf([]);
  await connection.write(
    requestBytes('POST /media/chunks', { 'content-type': contentType, 'content-length': 10 ** 9 }),
  );
  await connection.write(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="other"\r\n\r\n`);
  for (let sent = 0; sent <= 16; sent += 1) await connection.write(Buffer.alloc(1024 * 1024));
  const answer = await connection.answer();
  expect([answer?.status, answer?.text]).toEqual([400, expect.stringContaining('malformed_multipart')]);
});
