// finalising.test.ts: an upload becomes an entry once (F6), wherever the process dies on the way and whatever the storage refuses.
import { describe, expect, it } from 'vitest';
import { AppError, InDoubt } from '../../src/core/errors.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { StorageKey, Storage } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';
import {
  ALICE,
  leaseChunk,
  contentOf,
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
import {
  REF,
  PLACE,
  writerOf,
  codeOf,
  withBytes,
  withLedgers,
  restarted,
  recordTypes,
  settled,
} from './service-steps.ts';

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
    const service = openService({ chunkOrder: 'any' });
    const [one, other] = [
      await leaseChunk(service, { total: 1 }),
      await leaseChunk(service, { index: 3, total: 5 }),
    ];
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
    const service = openService({ chunkOrder: 'any' }, storage);
    const [one, other] = [
      await leaseChunk(service, { total: 1 }),
      await leaseChunk(service, { index: 3, total: 5 }),
    ];
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
  /** From this call on, the process that uses the storage does nothing any more. */
  function breakingAt(
    call: 'append' | 'move' | 'create',
    memory: Storage,
  ): { storage: Storage; arm: () => void } {
    let isArmed = false;
    let isDead = false;
    const mortal = <T extends object>(target: T, isFatal: (name: string, place?: StorageKey) => boolean): T =>
      new Proxy(target, {
        get(object, key) {
          if (!(key in object)) return undefined; // `then` must be missing, because the object is not a promise.
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

  /** A storage that refuses the chosen calls. */
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
