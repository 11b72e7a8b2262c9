import { afterEach, describe, expect, it, vi } from 'vitest';
import { AppError, InDoubt } from '../../src/core/errors.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { ChunkWriter } from '../../src/uploads/chunk-writer.ts';
import type { ChunkLease } from '../../src/uploads/chunk-lease.ts';
import { placeOf } from '../../src/uploads/storage-key.ts';
import type { Bytes, Ledger, Ledgers, StorageKey, Storage } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';
import {
  ALICE,
  claim,
  contentOf,
  digestOf,
  entryContent,
  finalise,
  finish,
  openService,
  request,
  send,
  sendAll,
  sizeOf,
  TTL_MS,
  type Service,
} from '../helpers/uploads.ts';

vi.mock('../../src/core/awake.ts', async () => (await import('../helpers/faked-awake.ts')).FAKED);

const REF = { caller: ALICE, fileId: 'f' };
const PLACE = placeOf(ALICE.namespace, 'f');

afterEach(() => {
  vi.useRealTimers();
});

function writerOf(turn: ChunkLease): ChunkWriter {
  if (turn.work.kind === 'compare') throw new Error('the chunk is stored already');
  return turn.work;
}

function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'accepted',
    (error: unknown) => (error instanceof AppError ? error.code : String(error)),
  );
}

function withBytes(storage: Storage, replaced: Partial<Bytes>): Storage {
  return { ...storage, bytes: changed(storage.bytes, replaced) };
}

/** Removes the bytes of an upload only when everything else has come to its end. */
function withSlowRemoval(storage: Storage): Storage {
  return withBytes(storage, {
    remove: async (place) => {
      await settled();
      await storage.bytes.remove(place);
    },
  });
}

function withLedgers(storage: Storage, replaced: Partial<Ledgers>): Storage {
  return { ...storage, ledgers: changed(storage.ledgers, replaced) };
}

/** Another process over what this one has left behind. */
function restarted(service: Service, options: Parameters<typeof openService>[0] = {}): Service {
  return openService({ clock: service.clock, ...options }, service.storage);
}

async function recordTypes({ storage }: Service, fileId = 'f'): Promise<unknown[]> {
  const opened = await storage.ledgers.open(placeOf(ALICE.namespace, fileId));
  return opened?.records.map((record) => record['type']) ?? [];
}

/** Lets everything that does not wait for time or for somebody else come to its end. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
}

describe('chunks in order', () => {
  it('are stored, and the last one completes the upload', async () => {
    const service = openService();
    expect(await sizeOf(service)).toBeNull();
    expect(await send(service, 'one', { index: 0, total: 2 })).toEqual({ completed: false, chunkIndex: 0 });
    expect(await sizeOf(service)).toBe(3);
    expect(await send(service, 'three', { index: 1, total: 2 })).toEqual({ completed: true, chunkIndex: 1 });
    expect(await sizeOf(service)).toBe(8);
    expect(await contentOf(service)).toBe('onethree');
    expect(service.completed).toEqual([PLACE]);
  });

  it('broken off change nothing, and can be sent again (C3)', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const turn = await claim(service, { index: 1, total: 2 });
    await writerOf(turn).write([Buffer.from('half of')]);
    await turn.end();
    expect(await sizeOf(service)).toBe(3);
    expect(await service.storage.bytes.usage()).toBe(3);
    await send(service, 'whole', { index: 1, total: 2 });
    expect(await contentOf(service)).toBe('onewhole');
  });

  it('broken off as the very first leave no upload and no byte (C3)', async () => {
    const service = openService();
    const turn = await claim(service, { index: 0, total: 2 });
    await writerOf(turn).write([Buffer.from('half of')]);
    expect(service.uploads.unfinishedCount).toBe(1);
    await turn.end();
    expect(await sizeOf(service)).toBeNull();
    expect(await service.storage.bytes.usage()).toBe(0);
    expect(service.uploads.unfinishedCount).toBe(0);
    expect(await recordTypes(service)).toEqual([]);
  });

  it('are synced before their record is, and their record before they are acknowledged (C2, D1)', async () => {
    const memory = createMemoryStorage();
    const steps: string[] = [];
    /** Told when it begins and when it ends, long after: whoever does not wait for it is seen in between. */
    const slowly = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
      steps.push(step);
      const result = await work();
      await settled();
      steps.push(`${step} done`);
      return result;
    };
    const { bytes, ledgers } = memory;
    const recording = (ledger: Ledger): Ledger =>
      changed<Ledger>(ledger, { append: (records) => slowly('record', async () => ledger.append(records)) });
    const storage = {
      ...memory,
      bytes: changed(bytes, {
        write: (...args) => slowly('write', async () => bytes.write(...args)),
        adopt: (...args) => slowly('adopt', async () => bytes.adopt(...args)),
        sync: (...args) => slowly('sync', async () => bytes.sync(...args)),
      }),
      ledgers: changed(ledgers, {
        create: async (...args) => recording(await slowly('record', () => ledgers.create(...args))),
      }),
    };
    const service = openService({}, storage);
    const inOrder = (...names: string[]): string[] => names.flatMap((step) => [step, `${step} done`]);
    for (const [index, isSpooled] of [false, false, true].entries()) {
      await send(service, `<${index}>`, { index, total: 3, isSpooled });
      expect(steps.splice(0)).toEqual(inOrder(isSpooled ? 'adopt' : 'write', 'sync', 'record'));
    }
    await finalise(service);
    expect(steps.splice(0, 2)).toEqual(inOrder('record'));
  });

  it('can come from a spool', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 3 });
    await send(service, 'two', { index: 1, total: 3, isSpooled: true });
    await send(service, 'three', { index: 2, total: 3 });
    expect(await contentOf(service)).toBe('onetwothree');
    expect(await service.storage.bytes.usage()).toBe(11);
  });

  it('out of a spool that are refused leave no byte', async () => {
    const service = openService({ maxBytes: 5 });
    await send(service, 'one', { index: 0, total: 2 });
    const sending = { index: 1, total: 2, isSpooled: true };
    expect(await codeOf(send(service, 'three', sending))).toBe('upload_too_large');
    expect(await service.storage.bytes.usage()).toBe(3);
    expect(await sizeOf(service)).toBe(3);
  });

  it('beyond a gap are refused and leave nothing (C8)', async () => {
    const service = openService();
    expect(await codeOf(claim(service, { index: 1, total: 2 }))).toBe('chunk_out_of_order');
    expect(await sizeOf(service)).toBeNull();
    expect(service.uploads.unfinishedCount).toBe(0);
    await send(service, 'one', { index: 0, total: 3 });
    expect(await codeOf(claim(service, { index: 2, total: 3 }))).toBe('chunk_out_of_order');
    expect(await codeOf(claim(service, { index: 1, total: 2 }))).toBe('total_chunks_mismatch');
  });

  it('sent again with the same bytes get the same answer, and nothing is written (C6)', async () => {
    const service = openService();
    await sendAll(service, ['one', 'two']);
    for (let times = 0; times < 3; times += 1) {
      expect(await send(service, 'one', { index: 0, total: 2 })).toEqual({ completed: false, chunkIndex: 0 });
      expect(await send(service, 'two', { index: 1, total: 2 })).toEqual({ completed: true, chunkIndex: 1 });
    }
    expect(await recordTypes(service)).toEqual(['started', 'chunk', 'chunk']);
    expect(await service.storage.bytes.usage()).toBe(6);
  });

  it('sent again after finalising get the same answer, too (C6)', async () => {
    const service = openService();
    await sendAll(service, ['one', 'two']);
    await finalise(service);
    expect(await send(service, 'two', { index: 1, total: 2 })).toEqual({ completed: true, chunkIndex: 1 });
    expect(await codeOf(send(service, 'tow', { index: 1, total: 2 }))).toBe('chunk_conflict');
  });

  it('sent again with other bytes are a conflict, and what is stored stays (C7)', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    expect(await codeOf(send(service, 'eno', { index: 0, total: 2 }))).toBe('chunk_conflict');
    expect(await codeOf(send(service, 'ones', { index: 0, total: 2 }))).toBe('chunk_conflict');
    expect(await codeOf(send(service, '', { index: 0, total: 2 }))).toBe('empty_chunk');
    expect(await contentOf(service)).toBe('one');
  });

  it('without bytes are refused but for an empty file, which can be finalised (C14)', async () => {
    const service = openService();
    expect(await codeOf(send(service, '', { index: 0, total: 2 }))).toBe('empty_chunk');
    expect(await sizeOf(service)).toBeNull();
    expect(await send(service, '', { index: 0, total: 1 })).toEqual({ completed: true, chunkIndex: 0 });
    expect(await sizeOf(service)).toBe(0);
    expect(await entryContent(service, await finalise(service))).toBe('');
  });

  it('over the limit are refused at the right byte, and what is stored stays (C13)', async () => {
    const service = openService({ maxBytes: 10 });
    await send(service, 'seven77', { index: 0, total: 2 });
    const turn = await claim(service, { index: 1, total: 2 });
    const writer = writerOf(turn);
    expect(writer.room).toBe(3);
    await writer.write([Buffer.from('12')]);
    expect(writer.room).toBe(1);
    expect(await codeOf(writer.write([Buffer.from('34')]))).toBe('upload_too_large');
    await turn.end();
    expect(await sizeOf(service)).toBe(7);
    expect(await send(service, '123', { index: 1, total: 2 })).toMatchObject({ completed: true });
  });

  it('that the storage has no room for change nothing, and are taken when there is room (C16)', async () => {
    const memory = createMemoryStorage();
    let isFull = false;
    const noRoom = (): never => {
      throw new AppError('insufficient_storage', 'full');
    };
    const service = openService(
      {},
      withBytes(memory, {
        // Like a disk that is full: the start of the write is there.
        write: async (place, at, buffers) => {
          await memory.bytes.write(place, at, isFull ? [Buffer.from('x')] : buffers);
          if (isFull) noRoom();
        },
      }),
    );
    await send(service, 'one', { index: 0, total: 2 });
    isFull = true;
    expect(await codeOf(send(service, 'two', { index: 1, total: 2 }))).toBe('insufficient_storage');
    expect(await codeOf(send(service, 'two', { fileId: 'other' }))).toBe('insufficient_storage');
    expect(await sizeOf(service)).toBe(3);
    expect(await sizeOf(service, 'other')).toBeNull();
    expect(await memory.bytes.usage()).toBe(3);
    isFull = false;
    await send(service, 'two', { index: 1, total: 2 });
    expect(await contentOf(service)).toBe('onetwo');
  });

  it('whose record cannot be stored change nothing, and are taken the next time (C16)', async () => {
    const memory = createMemoryStorage();
    let isFull = true;
    const service = openService(
      {},
      withLedgers(memory, {
        create: (place, records) =>
          isFull
            ? Promise.reject(new AppError('insufficient_storage', 'full'))
            : memory.ledgers.create(place, records),
      }),
    );
    expect(await codeOf(send(service, 'one'))).toBe('insufficient_storage');
    expect(await sizeOf(service)).toBeNull();
    expect(await memory.bytes.usage()).toBe(0);
    isFull = false;
    expect(await send(service, 'one')).toMatchObject({ completed: true });
  });
});

