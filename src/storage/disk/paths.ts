// storage/disk/paths.ts: the layout of the folder of a disk storage, and helpers for paths that both ports use.
//
//   <data>/lock                                        who owns the folder (folder-lock.ts)
//   <data>/format                                      which layout it has (disk-storage.ts)
//   <data>/ledgers/<kind>/<namespace>/<ab>/<name>.log  a ledger (ledger-lines.ts)
//   <data>/bytes/<kind>/<namespace>/<ab>/<name>/<segment>   its bytes (bytes.ts)
//   <data>/spool/<n>                                   bytes whose owner is not known yet; emptied at start
//   <data>/reserve/<n>                                 room for a start when the disk is full (reserve.ts)
//
// After a take-over from an owner whose end nobody saw, three of them have a number: ledgers.1, bytes.1, spool.1 (parts.ts).
//
// Promises: the server makes every name in a path (a hash, an id, `public` or `ns_…`). Other files in the folder, and files
// that cannot be read, are reported (`onSkipped`) and left alone. They do not hide the rest (rule D5).
import { NAMESPACE_FOLDER } from '../../core/namespace.ts';
import { lstat, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Dirent, Stats } from 'node:fs';
import { damage, type AppError } from '../../core/errors.ts';
import type { OnSkipped, StorageKey } from '../../uploads/ports.ts';
import { isAbsent, isTaken, nameIfOfOneFile } from '../../core/system-errors.ts';
import { open, opendir } from './files.ts';

export type Durability = 'fsync' | 'none';

/** Events that are written to the log and are no reason to refuse a request. */
export interface DiskNotes {
  readonly onCloseError: (error: unknown) => void;
  /** Bytes could not be moved and were copied (rule F7). @param path where they are now */
  readonly onCopied: (path: string) => void;
  /** A file in the folder is not the server's, or cannot be read. It is left alone (rule D5). */
  readonly onSkipped: ReportSkipped;
}

/** `<namespace>/<ab>/<name>`. The level `<ab>` is there because a folder with 100,000 names is slow to list. */
export function placePath(root: string, place: StorageKey): string {
  return join(root, place.kind, place.namespace, place.name.slice(0, 2), place.name);
}

/** Kind, namespace and `<ab>`: the folders that stay when their last place is removed. */
export const FOLDERS_OF_A_PLACE = 3;

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Makes the folder and the missing folders above it, but neither `root` nor a folder above `root`. `mkdir` of Node with
 * `recursive` is not used: it says "no such file" when the disk is full or read-only, and never returns when the root of the
 * path is gone.
 * @returns the uppermost folder that was made
 */
export async function makeFolders(
  path: string,
  { root = '', mode = 0o777 }: { root?: string; mode?: number } = {},
): Promise<string | undefined> {
  const make = async (): Promise<string | undefined> => {
    try {
      await mkdir(path, mode);
      return path;
    } catch (error) {
      if (isTaken(error)) return undefined;
      throw error;
    }
  };
  try {
    return await make();
  } catch (error) {
    const above = dirname(path);
    if (!isAbsent(error) || above === root || above === path) throw error;
    const first = await makeFolders(above, { root, mode });
    const own = await make();
    return first ?? own;
  }
}

/** An error that concerns the data of one place becomes damage of that place (rule D5). Other errors stay as they are. */
export function asDamage(error: unknown, place: StorageKey, done: 'read' | 'removed' = 'read'): unknown {
  const systemError = nameIfOfOneFile(error);
  return systemError === null ? error : fileDamage(place, systemError, done);
}

function fileDamage(place: StorageKey, systemError: string, done: 'read' | 'removed'): AppError {
  return damage(
    place,
    `a file of this upload or entry cannot be ${done} (${systemError}); see to its permissions or its disk, ` +
      'restore the data folder from a backup, or delete it and send it again',
    { problem: 'unreadable', systemError },
  );
}

/** Called for a path that is left alone, with the problem. */
export type ReportSkipped = (path: string, problem: string) => void;

const NOT_OURS = 'it is none of the files of this server, and is left alone';

/** The entries of a folder. There are none when the folder does not exist. */
export async function* entriesOf(path: string): AsyncIterable<Dirent> {
  const folder = await opendir(path).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (folder !== null) yield* folder;
}

