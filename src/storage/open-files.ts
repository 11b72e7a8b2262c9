// storage/open-files.ts: the segment files that are open right now.
//
// Promises: opening costs once per segment, not once per write; at most `maxOpen` descriptors are kept, the longest
// unused ones go first; a file in use is never closed under its user.
// Must not know: what is in the files.
import { close, open } from 'node:fs';
import { promisify } from 'node:util';
import { onNoDescriptors, opening } from './descriptors.ts';

const openFd = promisify(open);
const closeFd = promisify(close);

interface OpenFile {
  readonly path: string;
  readonly fd: Promise<number>;
  users: number;
  /** Set when it was asked to close while in use: the last user closes it. */
  whenFree: (() => void) | null;
}

export class OpenFiles {
  readonly #maxOpen: number;
  /** In order of last use. */
  readonly #files = new Map<string, OpenFile>();
  readonly #endRelief: () => void;

  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen;
    this.#endRelief = onNoDescriptors(() => this.#closeUnused(0));
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** Runs `work` with the file open for reading and writing. @throws ENOENT unless `create` */
  async use<T>(path: string, create: boolean, work: (fd: number) => Promise<T>): Promise<T> {
    const file = this.#take(path, create);
    try {
      return await work(await file.fd);
    } finally {
      file.users -= 1;
      if (file.users === 0) file.whenFree?.();
    }
  }

  /** Closes the file if it is open. Resolves when it is closed. */
  async close(path: string): Promise<void> {
    const file = this.#files.get(path);
    if (file === undefined) return;
    this.#files.delete(path);
    if (file.users > 0) {
      await new Promise<void>((resolve) => {
        file.whenFree = resolve;
      });
    }
    await closeFd(await file.fd);
  }

  /** Closes every open file in this folder. */
  async closeFolder(folder: string): Promise<void> {
    const paths = [...this.#files.keys()].filter((path) => path.startsWith(`${folder}/`));
    await Promise.all(paths.map((path) => this.close(path)));
  }

  async closeAll(): Promise<void> {
    this.#endRelief();
    await Promise.all([...this.#files.keys()].map((path) => this.close(path)));
  }

  /** It counts as in use from here on: making room must not close the very file that is wanted. */
  #take(path: string, create: boolean): OpenFile {
    const known = this.#files.get(path);
    if (known !== undefined) {
      this.#files.delete(path);
      this.#files.set(path, known);
      known.users += 1;
      return known;
    }
    const file: OpenFile = {
      path,
      fd: opening(() => openFd(path, create ? 'wx+' : 'r+')),
      users: 1,
      whenFree: null,
    };
    file.fd.catch(() => {
      if (this.#files.get(path) === file) this.#files.delete(path);
    });
    this.#files.set(path, file);
    void this.#closeUnused(this.#maxOpen);
    return file;
  }

  /** Until no more than so many are left. Never rejects. */
  async #closeUnused(most: number): Promise<void> {
    const closing: Promise<void>[] = [];
    for (const file of this.#files.values()) {
      if (this.#files.size <= most) break;
      // A descriptor that cannot be closed is gone all the same: the kernel frees it whatever close(2) says.
      if (file.users === 0) closing.push(this.close(file.path).catch(() => undefined));
    }
    await Promise.all(closing);
  }
}