describe('chunks in any order', () => {
  it('count only up to the first gap, and complete the upload when every one is there (C8)', async () => {
    const service = openService({ order: 'any' });
    const sizes: (number | null)[] = [];
    const receipts: boolean[] = [];
    for (const index of [3, 1, 0, 4, 2]) {
      receipts.push((await send(service, `[${index}]`, { index, total: 5 })).completed);
      sizes.push(await sizeOf(service));
    }
    expect(sizes).toEqual([0, 0, 6, 6, 15]);
    expect(receipts).toEqual([false, false, false, false, true]);
    expect(await contentOf(service)).toBe('[0][1][2][3][4]');
    expect(await send(service, '[2]', { index: 2, total: 5 })).toMatchObject({ completed: true });
    expect(await send(service, '[4]', { index: 4, total: 5 })).toMatchObject({ completed: false });
  });

  it('can be in flight at the same time, byte by byte in turns', async () => {
    const service = openService({ order: 'any' });
    const texts = Array.from({ length: 8 }, (_, index) => `chunk ${index} `.repeat(index + 1));
    const turns = await Promise.all(texts.map((_, index) => claim(service, { index, total: 8 })));
    for (let at = 0; at < 100; at += 1) {
      for (const [index, turn] of turns.entries()) {
        const byte = texts[index]?.[at];
        if (byte !== undefined) await writerOf(turn).write([Buffer.from(byte)]);
      }
    }
    const receipts = await Promise.all(
      turns.toReversed().map(async (turn, i) => {
        const receipt = await writerOf(turn).commit(digestOf(Buffer.from(texts.at(-1 - i) ?? '')));
        await turn.end();
        return receipt;
      }),
    );
    expect(receipts.filter(({ completed }) => completed)).toHaveLength(1);
    expect(await contentOf(service)).toBe(texts.join(''));
    expect(await entryContent(service, await finalise(service))).toBe(texts.join(''));
  });

  it('broken off leave those beside them as they are', async () => {
    const service = openService({ order: 'any' });
    const [first, second, third] = await Promise.all(
      [0, 1, 2].map((index) => claim(service, { index, total: 3 })),
    );
    if (first === undefined || second === undefined || third === undefined) throw new Error('no turns');
    await writerOf(first).write([Buffer.from('broken off')]);
    await writerOf(second).write([Buffer.from('two')]);
    await writerOf(third).write([Buffer.from('broken off')]);
    await first.end();
    await writerOf(second).commit(digestOf(Buffer.from('two')));
    await second.end();
    await third.end();
    expect(await service.storage.bytes.usage()).toBe(3);
    expect(await sizeOf(service)).toBe(0);
    await send(service, 'three', { index: 2, total: 3 });
    await send(service, 'one', { index: 0, total: 3 });
    expect(await contentOf(service)).toBe('onetwothree');
  });

  it('that together would be over the limit: the one that comes too late is refused (C13)', async () => {
    const service = openService({ order: 'any', maxBytes: 10 });
    const turns = await Promise.all([0, 1].map((index) => claim(service, { index, total: 2 })));
    for (const turn of turns) await writerOf(turn).write([Buffer.from('123456')]);
    const codes = await Promise.all(
      turns.map(async (turn) => {
        const code = await codeOf(writerOf(turn).commit(digestOf(Buffer.from('123456'))));
        await turn.end();
        return code;
      }),
    );
    expect(codes.toSorted()).toEqual(['accepted', 'upload_too_large']);
    expect(await service.storage.bytes.usage()).toBe(6);
  });

  it('of which two begin the upload with another totalChunks: one wins (C9)', async () => {
    const service = openService({ order: 'any' });
    const codes = await Promise.all([
      codeOf(send(service, 'one', { index: 0, total: 2 })),
      codeOf(send(service, 'two', { index: 1, total: 3 })),
    ]);
    expect(codes.toSorted()).toEqual(['accepted', 'total_chunks_mismatch']);
    expect(await service.storage.bytes.usage()).toBe(3);
  });
});

