// storage/disk-paths.ts: the folder of a disk storage, and the few things that both of its ports do with paths.
//
//   <data>/lock                                        who owns the folder (folder-lock.ts)
//   <data>/format                                      what is in it (disk.ts)
//   <data>/ledgers/<kind>/<namespace>/<ab>/<name>.log  a ledger (ledger-lines.ts)
//   <data>/bytes/<kind>/<namespace>/<ab>/<name>/<segment>   its bytes (disk-bytes.ts)
//   <data>/spool/<n>                                   bytes whose owner is not known yet; emptied at start
//   <data>/reserve                                     room to start in when the disk is full (reserve.ts)
//
// Promises: every name in a path is ours (a hash, an id, `public` or `ns_…`).
import { mkdir, open, opendir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Dirent, Stats } from 'node:fs';
import type { Place } from '../uploads/ports.ts';
import { isAbsent, isTaken } from './system-errors.ts';

export type Durability = 'fsync' | 'none';

/** What is worth a line of the log, and no reason to refuse anything. */
export interface DiskNotes {
  readonly onCloseError: (error: unknown) => void;
  /** Bytes could not be moved and were copied (rule F7). @param path where they are now */
  readonly onCopied: (path: string) => void;
}

/** `<namespace>/<ab>/<name>`: spread, because a folder with 100,000 names is slow to list. */
export function placePath(root: string, place: Place): string {
  return join(root, place.kind, place.namespace, place.name.slice(0, 2), place.name);
}

/** Kind, namespace, `<ab>`: the folders that stay when their last place is gone. */
export const FOLDERS_OF_A_PLACE = 3;

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/**
 * Makes the folder and those above it that are not there, but neither `root` nor one above it. By hand: Node's own says "no such
 * file" when the disk is full or read-only, and never returns when its root is gone.
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

/** Entries of a folder; none when there is no such folder. */
export async function* entriesOf(path: string): AsyncIterable<Dirent> {
  const folder = await opendir(path).catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (folder !== null) yield* folder;
}

/** Every file or folder that stands for a place of this kind. */
export async function* placesIn(
  root: string,
  kind: Place['kind'],
  only?: string,
): AsyncIterable<{ place: Place; path: string }> {
  const kindPath = join(root, kind);
  for await (const namespace of entriesOf(kindPath)) {
    if (only !== undefined && namespace.name !== only) continue;
    for await (const shard of entriesOf(join(kindPath, namespace.name))) {
      const shardPath = join(kindPath, namespace.name, shard.name);
      for await (const entry of entriesOf(shardPath)) {
        const name = entry.name.replace(/\.log$/, '');
        yield { place: { kind, namespace: namespace.name, name }, path: join(shardPath, entry.name) };
      }
    }
  }
}

/** Milliseconds since 1970 when the file was last written; undefined when it is gone. */
export async function modifiedAt(path: string): Promise<number | undefined> {
  return (await statIfThere(path))?.mtimeMs;
}

/** Undefined: it is gone. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch((error: unknown) => {
    if (isAbsent(error)) return undefined;
    throw error;
  });
}
