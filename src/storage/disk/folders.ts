// storage/disk/folders.ts: makes the folders of a disk storage, makes them durable, and removes empty ones.
//
// A folder is on the disk when its name is durable in its parent folder, and the same holds for each folder above. A folder
// that exists may still not be durable: an earlier process may have made it and died before the sync, or another request may be
// about to sync it.
//
// Promises: with `fsync`, the names for which `syncNames` resolved survive a power loss (rule D1), whoever made them. Each
// folder is synced once, and requests that ask meanwhile wait for the same sync. The memory for this is bounded. No folder is
// removed while a request relies on it, or before it is durable that it is empty.
import { rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FifoMap } from 'toad-cache';
import { entriesOf, makeFolders, syncFolder, type Durability } from './paths.ts';
import { isTaken } from '../../core/system-errors.ts';

const MAX_KNOWN = 10_000;
const NOTHING_TO_DO = Promise.resolve();

export class DiskFolders {
  readonly #root: string;
  readonly #durability: Durability;
  /** By path: resolves when the name of the folder, and the names of all folders above, are durable. */
  readonly #synced = new FifoMap<Promise<void>>(MAX_KNOWN);
  /** By folder: how many calls of `holding` rely on it, or on a folder below it. */
  readonly #holds = new Map<string, number>();

  /** @param root a folder that is durable, or not ours. It is never made: whoever removed it also removed everything in it */
  constructor(root: string, durability: Durability) {
    this.#root = root;
    this.#durability = durability;
  }

  /**
   * Does `work`. Meanwhile `tidy` removes neither this folder nor a folder above it. The caller wraps everything that needs the
   * folder or syncs it. Otherwise it could be remembered as synced after it was removed.
   */
  async holding<T>(path: string, work: () => Promise<T>): Promise<T> {
    this.#count(path, 1);
    try {
      return await work();
    } finally {
      this.#count(path, -1);
    }
  }

  /** Makes the folder durably, then calls `put`, which makes an entry in the folder. */
  putInto<T>(path: string, put: () => Promise<T>): Promise<T> {
    return this.holding(path, async () => {
      await makeFolders(path, { root: this.#root });
      await this.syncNames(path);
      return put();
    });
  }

  /** Makes the folder durably. */
  ensure(path: string): Promise<void> {
    return this.putInto(path, () => NOTHING_TO_DO);
  }

  /** The caller guarantees that the folder exists. When this resolves, its name and the names of all folders above are durable. */
  syncNames(path: string): Promise<void> {
    return path === this.#root ? NOTHING_TO_DO : this.#once(path, dirname(path));
  }

  /** As `syncNames`, and also for the names in the folder that an earlier process left there. */
  syncFound(path: string): Promise<void> {
    return this.#once(foundIn(path), path);
  }

  /** A sync of the folder failed. The next reader of its names has to sync it again. */
  forgetFound(path: string): void {
    this.#synced.delete(foundIn(path));
  }

  /** The folder is gone. A new folder at this path must be synced again. */
  forget(path: string): void {
    this.#synced.delete(path);
  }

  /**
   * Removes the empty folders on `depth` levels below `path`. Without this, each new key would leave its folders for ever.
   * @throws the first error of a folder that could not be removed, after all folders were tried
   */
  async tidy(path: string, depth: number): Promise<void> {
    const failed: unknown[] = [];
    await this.#emptyOut(path, depth, failed);
    if (failed.length > 0) throw failed[0];
  }

  /** Removes the empty folders in this folder. Resolves to whether the folder is now empty. */
  async #emptyOut(path: string, depth: number, failed: unknown[]): Promise<boolean> {
    let isEmpty = true;
    for await (const entry of entriesOf(path)) {
      if (depth === 0) return false;
      const isGone =
        entry.isDirectory() && (await this.#removeIfEmpty(join(path, entry.name), depth - 1, failed));
      if (!isGone) isEmpty = false;
    }
    return isEmpty;
  }

  /** Resolves to whether the folder is gone. */
  async #removeIfEmpty(path: string, depth: number, failed: unknown[]): Promise<boolean> {
    try {
      return (await this.#emptyOut(path, depth, failed)) && (await this.#removeEmpty(path));
    } catch (error) {
      failed.push(error);
      return false;
    }
  }

  async #removeEmpty(path: string): Promise<boolean> {
    // An earlier process may have removed an entry of this folder and died before the sync. After the folder is removed, nobody
    // could sync that.
    if (this.#durability === 'fsync') await syncFolder(path);
    return this.#remove(path);
  }

  /** Synchronous, so that every later call either finds the folder gone, or holds it. */
  #remove(path: string): boolean {
    if (this.#holds.has(path)) return false;
    try {
      rmdirSync(path);
    } catch (error) {
      if (isTaken(error)) return false;
      throw error;
    }
    this.forget(path);
    return true;
  }

  /** Changes the counts of the folder and of all folders above, up to the root. */
  #count(path: string, change: number): void {
    for (let folder = path; folder !== this.#root && folder !== dirname(folder); folder = dirname(folder)) {
      const holds = (this.#holds.get(folder) ?? 0) + change;
      if (holds === 0) this.#holds.delete(folder);
      else this.#holds.set(folder, holds);
    }
  }

  #once(name: string, folder: string): Promise<void> {
    if (this.#durability === 'none') return NOTHING_TO_DO;
    const known = this.#synced.get(name);
    if (known !== undefined) return known;
    const synced = syncFolder(folder).then(() => this.syncNames(folder));
    this.#synced.set(name, synced);
    synced.catch(() => this.#synced.delete(name)); // The next request tries again.
    return synced;
  }
}

/** The key under which it is remembered that the names in a folder are durable. */
function foundIn(path: string): string {
  return join(path, 'found');
}