/** A folder of places, and which places are in it. */
interface FolderOfPlaces {
  readonly path: string;
  /** A `*` in place of a namespace, of a name, or of the rest of a name means all of them. */
  readonly holds: StorageKey;
}

/** As `entriesOf`. A folder that cannot be read is reported and counts as empty. */
async function* readableEntriesOf(
  { path, holds }: FolderOfPlaces,
  { report, onSkipped }: Places,
): AsyncIterable<Dirent> {
  try {
    yield* entriesOf(path);
  } catch (error) {
    const name = nameIfOfOneFile(error);
    if (name === null) throw error;
    report(path, `it cannot be read (${name})`);
    onSkipped?.(unlistable(holds, name), null);
  }
}

function unlistable(holds: StorageKey, systemError: string): AppError {
  return damage(
    holds,
    `a folder of uploads or entries cannot be listed (${systemError}), and what is in it stays; see to its permissions or its disk`,
    { problem: 'unreadable', systemError },
  );
}

/** The folders in this folder whose names the server has made. */
async function* ownFoldersIn(
  folder: FolderOfPlaces,
  isOwn: RegExp,
  places: Places,
): AsyncIterable<{ name: string; path: string }> {
  for await (const entry of readableEntriesOf(folder, places)) {
    const path = join(folder.path, entry.name);
    if (entry.isDirectory() && isOwn.test(entry.name)) yield { name: entry.name, path };
    else places.report(path, NOT_OURS);
  }
}

const SHARD = /^\w{1,2}$/;

export interface Places {
  readonly root: string;
  readonly kind: StorageKey['kind'];
  /** Only the places of this namespace, when it is given. */
  readonly namespace?: string | undefined;
  /** The part of the file name after the name of the place. */
  readonly suffix: '' | '.log';
  readonly report: ReportSkipped;
  readonly onSkipped?: OnSkipped | undefined;
}

/** Every file or folder that stands for a place of this kind. */
async function* placesIn(places: Places): AsyncIterable<{ place: StorageKey; path: string }> {
  const { root, kind, namespace: only = '*' } = places;
  const all = { path: join(root, kind), holds: { kind, namespace: only, name: '*' } };
  for await (const { name: namespace, path } of ownFoldersIn(all, NAMESPACE_FOLDER, places)) {
    if (only !== '*' && namespace !== only) continue;
    const own = { path, holds: { kind, namespace, name: '*' } };
    for await (const { name: shard, path: shardPath } of ownFoldersIn(own, SHARD, places)) {
      const folder = { path: shardPath, holds: { kind, namespace, name: `${shard}*` } };
      for await (const { name, path: file } of namesIn(folder, shard, places))
        yield { place: { kind, namespace, name }, path: file };
    }
  }
}

/** The names of places in a folder. Each name begins with the name of the folder. */
async function* namesIn(
  folder: FolderOfPlaces,
  shard: string,
  places: Places,
): AsyncIterable<{ name: string; path: string }> {
  const { suffix, report } = places;
  for await (const entry of readableEntriesOf(folder, places)) {
    const path = join(folder.path, entry.name);
    const name = entry.name.endsWith(suffix) ? entry.name.slice(0, entry.name.length - suffix.length) : '';
    if (name.startsWith(shard) && /^\w+$/.test(name)) yield { name, path };
    else report(path, NOT_OURS);
  }
}

/** Epoch milliseconds of the last write to the file; undefined when the file is gone. */
export async function modifiedAt(path: string): Promise<number | undefined> {
  return (await statIfThere(path))?.mtimeMs;
}

/** The places of `placesIn`, each with the time of the last write. A place whose time cannot be read is reported. */
export async function* datedPlacesIn(
  places: Places,
): AsyncIterable<{ place: StorageKey; modifiedAt: number }> {
  for await (const { place, path } of placesIn(places)) {
    const found = await lstat(path).catch((error: unknown) => {
      const name = nameIfOfOneFile(error);
      if (name === null && !isAbsent(error)) throw error;
      if (name === null) return null;
      places.report(path, `it cannot be looked at (${name})`);
      places.onSkipped?.(fileDamage(place, name, 'read'), place);
      return null;
    });
    if (found !== null) yield { place, modifiedAt: found.mtimeMs };
  }
}

/** Undefined when the file is gone. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw error;
  });
}