describe('identical chunks in flight at once', () => {
  it('cost one write, and every sender gets the same answer (C12)', async () => {
    const service = openService();
    const receipts = await Promise.all(Array.from({ length: 20 }, () => send(service, 'the same bytes')));
    expect(new Set(receipts.map(({ completed }) => completed))).toEqual(new Set([true]));
    expect(await recordTypes(service)).toEqual(['started', 'chunk']);
    expect(await service.storage.bytes.usage()).toBe(14);
    expect(service.completed).toHaveLength(1);
  });

  it('of which the first is broken off: the next one writes (C12)', async () => {
    const service = openService();
    const first = await claim(service);
    await writerOf(first).write([Buffer.from('half of')]);
    const second = send(service, 'whole');
    await settled();
    await first.end();
    expect(await second).toMatchObject({ completed: true });
    expect(await contentOf(service)).toBe('whole');
  });

  it('wait as long as the first one sends, however long that is (C12)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const service = openService({ takeoverMs: 3_000 });
    const first = await claim(service);
    const second = send(service, 'the same');
    await vi.advanceTimersByTimeAsync(60 * 60_000);
    await finish(service, first, { bytes: Buffer.from('the same') });
    await first.end();
    await vi.advanceTimersByTimeAsync(0);
    expect(await second).toEqual({ completed: true, chunkIndex: 0 });
    expect(await recordTypes(service)).toEqual(['started', 'chunk']);
  });

  it('take over from one that is silent, which can only end then (C12)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const service = openService({ takeoverMs: 3_000 });
    let silentMs = 0;
    const first = await claim(service, { silentMs: () => silentMs });
    await writerOf(first).write([Buffer.from('half of')]);
    const told: AppError[] = [];
    writerOf(first).onSuperseded((error) => told.push(error));
    const second = send(service, 'whole');
    await vi.advanceTimersByTimeAsync(2_999);
    expect(told).toEqual([]);
    silentMs = 3_000;
    await vi.advanceTimersByTimeAsync(3_001);
    expect(told.map(({ code }) => code)).toEqual(['chunk_superseded']);
    expect(await codeOf(writerOf(first).write([Buffer.from('more')]))).toBe('chunk_superseded');
    expect(await codeOf(writerOf(first).commit(digestOf(Buffer.from('half of'))))).toBe('chunk_superseded');
    await first.end();
    expect(await second).toMatchObject({ completed: true });
    expect(await contentOf(service)).toBe('whole');
  });

  it('tell a silent one at once that asks late whether it was superseded', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const service = openService({ takeoverMs: 10 });
    const first = await claim(service, { silentMs: () => 10 });
    const second = send(service, 'whole');
    await vi.advanceTimersByTimeAsync(20);
    const told: string[] = [];
    writerOf(first).onSuperseded(({ code }) => told.push(code));
    expect(told).toEqual(['chunk_superseded']);
    await first.end();
    await second;
  });

  it('do not take over from one whose bytes have all come: it is being stored (C12)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const memory = createMemoryStorage();
    let synced = (): void => undefined;
    const syncing = new Promise<void>((resolve) => (synced = resolve));
    const service = openService({ takeoverMs: 10 }, withBytes(memory, { sync: () => syncing }));
    const first = await claim(service, { silentMs: () => 1_000_000 });
    const committed = finish(service, first, { bytes: Buffer.from('the same') });
    const second = send(service, 'the same');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(writerOf(first).giveWay()).toBe(false);
    synced();
    expect(await committed).toMatchObject({ completed: true });
    await first.end();
    expect(await second).toMatchObject({ completed: true });
    expect(await recordTypes(service)).toEqual(['started', 'chunk']);
  });

  it('give up waiting when their client leaves, and hold nothing (C12)', async () => {
    const service = openService();
    const first = await claim(service);
    const leaving = new AbortController();
    const second = claim(service, { signal: leaving.signal });
    await settled();
    leaving.abort(new Error('the client left'));
    await expect(second).rejects.toThrow('the client left');
    expect(await codeOf(claim(service, { signal: AbortSignal.abort(new Error('gone before')) }))).toBe(
      'Error: gone before',
    );
    await first.end();
    expect(service.uploads.unfinishedCount).toBe(0);
    expect(await service.uploads.remove(REF)).toBe(false);
  });
});

describe('finalising', () => {
  it('an unknown or incomplete upload is refused (F4)', async () => {
    const service = openService();
    expect(await codeOf(finalise(service))).toBe('upload_not_found');
    await send(service, 'one', { index: 0, total: 2 });
    expect(await codeOf(finalise(service))).toBe('upload_incomplete');
  });

  it('moves the bytes to the entry', async () => {
    const service = openService();
    await sendAll(service, ['one', 'two']);
    const id = await finalise(service);
    expect(await entryContent(service, id)).toBe('onetwo');
    expect(await contentOf(service)).toBe('onetwo');
    expect(await service.storage.bytes.usage()).toBe(6);
    expect(service.uploads.unfinishedCount).toBe(0);
    const places: string[] = [];
    for await (const { place } of service.storage.bytes.list('uploads')) places.push(place.name);
    expect(places).toEqual([]);
  });

  it('20 times at once makes one entry (F6)', async () => {
    const service = openService();
    await sendAll(service, ['one']);
    const results = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const finalized = await service.uploads.finalize(REF, request());
        return { id: finalized.finalization.mediaId, isNew: finalized.isNew };
      }),
    );
    expect(new Set(results.map(({ id }) => id)).size).toBe(1);
    expect(results.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(await recordTypes(service)).toEqual(['started', 'chunk', 'finalized']);
  });

  it('with another request is refused (F6)', async () => {
    const service = openService();
    await sendAll(service, ['one']);
    await finalise(service);
    expect(await codeOf(finalise(service, 'f', request('other')))).toBe('already_finalized');
  });

  it('leaves behind what came of a chunk that can never belong to it, and that chunk is told so (C9)', async () => {
    const service = openService({ order: 'any' });
    const [one, other] = [await claim(service, { total: 1 }), await claim(service, { index: 3, total: 5 })];
    await writerOf(other).write([Buffer.from('of another file')]);
    await finish(service, one, { bytes: Buffer.from('one') });
    await one.end();
    const id = await finalise(service);
    expect(await service.storage.bytes.usage()).toBe(3);
    expect(await codeOf(writerOf(other).write([Buffer.from('more')]))).toBe('total_chunks_mismatch');
    await other.end();
    expect(await service.storage.bytes.usage()).toBe(3);
    expect(await entryContent(service, id)).toBe('one');
  });

  it('waits for bytes of such a chunk that are on their way: they would come when the others are moved away', async () => {
    const memory = createMemoryStorage();
    let goOn: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const storage = withBytes(memory, {
      write: async (place, at, buffers) => {
        if (buffers[0]?.toString() === 'of another file') await gate;
        await memory.bytes.write(place, at, buffers);
      },
    });
    const service = openService({ order: 'any' }, storage);
    const [one, other] = [await claim(service, { total: 1 }), await claim(service, { index: 3, total: 5 })];
    const writing = writerOf(other).write([Buffer.from('of another file')]);
    await finish(service, one, { bytes: Buffer.from('one') });
    await one.end();
    const finalising = finalise(service);
    await settled();
    goOn();
    expect(await entryContent(service, await finalising)).toBe('one');
    await writing;
    expect(await memory.bytes.usage()).toBe(3);
    await other.end();
    const left: string[] = [];
    for await (const { place } of memory.bytes.list('uploads')) left.push(place.name);
    expect(left).toEqual([]);
  });

  it('is refused by a look at the content, and nothing has changed', async () => {
    const service = openService();
    await sendAll(service, ['one']);
    const seen: string[] = [];
    const check = async (content: { place: typeof PLACE }): Promise<never> => {
      seen.push(content.place.name);
      throw new AppError('unsupported_media', 'not a video');
    };
    expect(await codeOf(finalise(service, 'f', request('print', check)))).toBe('unsupported_media');
    expect(seen).toEqual([PLACE.name]);
    expect(await recordTypes(service)).toEqual(['started', 'chunk']);
    expect(await entryContent(service, await finalise(service))).toBe('one');
  });
});

