// storage/disk/lock-file.ts: reads the lock of a data folder, and makes the messages about it.
//
// Promises: a lock that cannot be read, or names nobody, gives a message that says so.
// It does not know who is alive, or what is done about the lock.
import { dirname } from 'node:path';
import { open } from './files.ts';
import { fileIdOf, parseHolder, type Holder } from './lock-holder.ts';
import type { LockTimes, Sign } from './lock-watch.ts';
import { isAbsent, systemErrorName } from '../../core/system-errors.ts';

/** The folder is in use, or may be in use. The message names the holder and says what to do. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';
}

export interface FoundLock extends Sign {
  readonly path: string;
  /** Null when the content of the file names nobody. */
  readonly holder: Holder | null;
}

/** It is not known whether the holder is alive. The caller has to watch the lock for longer. */
export class Undecided extends Error {
  override readonly name = 'Undecided';
  readonly found: FoundLock;
  readonly stillMs: number;

  constructor(found: FoundLock, stillMs: number) {
    super('the lock is being watched');
    this.found = found;
    this.stillMs = stillMs;
  }
}

/** Null: there is no lock. @throws FolderInUse when it cannot be read, because nobody knows whose lock it is */
export async function readLock(path: string): Promise<FoundLock | null> {
  try {
    // The file is opened anew each time: a network filesystem then asks the server and does not use its cache.
    const file = await open(path, 'r');
    try {
      const stats = await file.stat();
      const text = await file.readFile('utf8');
      const holder = parseHolder(text);
      return { path, text, holder, file: fileIdOf(stats), touchedMs: stats.mtimeMs };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isAbsent(error)) return null;
    const name = systemErrorName(error);
    if (name === null) throw error;
    throw new FolderInUse(
      `${path}, which says who uses the data folder, cannot be read (${name}); ` +
        'make it readable for this user, remove it if no server runs on the folder, or take another --data-dir',
    );
  }
}

export function inUse(path: string, { pid, host, since }: Holder): FolderInUse {
  return new FolderInUse(
    `the data folder ${dirname(path)} is in use by process ${pid} on ${host} since ${since}; ` +
      'stop it, or start this server with another --data-dir',
  );
}

function whoseLock(path: string, { holder }: FoundLock): string {
  const folder = `the data folder ${dirname(path)}`;
  if (holder === null) return `${folder} has a lock that names nobody (${path})`;
  const { pid, host, since } = holder;
  return `${folder} was locked by process ${pid} on ${host} since ${since}, which cannot be looked up from here`;
}

export function waitingFor(path: string, found: FoundLock, times: LockTimes): string {
  const neededMs = found.holder === null ? times.namelessMs : times.lockStillMs;
  return `${whoseLock(path, found)}; the lock is taken over when it does not move for ${neededMs / 1_000} s`;
}

/** @param reason why our own lock could not be removed */
export function leftBehind(path: string, reason: unknown): string {
  const why = reason instanceof Error ? reason.message : String(reason);
  return (
    `the data folder ${dirname(path)} is not used any more, but its lock could not be removed (${why}); ` +
    'another process can have it when this one has ended'
  );
}

export function gaveUp(path: string, { found, stillMs }: Undecided, times: LockTimes): FolderInUse {
  const neededMs = found.holder === null ? times.namelessMs : times.lockStillMs;
  const neededSeconds = Math.ceil((neededMs + times.beatMs) / 1_000);
  return new FolderInUse(
    `${whoseLock(path, found)}; it did not move for ${Math.round(stillMs / 100) / 10} s, which is too short to tell that nobody holds it. ` +
      `Start with --wait-for-lock ${neededSeconds}s or more: the lock is taken over when it does not move for ${neededMs / 1_000} s. ` +
      'Or start this server with another --data-dir',
  );
}
