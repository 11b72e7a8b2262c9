// storage/disk.ts: opens a data folder as a Storage: lock, format, ledgers, bytes.
//
// Promises: opening costs the same whatever is stored (rule D2); the folder is this process's alone until `close` (D3).
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Storage } from '../uploads/ports.ts';
import { DiskBytes } from './disk-bytes.ts';
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
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(dataDir);
  try {
    await checkFormat(dataDir);
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

async function checkFormat(dataDir: string): Promise<void> {
  const path = join(dataDir, 'format');
  const found = await readFile(path, 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (found === null) await writeFile(path, FORMAT);
  else if (found !== FORMAT) {
    throw new Error(
      `the data folder ${dataDir} says ${JSON.stringify(found.trim())}, this server reads ${JSON.stringify(FORMAT.trim())}; ` +
        'use another --data-dir, or the version of the server that wrote it',
    );
  }
}