describe('a crash while finalising', () => {
  /** From this call on the process that uses the storage does nothing any more. */
  function breakingAt(
    call: 'append' | 'move' | 'create',
    memory: Storage,
  ): { storage: Storage; arm: () => void } {
    let isArmed = false;
    let isDead = false;
    const mortal = <T extends object>(target: T, isFatal: (name: string, place?: StorageKey) => boolean): T =>
      new Proxy(target, {
        get(object, key) {
          if (!(key in object)) return undefined; // `then`: it is no promise.
          const method = Reflect.get(object, key, object) as (...args: unknown[]) => unknown;
          return async (...args: unknown[]) => {
            isDead ||= isArmed && isFatal(String(key), args[0] as StorageKey);
            if (isDead) throw new Error('the process died');
            const result = await method.apply(object, args);
            return key === 'create' ? mortal(result as object, isFatal) : result;
          };
        },
      });
    const isFatal = (name: string, place?: StorageKey): boolean =>
      name === call && (call !== 'create' || place?.kind === 'media');
    const storage = {
      ...memory,
      bytes: mortal(memory.bytes, isFatal),
      ledgers: mortal(memory.ledgers, isFatal),
    };
    return { storage, arm: () => (isArmed = true) };
  }

  async function crashAt(call: 'append' | 'move' | 'create'): Promise<Service> {
    const memory = createMemoryStorage();
    const { storage, arm } = breakingAt(call, memory);
    const service = openService({}, storage);
    await sendAll(service, ['one', 'two']);
    arm();
    await expect(finalise(service)).rejects.toThrow();
    return openService({ clock: service.clock }, memory);
  }

  it('before the record: the upload is as before, and can be finalised', async () => {
    const service = await crashAt('append');
    expect(await recordTypes(service)).toEqual(['started', 'chunk', 'chunk']);
    expect(await sizeOf(service)).toBe(6);
    expect(await entryContent(service, await finalise(service, 'f', request('other')))).toBe('onetwo');
  });

  it.each(['move', 'create'] as const)(
    'between the record and the %s: the same request gets its one entry, with all bytes (F6)',
    async (call) => {
      const service = await crashAt(call);
      expect(await recordTypes(service)).toEqual(['started', 'chunk', 'chunk', 'finalized']);
      const refusal = await finalise(service, 'f', request('other')).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ code: 'already_finalized' });
      const { mediaId } = (refusal as AppError).details as { mediaId: string };
      expect(await entryContent(service, mediaId), 'the entry that the refusal names').toBe('onetwo');
      const ids = await Promise.all([finalise(service), finalise(service), finalise(service)]);
      expect(new Set(ids).size).toBe(1);
      expect(await entryContent(service, ids[0] ?? '')).toBe('onetwo');
      expect(await send(service, 'two', { index: 1, total: 2 })).toMatchObject({ completed: true });
    },
  );

  it.each(['move', 'create'] as const)(
    'between the record and the %s, and nobody asks again: the entry is made before the upload is forgotten (C15)',
    async (call) => {
      const service = await crashAt(call);
      service.clock.advance(TTL_MS);
      await service.uploads.collect((error) => expect.unreachable(String(error)));
      expect(await sizeOf(service)).toBeNull();
      const entries: string[] = [];
      for await (const { entry } of service.media.list(ALICE.namespace)) entries.push(entry.id);
      expect(entries).toHaveLength(1);
      expect(await entryContent(service, entries[0] ?? '')).toBe('onetwo');
    },
  );

  it.each(['move', 'create'] as const)(
    'between the record and the %s, then somebody looks at the content: it is the entry’s, which is made first',
    async (call) => {
      const service = await crashAt(call);
      const { mediaId = '' } = (await service.uploads.content(REF))?.finalization ?? {};
      expect(await entryContent(service, mediaId)).toBe('onetwo');
      expect(await finalise(service)).toBe(mediaId);
    },
  );

  it.each(['move', 'create'] as const)(
    'between the record and the %s, then the upload is deleted: the entry is made first',
    async (call) => {
      const service = await crashAt(call);
      expect(await service.uploads.remove(REF)).toBe(true);
      const entries: string[] = [];
      for await (const { entry } of service.media.list(ALICE.namespace)) entries.push(entry.id);
      expect(await entryContent(service, entries[0] ?? '')).toBe('onetwo');
    },
  );
});

describe('an entry that cannot be made (C16)', () => {
  const isMedia = ({ kind }: StorageKey): boolean => kind === 'media';

  /** A storage that does not do what it is told not to. */
  function failing(): { storage: Storage; fails: Set<'move' | 'home' | 'create' | 'remove' | 'revoke'> } {
    const memory = createMemoryStorage();
    const fails = new Set<'move' | 'home' | 'create' | 'remove' | 'revoke'>();
    const unless = async <T>(what: Parameters<typeof fails.has>[0], work: () => Promise<T>): Promise<T> => {
      if (fails.has(what)) throw new AppError('insufficient_storage', 'full');
      return work();
    };
    const storage = withBytes(
      withLedgers(memory, {
        create: async (place, records) => {
          const ledger = await unless(isMedia(place) ? 'create' : 'home', () =>
            memory.ledgers.create(place, records),
          );
          const revoke = (): Promise<void> =>
            fails.has('revoke')
              ? Promise.reject(new InDoubt('insufficient_storage', 'full, twice'))
              : ledger.revoke();
          return changed(ledger, { revoke });
        },
        remove: (place) => unless('remove', () => memory.ledgers.remove(place)),
      }),
      { move: (from, to) => unless(isMedia(to) ? 'move' : 'home', () => memory.bytes.move(from, to)) },
    );
    return { storage, fails };
  }

  async function entriesIn(service: Service): Promise<string[]> {
    const entries: string[] = [];
    for await (const { entry } of service.media.list(ALICE.namespace)) entries.push(entry.id);
    return entries;
  }

  it.each(['move', 'create'] as const)(
    'at its %s: the upload is as before, and another request for it can be finalised',
    async (call) => {
      const { storage, fails } = failing();
      const service = openService({}, storage);
      await sendAll(service, ['one', 'two']);
      const before = { ...(await service.uploads.inspect(REF)) };
      service.clock.advance(1_000);
      fails.add(call);
      expect(await codeOf(finalise(service))).toBe('insufficient_storage');
      expect(await service.uploads.inspect(REF)).toEqual(before);
      expect(await recordTypes(service)).toEqual(['started', 'chunk', 'chunk']);
      expect(service.uploads.unfinishedCount).toBe(1);
      expect(await entriesIn(service)).toEqual([]);
      fails.clear();
      const id = await finalise(service, 'f', request('other'));
      expect(await entryContent(service, id)).toBe('onetwo');
      expect(await entriesIn(service)).toEqual([id]);
      expect(service.uploads.unfinishedCount).toBe(0);
    },
  );

  it.each(['home', 'remove', 'revoke'] as const)(
    'and cannot be undone either (%s): nobody relies on it, and it is undone before anybody looks at it again',
    async (undoing) => {
      const { storage, fails } = failing();
      const service = openService({}, storage);
      await sendAll(service, ['one', 'two']);
      fails.add('create').add(undoing);
      await expect(finalise(service)).rejects.toBeInstanceOf(InDoubt);
      fails.delete(undoing);
      const id = await finalise(service, 'f', request('other')).catch((error: unknown) => String(error));
      expect(id, 'there is no room yet').toContain('full');
      fails.clear();
      const made = await finalise(service, 'f', request(undoing === 'revoke' ? 'print' : 'other'));
      expect(await entryContent(service, made)).toBe('onetwo');
      expect(await entriesIn(service)).toEqual([made]);
      expect(await contentOf(service)).toBe('onetwo');
    },
  );

  it('is made after a restart when it could not be undone: its bytes are where its ledger says', async () => {
    const { storage, fails } = failing();
    const service = openService({}, storage);
    await sendAll(service, ['one', 'two']);
    fails.add('create').add('home');
    await expect(finalise(service)).rejects.toBeInstanceOf(InDoubt);
    fails.clear();
    const next = restarted(service);
    const id = await finalise(next);
    expect(await entryContent(next, id)).toBe('onetwo');
    expect(await entriesIn(next)).toEqual([id]);
  });

  it('is undone when the server ends, if it can be by then', async () => {
    const { storage, fails } = failing();
    const service = openService({}, storage);
    await sendAll(service, ['one', 'two']);
    fails.add('create').add('home');
    await expect(finalise(service)).rejects.toBeInstanceOf(InDoubt);
    fails.clear();
    await service.media.close();
    const left: string[] = [];
    for await (const { place } of storage.bytes.list('media')) left.push(place.name);
    expect(left).toEqual([]);
  });

  it('does not keep its upload from being deleted: that needs no room', async () => {
    const { storage, fails } = failing();
    const service = openService({}, storage);
    await sendAll(service, ['one', 'two']);
    fails.add('create');
    expect(await codeOf(finalise(service))).toBe('insufficient_storage');
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(await storage.bytes.usage()).toBe(0);
  });
});

describe('a record of which nobody knows whether it is stored', () => {
  /** The first append after `arm` is stored, and says that it may not be. */
  function doubtful(): { storage: Storage; arm: () => void } {
    const memory = createMemoryStorage();
    let isArmed = false;
    const doubting = <T extends Ledger>(ledger: T): T =>
      changed<Ledger>(ledger, {
        append: async (records) => {
          await ledger.append(records);
          if (!isArmed) return;
          isArmed = false;
          throw new InDoubt('insufficient_storage', 'full, twice');
        },
      }) as T;
    const storage = withLedgers(memory, {
      create: async (place, records) => doubting(await memory.ledgers.create(place, records)),
      open: async (place) => {
        const opened = await memory.ledgers.open(place);
        return opened && { ...opened, ledger: doubting(opened.ledger) };
      },
    });
    return { storage, arm: () => (isArmed = true) };
  }

  it('keeps its bytes; the upload is read anew and goes on', async () => {
    const { storage, arm } = doubtful();
    const service = openService({}, storage);
    await send(service, 'one', { index: 0, total: 3 });
    arm();
    expect(await codeOf(send(service, 'two', { index: 1, total: 3 }))).toBe('insufficient_storage');
    expect(await sizeOf(service), 'what is stored counts').toBe(6);
    expect(await codeOf(send(service, 'two', { index: 1, total: 3 }))).toBe('accepted');
    expect(await send(service, 'three', { index: 2, total: 3 })).toMatchObject({ completed: true });
    expect(await contentOf(restarted(service))).toBe('onetwothree');
  });

  it('ends every other writer of the upload before it is read anew: none writes over what comes next', async () => {
    const { storage, arm } = doubtful();
    const service = openService({ order: 'any' }, storage);
    await send(service, 'one', { index: 0, total: 4 });
    const slow = await claim(service, { index: 1, total: 4 });
    if (slow.work.kind !== 'write') throw new Error('not to be written');
    await slow.work.write([Buffer.from('half')]);
    arm();
    expect(await codeOf(send(service, 'three', { index: 2, total: 4 }))).toBe('insufficient_storage');
    expect(await send(service, 'two', { index: 1, total: 4 })).toMatchObject({ completed: false });
    await expect(slow.work.write([Buffer.from('late')])).rejects.toBeInstanceOf(InDoubt);
    await slow.end();
    expect(await send(service, 'four', { index: 3, total: 4 })).toMatchObject({ completed: true });
    expect(await contentOf(service)).toBe('onetwothreefour');
    expect(service.uploads.unfinishedCount).toBe(1);
  });
});

