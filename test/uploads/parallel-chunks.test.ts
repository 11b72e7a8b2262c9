// parallel-chunks.test.ts: chunks of one upload that are in flight together, other ones (C8) and the same one (C12).
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import {
  leaseChunk,
  contentOf,
  digestOf,
  entryContent,
  finalise,
  finish,
  openService,
  send,
  sizeOf,
} from '../helpers/uploads.ts';
import { REF, writerOf, codeOf, withBytes, recordTypes, settled } from './service-steps.ts';

vi.mock('../../src/core/awake.ts', async () => (await import('../helpers/faked-awake.ts')).FAKED);

afterEach(() => {
  vi.useRealTimers();
});

describe('chunks in any order', () => {
  it('count only up to the first gap, and complete the upload when every one is there (C8)', async () => {
    const service = openService({ chunkOrder: 'any' });
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

  it('can be in flight at the same time, byte by byte in leases', async () => {
    const service = openService({ chunkOrder: 'any' });
    const texts = Array.from({ length: 8 }, (_, index) => `chunk ${index} `.repeat(index + 1));
    const leases = await Promise.all(texts.map((_, index) => leaseChunk(service, { index, total: 8 })));
    for (let at = 0; at < 100; at += 1) {
      for (const [index, lease] of leases.entries()) {
        const byte = texts[index]?.[at];
        if (byte !== undefined) await writerOf(lease).write([Buffer.from(byte)]);
      }
    }
    const receipts = await Promise.all(
      leases.toReversed().map(async (lease, i) => {
        const receipt = await writerOf(lease).commit(digestOf(Buffer.from(texts.at(-1 - i) ?? '')));
        await lease.end();
        return receipt;
      }),
    );
    expect(receipts.filter(({ completed }) => completed)).toHaveLength(1);
    expect(await contentOf(service)).toBe(texts.join(''));
    expect(await entryContent(service, await finalise(service))).toBe(texts.join(''));
  });

  it('broken off leave those beside them as they are', async () => {
    const service = openService({ chunkOrder: 'any' });
    const [first, second, third] = await Promise.all(
      [0, 1, 2].map((index) => leaseChunk(service, { index, total: 3 })),
    );
    if (first === undefined || second === undefined || third === undefined) throw new Error('no leases');
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
    const service = openService({ chunkOrder: 'any', maxFileBytes: 10 });
    const leases = await Promise.all([0, 1].map((index) => leaseChunk(service, { index, total: 2 })));
    for (const lease of leases) await writerOf(lease).write([Buffer.from('123456')]);
    const codes = await Promise.all(
      leases.map(async (lease) => {
        const code = await codeOf(writerOf(lease).commit(digestOf(Buffer.from('123456'))));
        await lease.end();
        return code;
      }),
    );
    expect(codes.toSorted()).toEqual(['accepted', 'upload_too_large']);
    expect(await service.storage.bytes.usage()).toBe(6);
  });

  it('of which two begin the upload with another totalChunks: one wins (C9)', async () => {
    const service = openService({ chunkOrder: 'any' });
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
    const first = await leaseChunk(service);
    await writerOf(first).write([Buffer.from('half of')]);
    const second = send(service, 'whole');
    await settled();
    await first.end();
    expect(await second).toMatchObject({ completed: true });
    expect(await contentOf(service)).toBe('whole');
  });

  it('wait as long as the first one sends, however long that is (C12)', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const service = openService({ takeoverAfterMs: 3_000 });
    const first = await leaseChunk(service);
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
    const service = openService({ takeoverAfterMs: 3_000 });
    let silentMs = 0;
    const first = await leaseChunk(service, { silentMs: () => silentMs });
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
    const service = openService({ takeoverAfterMs: 10 });
    const first = await leaseChunk(service, { silentMs: () => 10 });
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
    const service = openService({ takeoverAfterMs: 10 }, withBytes(memory, { sync: () => syncing }));
    const first = await leaseChunk(service, { silentMs: () => 1_000_000 });
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
    const first = await leaseChunk(service);
    const leaving = new AbortController();
    const second = leaseChunk(service, { signal: leaving.signal });
    await settled();
    leaving.abort(new Error('the client left'));
    await expect(second).rejects.toThrow('the client left');
    expect(await codeOf(leaseChunk(service, { signal: AbortSignal.abort(new Error('gone before')) }))).toBe(
      'Error: gone before',
    );
    await first.end();
    expect(service.uploads.unfinishedCount).toBe(0);
    expect(await service.uploads.remove(REF)).toBe(false);
  });
});
