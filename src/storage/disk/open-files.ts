// storage/disk/open-files.ts: the segment files that are open right now.
//
// Promises: opening costs once per segment, not once per write; at most `maxOpen` descriptors are kept, the longest
// unused ones go first; a file in use is never closed under its user. A network filesystem writes when a file is closed, and says
// then that it could not: `ensureKept` tells who relies on what was written, so that it is not acknowledged; else it is noted.
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
  /** Something may have been written to it of which nobody was told that it is kept. */
  mayBeLost: boolean;
  /** Set when it was asked to close while in use: the last user closes it. */
  whenFree: (() => void) | null;
}

export class OpenFiles {
  readonly #maxOpen: number;
  /** In order of last use. */
  readonly #files = new Map<string, OpenFile>();
  readonly #endRelief: () => void;
  readonly #onCloseError: (error: unknown) => void;
  /** By path: being closed. */
  readonly #closing = new Map<string, Promise<void>>();
  /** By path: what the system said when a file was closed, of which something may be lost by that. */
  readonly #inDoubt = new Map<string, Error>();

  /** @param onCloseError is told of what is closed to make room */
  constructor(maxOpen: number, onCloseError: (error: unknown) => void) {
    this.#maxOpen = maxOpen;
    this.#onCloseError = onCloseError;
    this.#endRelief = onNoDescriptors(() => this.#closeUnused(0));
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /** Runs `work` with the file open for reading and writing. @throws ENOENT unless `create` */
  async use<T>(path: string, create: boolean, work: (fd: number) => Promise<T>): Promise<T> {
    const file = this.#take(path, create);
    file.mayBeLost = true;
    try {
      return await work(await file.fd);
    } finally {
      this.#give(file);
    }
  }

  /**
   * What was written to the file is relied on from here on.
   * @param sync makes it durable; without it, it is as safe as the system keeps it
   * @throws the error of `sync`, or the one with which the file was closed since
   */
  async ensureKept(path: string, sync?: (fd: number) => Promise<void>): Promise<void> {
    await this.#closing.get(path)?.catch(() => undefined); // It is remembered as in doubt.
    if (sync !== undefined) await this.#sync(path, sync);
    else this.#markKept(path);
    const error = this.#inDoubt.get(path);
    if (error === undefined) return;
    this.#inDoubt.delete(path);
    throw error;
  }

  /** Nobody relies any more on what was written to the file. */
  forget(path: string): void {
    this.#inDoubt.delete(path);
  }

  async #sync(path: string, sync: (fd: number) => Promise<void>): Promise<void> {
    const file = this.#take(path, false);
    const couldBeLost = file.mayBeLost;
    file.mayBeLost = false; // Before: what is written meanwhile may be lost all the same.
    try {
      await sync(await file.fd);
    } catch (error) {
      file.mayBeLost ||= couldBeLost;
      throw error;
    } finally {
      this.#give(file);
    }
  }

  #markKept(path: string): void {
    const file = this.#files.get(path);
    if (file !== undefined) file.mayBeLost = false;
  }

  /** Closes the file if it is open. Resolves when it is closed. */
  async close(path: string): Promise<void> {
    const file = this.#files.get(path);
    if (file === undefined) return;
    this.#files.delete(path);
    const closing = this.#closeWhenFree(file);
    this.#closing.set(path, closing);
    await closing.finally(() => {
      if (this.#closing.get(path) === closing) this.#closing.delete(path);
    });
  }

  /** Closes every open file in this folder. What was written to it, and never kept for sure, nobody relies on. */
  async closeFolder(folder: string): Promise<void> {
    const isIn = (path: string): boolean => path.startsWith(`${folder}/`);
    const paths = [...this.#files.keys()].filter(isIn);
    try {
      await Promise.all(paths.map((path) => this.close(path)));
    } finally {
      for (const path of this.#inDoubt.keys()) if (isIn(path)) this.forget(path);
    }
  }

  async closeAll(): Promise<void> {
    this.#endRelief();
    await Promise.all([...this.#files.keys()].map((path) => this.close(path)));
  }

  async #closeWhenFree(file: OpenFile): Promise<void> {
    if (file.users > 0) {
      await new Promise<void>((resolve) => {
        file.whenFree = resolve;
      });
    }
    const fd = await file.fd;
    try {
      await closeFd(fd);
    } catch (error) {
      if (file.mayBeLost && error instanceof Error) this.#inDoubt.set(file.path, error);
      throw error;
    }
  }

  #give(file: OpenFile): void {
    file.users -= 1;
    if (file.users === 0) file.whenFree?.();
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
      mayBeLost: false,
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
      if (file.users === 0) closing.push(this.close(file.path).catch(this.#onCloseError));
    }
    await Promise.all(closing);
  }
}