describe('an upload expires (C15)', () => {
  it('a time-to-live after its last chunk, with its ledger and its bytes', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 3 });
    service.clock.advance(TTL_MS - 1);
    await send(service, 'two', { index: 1, total: 3 });
    service.clock.advance(TTL_MS - 1);
    expect(await sizeOf(service)).toBe(6);
    service.clock.advance(1);
    expect(await sizeOf(service)).toBeNull();
    expect(service.expired).toEqual([PLACE]);
    expect(await recordTypes(service)).toEqual([]);
    expect(await service.storage.bytes.usage()).toBe(0);
    expect(service.uploads.unfinishedCount).toBe(0);
  });

  it('and its fileId is free for another file', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 3 });
    service.clock.advance(TTL_MS);
    await sendAll(service, ['new', 'file']);
    expect(await contentOf(service)).toBe('newfile');
  });

  it('but is not renewed by a status query, a refused or a broken off chunk', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    service.clock.advance(TTL_MS - 1);
    await sizeOf(service);
    await codeOf(send(service, 'eno', { index: 0, total: 2 }));
    await (await claim(service, { index: 1, total: 2 })).end();
    service.clock.advance(1);
    expect(await sizeOf(service)).toBeNull();
  });

  it('but not while a chunk is in flight, and that chunk renews it', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const turn = await claim(service, { index: 1, total: 2 });
    service.clock.advance(TTL_MS * 2);
    await service.uploads.collect((error) => expect.unreachable(String(error)));
    expect(await sizeOf(service)).toBe(3);
    await finish(service, turn, { bytes: Buffer.from('two') });
    await turn.end();
    expect(await sizeOf(service)).toBe(6);
    expect(service.expired).toEqual([]);
    service.clock.advance(TTL_MS - 1);
    expect(await contentOf(service)).toBe('onetwo');
  });

  it('as soon as the chunk that was in flight is broken off', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const turn = await claim(service, { index: 1, total: 2 });
    service.clock.advance(TTL_MS);
    await turn.end();
    expect(await sizeOf(service)).toBeNull();
  });

  it('and leaves the bytes of the entry that it became', async () => {
    const service = openService();
    await sendAll(service, ['one', 'two']);
    const id = await finalise(service);
    service.clock.advance(TTL_MS);
    await service.uploads.collect((error) => expect.unreachable(String(error)));
    expect(await sizeOf(service)).toBeNull();
    expect(await entryContent(service, id)).toBe('onetwo');
    expect(await entryContent(restarted(service), id)).toBe('onetwo');
  });

  it('for all who ask at the same time', async () => {
    const memory = createMemoryStorage();
    const service = openService(
      {},
      withLedgers(memory, {
        remove: async (place) => {
          await settled(); // So that the others come while it is being erased.
          await memory.ledgers.remove(place);
        },
      }),
    );
    await send(service, 'one', { index: 0, total: 2 });
    service.clock.advance(TTL_MS);
    const sizes = await Promise.all(Array.from({ length: 5 }, () => sizeOf(service)));
    expect(sizes).toEqual([null, null, null, null, null]);
    expect(service.expired).toHaveLength(1);
  });

  it('also when it could not be erased the first time', async () => {
    const memory = createMemoryStorage();
    let isBroken = true;
    const service = openService(
      {},
      withLedgers(memory, {
        remove: (place) =>
          isBroken ? Promise.reject(new Error('the disk broke')) : memory.ledgers.remove(place),
      }),
    );
    await send(service, 'one', { index: 0, total: 2 });
    service.clock.advance(TTL_MS);
    const results = await Promise.allSettled([sizeOf(service), sizeOf(service)]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    isBroken = false;
    expect(await sizeOf(service)).toBeNull();
    await sendAll(service, ['new']);
    expect(await contentOf(service)).toBe('new');
  });
});

describe('the collector (C15)', () => {
  const unreachable = (error: unknown): never => expect.unreachable(String(error));

  it('erases what has expired without anybody asking for it, and nothing else', async () => {
    const service = openService();
    await send(service, 'old', { fileId: 'old', index: 0, total: 2 });
    service.clock.advance(TTL_MS - 1);
    await send(service, 'young', { fileId: 'young', index: 0, total: 2 });
    service.clock.advance(1);
    await service.uploads.collect(unreachable);
    expect(service.expired.map(({ name }) => name)).toEqual([placeOf(ALICE.namespace, 'old').name]);
    expect(await service.storage.bytes.usage()).toBe(5);
    expect(await sizeOf(service, 'young')).toBe(5);
  });

  it('opens only what nobody touched for a time-to-live', async () => {
    const memory = createMemoryStorage();
    let opened = 0;
    const counting = withLedgers(memory, {
      open: (place) => {
        opened += 1;
        return memory.ledgers.open(place);
      },
    });
    for (const fileId of ['a', 'b', 'c']) await send(openService({}, memory), 'one', { fileId });
    const service = openService({}, counting);
    await service.uploads.collect(unreachable);
    expect(opened).toBe(0);
  });

  it('erases bytes that no ledger speaks of, when they are old, and not under a request', async () => {
    const memory = createMemoryStorage();
    const longAgo = Date.now() - TTL_MS;
    let modifiedAt = Date.now();
    const service = openService(
      {},
      withBytes(memory, {
        list: async function* list(kind) {
          for await (const { place } of memory.bytes.list(kind)) yield { place, modifiedAt };
        },
      }),
    );
    await memory.bytes.write(placeOf('ns_bob', 'x'), { segment: 'main', offset: 0 }, [Buffer.from('stray')]);
    await service.uploads.collect(unreachable);
    expect(await memory.bytes.usage()).toBe(5);
    modifiedAt = longAgo;
    const turn = await claim(service);
    await writerOf(turn).write([Buffer.from('first ')]);
    await service.uploads.collect(unreachable);
    expect(await memory.bytes.usage()).toBe(6);
    await writerOf(turn).write([Buffer.from('chunk')]);
    await writerOf(turn).commit(digestOf(Buffer.from('first chunk')));
    await turn.end();
    expect(await contentOf(service)).toBe('first chunk');
  });

  it('that cannot erase such bytes keeps no first chunk from being stored', async () => {
    const memory = createMemoryStorage();
    const longAgo = Date.now() - TTL_MS;
    const service = openService(
      {},
      withBytes(memory, {
        list: async function* list(kind) {
          for await (const { place } of memory.bytes.list(kind)) yield { place, modifiedAt: longAgo };
        },
        remove: async () => {
          await settled(); // So that the chunk comes meanwhile.
          throw new Error('the disk broke');
        },
      }),
    );
    await memory.bytes.write(PLACE, { segment: 'main', offset: 0 }, [Buffer.from('stray')]);
    const errors: unknown[] = [];
    const collecting = service.uploads.collect((error) => errors.push(String(error)));
    await new Promise(setImmediate);
    await sendAll(service, ['chunk']);
    await collecting;
    expect(errors).toEqual(['Error: the disk broke']);
    expect(await contentOf(service)).toBe('chunk');
    expect(await contentOf(restarted(service))).toBe('chunk');
  });

  it('reports an upload that it cannot open, and goes on with the others', async () => {
    const memory = createMemoryStorage();
    const before = openService({}, memory);
    await send(before, 'one', { fileId: 'damaged', index: 0, total: 2 });
    await send(before, 'two', { fileId: 'good', index: 0, total: 2 });
    const damaged = placeOf(ALICE.namespace, 'damaged');
    const service = openService(
      { clock: before.clock },
      withLedgers(memory, {
        open: (place) =>
          place.name === damaged.name
            ? Promise.reject(new AppError('upload_damaged', 'damaged'))
            : memory.ledgers.open(place),
      }),
    );
    service.clock.advance(TTL_MS);
    const errors: string[] = [];
    await service.uploads.collect((error, { name }) => errors.push(`${String(error)} ${name}`));
    expect(errors[0]).toBe(`AppError: damaged ${damaged.name}`);
    expect(service.expired.map(({ name }) => name)).toEqual([placeOf(ALICE.namespace, 'good').name]);
    expect(await memory.bytes.usage()).toBe(3);
  });
});

