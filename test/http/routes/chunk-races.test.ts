// http/routes/chunk-races.test.ts: several requests for one upload at the same time (C12, C2).
import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../../src/config/config.ts';
import {
  ask,
  eventually,
  finalize,
  metric,
  openTestServer,
  sendChunk,
  sizeOf,
  uploadView,
  wireOf,
  type TestServer,
} from '../../helpers/app.ts';
import { contentBytes, filesIn } from '../../helpers/disk.ts';
import { chunkParts, fieldsFirst, formOf, type Part } from '../../helpers/multipart.ts';
import { openConnection, requestBytes, type RawAnswer, type RawConnection } from '../../helpers/raw.ts';
import { diceOf, SEED } from '../../helpers/seed.ts';

const BYTES = Buffer.alloc(100_000, 'chunk ');
const CHUNK = { fileId: 'f', chunkIndex: 0, totalChunks: 2, bytes: BYTES };

interface Begun {
  readonly connection: RawConnection;
  /** Sends what is left, and gives the answer. */
  readonly end: () => Promise<RawAnswer | null>;
}

/** A request of which the last `missing` bytes are still to come. */
async function begin(server: TestServer, parts: readonly Part[], missing = 60): Promise<Begun> {
  const { contentType, body } = formOf(parts);
  const whole = requestBytes('POST /media/chunks', { 'content-type': contentType }, body);
  const connection = await openConnection(server.port);
  await connection.write(whole.subarray(0, -missing));
  return {
    connection,
    end: async () => {
      await connection.write(whole.subarray(-missing));
      return connection.answer();
    },
  };
}

/** Waits until the server has taken the chunk of a `begin` in hand. */
function isHeld(server: TestServer): Promise<number> {
  return eventually(
    () => metric(server, 'open_uploads'),
    (count) => count === 1,
  );
}

const codeOf = (answer: RawAnswer | null): unknown => [answer?.status, wireOf(answer?.text).error];

describe('sixteen times the same chunk in flight', () => {
  it.each([
    ['memory', 'fields first', fieldsFirst],
    ['disk', 'fields first', fieldsFirst],
    ['memory', 'file first', chunkParts],
    ['disk', 'file first', chunkParts],
  ] as const)(
    'is one write and sixteen times the same answer, in %s, %s (C12)',
    async (storage, _name, partsOf) => {
      // Room for one: a second write would be refused.
      const server = await openTestServer({ storage, maxStoredBytes: BYTES.length });
      const begun = await Promise.all(Array.from({ length: 16 }, () => begin(server, partsOf(CHUNK))));
      const answers = await Promise.all(begun.map(({ end }) => end()));
      expect(answers.map(codeOf)).toEqual(answers.map(() => [200, undefined]));
      expect(new Set(answers.map((answer) => answer?.text)).size).toBe(1);
      const view = await uploadView(server);
      expect(view.chunks).toMatchObject([{ index: 0, offset: 0, bytes: BYTES.length }]);
      expect(view.currentSize).toBe(BYTES.length);
      expect(await metric(server, 'stored_bytes')).toBe(BYTES.length);
      if (storage === 'disk') {
        const segments = [...filesIn(server.dataDir)].filter(
          ([name, bytes]) => name.startsWith('bytes/') && bytes > 0,
        );
        expect(segments).toHaveLength(1);
      }
    },
  );

  it('that completes the upload tells every one of them so (C12)', async () => {
    const server = await openTestServer({ storage: 'disk' });
    const answers = await Promise.all(Array.from({ length: 16 }, () => sendChunk(server, { bytes: BYTES })));
    for (const { body } of answers) expect(body.data).toEqual({ completed: true, fileId: 'f' });
    expect(contentBytes(server.dataDir)).toBe(BYTES.length);
  });

  it('of which the first breaks off is stored by another', async () => {
    const server = await openTestServer({ storage: 'disk' });
    const holder = await begin(server, fieldsFirst(CHUNK));
    await isHeld(server);
    const others = await Promise.all(Array.from({ length: 15 }, () => begin(server, fieldsFirst(CHUNK))));
    const ends = others.map(({ end }) => end());
    holder.connection.reset();
    const answers = await Promise.all(ends);
    expect(answers.map(codeOf)).toEqual(answers.map(() => [200, undefined]));
    expect((await uploadView(server)).chunks).toHaveLength(1);
    expect(contentBytes(server.dataDir)).toBe(BYTES.length);
  });

  it('of which one half has other bytes is one chunk and a conflict for the other half', async () => {
    const server = await openTestServer();
    const other = { ...CHUNK, bytes: Buffer.alloc(BYTES.length, 'other ') };
    const begun = await Promise.all(
      Array.from({ length: 16 }, (_, i) => begin(server, fieldsFirst(i % 2 === 0 ? CHUNK : other))),
    );
    const answers = await Promise.all(begun.map(({ end }) => end()));
    const kinds = answers.map(codeOf).map(String).toSorted();
    expect(kinds).toEqual([...Array<string>(8).fill('200,'), ...Array<string>(8).fill('409,chunk_conflict')]);
  });
});

