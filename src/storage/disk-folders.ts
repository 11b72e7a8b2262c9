// storage/disk-folders.ts: the folders of a disk storage, made, and made durable.
//
// A folder is on the disk when its name is in the folder above, and that one's in the one above it. That it is there
// proves nothing: an earlier process may have made it and not lived to sync it, or another request is about to.
//
// Promises: with `fsync`, what `settle` resolved for survives a power loss (rule D1), whoever made it. Each folder costs its syncs
// once, and who asks meanwhile waits for the same ones. The memory that this takes is bounded.
// Must not know: what is in the folders.
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncFolder, type Durability } from './disk-paths.ts';

const MAX_KNOWN = 10_000;
const NOTHING_TO_DO = Promise.resolve();

export class DiskFolders {
  readonly #root: string;
  readonly #durability: Durability;
  /** By name: resolves when it is durable, and so are those of the folders above. */
  readonly #settled = new Map<string, Promise<void>>();

  /** @param root is durable, or not ours to care for */
  constructor(root: string, durability: Durability) {
    this.#root = root;
    this.#durability = durability;
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