describe('after a restart', () => {
  it('everything acknowledged is there, and a re-sent chunk gets its old answer (C2, C6, §0.1)', async () => {
    const before = openService({ order: 'any' });
    await send(before, 'one', { index: 0, total: 3 });
    await send(before, 'three', { index: 2, total: 3 });
    const service = restarted(before, { order: 'any' });
    expect(await sizeOf(service)).toBe(3);
    expect(service.repairs).toEqual([]);
    expect(await send(service, 'three', { index: 2, total: 3 })).toMatchObject({ completed: false });
    expect(await codeOf(send(service, 'eerht', { index: 2, total: 3 }))).toBe('chunk_conflict');
    expect(await send(service, 'two', { index: 1, total: 3 })).toMatchObject({ completed: true });
    expect(await contentOf(service)).toBe('onetwothree');
    expect(service.uploads.unfinishedCount).toBe(1);
  });

  it('bytes beyond the ledger do not exist: they are cut off and reported (D2)', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    await before.storage.bytes.write(PLACE, { segment: 'main', offset: 3 }, [Buffer.from('half of')]);
    await before.storage.bytes.write(PLACE, { segment: 'c1', offset: 0 }, [Buffer.from('a spool')]);
    const service = restarted(before);
    expect(await sizeOf(service)).toBe(3);
    expect(service.repairs).toEqual([{ place: PLACE, fileId: 'f', tornLedgerBytes: 0, strayBytes: 14 }]);
    expect(await service.storage.bytes.usage()).toBe(3);
    await send(service, 'two', { index: 1, total: 2 });
    expect(await contentOf(service)).toBe('onetwo');
  });

  it('bytes of a first chunk that was never stored are cut off, too, so that they never end up in another (D2)', async () => {
    const before = openService();
    await before.storage.bytes.write(PLACE, { segment: 'main', offset: 0 }, [Buffer.from('half of a long')]);
    const service = restarted(before);
    await send(service, 'one', { index: 0, total: 2 });
    expect(await service.storage.bytes.usage()).toBe(3);
    expect(service.repairs).toEqual([{ place: PLACE, fileId: '', tornLedgerBytes: 0, strayBytes: 14 }]);
  });

  it('a write to the ledger that never finished is reported (D2)', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    const { ledgers } = before.storage;
    const service = openService(
      {},
      withLedgers(before.storage, {
        open: async (place) => {
          const opened = await ledgers.open(place);
          return opened && { ...opened, torn: { bytes: 17 } };
        },
      }),
    );
    expect(await sizeOf(service)).toBe(3);
    expect(service.repairs).toMatchObject([{ tornLedgerBytes: 17, strayBytes: 0 }]);
  });

  it('missing bytes are damage of that upload alone, each time it is asked for (D2)', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    await send(before, 'other', { fileId: 'other', index: 0, total: 2 });
    await before.storage.bytes.truncate(PLACE, 'main', 2);
    const service = restarted(before);
    for (let times = 0; times < 2; times += 1) {
      expect(await codeOf(service.uploads.status(REF))).toBe('upload_damaged');
      expect(await codeOf(send(service, 'two', { index: 1, total: 2 }))).toBe('upload_damaged');
      expect(await codeOf(finalise(service))).toBe('upload_damaged');
    }
    expect(await service.storage.bytes.usage()).toBe(7);
    expect(await recordTypes(service)).toEqual(['started', 'chunk']);
    expect(await sizeOf(service, 'other')).toBe(5);
    await send(service, ' more', { fileId: 'other', index: 1, total: 2 });
    expect(await contentOf(service, 'other')).toBe('other more');
  });

  it('a damaged upload is named in a list, beside those that are well', async () => {
    const before = openService();
    for (const fileId of ['f', 'g']) await send(before, 'one', { fileId, index: 0, total: 2 });
    await before.storage.bytes.truncate(PLACE, 'main', 2);
    const damaged: string[] = [];
    const well: string[] = [];
    const service = restarted(before);
    const list = service.uploads.list(ALICE.namespace, ({ code }, place) =>
      damaged.push(`${code} ${place?.name}`),
    );
    for await (const { state } of list) well.push(state.fileId);
    expect([damaged, well]).toEqual([[`upload_damaged ${PLACE.name}`], ['g']]);
  });

  it('a damaged upload is deleted, too, where there is another place to look for it', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    await before.storage.bytes.truncate(PLACE, 'main', 2);
    const { uploads } = restarted(before);
    const ref = { caller: { ...ALICE, fallback: 'public' }, fileId: 'f' };
    expect(await codeOf(uploads.status(ref))).toBe('upload_damaged');
    expect(await uploads.remove(ref)).toBe(true);
    expect(await uploads.status(ref)).toEqual({ exists: false, currentSize: 0 });
  });

  it('of two deletions of a damaged upload one says that there was one', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    await before.storage.bytes.truncate(PLACE, 'main', 2);
    const service = openService({ clock: before.clock }, withSlowRemoval(before.storage));
    const removed = await Promise.all([service.uploads.remove(REF), service.uploads.remove(REF)]);
    expect(removed.toSorted()).toEqual([false, true]);
  });

  it('an upload whose stored bytes cannot be looked at leaves no ledger open', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    let open = 0;
    const service = openService(
      { clock: before.clock },
      withBytes(
        withLedgers(before.storage, {
          open: async (place) => {
            const opened = await before.storage.ledgers.open(place);
            if (opened === null) return null;
            open += 1;
            const close = (): Promise<void> => {
              open -= 1;
              return opened.ledger.close();
            };
            const { ledger } = opened;
            const append: typeof ledger.append = (records) => ledger.append(records);
            return { ...opened, ledger: { append, revoke: () => ledger.revoke(), close } };
          },
        }),
        { reconcile: () => Promise.reject(new Error('the disk broke')) },
      ),
    );
    for (let times = 0; times < 3; times += 1)
      await expect(sizeOf(service)).rejects.toThrow('the disk broke');
    expect(open).toBe(0);
  });

  it('an upload that was damaged while nobody had it open is not counted any more once it is deleted', async () => {
    const service = openService({ maxIdle: 0 });
    await send(service, 'one', { index: 0, total: 2 });
    await service.storage.bytes.truncate(PLACE, 'main', 2);
    expect(await codeOf(service.uploads.status(REF))).toBe('upload_damaged');
    expect(service.uploads.unfinishedCount).toBe(1);
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(service.uploads.unfinishedCount).toBe(0);
  });

  it('a damaged upload can be deleted and sent again', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    await before.storage.bytes.truncate(PLACE, 'main', 2);
    const service = restarted(before);
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(await sizeOf(service)).toBeNull();
    await sendAll(service, ['once', 'more']);
    expect(await contentOf(service)).toBe('oncemore');
  });

  it('a chunk that comes while a damaged upload is being deleted keeps its bytes', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    await before.storage.bytes.truncate(PLACE, 'main', 2);
    const service = openService({ clock: before.clock }, withSlowRemoval(before.storage));
    const removing = service.uploads.remove(REF);
    await settled();
    await Promise.all([sendAll(service, ['once', 'more']), removing]);
    expect(await contentOf(restarted(service))).toBe('oncemore');
  });

  it('a damaged upload that is mended by hand while somebody deletes it is deleted whole', async () => {
    for (let ticks = 0; ticks < 30; ticks += 1) {
      const before = openService();
      await send(before, 'one', { index: 0, total: 2 });
      let isMended = false;
      const service = openService(
        { clock: before.clock },
        withLedgers(before.storage, {
          open: (place) => {
            if (isMended) return before.storage.ledgers.open(place);
            isMended = true;
            return Promise.reject(new AppError('upload_damaged', 'damaged'));
          },
        }),
      );
      const removing = service.uploads.remove(REF);
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
      const during = await sizeOf(service).catch((error: unknown) => codeOf(Promise.reject(error)));
      expect(['upload_damaged', 3, null], `after ${ticks} ticks`).toContain(during);
      expect(await removing).toBe(true);
      expect([ticks, await sizeOf(service), service.uploads.unfinishedCount]).toEqual([ticks, null, 0]);
      await sendAll(service, ['once', 'more']);
      expect([ticks, await contentOf(restarted(service))]).toEqual([ticks, 'oncemore']);
    }
  });

  it('a deletion that fails for another reason than damage is not taken for one', async () => {
    const before = openService();
    await send(before, 'one', { index: 0, total: 2 });
    const broken = { open: () => Promise.reject(new Error('cannot be read')) };
    const service = openService({}, withLedgers(before.storage, broken));
    await expect(service.uploads.remove(REF)).rejects.toThrow('cannot be read');
    expect(await recordTypes(before)).toEqual(['started', 'chunk']);
  });
});

