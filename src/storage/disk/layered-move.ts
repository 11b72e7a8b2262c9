// storage/disk/layered-move.ts: moves a folder of files by copying, where the filesystem cannot rename it: a folder in a lower
// layer of an overlay.
//
// The files are copied to a folder aside, which is then renamed to the target as a whole. Until the source is removed, the copy
// contains a mark with the name of the source. The mark tells an interrupted move from two unrelated folders.
//
// Promises: the target holds everything or nothing, even if the process or the power ends at any moment (rule F7). With
// `fsync`, the target is durable before the source is removed.
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder, type Durability } from './paths.ts';
import { copyFile, open, readdir, readText, rm, writeFile } from './files.ts';
import { isAbsent, isTaken } from '../../core/system-errors.ts';

const MARK = 'copied-from';

interface MoveByCopy {
  readonly source: string;
  readonly target: string;
  /** A folder for the copy: on the filesystem of the target, and used by no other call. */
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

/** Resolves to false, and nothing is done, when the target holds something else. */
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
    // A half copy would take the room that is missing. If it cannot be removed, the next start removes it.
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