describe('a request that goes silent with a chunk in hand', () => {
  it('has 3 s by default', () => {
    expect(resolveConfig([]).config.takeoverAfter).toBe(3_000);
  });

  it.each([
    ['memory', 60],
    ['disk', 60],
    ['disk', 50_000],
  ] as const)(
    'gives way to a newer one for the same chunk, in %s, %i bytes before its end (C12)',
    async (storage, missing) => {
      const server = await openTestServer({ storage, takeoverAfter: '400ms' });
      const holder = await begin(server, fieldsFirst(CHUNK), missing);
      await isHeld(server);
      const answer = await sendChunk(server, { index: 0, total: 2, bytes: BYTES });
      expect([answer.status, answer.body.data]).toEqual([200, { completed: false, chunkIndex: 0 }]);
      expect(codeOf(await holder.end())).toEqual([409, 'chunk_superseded']);
      const view = await uploadView(server);
      expect(view.chunks).toMatchObject([{ index: 0, bytes: BYTES.length }]);
      expect(await sizeOf(server)).toBe(BYTES.length);
      if (storage === 'disk') expect(contentBytes(server.dataDir)).toBe(BYTES.length);
    },
  );

  it('has its place taken by one of many, and all of those get the 2xx (C12)', async () => {
    const server = await openTestServer({ takeoverAfter: '400ms' });
    await begin(server, fieldsFirst(CHUNK));
    await isHeld(server);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => sendChunk(server, { index: 0, total: 2, bytes: BYTES })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect((await uploadView(server)).chunks).toHaveLength(1);
  });

  it('keeps it as long as bytes come, however slowly (C12)', async () => {
    const server = await openTestServer({ takeoverAfter: '800ms' });
    const { contentType, body } = formOf(fieldsFirst({ ...CHUNK, bytes: Buffer.from('slow but alive') }));
    const whole = requestBytes('POST /media/chunks', { 'content-type': contentType }, body);
    const slow = await openConnection(server.port);
    await slow.write(whole.subarray(0, -40));
    await isHeld(server);
    const other = begin(server, fieldsFirst({ ...CHUNK, bytes: Buffer.from('another chunk!') })).then(
      ({ end }) => end(),
    );
    await slow.writeSlowly(
      Array.from({ length: 40 }, (_, i) => whole.subarray(whole.length - 40 + i).subarray(0, 1)),
      30,
    );
    expect(codeOf(await slow.answer())).toEqual([200, undefined]);
    expect(codeOf(await other)).toEqual([409, 'chunk_conflict']);
  });

  it('keeps no status query waiting, for its own upload neither', async () => {
    const server = await openTestServer({ takeoverAfter: '1h', idleTimeout: '1h' });
    await sendChunk(server, { index: 0, total: 2, bytes: 'first' });
    await begin(server, fieldsFirst({ ...CHUNK, chunkIndex: 1 }));
    await begin(server, fieldsFirst({ ...CHUNK, chunkIndex: 1 }));
    expect(await sizeOf(server)).toBe(5);
    expect((await sendChunk(server, { index: 0, total: 2, bytes: 'first' })).status).toBe(200);
  });

  it('keeps nobody from the next chunks with --chunk-order any', async () => {
    const server = await openTestServer({ storage: 'disk', chunkOrder: 'any' });
    const holder = await begin(server, fieldsFirst(CHUNK));
    await isHeld(server);
    expect((await sendChunk(server, { index: 1, total: 2, bytes: 'second' })).status).toBe(200);
    expect(wireOf((await holder.end())?.text).data).toEqual({ completed: true, fileId: 'f' });
    const content = await ask(server, '/__admin/uploads/f/content');
    expect(content.text).toBe(`${BYTES.toString()}second`);
  });

  it('is not waited for by a client that leaves meanwhile', async () => {
    const server = await openTestServer();
    const holder = await begin(server, fieldsFirst(CHUNK));
    await isHeld(server);
    const waiting = await begin(server, fieldsFirst(CHUNK), 1);
    waiting.connection.reset();
    expect(codeOf(await holder.end())).toEqual([200, undefined]);
    await eventually(
      () => ask(server, '/__admin/metrics').then(({ text }) => text),
      (text) => /requests_aborted_total\{operation="uploadChunk"\} 1/.test(text),
    );
  });
});

