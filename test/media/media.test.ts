// media.test.ts: what the service remembers of entries.
import { expect, it } from 'vitest';
import { Clocks } from '../../src/clock.ts';
import { MediaIds } from '../../src/ids.ts';
import { Media } from '../../src/media/media.ts';
import { createMemoryStorage } from '../../src/storage/memory.ts';
import type { Ledgers } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';

const ID = '0123456789abcdef01234567';

it('an entry that is removed while it is being read is not remembered', async () => {
  const storage = createMemoryStorage();
  let onRead: () => Promise<void> = () => Promise.resolve();
  const open: Ledgers['open'] = async (place) => {
    const opened = await storage.ledgers.open(place);
    await onRead();
    return opened;
  };
  const media = (ledgers: Ledgers): Media =>
    new Media({
      storage: { ...storage, ledgers },
      clock: new Clocks(),
      ids: new MediaIds(null),
      timing: { pendingMs: 0, processingMs: 0 },
      onCreated: () => undefined,
    });
  const spec = { type: 'videos', platforms: [], settings: {}, profileIds: [], scheduledAt: null } as never;
  const source = { mediaId: ID, namespace: 'ns_1', spec, at: 0, bytes: 0, extents: [], from: null };
  await media(storage.ledgers).ensure(source);

  const other = media(changed(storage.ledgers, { open }));
  onRead = () => other.remove('ns_1', ID);
  await other.find('ns_1', ID);
  onRead = () => Promise.resolve();
  expect(await other.find('ns_1', ID)).toBeNull();
});
