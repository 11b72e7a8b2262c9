// routes/chunks.test.ts: chunks and the status of their upload, rule by rule (C1-C9).
import { describe, expect, it } from 'vitest';
import {
  ask,
  finalize,
  metric,
  openTestServer,
  sendChunk,
  sizeOf,
  status,
  uploadView,
  type Answer,
} from '../../helpers/app.ts';
import { filesIn } from '../../helpers/disk.ts';
import { chunkParts, fieldsFirst, type Part } from '../../helpers/multipart.ts';
import { diceOf, SEED } from '../../helpers/seed.ts';
import { tinyChunks } from './tiny-chunks-suite.ts';
import { CHUNK, post } from './chunk-steps.ts';

tinyChunks(500);

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
