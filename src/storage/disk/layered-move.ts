// storage/disk/layered-move.ts: a folder of files moved where the filesystem cannot rename it: an overlay, a lower layer of which holds it.
//
// The files are copied to a folder aside, which is renamed to the target as a whole. In it lies a mark with the name of the source
// until the source is removed: so a move that was broken off is told from two folders that have nothing to do with each other.
//
// Promises: at the target there is everything or nothing, whenever the process or the power goes (rule F7); with `fsync` it is durable
// before anything of the source is removed.
// Must not know: what is in the files.
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder, type Durability } from './paths.ts';
import { copyFile, open, readdir, readText, rm, writeFile } from './files.ts';
import { isAbsent, isTaken } from '../../core/system-errors.ts';

const MARK = 'copied-from';

interface MoveByCopy {
  readonly source: string;
  readonly target: string;
  /** On the same filesystem, and nobody else's. */
  readonly aside: string;
  readonly durability: Durability;
}

/** Whether everything is at the target, and the source is still to be removed. */
export async function isMovedByCopy(source: string, target: string): Promise<boolean> {
  const mark = await readText(join(target, MARK)).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  return mark === source;
}

/** False, and nothing is done: the target holds something else. */
export async function moveByCopy(move: MoveByCopy): Promise<boolean> {
  const { source, target, durability } = move;
  if (!(await isMovedByCopy(source, target)) && !(await isCopied(move))) return false;
  if (durability === 'fsync') await syncFolder(dirname(target));
  await rm(source, { recursive: true, force: true });
  await rm(join(target, MARK), { force: true });
  return true;
}

async function isCopied({ source, target, aside, durability }: MoveByCopy): Promise<boolean> {
  try {
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside);
    for (const name of await readdir(source))
      await copyOne(join(source, name), join(aside, name), durability);
    await writeFile(join(aside, MARK), source, { flush: durability === 'fsync' });
    if (durability === 'fsync') await syncFolder(aside);
    await rename(aside, target);
    return true;
  } catch (error) {
    // It would take the room that is missing. What cannot be removed goes with the next start.
    await rm(aside, { recursive: true, force: true }).catch(() => undefined);
    if (isTaken(error)) return false;
    throw error;
  }
}

async function copyOne(from: string, to: string, durability: Durability): Promise<void> {
  await copyFile(from, to);
  if (durability === 'none') return;
  const file = await open(to, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
