// storage/disk/reserve.ts: keeps a little room back, so that a server can start on a full disk (rule C16), where its clients
// can then delete uploads.
//
// Promises: what a start needs (a lock and an inode for it) fits into the room that `withReserve` frees. A start does not fail
// because there is no room for a new reserve.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { makeFolders, statIfThere } from './paths.ts';
import { rm, writeFile } from './files.ts';
import { systemErrorKind } from '../../core/system-errors.ts';

/** As many files as a starter needs to replace the lock of a killed server. On some filesystems a hard link costs an inode, too. */
const FILES = ['0', '1', '2', '3'];
/** The files together take a few blocks on any filesystem. */
const FILE_BYTES = 8 * 1024;

/** Does `work`. When there was no room for it, frees the reserve and does `work` once more. */
export async function withReserve<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (systemErrorKind(error) !== 'no-room') throw error;
    await rm(pathOf(folder), { force: true, recursive: true });
    return work();
  }
}

/** Makes the reserve for the next start, unless it exists. */
export async function keepReserve(folder: string): Promise<void> {
  const path = pathOf(folder);
  try {
    await makeFolders(path);
    for (const name of FILES) await keepFile(join(path, name));
  } catch (error) {
    if (systemErrorKind(error) !== 'no-room') throw error;
    await rm(path, { force: true, recursive: true }); // Half a reserve would take the last room from the server.
  }
}

async function keepFile(path: string): Promise<void> {
  if ((await statIfThere(path))?.size === FILE_BYTES) return;
  // The content is random, because a filesystem that compresses would keep too little room for other content.
  await writeFile(path, randomBytes(FILE_BYTES));
}

function pathOf(folder: string): string {
  return join(folder, 'reserve');
}
