// storage/disk/descriptors.ts: how many descriptors of the process the caches may keep, and what is done when none is left
// (rule D8).
//
// Promises: caches, sockets and files that are opened for one call fit the limit together. When no descriptor is left, the
// caches close the files that nobody uses, and the file is opened again. If this fails, too, the caller gets the error. The
// error is temporary.
import { readFileSync } from 'node:fs';
import { systemErrorKind } from '../../core/system-errors.ts';

/** The most files per cache when the limit is high or unknown. */
const MAX_CACHED = 512;
const MIN_CACHED = 4;
/** Descriptors that Node and the server need for themselves, and for files that are open during one call. */
const RESERVED = 48;

/** The limit of descriptors in `limits`, the text of `/proc/self/limits`. Infinity: there is no limit, or it is not told. */
export function descriptorLimitIn(limits: string): number {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? [];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** How many ledgers may stay open, and as many segments. Each gets a quarter of what is left. The other half is for connections. */
export function cachedFilesWithin(limit: number): number {
  return Math.min(Math.max(Math.floor((limit - RESERVED) / 4), MIN_CACHED), MAX_CACHED);
}

/** As `cachedFilesWithin`, for this process. Node has raised the limit as far as it is allowed before this is called. */
export function maxCachedFiles(): number {
  return cachedFilesWithin(descriptorLimit());
}

function descriptorLimit(): number {
  try {
    return descriptorLimitIn(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return Number.POSITIVE_INFINITY; // There is no /proc, so this is not Linux. The limits of other systems are higher.
  }
}

/** Closes the open files that nobody uses. Never rejects. */
export type Relief = () => Promise<void>;

/** The reliefs of all servers of this process, because they share its descriptors. */
const reliefs = new Set<Relief>();

/** @returns a function that removes the relief */
export function onNoDescriptors(relief: Relief): () => void {
  reliefs.add(relief);
  return () => void reliefs.delete(relief);
}

/** Opens a file. When there was no descriptor and some could be freed, tries once more. */
export async function opening<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (systemErrorKind(error) !== 'passing') throw error;
    await Promise.all([...reliefs].map((relief) => relief()));
    return open();
  }
}
