// storage/disk/sync.test.ts: what is on the disk, and not only in the kernel, when a call of the storage resolves (rule D1).
//
// Every sync is observed on its way to the kernel, with its path. Only on Linux: there a descriptor tells its path.
import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
import type fs from 'node:fs';
import type promises from 'node:fs/promises';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openDiskStorage } from '../../../src/storage/disk/disk-storage.ts';
import type { Storage } from '../../../src/uploads/ports.ts';
import { place } from '../../helpers/storage-suite.ts';

/** Paths below the data folder, in the order in which they were synced. */
const seen = vi.hoisted(() => ({
  sync: (_fd: number): void => undefined,
  failsNext: false,
  failsRemoval: false,
  /** Done, once, before a folder is synced. */
  meanwhile: null as (() => Promise<void>) | null,
}));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  return {
    ...real,
    fdatasync: (fd: number, done: (error: Error | null) => void) => {
      seen.sync(fd);
      if (!seen.failsNext) return real.fdatasync(fd, done);
      seen.failsNext = false;
      done(new Error('the disk broke'));
    },
  };
});

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const open: typeof promises.open = async (...args) => {
    const handle = await real.open(...args);
    const sync = handle.sync.bind(handle);
    handle.sync = async () => {
      seen.sync(handle.fd);
      const { meanwhile } = seen;
      seen.meanwhile = null;
      await meanwhile?.();
      await sync();
    };
    return handle;
  };
  const rm: typeof promises.rm = async (...args) => {
    if (!seen.failsRemoval) return real.rm(...args);
    seen.failsRemoval = false;
    throw new Error('cannot be removed');
  };
  return { ...real, open, rm };
});

/** Empty: it is closed. */
function pathOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