describe('deleting an upload', () => {
  describe.each(['bytes', 'ledgers'] as const)('that fails at the %s', (what) => {
    /** A disk that breaks, once, as soon as it is told to. */
    function opened(): { service: Service; breaks: () => void } {
      const memory = createMemoryStorage();
      let isBreaking = false;
      const remove = async (place: StorageKey): Promise<void> => {
        if (!isBreaking) return memory[what].remove(place);
        isBreaking = false;
        await settled(); // So that others come meanwhile.
        throw new Error('the disk broke');
      };
      const broken = what === 'bytes' ? withBytes(memory, { remove }) : withLedgers(memory, { remove });
      return { service: openService({ order: 'any' }, broken), breaks: () => (isBreaking = true) };
    }
    const left = what === 'bytes' ? null : 3;

    it('tells nobody of a chunk that it is stored which may be gone', async () => {
      const { service, breaks } = opened();
      await send(service, 'one', { index: 0, total: 2 });
      const resending = await claim(service, { index: 0, total: 2 });
      breaks();
      await expect(service.uploads.remove(REF)).rejects.toThrow('the disk broke');
      const resent = finish(service, resending, { bytes: Buffer.from('one') });
      await expect(resent).rejects.toThrow('has to be read again');
      expect([await sizeOf(service), service.uploads.unfinishedCount]).toEqual([left, left === null ? 0 : 1]);
      await sendAll(service, ['one', 'more']);
      await resending.end();
      expect(await contentOf(service)).toBe('onemore');
      expect(await contentOf(restarted(service))).toBe('onemore');
    });

    it('fails whoever waited behind it, who can ask again', async () => {
      const { service, breaks } = opened();
      await send(service, 'one', { index: 0, total: 1 });
      breaks();
      const removing = service.uploads.remove(REF);
      await new Promise(setImmediate); // It has its turn.
      const others = [service.uploads.remove(REF), finalise(service), service.uploads.content(REF)];
      const [first, ...behind] = await Promise.allSettled([removing, ...others]);
      expect(String(first.status === 'rejected' && first.reason)).toContain('the disk broke');
      for (const result of behind)
        expect(String(result.status === 'rejected' && result.reason)).toContain('has to be read again');
      expect(await service.uploads.remove(REF)).toBe(left !== null);
      expect([await sizeOf(service), service.uploads.unfinishedCount]).toEqual([null, 0]);
    });

    it('also when it had expired', async () => {
      const { service, breaks } = opened();
      await send(service, 'one', { index: 0, total: 2 });
      service.clock.advance(TTL_MS);
      breaks();
      await expect(sizeOf(service)).rejects.toThrow('the disk broke');
      expect([await sizeOf(service), service.uploads.unfinishedCount]).toEqual([null, 0]);
      expect(service.expired).toEqual([PLACE]);
      await sendAll(service, ['once', 'more']);
      expect(await contentOf(restarted(service))).toBe('oncemore');
    });
  });

  it('frees its fileId and its room, and says whether there was one', async () => {
    const service = openService();
    expect(await service.uploads.remove(REF)).toBe(false);
    await send(service, 'one', { index: 0, total: 2 });
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(await service.uploads.remove(REF)).toBe(false);
    expect(await sizeOf(service)).toBeNull();
    expect(await service.storage.bytes.usage()).toBe(0);
    expect(service.uploads.unfinishedCount).toBe(0);
  });

  it('leaves the entry that it became', async () => {
    const service = openService();
    await sendAll(service, ['one']);
    const id = await finalise(service);
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(await entryContent(service, id)).toBe('one');
    expect(await codeOf(finalise(service))).toBe('upload_not_found');
  });

  it('ends a chunk in flight first', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const turn = await claim(service, { index: 1, total: 2 });
    await writerOf(turn).write([Buffer.from('half of')]);
    const told: string[] = [];
    writerOf(turn).onSuperseded(({ code, message }) => told.push(`${code}: ${message}`));
    let isRemoved = false;
    const removing = service.uploads.remove(REF).then(() => (isRemoved = true));
    await settled();
    expect(told).toEqual([expect.stringMatching(/^chunk_superseded: the upload was deleted while/)]);
    expect(isRemoved).toBe(false);
    expect(await codeOf(writerOf(turn).write([Buffer.from('more')]))).toBe('chunk_superseded');
    await turn.end();
    await removing;
    expect(await service.storage.bytes.usage()).toBe(0);
  });

  it('waits for a chunk that is being stored', async () => {
    const memory = createMemoryStorage();
    let synced = (): void => undefined;
    const syncing = new Promise<void>((resolve) => (synced = resolve));
    const service = openService({}, withBytes(memory, { sync: () => syncing }));
    const sending = send(service, 'one', { index: 0, total: 2 });
    await settled();
    const removing = service.uploads.remove(REF);
    await settled();
    synced();
    expect(await sending).toEqual({ completed: false, chunkIndex: 0 });
    expect(await removing).toBe(true);
    expect(await sizeOf(service)).toBeNull();
  });

  it('while a stored chunk is being sent again: that one is told that the upload is gone', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const turn = await claim(service, { index: 0, total: 2 });
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(await codeOf(finish(service, turn, { bytes: Buffer.from('one') }))).toBe('chunk_superseded');
    await turn.end();
  });

  it('spares one that is not the one that is meant, and the chunk that begins it', async () => {
    const service = openService();
    const isMeant = (state: { finalization: unknown } | null): boolean =>
      (state?.finalization ?? null) !== null;
    const turn = await claim(service, { index: 0, total: 2 });
    await writerOf(turn).write([Buffer.from('one')]);
    expect(await service.uploads.remove(REF, isMeant)).toBe(false);
    await writerOf(turn).commit(digestOf(Buffer.from('one')));
    await turn.end();
    await send(service, 'two', { index: 1, total: 2 });
    expect(await service.uploads.remove(REF, isMeant)).toBe(false);
    expect(await contentOf(service)).toBe('onetwo');
    await finalise(service);
    expect(await service.uploads.remove(REF, isMeant)).toBe(true);
  });

  it('while stored chunks are being sent again: they are told so, too, when it was begun anew meanwhile', async () => {
    const service = openService();
    await sendAll(service, ['one', 'two']);
    const first = await claim(service, { index: 0, total: 2 });
    const second = await claim(service, { index: 1, total: 2 });
    expect(await service.uploads.remove(REF)).toBe(true);
    await send(service, 'new', { index: 0, total: 2 });
    for (const [turn, text] of [
      [first, 'one'],
      [second, 'two'],
    ] as const) {
      expect(await codeOf(finish(service, turn, { bytes: Buffer.from(text) }))).toBe('chunk_superseded');
      await turn.end();
    }
    expect(await contentOf(service)).toBe('new');
  });

  it('while the same chunk waits behind the one in flight: no chunk is stored without its beginning', async () => {
    const service = openService({ order: 'any' });
    await send(service, 'one', { index: 0, total: 3 });
    const first = await claim(service, { index: 1, total: 3 });
    await writerOf(first).write([Buffer.from('half of')]);
    const second = claim(service, { index: 1, total: 3 });
    await settled();
    const removing = service.uploads.remove(REF);
    await settled();
    await first.end();
    const turn = await second;
    await settled();
    const code = await codeOf(finish(service, turn, { bytes: Buffer.from('whole chunk') }));
    await turn.end();
    expect(await removing).toBe(true);
    // Either the deletion took the second one along, or the second one began a new upload after it.
    expect(['accepted', 'chunk_superseded']).toContain(code);
    const state = await service.uploads.inspect(REF);
    expect(state?.receivedBytes ?? 0).toBe(code === 'accepted' ? 11 : 0);
    expect(await service.storage.bytes.usage()).toBe(state?.receivedBytes ?? 0);
  });
});