it('an upload that is deleted under a request ends it, and nothing is left', async () => {
  const server = await openTestServer({ storage: 'disk' });
  await sendChunk(server, { index: 0, total: 2, bytes: BYTES });
  const second = await begin(server, fieldsFirst({ ...CHUNK, chunkIndex: 1 }));
  await eventually(
    () => contentBytes(server.dataDir),
    (bytes) => bytes > BYTES.length,
  );
  expect((await ask(server, '/__admin/uploads/f', { method: 'DELETE' })).status).toBe(200);
  expect(codeOf(await second.end())).toEqual([409, 'chunk_superseded']);
  expect(await sizeOf(server)).toBeNull();
  expect(contentBytes(server.dataDir)).toBe(0);
});

it('a finalise while the last chunk is on its way is refused, and made once it is there', async () => {
  const server = await openTestServer();
  await sendChunk(server, { index: 0, total: 2, bytes: BYTES });
  const last = await begin(server, fieldsFirst({ ...CHUNK, chunkIndex: 1 }));
  expect((await finalize(server)).body.error).toBe('upload_incomplete');
  expect(codeOf(await last.end())).toEqual([200, undefined]);
  expect((await finalize(server)).status).toBe(201);
});

it('many impatient clients of one upload, all sending everything, complete it once and byte for byte', async () => {
  const dice = diceOf(SEED);
  console.info(`TEST_SEED=${SEED}`);
  const server = await openTestServer({ storage: 'disk', takeoverAfter: '400ms' });
  const chunks = Array.from({ length: 6 }, () => dice.bytes(dice.between(1, 30_000)));
  const client = async (): Promise<number> => {
    let completions = 0;
    for (let index = 0; index < chunks.length;) {
      const bytes = chunks[index] ?? Buffer.alloc(0);
      const { contentType, body } = formOf(
        (dice.chance(0.5) ? chunkParts : fieldsFirst)({ ...CHUNK, chunkIndex: index, totalChunks: 6, bytes }),
      );
      if (dice.chance(0.2)) {
        const broken = await openConnection(server.port);
        await broken.write(
          requestBytes('POST /media/chunks', { 'content-type': contentType }, body).subarray(
            0,
            -dice.between(1, 100),
          ),
        );
        if (dice.chance(0.5)) broken.reset();
        continue;
      }
      const answer = await ask(server, '/media/chunks', {
        method: 'POST',
        headers: { 'content-type': contentType },
        body,
      });
      expect([200, 409], answer.text).toContain(answer.status);
      if (answer.status !== 200) continue;
      completions += answer.body.data['completed'] === true ? 1 : 0;
      index += 1;
    }
    return completions;
  };
  expect(await Promise.all(Array.from({ length: 6 }, client))).toEqual(Array<number>(6).fill(1));
  const content = await fetch(new URL('/__admin/uploads/f/content', server.url));
  expect(Buffer.from(await content.arrayBuffer()).equals(Buffer.concat(chunks))).toBe(true);
  expect((await uploadView(server)).chunks).toHaveLength(6);
});
