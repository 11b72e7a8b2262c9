// storage/disk/parts.ts: where in the data folder its parts lie, and how they are taken from an owner whose end nobody saw (rule D3).
//
// A lock that did not move for long enough is taken over (folder-lock.ts), but who held it may only have been stopped. It acknowledges
// nothing when it goes on (folder-guard.ts). Still, the calls that it had begun are done then, in whatever the new owner has made of
// the folder. So after such a take-over every part gets another name, with a higher number: `ledgers.1`. A call that names a path
// finds nothing any more. One that has a file open writes to that file: so a ledger becomes another file before anything is added to it
// (ledger-copies.ts), and to a segment nothing is added at all (uploads/open-upload.ts). As nobody knows when the old owner will end,
// this holds for good: the highest number is the folder's.
//
// Promises: without such a take-over the parts have no number, and nothing here costs anything. Broken off half-way, it is done anew by
// the next owner, whom the lock tells so. A part that cannot be renamed (a mount of its own, a lower layer of an overlay) stays where it
// is, and a ledger that there is no room to copy can be read: there a call of the old owner can still do harm (README, limits).
// Must not know: what is in the parts.
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
  // What is not there is made with the number of the others.
  const pathOf = (part: PartName): string =>
    pathWith(folder, part, highest[part] < 0 ? number : highest[part]);
  return { number, ledgers: pathOf('ledgers'), bytes: pathOf('bytes'), spool: pathOf('spool') };
}

/** Gives every part its next number. Durably: or a loss of power would bring back the names that the old owner knows. */
export async function renameParts(folder: string, durability: Durability): Promise<Parts> {
  const before = await findParts(folder);
  const number = before.number + 1;
  // First, and made anew: with it the number is taken, also where nothing can be renamed.
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
    if (from === to) return void (await makeFolders(to)); // There was none.
    try {
      return await rename(from, to);
    } catch (error) {
      if (isAcrossLayers(error) || isBusy(error)) return;
      // The old owner was doing the same, and did this one now: what is in it has yet another name.
      if (!isAbsent(error)) throw error;
    }
  }
}

const PART = /^(ledgers|bytes|spool)(?:\.([1-9]\d{0,8}))?$/;

function pathWith(folder: string, part: PartName, number: number): string {
  return join(folder, number === 0 ? part : `${part}.${number}`);
}
