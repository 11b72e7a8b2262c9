// storage/disk/parts.ts: where the parts of the data folder lie, and how a new owner renames them when nobody saw the end of
// the old owner (rule D3).
//
// A lock that did not move for long enough is taken over (folder-lock.ts), but its holder may only have been stopped. When the
// old owner goes on, it acknowledges nothing (folder-guard.ts), but it does finish the calls that it had begun, in the folder
// of the new owner. So after such a take-over every part gets a new name with a higher number, for example `ledgers.1`. A call
// of the old owner that names a path then finds nothing. A call that has a file open still writes to that file. So a ledger is
// copied to another file before anything is added to it (ledger-copies.ts), and nothing is added to a stored segment
// (uploads/open-upload.ts). Nobody knows when the old owner will end, so the new names stay for good. The highest number is the
// current one.
//
// Promises: without such a take-over the parts have no number, and nothing here costs anything. When the renaming is
// interrupted, the next owner does it again, because the lock says so. Two cases are not protected (README, limits): a part
// that cannot be renamed (a mount of its own, or a lower layer of an overlay) stays where it is, and a ledger without room for
// its copy can only be read. There a call of the old owner can still do harm.
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { readdir, rm } from './files.ts';
import { makeFolders, syncFolder, type Durability } from './paths.ts';
import { isAbsent, isAcrossLayers, isBusy } from '../../core/system-errors.ts';

const NAMES = ['ledgers', 'bytes', 'spool'] as const;
type PartName = (typeof NAMES)[number];

export interface Parts extends Readonly<Record<PartName, string>> {
  /** How often the folder was taken over from an owner whose end nobody saw. */
  readonly number: number;
}

export async function findParts(folder: string): Promise<Parts> {
  const highest = { ledgers: -1, bytes: -1, spool: -1 };
  for (const entry of await readdir(folder)) {
    const [, name, digits] = PART.exec(entry) ?? [];
    const part = NAMES.find((known) => known === name);
    if (part !== undefined) highest[part] = Math.max(highest[part], Number(digits ?? 0));
  }
  const number = Math.max(0, ...Object.values(highest));
  // A part that does not exist is made with the number of the other parts.
  const pathOf = (part: PartName): string =>
    pathWith(folder, part, highest[part] < 0 ? number : highest[part]);
  return { number, ledgers: pathOf('ledgers'), bytes: pathOf('bytes'), spool: pathOf('spool') };
}

/** Gives every part its next number, durably: otherwise a power loss would bring back the names that the old owner knows. */
export async function renameParts(folder: string, durability: Durability): Promise<Parts> {
  const before = await findParts(folder);
  const number = before.number + 1;
  // The spool folder is made anew, and first: it records the number even if no other part can be renamed.
  await makeFolders(pathWith(folder, 'spool', number));
  for (const part of ['bytes', 'ledgers'] as const) await renamePart(folder, part, number);
  if (durability === 'fsync') await syncFolder(folder);
  const parts = await findParts(folder);
  for (const entry of await readdir(folder)) {
    const path = join(folder, entry);
    if (PART.exec(entry)?.[1] === 'spool' && path !== parts.spool)
      await rm(path, { recursive: true, force: true });
  }
  return parts;
}

async function renamePart(folder: string, part: PartName, number: number): Promise<void> {
  const to = pathWith(folder, part, number);
  for (;;) {
    const from = (await findParts(folder))[part];
    if (from === to) return void (await makeFolders(to)); // The part did not exist.
    try {
      return await rename(from, to);
    } catch (error) {
      if (isAcrossLayers(error) || isBusy(error)) return;
      // The old owner was renaming, too, and has just renamed this part. Its content now has another name, which is looked up
      // again.
      if (!isAbsent(error)) throw error;
    }
  }
}

const PART = /^(ledgers|bytes|spool)(?:\.([1-9]\d{0,8}))?$/;

function pathWith(folder: string, part: PartName, number: number): string {
  return join(folder, number === 0 ? part : `${part}.${number}`);
}
