// storage/disk.ts: opens a data folder as a Storage: lock, format, ledgers, bytes.
//
// Promises: opening costs the same whatever is stored (rule D2); the folder is this process's alone until `close` (D3). A folder
// that was begun can be opened again, whenever the process or the power went (D1).
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Storage } from '../uploads/ports.ts';
import { DiskBytes } from './disk-bytes.ts';
import { DiskFolders } from './disk-folders.ts';
import { DiskLedgers } from './disk-ledger.ts';
import { hasCode, type Durability } from './disk-paths.ts';
import { lockFolder } from './folder-lock.ts';

/** Written into the folder: another layout gets another number, so that an old server never misreads a new folder. */
const FORMAT = 'xenonflare-mock data folder, format 1\n';
const MAX_OPEN_FILES = 512;

/** @throws FolderInUse; Error when the folder is of another format or cannot be written */
export async function openDiskStorage(folder: string, durability: Durability): Promise<Storage> {
  // A relative path would be lost with the folder the process was started in: Node's recursive mkdir then never returns.
  const dataDir = resolve(folder);
  // What clients upload is nobody else's on this machine. A folder that is there keeps its mode.
  const firstMade = await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(dataDir);
  try {
    const above = dirname(firstMade ?? dataDir);
    if (!(await hasFormat(dataDir))) await beginFolder(dataDir, new DiskFolders(above, durability));
    const bytes = new DiskBytes({
      root: join(dataDir, 'bytes'),
      spoolRoot: join(dataDir, 'spool'),
      durability,
      maxOpenFiles: MAX_OPEN_FILES,
    });
    await bytes.start();
    const ledgers = new DiskLedgers(join(dataDir, 'ledgers'), durability);
    return {
      ledgers,
      bytes,
      async tidy() {
        const failed: unknown[] = [];
        for (const part of [ledgers, bytes]) await part.tidy().catch((error: unknown) => failed.push(error));
        if (failed.length > 0) throw failed[0];
      },
      async close() {
        await bytes.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** False: nobody has begun to use the folder. @throws Error when it is of another format */
async function hasFormat(dataDir: string): Promise<boolean> {
  const found = await readFile(join(dataDir, 'format'), 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (found === null || found === FORMAT) return found !== null;
  throw new Error(
    `the data folder ${dataDir} says ${JSON.stringify(found.trim())}, this server reads ${JSON.stringify(FORMAT.trim())}; ` +
      'use another --data-dir, or the version of the server that wrote it',
  );
}

/**
 * The format comes last, and whole or not at all: with half of one the folder could never be opened again. Without one it is begun
 * again, and nothing is lost.
 */
async function beginFolder(dataDir: string, folders: DiskFolders): Promise<void> {
  await folders.settle(dataDir).catch((error: unknown) => {
    // A folder above that is not ours to read: then the data folder is not of our making either.
    if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
  });
  const path = join(dataDir, 'format');
  await writeFile(`${path}.new`, FORMAT, { flush: true });
  await rename(`${path}.new`, path);
}
