// A lock that cannot be released because the disk fails: the process that held it can take it again (rule D3).
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { lockFolder, type LockOptions } from '../../../src/storage/disk/folder-lock.ts';

/** What fails from here on, by the name of the call and the end of its path. */
const failing = vi.hoisted(() => new Set<string>());
const eio = vi.hoisted(
  () => (call: string) => Object.assign(new Error(`EIO: i/o error, ${call}`), { code: 'EIO', syscall: call }),
);

vi.mock('../../../src/storage/disk/files.ts', async (load) => {
  const real = await load<typeof import('../../../src/storage/disk/files.ts')>();
  const fail = (call: string, path: string): void => {
    const at = path.endsWith('/lock') ? 'lock' : 'other';
    if (failing.has(`${call} ${at}`)) throw eio(call);
  };
  return {
    ...real,
    rm: async (...args: Parameters<typeof real.rm>) => {
      fail('rm', args[0]);
      await real.rm(...args);
    },
    open: async (...args: Parameters<typeof real.open>) => {
      fail('open', args[0]);
      const handle = await real.open(...args);
      const close = handle.close.bind(handle);
      handle.close = async () => {
        await close();
        fail('close', args[0]);
      };
      return handle;
    },
  };
});

let folder: string;
let told: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-release-'));
  told = [];
  failing.clear();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const options: LockOptions = {
  onTrouble: (message) => void told.push(message),
  onCloseError: (error) => void told.push(String(error)),
};

async function canBeLockedAgain(): Promise<void> {
  failing.clear();
  const lock = await lockFolder(folder, options);
  lock.guard.confirm();
  await lock.release();
  expect(await readdir(folder)).toEqual([]);
}

describe('a lock that is given back', () => {
  it('is gone, and the error told, when its file cannot be closed', async () => {
    const lock = await lockFolder(folder, options);
    failing.add('close lock');
    await lock.release();
    expect(told[0]).toContain('EIO: i/o error, close');
    await canBeLockedAgain();
  });

  it.each(['rm', 'open'])(
    'is nobody’s for this process, and told, when its file cannot be had (%s)',
    async (call) => {
      const lock = await lockFolder(folder, options);
      failing.add(`${call} lock`);
      await lock.release();
      expect(told).toEqual([
        expect.stringMatching(/lock could not be removed \(.*EIO.*another process can have it when/),
      ]);
      await canBeLockedAgain();
    },
  );
});

it('a start that fails when its lock is in place can be tried again', async () => {
  failing.add('rm other');
  await expect(lockFolder(folder, { ...options, waitMs: 0 })).rejects.toThrow('EIO: i/o error, rm');
  await canBeLockedAgain();
});
