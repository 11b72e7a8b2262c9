// media.test.ts: what the service remembers of entries.
import { expect, it } from 'vitest';
import { Clocks } from '../../src/clock.ts';
import { MediaIds } from '../../src/ids.ts';
import { Media } from '../../src/media/media.ts';
import { createMemoryStorage } from '../../src/storage/memory.ts';
import type { Ledgers, Storage } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';

const ID = '0123456789abcdef01234567';

const SPEC = { type: 'videos', platforms: [], settings: {}, profileIds: [], scheduledAt: null } as never;
const SOURCE = { mediaId: ID, namespace: 'ns_1', spec: SPEC, at: 0, bytes: 0, extents: [], from: null };

function mediaOn(storage: Storage): Media {
  return new Media({
    storage,
    clock: new Clocks(),
    ids: new MediaIds(null),
    timing: { pendingMs: 0, processingMs: 0 },
    onCreated: () => undefined,
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
