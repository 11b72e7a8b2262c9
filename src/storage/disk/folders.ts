// storage/disk/folders.ts: the folders of a disk storage, made, and made durable.
//
// A folder is on the disk when its name is in the folder above, and that one's in the one above it. That it is there
// proves nothing: an earlier process may have made it and not lived to sync it, or another request is about to.
//
// Promises: with `fsync`, what `syncNames` resolved for survives a power loss (rule D1), whoever made it. Each folder costs its syncs
// once, and who asks meanwhile waits for the same ones. The memory that this takes is bounded. No folder is removed that somebody
// relies on, and none before it is durable that it is empty.
// Must not know: what is in the folders.
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
  /** By name: resolves when it is durable, and so are those of the folders above. */
  readonly #synced = new FifoMap<Promise<void>>(MAX_KNOWN);
  /** By folder: how many rely on it, or on one below. */
  readonly #holds = new Map<string, number>();

  /** @param root is durable, or not ours to care for. It is never made: who removed it took everything with it */
  constructor(root: string, durability: Durability) {
    this.#root = root;
    this.#durability = durability;
  }

  /**
   * Does `work`; meanwhile `tidy` removes neither the folder nor one above. To be used around whatever needs it to be there, or
   * syncs it: of a folder that went in between, nothing may be remembered.
   */
  async holding<T>(path: string, work: () => Promise<T>): Promise<T> {
    this.#count(path, 1);
    try {
      return await work();
    } finally {
      this.#count(path, -1);
    }
  }

  /** Makes the folder, durably, and does `put`, which makes an entry of it. */
  putInto<T>(path: string, put: () => Promise<T>): Promise<T> {
    return this.holding(path, async () => {
      await makeFolders(path, { root: this.#root });
      await this.syncNames(path);
      return put();
    });
  }

  /** Makes the folder, durably. */
  ensure(path: string): Promise<void> {
    return this.putInto(path, () => NOTHING_TO_DO);
  }

  /** The folder is there. Its name, and the names of those above, are durable when this resolves. */
  syncNames(path: string): Promise<void> {
    return path === this.#root ? NOTHING_TO_DO : this.#once(path, dirname(path));
  }

  /** As `syncNames`, for the names in the folder, too, that an earlier process left there. */
  syncFound(path: string): Promise<void> {
    return this.#once(foundIn(path), path);
  }

  /** What is in it could not be synced: whoever finds a name there, or none, has to sync it once more. */
  forgetFound(path: string): void {
    this.#synced.delete(foundIn(path));
  }

  /** The folder is gone: one that will be made in its place is another. */
  forget(path: string): void {
    this.#synced.delete(path);
  }

  /**
   * Removes the empty folders of `depth` levels below `path`: keys come and go without end, and each would leave its own.
   * @throws an error of one that could not be removed, when it has been through all of them
   */
  async tidy(path: string, depth: number): Promise<void> {
    const failed: unknown[] = [];
    await this.#emptyOut(path, depth, failed);
    if (failed.length > 0) throw failed[0];
  }

  /** Removes the empty folders in it. Whether nothing is left. */
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

  /** Whether it is gone. */
  async #removeIfEmpty(path: string, depth: number, failed: unknown[]): Promise<boolean> {
    try {
      return (await this.#emptyOut(path, depth, failed)) && (await this.#removeEmpty(path));
    } catch (error) {
      failed.push(error);
      return false;
    }
  }

  async #removeEmpty(path: string): Promise<boolean> {
    // What was removed from it last may be of a process that did not live to sync that: without the folder nobody could any more.
    if (this.#durability === 'fsync') await syncFolder(path);
    return this.#remove(path);
  }

  /** At once, so that whoever comes from here on finds it gone, or kept it. */
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

  /** Of the folder and those above, up to the root. */
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

/** Under which it is remembered that the names in a folder are durable. */
function foundIn(path: string): string {
  return join(path, 'found');
}
