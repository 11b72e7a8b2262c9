// storage/disk/spool.ts: bytes whose owner is not known yet, in a file that becomes one of the owner's by a rename.
//
// Promises: nothing is copied; a full disk is a refusal (C16); of a spool that was discarded nothing stays beyond the next start.
// Must not know: whose bytes they are, where they go.
import { rename } from 'node:fs/promises';
import type { Spool } from '../../uploads/ports.ts';
import type { FileWrites } from './file-writes.ts';
import { rm } from './files.ts';
import type { OpenFiles } from './open-files.ts';
import { asRefusal } from '../../core/system-errors.ts';

export class DiskSpool implements Spool {
  readonly #path: string;
  readonly #files: OpenFiles;
  readonly #writes: FileWrites;
  #bytes = 0;
  /** There may be a file: also when the disk was too full for its first byte. */
  #hasFile = false;

  constructor(path: string, files: OpenFiles, writes: FileWrites) {
    this.#path = path;
    this.#files = files;
    this.#writes = writes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async append(buffers: readonly Buffer[]): Promise<void> {
    const isNew = !this.#hasFile;
    this.#hasFile = true;
    try {
      await this.#files.use(this.#path, isNew, (fd) => this.#writes.all(fd, buffers, this.#bytes));
    } catch (error) {
      throw asRefusal(error);
    }
    for (const buffer of buffers) this.#bytes += buffer.length;
  }

  async moveTo(path: string): Promise<void> {
    await this.#files.close(this.#path);
    await this.#files.ensureKept(this.#path); // It may have been closed before, to make room.
    await rename(this.#path, path);
    this.#hasFile = false;
  }

  async discard(): Promise<void> {
    if (!this.#hasFile) return;
    this.#hasFile = false;
    try {
      await this.#files.close(this.#path).finally(() => this.#files.forget(this.#path));
      await rm(this.#path, { force: true });
    } catch {
      // What stays behind is removed at the next start; the request has its answer already.
    }
  }
}