describe('namespaces', () => {
  const BOB = { namespace: 'ns_bob', fallback: null };
  const KEYLESS = { namespace: 'public', fallback: null };
  const CAROL = { namespace: 'ns_carol', fallback: 'public' };

  it('do not see each other: the same fileId is another upload (K4)', async () => {
    const service = openService();
    await send(service, 'of alice', { index: 0, total: 2 });
    expect(await service.uploads.status({ caller: BOB, fileId: 'f' })).toEqual({
      exists: false,
      currentSize: 0,
    });
    await send(service, 'of bob', { caller: BOB, index: 0, total: 3 });
    expect(await contentOf(service)).toBe('of alice');
    expect(await service.uploads.remove({ caller: BOB, fileId: 'f' })).toBe(true);
    expect(await contentOf(service)).toBe('of alice');
  });

  it('with a fallback see what was uploaded there, go on with it and finalise it (K3)', async () => {
    const service = openService();
    await send(service, 'one', { caller: KEYLESS, index: 0, total: 2 });
    expect(await service.uploads.status({ caller: CAROL, fileId: 'f' })).toMatchObject({ currentSize: 3 });
    await send(service, 'two', { caller: CAROL, index: 1, total: 2 });
    expect(await service.uploads.status({ caller: KEYLESS, fileId: 'f' })).toMatchObject({ currentSize: 6 });
    const { finalization, place } = await service.uploads.finalize({ caller: CAROL, fileId: 'f' }, request());
    expect([finalization.namespace, place.namespace]).toEqual(['ns_carol', 'public']);
  });

  it('with a fallback begin their own uploads in their own, and those win (K3)', async () => {
    const service = openService();
    await send(service, 'own', { caller: CAROL, index: 0, total: 2 });
    expect(await service.uploads.status({ caller: KEYLESS, fileId: 'f' })).toMatchObject({ exists: false });
    await send(service, 'shared', { caller: KEYLESS, index: 0, total: 2 });
    expect(await service.uploads.status({ caller: CAROL, fileId: 'f' })).toMatchObject({ currentSize: 3 });
  });

  it('are listed one by one', async () => {
    const service = openService();
    for (const fileId of ['a', 'b']) await send(service, fileId, { fileId });
    await send(service, 'c', { caller: BOB, fileId: 'c' });
    const seen: string[] = [];
    for await (const { state } of service.uploads.list(ALICE.namespace)) seen.push(state.fileId);
    expect(seen.toSorted()).toEqual(['a', 'b']);
    const everybody: string[] = [];
    for await (const { namespace, state } of service.uploads.list('*'))
      everybody.push(`${namespace}/${state.fileId}`);
    expect(everybody.toSorted()).toEqual(['ns_alice/a', 'ns_alice/b', 'ns_bob/c']);
  });
});

describe('unfinished uploads are limited', () => {
  it('per namespace: one more is refused, those that exist go on', async () => {
    const service = openService({ maxOpenPerNamespace: 2 });
    const sendOne = (fileId: string, index = 0): Promise<string> =>
      codeOf(send(service, fileId, { fileId, index, total: 2 }));
    expect([await sendOne('a'), await sendOne('b')]).toEqual(['accepted', 'accepted']);
    expect(await sendOne('c')).toBe('too_many_open_uploads');
    expect(await sendOne('a', 1)).toBe('accepted');
    const bob = { caller: { namespace: 'ns_bob', fallback: null } };
    expect(await codeOf(send(service, 'x', bob))).toBe('accepted');
  });

  it.each<[string, (service: Service) => Promise<unknown>]>([
    ['finalised', (service) => finalise(service, 'a')],
    ['deleted', ({ uploads }) => uploads.remove({ caller: ALICE, fileId: 'a' })],
    [
      'expired',
      async (service) => {
        service.clock.advance(TTL_MS);
        await sizeOf(service, 'a');
      },
    ],
  ])('and one that is %s counts no more', async (_what, end) => {
    const service = openService({ maxOpenPerNamespace: 1 });
    await send(service, 'a', { fileId: 'a' });
    expect(await codeOf(send(service, 'b', { fileId: 'b' }))).toBe('too_many_open_uploads');
    await end(service);
    expect(await codeOf(send(service, 'b', { fileId: 'b' }))).toBe('accepted');
  });

  it('and those of an earlier life count from their first touch on (D2)', async () => {
    const before = openService();
    for (const fileId of ['a', 'b']) await send(before, 'x', { fileId, index: 0, total: 2 });
    const service = restarted(before, { maxOpenPerNamespace: 1 });
    expect(service.uploads.unfinishedCount).toBe(0);
    await sizeOf(service, 'a');
    await sizeOf(service, 'b');
    expect(service.uploads.unfinishedCount).toBe(2);
    expect(await codeOf(send(service, 'x', { fileId: 'b', index: 1, total: 2 }))).toBe('accepted');
    expect(await codeOf(send(service, 'x', { fileId: 'c' }))).toBe('too_many_open_uploads');
  });
});

describe('idle uploads', () => {
  /** A storage that counts the ledgers that are open. */
  function counting(): { storage: Storage; open: () => number } {
    const memory = createMemoryStorage();
    let open = 0;
    const counted = <T extends { close(): Promise<void> }>(ledger: T): T => {
      open += 1;
      const close = async (): Promise<void> => {
        open -= 1;
        await ledger.close();
      };
      return changed<{ close(): Promise<void> }>(ledger, { close }) as T;
    };
    const storage = withLedgers(memory, {
      create: async (place, records) => counted(await memory.ledgers.create(place, records)),
      open: async (place) => {
        const opened = await memory.ledgers.open(place);
        return opened && { ...opened, ledger: counted(opened.ledger) };
      },
    });
    return { storage, open: () => open };
  }

  it('are closed beyond a number, and opened again when they are wanted (§7.5)', async () => {
    const { storage, open } = counting();
    const service = openService({ maxIdle: 3 }, storage);
    const names = Array.from({ length: 20 }, (_, i) => `f${i}`);
    for (const fileId of names) await send(service, `${fileId} one `, { fileId, index: 0, total: 2 });
    await settled();
    expect(open()).toBe(3);
    for (const fileId of names) await send(service, `${fileId} two`, { fileId, index: 1, total: 2 });
    for (const fileId of names) expect(await contentOf(service, fileId)).toBe(`${fileId} one ${fileId} two`);
    await settled();
    expect(open()).toBe(3);
    await service.uploads.close();
    expect(open()).toBe(0);
    expect(service.closeErrors).toEqual([]);
  });

  it('are not closed while a chunk is in flight', async () => {
    const { storage, open } = counting();
    const service = openService({ maxIdle: 1 }, storage);
    await send(service, 'one', { fileId: 'held', index: 0, total: 2 });
    const turn = await claim(service, { fileId: 'held', index: 1, total: 2 });
    for (let i = 0; i < 5; i += 1) await send(service, 'x', { fileId: `f${i}`, index: 0, total: 2 });
    await settled();
    expect(open()).toBeLessThanOrEqual(2);
    await finish(service, turn, { bytes: Buffer.from('two') });
    await turn.end();
    expect(await contentOf(service, 'held')).toBe('onetwo');
  });

  it('that do not exist are not kept at all', async () => {
    const { storage, open } = counting();
    const service = openService({ maxIdle: 100 }, storage);
    for (let i = 0; i < 50; i += 1) await sizeOf(service, `unknown ${i}`);
    expect(open()).toBe(0);
  });

  it('that cannot be closed are reported, and nothing is lost', async () => {
    const memory = createMemoryStorage();
    const service = openService(
      { maxIdle: 0 },
      withBytes(memory, { release: () => Promise.reject(new Error('cannot be closed')) }),
    );
    await send(service, 'one', { index: 0, total: 2 });
    await settled();
    expect(service.closeErrors.map(String)).toEqual(['Error: cannot be closed']);
    await send(service, 'two', { index: 1, total: 2 });
    expect(await contentOf(service)).toBe('onetwo');
  });
});
