// storage/disk-folders.ts: the folders of a disk storage, made, and made durable.
//
// A folder is on the disk when its name is in the folder above, and that one's in the one above it. That it is there
// proves nothing: an earlier process may have made it and not lived to sync it, or another request is about to.
//
// Promises: with `fsync`, what `settle` resolved for survives a power loss (rule D1), whoever made it. Each folder costs its syncs
// once, and who asks meanwhile waits for the same ones. The memory that this takes is bounded. No empty folder is removed into
// which somebody is about to put something.
// Must not know: what is in the folders.
import { rmdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { entriesOf, hasCode, syncFolder, type Durability } from './disk-paths.ts';

const MAX_KNOWN = 10_000;
const NOTHING_TO_DO = Promise.resolve();

export class DiskFolders {
  readonly #root: string;
  readonly #durability: Durability;
  /** By name: resolves when it is durable, and so are those of the folders above. */
  readonly #settled = new Map<string, Promise<void>>();
  /** How many are about to put something into it. */
  readonly #users = new Map<string, number>();

  /** @param root is durable, or not ours to care for */
  constructor(root: string, durability: Durability) {
    this.#root = root;
    this.#durability = durability;
  }

  /** Does `put`, which makes an entry of the folder: until then it would be empty, and `tidy` might remove it. */
  async putInto<T>(path: string, put: () => Promise<T>): Promise<T> {
    this.#users.set(path, (this.#users.get(path) ?? 0) + 1);
    try {
      await this.ensure(path);
      return await put();
    } finally {
      const users = (this.#users.get(path) ?? 1) - 1;
      if (users === 0) this.#users.delete(path);
      else this.#users.set(path, users);
    }
  }

  async ensure(path: string): Promise<void> {
    await mkdir(path, { recursive: true });
    await this.settle(path);
  }

  /** The folder is there. Its name, and the names of those above, are durable when this resolves. */
  settle(path: string): Promise<void> {
    return path === this.#root ? NOTHING_TO_DO : this.#once(path, dirname(path));
  }

  /** As `settle`, for the names in the folder, too, that an earlier process left there. */
  settleFound(path: string): Promise<void> {
    return this.#once(join(path, 'found'), path);
  }

  /** The folder is gone: one that will be made in its place is another. */
  forget(path: string): void {
    this.#settled.delete(path);
  }

  /** Removes the empty folders of `depth` levels below `path`: keys come and go without end, and each would leave its own. */
  async tidy(path: string, depth: number): Promise<void> {
    for await (const { name } of entriesOf(path)) await this.#removeIfEmpty(join(path, name), depth - 1);
  }

  /** Whether it is gone. */
  async #removeIfEmpty(path: string, depth: number): Promise<boolean> {
    let isEmpty = true;
    for await (const { name } of entriesOf(path)) {
      if (depth === 0) return false;
      if (!(await this.#removeIfEmpty(join(path, name), depth - 1))) isEmpty = false;
    }
    return isEmpty && this.#remove(path);
  }

  /** At once, so that it is made anew for whoever comes from here on. */
  #remove(path: string): boolean {
    if (this.#users.has(path)) return false;
    try {
      rmdirSync(path);
    } catch (error) {
      if (hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) return false;
      throw error;
    }
    this.forget(path);
    return true;
  }

  #once(name: string, folder: string): Promise<void> {
    if (this.#durability === 'none') return NOTHING_TO_DO;
    const known = this.#settled.get(name);
    if (known !== undefined) return known;
    const settled = syncFolder(folder).then(() => this.settle(folder));
    if (this.#settled.size >= MAX_KNOWN) this.#settled.clear();
    this.#settled.set(name, settled);
    settled.catch(() => this.#settled.delete(name)); // The next request tries again.
    return settled;
  }
}
