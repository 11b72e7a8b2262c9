// storage/disk/open-files.ts: the segment files that are open.
//
// Promises: a file is opened once per segment and not once per write. At most `maxOpen` files stay open, unless more are in use
// at the same time. The files that were unused for longest are closed first, and a file in use is never closed. A network
// filesystem may write only when a file is closed, and report an error then. `ensureKept` throws that error to the caller that
// relies on the bytes, so that they are not acknowledged. If nobody relies on them, the error is only reported.
import { close, open } from 'node:fs';
import { promisify } from 'node:util';
import { onNoDescriptors, opening } from './descriptors.ts';

const openFd = promisify(open);
const closeFd = promisify(close);

interface OpenFile {
  readonly path: string;
  readonly fd: Promise<number>;
  users: number;
  /** The lowest offset of written bytes that no call of `ensureKept` has confirmed. Null: there are none. */
  unconfirmedFrom: number | null;
  /** Set when the file is to be closed while it is in use. The last user calls it. */
  whenFree: (() => void) | null;
}

interface Use {
  readonly create: boolean;
  /** The offset of the first byte that is written. */
  readonly from: number;
}

export class OpenFiles {
  readonly #maxOpen: number;
  /** In order of last use. */
  readonly #files = new Map<string, OpenFile>();
  readonly #endRelief: () => void;
  readonly #onCloseError: (error: unknown) => void;
  /** By path: the running close. */
  readonly #closing = new Map<string, Promise<void>>();
  /** By path: the error of a close after which the bytes from an offset on may be lost. */
  readonly #inDoubt = new Map<string, { readonly error: Error; readonly from: number }>();

  /** @param onCloseError called for errors of files that are closed to make room */
  constructor(maxOpen: number, onCloseError: (error: unknown) => void) {
    this.#maxOpen = maxOpen;
    this.#onCloseError = onCloseError;
    this.#endRelief = onNoDescriptors(() => this.#closeUnused(0));
  }

  has(path: string): boolean {
    return this.#files.has(path);
  }

  /**
   * Runs `work`, which writes from an offset on, with the file open. Bytes that an earlier close may have lost are written anew when
   * the work begins at or before them: the doubt about them is over.
   * @throws ENOENT when the file is absent and `create` is false
   */
  async use<T>(path: string, { create, from }: Use, work: (fd: number) => Promise<T>): Promise<T> {
    const file = this.#take(path, create);
    if (from <= (this.#inDoubt.get(path)?.from ?? -1)) this.#inDoubt.delete(path);
    file.unconfirmedFrom = Math.min(file.unconfirmedFrom ?? from, from);
    try {
      return await work(await file.fd);
    } finally {
      this.#give(file);
    }
  }

  /**
   * Confirms that the bytes written to the file can be relied on from here on.
   * @param sync makes the bytes durable; without it they are only as safe as the system keeps them
   * @throws the error of `sync`, or the error of an earlier close of this file
   */
  async ensureKept(path: string, sync?: (fd: number) => Promise<void>): Promise<void> {
    await this.#closing.get(path)?.catch(() => undefined); // Its error is in `#inDoubt`.
    if (sync !== undefined) await this.#sync(path, sync);
    else this.#markKept(path);
    const doubt = this.#inDoubt.get(path);
    if (doubt === undefined) return;
    this.#inDoubt.delete(path);
    throw doubt.error;
  }

  /** Nobody relies on the bytes of the file any more. */
  forget(path: string): void {
    this.#inDoubt.delete(path);
  }

  async #sync(path: string, sync: (fd: number) => Promise<void>): Promise<void> {
    const file = this.#take(path, false);
    const before = file.unconfirmedFrom;
    file.unconfirmedFrom = null; // Before the sync, because bytes that are written during the sync may still be lost.
    try {
      await sync(await file.fd);
    } catch (error) {
      file.unconfirmedFrom = lower(file.unconfirmedFrom, before);
      throw error;
    } finally {
      this.#give(file);
    }
  }

  #markKept(path: string): void {
    const file = this.#files.get(path);
    if (file !== undefined) file.unconfirmedFrom = null;
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

  /** Closes every open file in this folder. Nobody relies on bytes in it that `ensureKept` has not confirmed. */
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
      const from = file.unconfirmedFrom;
      if (from !== null && error instanceof Error) this.#inDoubt.set(file.path, { error, from });
      throw error;
    }
  }

  #give(file: OpenFile): void {
    file.users -= 1;
    if (file.users === 0) file.whenFree?.();
  }

  /** Counts the file as in use at once, so that `#closeUnused` does not close the file that is wanted. */
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
      unconfirmedFrom: null,
      whenFree: null,
    };
    file.fd.catch(() => {
      if (this.#files.get(path) === file) this.#files.delete(path);
    });
    this.#files.set(path, file);
    void this.#closeUnused(this.#maxOpen);
    return file;
  }

  /** Closes unused files until at most `most` files are left. Never rejects. */
  async #closeUnused(most: number): Promise<void> {
    const closing: Promise<void>[] = [];
    for (const file of this.#files.values()) {
      if (this.#files.size <= most) break;
      // When a close fails, the descriptor is free all the same: the kernel frees it whatever close(2) returns.
      if (file.users === 0) closing.push(this.close(file.path).catch(this.#onCloseError));
    }
    await Promise.all(closing);
  }
}

function lower(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.min(one, other);
}
