import { mkdtemp, readdir, readFile, rm, symlink, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDiskStorage } from '../../../src/storage/disk/disk-storage.ts';
import type { Durability } from '../../../src/storage/disk/paths.ts';
import type { Storage } from '../../../src/uploads/ports.ts';
import { diceOf, SEED } from '../../helpers/seed.ts';
import { canMount, mountSmallDisk, type SmallDisk } from '../../helpers/small-disk.ts';
import { describeStorage, place, textOf, type StorageUnderTest } from '../../helpers/storage-suite.ts';

async function openDisk(durability: Durability): Promise<StorageUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-disk-'));
  let storage = await openDiskStorage(folder, durability);
  return {
    storage,
    async reopen() {
      await storage.close();
      storage = await openDiskStorage(folder, durability);
      return storage;
    },
    async dispose() {
      await storage.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

for (const durability of ['fsync', 'none'] as const) {
  describeStorage(`disk storage, durability ${durability}`, () => openDisk(durability), { reopening: true });
}

describe('a data folder', () => {
  let folder: string;
  let storage: Storage | null;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-disk-'));
    storage = null;
  });
  afterEach(async () => {
    await storage?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('is made, with the folders above it', async () => {
    const deep = join(folder, 'a', 'b');
    storage = await openDiskStorage(deep, 'fsync');
    expect((await readdir(deep)).toSorted()).toEqual(['format', 'lock', 'reserve', 'spool']);
  });

  it('of another format is refused, stays as it is, and is free for the server that can read it', async () => {
    await writeFile(join(folder, 'format'), 'xenonflare-mock data folder, format 2\n');
    await expect(openDiskStorage(folder, 'fsync')).rejects.toThrow(/--data-dir.*format 2.*format 1/s);
    expect(await readdir(folder)).toEqual(['format']);
  });

  it('of which a killed start wrote half a format can be opened', async () => {
    await writeFile(join(folder, 'format.new'), 'xenonflare-mock da');
    storage = await openDiskStorage(folder, 'fsync');
    expect((await readdir(folder)).toSorted()).toEqual(['format', 'lock', 'reserve', 'spool']);
    expect(await readFile(join(folder, 'format'), 'utf8')).toBe('xenonflare-mock data folder, format 1\n');
  });

  it('is free for the next one after it was closed', async () => {
    await (await openDiskStorage(folder, 'fsync')).close();
    expect(await readdir(folder)).not.toContain('lock');
    storage = await openDiskStorage(folder, 'fsync');
  });

  it('has no name in it that a client made up', async () => {
    storage = await openDiskStorage(folder, 'none');
    await (await storage.ledgers.create(place('ab12'), [{ fileId: '../../etc' }])).close();
    await storage.bytes.write(place('ab12'), { segment: 'main', offset: 0 }, [Buffer.from('x')]);
    const files = await readdir(folder, { recursive: true });
    expect(files).toContain('ledgers/uploads/ns_1/ab/ab12.log');
    expect(files).toContain('bytes/uploads/ns_1/ab/ab12/main');
    expect(files.filter((name) => name.includes('etc'))).toEqual([]);
  });

  it('has its spool emptied when it is opened, and nothing else', async () => {
    storage = await openDiskStorage(folder, 'none');
    await storage.bytes.write(place(), { segment: 'main', offset: 0 }, [Buffer.from('kept')]);
    await storage.close();
    await mkdir(join(folder, 'spool'), { recursive: true });
    await writeFile(join(folder, 'spool', '17'), 'left behind');
    storage = await openDiskStorage(folder, 'none');
    expect(await readdir(join(folder, 'spool'))).toEqual([]);
    expect(await textOf(storage.bytes.read(place(), [{ segment: 'main', offset: 0, bytes: 4 }]))).toBe(
      'kept',
    );
  });

  it('keeps nothing of a namespace whose last place is gone, once it is tidied', async () => {
    storage = await openDiskStorage(folder, 'fsync');
    const { bytes, ledgers } = storage;
    const main = { segment: 'main', offset: 0 };
    for (const gone of [place('ab1', 'ns_gone'), place('cd1', 'ns_gone'), place('ab1')]) {
      await (await ledgers.create(gone, [{ n: 1 }])).close();
      await bytes.write(gone, main, [Buffer.from('x')]);
    }
    await bytes.write(place('ab2'), main, [Buffer.from('y')]);
    await bytes.move(place('ab1', 'ns_gone'), place('ab1', 'ns_gone', 'media'));
    for (const gone of [place('cd1', 'ns_gone'), place('ab1'), place('ab1', 'ns_gone', 'media')]) {
      await ledgers.remove({ ...gone, kind: 'uploads' });
      await bytes.remove(gone);
    }
    const folders = async (): Promise<string[]> =>
      (await readdir(folder, { recursive: true })).filter((name) => /ns_/.test(name)).toSorted();
    await storage.tidy();
    const kept = ['', '/ab', '/ab/ab2', '/ab/ab2/main'].map((name) => `bytes/uploads/ns_1${name}`);
    expect(await folders()).toEqual(kept);
  });

  it.each(['fsync', 'none'] as const)(
    `loses nothing when it is tidied meanwhile, durability %s (TEST_SEED=${SEED})`,
    async (durability) => {
      storage = await openDiskStorage(folder, durability);
      const { bytes, ledgers } = storage;
      const live = async (worker: number): Promise<void> => {
        const dice = diceOf(SEED + worker);
        for (let round = 0; round < 60; round += 1) {
          // Few folders, so that they come and go; each worker has names of its own.
          const begun = place(`a${dice.between(0, 1)}${worker}`, `ns_${dice.between(0, 1)}`);
          const done = { ...begun, kind: 'media' as const };
          const ledger = await ledgers.create(begun, [{ n: 1 }]);
          const at = { segment: 'main', offset: 0 };
          await bytes.write(begun, at, [Buffer.from('kept')]);
          await bytes.sync(begun, 'main');
          await ledger.close();
          expect(await bytes.move(begun, done)).toBe(true);
          await (await ledgers.create(done, [{ n: 1 }])).close();
          await ledgers.remove(begun);
          expect(await textOf(bytes.read(done, [{ ...at, bytes: 4 }]))).toBe('kept');
          await ledgers.remove(done);
          await bytes.remove(done);
        }
      };
      let isOver = false;
      const tidying = async (): Promise<number> => {
        let times = 0;
        for (; !isOver; times += 1) await storage?.tidy();
        return times;
      };
      const tidied = tidying();
      await Promise.all([1, 2, 3].map(live)).finally(() => (isOver = true));
      expect(await tidied).toBeGreaterThan(10);
    },
  );

  it('is looked at while files of it are still going: those count as gone', async () => {
    storage = await openDiskStorage(folder, 'fsync');
    const { bytes } = storage;
    await bytes.write(place(), { segment: 'main', offset: 0 }, [Buffer.from('kept')]);
    // Listed, and not there when it is asked how long it is.
    await symlink('/nowhere', join(folder, 'bytes/uploads/ns_1/a1/a1/going'));
    const extents = [{ segment: 'main', offset: 0, bytes: 4 }];
    expect(await bytes.reconcile(place(), extents)).toEqual({ strayBytes: 0, missing: [] });
    expect(await textOf(bytes.read(place(), extents))).toBe('kept');
  });

  it.runIf(process.platform === 'linux')(
    'a segment on a full disk: the write is refused with insufficient_storage',
    async () => {
      storage = await openDiskStorage(folder, 'fsync');
      const path = join(folder, 'bytes', 'uploads', 'ns_1', 'a1', 'a1', 'main');
      await mkdir(dirname(path), { recursive: true });
      await symlink('/dev/full', path);
      await expect(
        storage.bytes.write(place(), { segment: 'main', offset: 0 }, [Buffer.from('x')]),
      ).rejects.toMatchObject({ code: 'insufficient_storage' });
    },
  );
});

describe.skipIf(!canMount)('a full disk (a tmpfs: needs the right to mount)', () => {
  let disk: SmallDisk;
  let storage: Storage;

  beforeEach(async () => {
    disk = await mountSmallDisk(1024 * 1024);
    storage = await openDiskStorage(join(disk.path, 'data'), 'fsync');
  });
  afterEach(async () => {
    await storage.close().catch(() => undefined);
    await disk.unmount();
  });

  const KIB_64 = Buffer.alloc(64 * 1024, 'x');

  it('refuses a write, and takes it when there is room', async () => {
    const { bytes } = storage;
    await bytes.write(place(), { segment: 'main', offset: 0 }, [Buffer.from('kept')]);
    const filler = await disk.fill(16 * 1024);
    const at = { segment: 'main', offset: 4 };
    await expect(bytes.write(place(), at, [KIB_64])).rejects.toMatchObject({ code: 'insufficient_storage' });
    await bytes.truncate(place(), 'main', 4);
    await rm(filler);
    await bytes.write(place(), at, [KIB_64]);
    const extents = [{ segment: 'main', offset: 0, bytes: 4 + KIB_64.length }];
    expect(await textOf(bytes.read(place(), extents))).toBe(`kept${KIB_64.toString()}`);
  });

  it('refuses a spool, which leaves no file when it is discarded', async () => {
    await disk.fill(0);
    const spool = await storage.bytes.spool();
    await expect(spool.append([KIB_64])).rejects.toMatchObject({ code: 'insufficient_storage' });
    await spool.discard();
    expect(await readdir(join(disk.path, 'data', 'spool'))).toEqual([]);
  });

  it('refuses a new ledger, and there is none then', async () => {
    const filler = await disk.fill(0);
    await expect(storage.ledgers.create(place(), [{ n: 1 }])).rejects.toMatchObject({
      code: 'insufficient_storage',
    });
    expect(await storage.ledgers.open(place())).toBeNull();
    await rm(filler);
    await (await storage.ledgers.create(place(), [{ n: 2 }])).close();
    expect((await storage.ledgers.open(place()))?.records).toEqual([{ n: 2 }]);
  });

  it('refuses an append, of which nothing stays, and takes the next one when there is room', async () => {
    const ledger = await storage.ledgers.create(place(), [{ n: 1 }]);
    const file = join(disk.path, 'data', 'ledgers', 'uploads', 'ns_1', 'a1', 'a1.log');
    const before = await readFile(file);
    const filler = await disk.fill(8 * 1024);
    const large = { n: 2, text: 'x'.repeat(64 * 1024) };
    await expect(ledger.append([large])).rejects.toMatchObject({ code: 'insufficient_storage' });
    expect((await readFile(file)).equals(before)).toBe(true);
    await ledger.append([{ n: 3 }]);
    await rm(filler);
    await ledger.append([{ n: 4 }]);
    await ledger.close();
    const opened = await storage.ledgers.open(place());
    await opened?.ledger.close();
    expect(opened?.records.map((record) => record['n'])).toEqual([1, 3, 4]);
    expect(opened?.torn).toBeUndefined();
  });
});
