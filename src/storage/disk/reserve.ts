// storage/disk/reserve.ts: a little room that is kept back, so that a server can start on a full disk (rule C16): through it room is made.
//
// Promises: what a start needs (a lock, an inode for it) fits into what `withReserve` frees. That there is no room for a new reserve
// keeps nobody from starting.
// Must not know: who needs it.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { makeFolders, statIfThere } from './paths.ts';
import { rm, writeFile } from './files.ts';
import { systemErrorKind } from '../../core/system-errors.ts';

/** As many files as the lock of a killed server takes to be replaced: on some filesystems a second name costs an inode, too. */
const FILES = ['0', '1', '2', '3'];
/** Together a few blocks of any filesystem. */
const FILE_BYTES = 8 * 1024;

/** Does `work`; once more with the room of the reserve when there was none for it. */
export async function withReserve<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (systemErrorKind(error) !== 'no-room') throw error;
    await rm(pathOf(folder), { force: true, recursive: true });
    return work();
  }
}

/** Keeps the room back, for the next start, unless it is. */
export async function keepReserve(folder: string): Promise<void> {
  const path = pathOf(folder);
  try {
    await makeFolders(path);
    for (const name of FILES) await keepFile(join(path, name));
  } catch (error) {
    if (systemErrorKind(error) !== 'no-room') throw error;
    await rm(path, { force: true, recursive: true }); // Half of one would take the last room from whoever wants to go on.
  }
}

async function keepFile(path: string): Promise<void> {
  if ((await statIfThere(path))?.size === FILE_BYTES) return;
  // Random: a filesystem that compresses would keep no room for anything else.
  await writeFile(path, randomBytes(FILE_BYTES));
}

function pathOf(folder: string): string {
  return join(folder, 'reserve');
}
