// media.test.ts: what the service remembers of entries.
import { describe, expect, it } from 'vitest';
import { Clocks } from '../../src/core/clock.ts';
import { SeededIds } from '../../src/core/ids.ts';
import { DamageBook } from '../../src/integrity/damage-book.ts';
import { VerifiedReader } from '../../src/integrity/verified-reader.ts';
import type { EntrySpec } from '../../src/media/entry-form.ts';
import { Media } from '../../src/media/media.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Ledgers, StorageKey, Storage } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';

const ID = '0123456789abcdef01234567';

const FROM = { kind: 'uploads', namespace: 'ns_1', name: 'a1' } as const;
const SPEC: EntrySpec = { type: 'video', platforms: [], settings: {}, isDraft: false };
const SOURCE = { mediaId: ID, namespace: 'ns_1', spec: SPEC, at: 0, bytes: 0, extents: [], from: FROM };

function mediaOn(storage: Storage, ids = new SeededIds(null)): Media {
  return new Media({
    storage,
    reader: new VerifiedReader(storage.bytes, new DamageBook(() => undefined)),
    clock: new Clocks(),
    ids,
    timing: { pendingTimeMs: 0, processingTimeMs: 0 },
    onCreated: () => undefined,
    onErased: () => undefined,
    onCloseError: () => undefined,
  });
}

it('an entry is not read while its ledger is being made: half of one would be taken for one that was never finished', async () => {
  const storage = createMemoryStorage();
  const calls: string[] = [];
  let goOn: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (goOn = resolve));
  const ledgers = changed(storage.ledgers, {
    create: async (place, records) => {
      calls.push('create');
      await gate;
      const ledger = await storage.ledgers.create(place, records);
      calls.push('created');
      return ledger;
    },
    open: (place) => {
      calls.push('open');
      return storage.ledgers.open(place);
    },
  });
  const media = mediaOn({ ...storage, ledgers });
  const making = media.ensure(SOURCE);
  await expect.poll(() => calls).toContain('create');
  calls.splice(0);
  const finding = media.find('ns_1', ID);
  await new Promise(setImmediate);
  expect(calls).toEqual([]);
  goOn();
  expect((await finding)?.entry.id).toBe((await making).id);
  expect(calls).toEqual(['created']);
});

it('an entry that is removed while it is being read is not remembered', async () => {
  const storage = createMemoryStorage();
  let onRead: () => Promise<void> = () => Promise.resolve();
  const open: Ledgers['open'] = async (place) => {
    const opened = await storage.ledgers.open(place);
    await onRead();
    return opened;
  };
  await mediaOn(storage).ensure(SOURCE);
  const media = mediaOn({ ...storage, ledgers: changed(storage.ledgers, { open }) });
  let removing = Promise.resolve();
  onRead = () => {
    removing = media.remove('ns_1', ID);
    return Promise.resolve();
  };
  await media.find('ns_1', ID);
  onRead = () => Promise.resolve();
  await removing;
  expect(await media.find('ns_1', ID)).toBeNull();
});

describe('bytes where an entry is to be made, of which no ledger speaks', () => {
  const HOME = { kind: 'media', namespace: 'ns_1', name: ID } as const;
  const extents = [{ segment: 'main', offset: 0, bytes: 5 }];
  const source = { ...SOURCE, bytes: 5, extents };

  async function contentOf(media: Media): Promise<string> {
    const stored = await media.find('ns_1', ID);
    if (stored === null) return 'no entry';
    let text = '';
    for await (const piece of media.content(stored)) text += piece.toString();
    return text;
  }

  async function holding(places: readonly (readonly [StorageKey, string])[]): Promise<Storage> {
    const storage = createMemoryStorage();
    for (const [place, text] of places)
      await storage.bytes.write(place, { segment: 'main', offset: 0 }, [Buffer.from(text)]);
    return storage;
  }

  it("are nobody's, and make room for the upload's", async () => {
    const storage = await holding([
      [FROM, 'right'],
      [HOME, 'left by a removal that a crash cut short'],
    ]);
    const media = mediaOn(storage);
    await media.ensure(source);
    expect(await contentOf(media)).toBe('right');
    expect(await storage.bytes.usage()).toBe(5);
  });

  it("stay where the upload's are not all there: nobody can tell whose they are, and there is no entry", async () => {
    const storage = await holding([
      [FROM, 'rest'],
      [HOME, 'right'],
    ]);
    const media = mediaOn(storage);
    await expect(media.ensure(source)).rejects.toThrow('bytes of entry');
    expect(await contentOf(media)).toBe('no entry');
    expect(await storage.bytes.usage()).toBe(9);
  });

  it('are not collected while the entry is being made of them (C15)', async () => {
    const storage = await holding([[FROM, 'right']]);
    let goOn: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    let isAtLedger = false;
    const ledgers = changed(storage.ledgers, {
      create: async (place, records) => {
        isAtLedger = true;
        await gate;
        return storage.ledgers.create(place, records);
      },
    });
    const media = mediaOn({ ...storage, ledgers });
    const making = media.ensure(source);
    await expect.poll(() => isAtLedger).toBe(true);
    const collecting = media.collect(-1, (error) => expect.unreachable(String(error)));
    await new Promise(setImmediate);
    goOn();
    await Promise.all([making, collecting]);
    expect(await contentOf(media)).toBe('right');
  });

  it('of a direct upload whose entry could not be made are discarded with it (C16)', async () => {
    const storage = createMemoryStorage();
    const create: Ledgers['create'] = () => Promise.reject(new Error('the disk is full'));
    const media = mediaOn({ ...storage, ledgers: changed(storage.ledgers, { create }) });
    const direct = media.openDirect('ns_1');
    await direct.write([Buffer.from('right')]);
    await expect(media.createDirect(direct, SPEC)).rejects.toThrow('the disk is full');
    await direct.discard();
    expect(await storage.bytes.usage()).toBe(0);
  });
});

it('with a seed, a direct upload has an id with its entry only: those that fail cost none', async () => {
  const storage = createMemoryStorage();
  const ids = new SeededIds('any');
  const media = mediaOn(storage, ids);
  const failing = media.openDirect('ns_1');
  await failing.write([Buffer.from('never whole')]);
  ids.reset('ns_1'); // The namespace begins anew while one is on its way.
  const direct = media.openDirect('ns_1');
  await direct.write([Buffer.from('right')]);
  const entry = await media.createDirect(direct, SPEC);
  await failing.discard();
  expect(entry.id).toBe(new SeededIds('any').next('ns_1'));
  expect(entry.bytes).toBe(5);
  expect(await storage.bytes.usage()).toBe(5);
});
