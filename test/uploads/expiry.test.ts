// expiry.test.ts: uploads that nobody touches expire (C15), are collected, and are closed while idle.
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { placeOf } from '../../src/uploads/storage-key.ts';
import type { Storage } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';
import {
  ALICE,
  leaseChunk,
  contentOf,
  digestOf,
  entryContent,
  finalise,
  finish,
  openService,
  send,
  sendAll,
  sizeOf,
  TTL_MS,
} from '../helpers/uploads.ts';
import {
  PLACE,
  writerOf,
  codeOf,
  withBytes,
  withLedgers,
  restarted,
  recordTypes,
  settled,
} from './service-steps.ts';

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
    await (await leaseChunk(service, { index: 1, total: 2 })).end();
    service.clock.advance(1);
    expect(await sizeOf(service)).toBeNull();
  });

  it('but not while a chunk is in flight, and that chunk renews it', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const lease = await leaseChunk(service, { index: 1, total: 2 });
    service.clock.advance(TTL_MS * 2);
    await service.uploads.collect((error) => expect.unreachable(String(error)));
    expect(await sizeOf(service)).toBe(3);
    await finish(service, lease, { bytes: Buffer.from('two') });
    await lease.end();
    expect(await sizeOf(service)).toBe(6);
    expect(service.expired).toEqual([]);
    service.clock.advance(TTL_MS - 1);
    expect(await contentOf(service)).toBe('onetwo');
  });

  it('as soon as the chunk that was in flight is broken off', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const lease = await leaseChunk(service, { index: 1, total: 2 });
    service.clock.advance(TTL_MS);
    await lease.end();
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
    const lease = await leaseChunk(service);
    await writerOf(lease).write([Buffer.from('first ')]);
    await service.uploads.collect(unreachable);
    expect(await memory.bytes.usage()).toBe(6);
    await writerOf(lease).write([Buffer.from('chunk')]);
    await writerOf(lease).commit(digestOf(Buffer.from('first chunk')));
    await lease.end();
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
    const lease = await leaseChunk(service, { fileId: 'held', index: 1, total: 2 });
    for (let i = 0; i < 5; i += 1) await send(service, 'x', { fileId: `f${i}`, index: 0, total: 2 });
    await settled();
    expect(open()).toBeLessThanOrEqual(2);
    await finish(service, lease, { bytes: Buffer.from('two') });
    await lease.end();
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
