// storage/disk/disk-storage.ts: opens a data folder as a Storage: lock, format, ledgers, bytes.
//
// Promises: opening costs the same, however much is stored (rule D2). Until `close`, the folder belongs to this process alone
// (D3). A folder whose first start was interrupted by the end of the process or of the power can be opened again (D1), also
// when the disk is full (C16).
import { rename, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Storage } from '../../uploads/ports.ts';
import { maxCachedFiles } from './descriptors.ts';
import { DiskBytes } from './bytes.ts';
import { DiskFolders } from './folders.ts';
import { DiskLedgers } from './ledger.ts';
import { makeFolders, type DiskNotes, type Durability } from './paths.ts';
import { readText, writeFile } from './files.ts';
import { lockFolder, type LockOptions } from './folder-lock.ts';
import { guarded } from './guarded.ts';
import { findParts, renameParts } from './parts.ts';
import { bytesWithRefusals, ledgersWithRefusals } from './refusals.ts';
import { keepReserve, withReserve } from './reserve.ts';
import { folderAdvice, isAbsent, systemErrorKind } from '../../core/system-errors.ts';

/** The text of the file `format`. Another layout gets another number, so that an old server never misreads a new folder. */
const FORMAT = 'xenonflare-mock data folder, format 1\n';

export type DiskOptions = DiskNotes & LockOptions;

const NO_NOTES: DiskNotes = {
  onCloseError: () => undefined,
  onCopied: () => undefined,
  onSkipped: () => undefined,
};

/** The folder cannot be used. The message names the setting and says what to do (§8). */
class DataFolderUnusable extends Error {
  override readonly name = 'DataFolderUnusable';
}

/** @throws FolderInUse; DataFolderUnusable */
export async function openDiskStorage(
  folder: string,
  durability: Durability,
  options: DiskOptions = NO_NOTES,
): Promise<Storage> {
  // A relative path would change its meaning if the process changed its working folder.
  const dataDir = resolve(folder);
  try {
    return await openFolder(dataDir, durability, options);
  } catch (cause) {
    const advice = folderAdvice(cause);
    throw advice === null ? cause : new DataFolderUnusable(`--data-dir ${dataDir} ${advice}`, { cause });
  }
}

async function openFolder(dataDir: string, durability: Durability, options: DiskOptions): Promise<Storage> {
  // Other users of this machine must not read what clients upload. A folder that exists keeps its mode.
  const firstMade = await makeFolders(dataDir, { mode: 0o700 });
  if (!(await stat(dataDir)).isDirectory())
    throw new DataFolderUnusable(`--data-dir ${dataDir} is not a folder; take another`);
  const { lost, lose } = losing();
  const onLost = (message: string): void => {
    options.onLost?.(message);
    lose();
  };
  const lock = await withReserve(dataDir, () => lockFolder(dataDir, { ...options, onLost }));
  const { guard } = lock;
  let isSafe = !lock.followsUnseen;
  try {
    const parts = await withReserve(dataDir, () =>
      isSafe ? findParts(dataDir) : renameParts(dataDir, durability),
    );
    isSafe = true;
    // The names that were just found are valid only if the lock is still ours: another owner would have renamed the parts.
    guard.assertWritable();
    const above = dirname(firstMade ?? dataDir);
    if (!(await hasFormat(dataDir))) await beginFolder(dataDir, new DiskFolders(above, durability));
    const bytes = new DiskBytes({
      root: parts.bytes,
      spoolRoot: parts.spool,
      durability,
      maxOpenFiles: maxCachedFiles(),
      notes: options,
    });
    await bytes.start();
    await keepReserve(dataDir);
    const copies = { number: parts.number, aside: parts.spool };
    const ledgers = new DiskLedgers(parts.ledgers, durability, { ...options, owner: guard, copies });
    const ports = { ledgers: ledgersWithRefusals(ledgers), bytes: bytesWithRefusals(bytes) };
    return {
      ...guarded(ports, guard),
      availability: guard,
      lost,
      async tidy() {
        guard.assertWritable();
        const failed: unknown[] = [];
        for (const part of [ledgers, bytes]) await part.tidy().catch((error: unknown) => failed.push(error));
        if (failed.length > 0) throw failed[0];
      },
      async close() {
        await ledgers.close();
        await bytes.close().catch(options.onCloseError);
        await lock.release();
      },
    };
  } catch (error) {
    await (isSafe ? lock.release() : lock.leave());
    throw error;
  }
}

function losing(): { lost: Promise<void>; lose: () => void } {
  let lose = (): void => undefined;
  const lost = new Promise<void>((resolve) => {
    lose = resolve;
  });
  return { lost, lose };
}

/** False: the folder was never used. @throws DataFolderUnusable when the folder has another format */
async function hasFormat(dataDir: string): Promise<boolean> {
  const found = await readText(join(dataDir, 'format')).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (found === null || found === FORMAT) return found !== null;
  throw new DataFolderUnusable(
    `--data-dir ${dataDir} says ${JSON.stringify(found.trim())}, this server reads ${JSON.stringify(FORMAT.trim())}; ` +
      'use another folder, or the version of the server that wrote it',
  );
}

/**
 * Writes the file `format` last and with a rename, so that it is whole or absent. With half of it the folder could never be
 * opened again. Without it, the next start begins the folder again, and nothing is lost.
 */
async function beginFolder(dataDir: string, folders: DiskFolders): Promise<void> {
  await folders.syncNames(dataDir).catch((error: unknown) => {
    // We may not read a folder above. Then we did not make the data folder, and its name needs no sync.
    if (systemErrorKind(error) !== 'not-ours') throw error;
  });
  const path = join(dataDir, 'format');
  await writeFile(`${path}.new`, FORMAT, { flush: true });
  await rename(`${path}.new`, path);
}