describe.runIf(process.platform === 'linux').each(['fsync', 'none'] as const)(
  'durability %s',
  (durability) => {
    let folder: string;
    let storage: Storage;
    let synced: string[] = [];
    /** Of the last one. */
    let syncedBytes = 0;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-sync-'));
      storage = await openDiskStorage(folder, durability);
      seen.sync = (fd) => {
        synced.push(relative(folder, pathOf(fd)) || '.');
        syncedBytes = fstatSync(fd).size;
      };
      synced = [];
    });
    afterEach(async () => {
      seen.meanwhile = null;
      await storage.close();
      await rm(folder, { recursive: true, force: true });
    });

    /** Since the last call. */
    const takeSynced = (): string[] => synced.splice(0);
    const expected = (...paths: string[]): string[] => (durability === 'fsync' ? paths : []);
    const write = (segment: string, offset: number): Promise<void> =>
      storage.bytes.write(place(), { segment, offset }, [Buffer.from('bytes')]);

    it('bytes: the data, and the names of the file and its folders when they are new (D1)', async () => {
      await write('main', 0);
      const above = ['bytes/uploads/ns_1/a1', 'bytes/uploads/ns_1', 'bytes/uploads', 'bytes', '.'];
      expect(takeSynced()).toEqual(expected(...above));
      await storage.bytes.sync(place(), 'main');
      expect(takeSynced()).toEqual(expected('bytes/uploads/ns_1/a1/a1/main', 'bytes/uploads/ns_1/a1/a1'));
      await write('main', 5);
      await storage.bytes.sync(place(), 'main');
      expect(takeSynced(), 'the name is there already').toEqual(expected('bytes/uploads/ns_1/a1/a1/main'));
    });

    it('a spool that becomes a segment: the data, and its name (D1)', async () => {
      await write('main', 0);
      const spool = await storage.bytes.spool();
      await spool.append([Buffer.from('spooled')]);
      await storage.bytes.adopt(spool, place(), 'c1');
      takeSynced();
      await storage.bytes.sync(place(), 'c1');
      expect(takeSynced()).toEqual(expected('bytes/uploads/ns_1/a1/a1/c1', 'bytes/uploads/ns_1/a1/a1'));
    });

    it('a ledger: its line, and its name when it is new (D1)', async () => {
      const ledger = await storage.ledgers.create(place(), [{ n: 1 }]);
      expect(takeSynced().slice(-2)).toEqual(
        expected('ledgers/uploads/ns_1/a1/a1.log', 'ledgers/uploads/ns_1/a1'),
      );
      await ledger.append([{ n: 2 }]);
      expect(takeSynced()).toEqual(expected('ledgers/uploads/ns_1/a1/a1.log'));
      await ledger.close();
    });

    it.runIf(durability === 'fsync')(
      'a line that was refused since it could not be: that it is gone again',
      async () => {
        const ledger = await storage.ledgers.create(place(), [{ n: 1 }]);
        takeSynced();
        seen.failsNext = true;
        await expect(ledger.append([{ n: 2 }])).rejects.toThrow('the disk broke');
        expect(takeSynced()).toEqual(Array(2).fill('ledgers/uploads/ns_1/a1/a1.log'));
        await ledger.append([{ n: 3 }]);
        await ledger.close();
      },
    );

    it.runIf(durability === 'fsync')(
      'a new ledger that was refused since its name could not be: that it is empty, should its name come back',
      async () => {
        await (await storage.ledgers.create(place('a12'), [{ n: 1 }])).close();
        takeSynced();
        seen.meanwhile = () => Promise.reject(new Error('the disk broke'));
        await expect(storage.ledgers.create(place(), [{ n: 1 }])).rejects.toThrow('the disk broke');
        const [folderPath, path] = ['ledgers/uploads/ns_1/a1', 'ledgers/uploads/ns_1/a1/a1.log'];
        expect(takeSynced()).toEqual([path, folderPath, path]);
        expect(syncedBytes).toBe(0);
        expect(await readdir(join(folder, folderPath))).toEqual(['a12.log']);
      },
    );

    it.runIf(durability === 'fsync')(
      'a new ledger that was refused, and cannot be removed either: it is not left open',
      async () => {
        await (await storage.ledgers.create(place('a12'), [{ n: 1 }])).close();
        seen.meanwhile = () => Promise.reject(new Error('the disk broke'));
        seen.failsRemoval = true;
        await expect(storage.ledgers.create(place(), [{ n: 1 }])).rejects.toThrow('the disk broke');
        const open = readdirSync('/proc/self/fd').map((fd) => pathOf(Number(fd)));
        expect(open.filter((path) => path.endsWith('a1.log'))).toEqual([]);
        expect(await storage.ledgers.open(place())).toBeNull();
      },
    );

    it.runIf(durability === 'fsync')(
      'that a ledger is gone, once more when that could not be: its bytes go next',
      async () => {
        for (const name of ['a12', 'a1']) {
          await (await storage.ledgers.create(place(name), [{ n: 1 }])).close();
          await (await storage.ledgers.open(place(name)))?.ledger.close();
        }
        seen.meanwhile = () => Promise.reject(new Error('the disk broke'));
        await expect(storage.ledgers.remove(place())).rejects.toThrow('the disk broke');
        takeSynced();
        expect(await storage.ledgers.open(place())).toBeNull();
        expect(takeSynced()).toEqual(['ledgers/uploads/ns_1/a1']);
      },
    );

    it('a ledger of an earlier process: once, when it is read', async () => {
      await (await storage.ledgers.create(place(), [{ n: 1 }])).close();
      await storage.close();
      storage = await openDiskStorage(folder, durability);
      const read = async (): Promise<string[]> => {
        takeSynced();
        await (await storage.ledgers.open(place()))?.ledger.close();
        return takeSynced().filter((path) => path.endsWith('.log'));
      };
      expect(await read()).toEqual(expected('ledgers/uploads/ns_1/a1/a1.log'));
      expect(await read()).toEqual([]);
    });

    it('folders that were tidied away and made anew: their names once more', async () => {
      const made = async (): Promise<string[]> => {
        takeSynced();
        await write('main', 0);
        await (await storage.ledgers.create(place(), [{ n: 1 }])).close();
        return takeSynced();
      };
      const first = await made();
      await storage.ledgers.remove(place());
      await storage.bytes.remove(place());
      await storage.tidy();
      // Except the sync of the data folder itself, which contains `bytes` and `ledgers`.
      expect(await made()).toEqual(first.filter((path) => path !== '.'));
      expect(first.length).toBe(durability === 'fsync' ? 11 : 0);
    });

    describe('a folder that is tidied meanwhile: its name once more when it is made anew', () => {
      const makesAnew = async (): Promise<void> => {
        await storage.tidy();
        takeSynced();
        await (await storage.ledgers.create(place(), [{ n: 1 }])).close();
        expect(takeSynced().slice(0, 1)).toEqual(expected('ledgers/uploads/ns_1'));
      };
      beforeEach(async () => {
        // The folder above stays, and can be synced.
        await (await storage.ledgers.create(place('b1'), [{ n: 1 }])).close();
        await (await storage.ledgers.create(place(), [{ n: 1 }])).close();
      });

      it('while its last ledger goes', async () => {
        seen.meanwhile = () => storage.tidy();
        await storage.ledgers.remove(place());
        await makesAnew();
      });

      it('while one is looked for that an earlier process removed', async () => {
        await storage.close();
        await rm(join(folder, 'ledgers/uploads/ns_1/a1/a1.log'));
        storage = await openDiskStorage(folder, durability);
        seen.meanwhile = () => storage.tidy();
        expect(await storage.ledgers.open(place())).toBeNull();
        await makesAnew();
      });
    });

    it('an empty folder of an earlier process: that it is empty, before it is removed', async () => {
      await (await storage.ledgers.create(place(), [{ n: 1 }])).close();
      await storage.close();
      await rm(join(folder, 'ledgers/uploads/ns_1/a1/a1.log'));
      storage = await openDiskStorage(folder, durability);
      takeSynced();
      await storage.tidy();
      expect(takeSynced()).toEqual(
        expected('ledgers/uploads/ns_1/a1', 'ledgers/uploads/ns_1', 'ledgers/uploads'),
      );
    });

    it.runIf(durability === 'fsync')(
      'of empty folders one cannot be: that is told, and the others are removed',
      async () => {
        for (const namespace of ['ns_1', 'ns_2', 'ns_3']) {
          const gone = place('a1', namespace);
          await (await storage.ledgers.create(gone, [{ n: 1 }])).close();
          await storage.bytes.write(gone, { segment: 'main', offset: 0 }, [Buffer.from('x')]);
          await storage.ledgers.remove(gone);
          await storage.bytes.remove(gone);
        }
        const left = (): Promise<string[]> => readdir(join(folder, 'ledgers/uploads'));
        seen.meanwhile = () => Promise.reject(new Error('the disk broke'));
        await expect(storage.tidy()).rejects.toThrow('the disk broke');
        expect(await left()).toHaveLength(1);
        expect(await readdir(join(folder, 'bytes'))).toEqual([]);
        await storage.tidy();
        expect(await readdir(join(folder, 'ledgers'))).toEqual([]);
      },
    );

    it('a move: the new name, whose bytes the old one does not have any more (D1)', async () => {
      await write('main', 0);
      await storage.bytes.sync(place(), 'main');
      takeSynced();
      await storage.bytes.move(place(), place('e1', 'ns_1', 'media'));
      expect(takeSynced().slice(-1)).toEqual(expected('bytes/media/ns_1/e1'));
    });
  },
);
