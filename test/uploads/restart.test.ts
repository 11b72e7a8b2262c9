// restart.test.ts: what a service finds when it starts again (D2), or when it does not know whether a record is stored.
import { describe, expect, it } from 'vitest';
import { AppError, InDoubt } from '../../src/core/errors.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Ledger, Storage } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';
import {
  ALICE,
  leaseChunk,
  contentOf,
  finalise,
  openService,
  send,
  sendAll,
  sizeOf,
} from '../helpers/uploads.ts';
import {
  REF,
  PLACE,
  codeOf,
  withBytes,
  withLedgers,
  restarted,
  recordTypes,
  settled,
} from './service-steps.ts';

/** Removes the bytes of an upload only when everything else has ended. */
function withSlowRemoval(storage: Storage): Storage {
  return withBytes(storage, {
    remove: async (place) => {
      await settled();
      await storage.bytes.remove(place);
    },
  });
}

describe('a record of which nobody knows whether it is stored', () => {
  /** The first append after `arm` is stored, but reports that it may not be. */
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
    const service = openService({ chunkOrder: 'any' }, storage);
    await send(service, 'one', { index: 0, total: 4 });
    const slow = await leaseChunk(service, { index: 1, total: 4 });
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

describe('after a restart', () => {
  it('everything acknowledged is there, and a re-sent chunk gets its old answer (C2, C6, §0.1)', async () => {
    const before = openService({ chunkOrder: 'any' });
    await send(before, 'one', { index: 0, total: 3 });
    await send(before, 'three', { index: 2, total: 3 });
    const service = restarted(before, { chunkOrder: 'any' });
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
