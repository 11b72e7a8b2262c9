import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDiskStorage } from '../../../src/storage/disk/disk-storage.ts';
import { keepReserve, withReserve } from '../../../src/storage/disk/reserve.ts';
import { canMount, mountSmallDisk } from '../../helpers/small-disk.ts';
import { place } from '../../helpers/storage-suite.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-reserve-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const full = (): Promise<never> => Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));

describe('the room that is kept back', () => {
  it('is made once, and is freed for what finds no room, which is tried once more', async () => {
    await keepReserve(folder);
    const { size, mtimeMs } = await stat(join(folder, 'reserve', '3'));
    await keepReserve(folder);
    expect(await stat(join(folder, 'reserve', '3'))).toMatchObject({ size, mtimeMs });
    let times = 0;
    const done = await withReserve(folder, () => (++times === 1 ? full() : Promise.resolve('done')));
    expect(done).toBe('done');
    expect(await readdir(folder)).toEqual([]);
  });

  it('stays for every other error, and for none', async () => {
    await keepReserve(folder);
    const other = (): Promise<never> => Promise.reject(new Error('another'));
    await expect(withReserve(folder, other)).rejects.toThrow('another');
    await withReserve(folder, () => Promise.resolve());
    expect(await readdir(folder)).toEqual(['reserve']);
  });
});

describe.skipIf(!canMount)('a full disk (a tmpfs: needs the right to mount)', () => {
  it('is no reason not to start: a folder that was begun is opened, and room can be made through it', async () => {
    const disk = await mountSmallDisk(1024 * 1024);
    try {
      const data = join(disk.path, 'data');
      const before = await openDiskStorage(data, 'fsync');
      await before.bytes.write(place(), { segment: 'main', offset: 0 }, [Buffer.alloc(100_000, 1)]);
      await before.close();
      await disk.fill(0);
      for (let times = 0; times < 2; times += 1) {
        const storage = await openDiskStorage(data, 'fsync');
        const write = storage.bytes.write(place('b1'), { segment: 'main', offset: 0 }, [
          Buffer.alloc(90_000, 1),
        ]);
        if (times === 0) await expect(write).rejects.toMatchObject({ code: 'insufficient_storage' });
        else await write;
        await storage.bytes.remove(place());
        await storage.close();
      }
    } finally {
      await disk.unmount();
    }
  });

  it('is no folder to begin in: that is said, with the name of the setting', async () => {
    const disk = await mountSmallDisk(64 * 1024);
    try {
      await disk.fill(0);
      const opening = openDiskStorage(join(disk.path, 'data'), 'fsync');
      await expect(opening).rejects.toMatchObject({
        name: 'DataFolderUnusable',
        message: expect.stringMatching(
          /^--data-dir .* has no room for the files that the server needs to start; make room/,
        ),
      });
    } finally {
      await disk.unmount();
    }
  });
});

describe('a folder that cannot be used is told with the setting and what to do, and nothing of it changes', () => {
  it.each([
    ['that is a file', () => join(folder, 'file'), 'is not a folder'],
    ['below a file', () => join(folder, 'file', 'data'), 'is inside something that is not a folder'],
    ['that is not ours', () => '/sys/xenonflare-mock', 'chown it'],
  ])('%s', async (_what, path, advice) => {
    await writeFile(join(folder, 'file'), 'x');
    await expect(openDiskStorage(path(), 'fsync')).rejects.toMatchObject({
      name: 'DataFolderUnusable',
      message: expect.stringMatching(new RegExp(`^--data-dir ${path()} .*${advice}`)),
    });
    expect(await readdir(folder)).toEqual(['file']);
  });
});
