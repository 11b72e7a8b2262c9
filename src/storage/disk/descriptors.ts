// storage/disk/descriptors.ts: the process's descriptors: how many of them caches may keep, and what is done when they run out
// (rule D8).
//
// Promises: caches, sockets and what is opened in passing fit the limit together. When there is none left, whoever holds files
// that nobody uses closes them, and the file is opened after all; if not even then, the error is the caller's, and passes.
// Must not know: which files they are.
import { readFileSync } from 'node:fs';
import { systemErrorKind } from '../../core/system-errors.ts';

/** Where nothing tells the limit, and where it is high. */
const MAX_CACHED = 512;
const MIN_CACHED = 4;
/** What Node and the server need by themselves, and what is open for the length of a call. */
const RESERVED = 48;

/** `limits`: what `/proc/self/limits` says. `Infinity`: as many as one likes, or nobody knows. */
export function descriptorLimitIn(limits: string): number {
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? [];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Of ledgers, and as many of segments: a quarter each of what is left, the other half is for connections. */
export function cachedFilesWithin(limit: number): number {
  return Math.min(Math.max(Math.floor((limit - RESERVED) / 4), MIN_CACHED), MAX_CACHED);
}

/** How many ledgers, and how many segments, may be kept open. Node has raised the limit as far as it may be when this is asked. */
export function maxCachedFiles(): number {
  return cachedFilesWithin(descriptorLimit());
}

function descriptorLimit(): number {
  try {
    return descriptorLimitIn(readFileSync('/proc/self/limits', 'utf8'));
  } catch {
    return Number.POSITIVE_INFINITY; // No Linux: the system says nothing, and its limits are higher.
  }
}

/** Closes what it holds open and nobody uses. Never rejects. */
export type Relief = () => Promise<void>;

/** Of all servers of this process: they share its descriptors. */
const reliefs = new Set<Relief>();

/** @returns takes it back */
export function onNoDescriptors(relief: Relief): () => void {
  reliefs.add(relief);
  return () => void reliefs.delete(relief);
}

/** Opens a file, once more when there was no descriptor and some could be freed. */
export async function opening<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (systemErrorKind(error) !== 'passing') throw error;
    await Promise.all([...reliefs].map((relief) => relief()));
    return open();
  }
}
