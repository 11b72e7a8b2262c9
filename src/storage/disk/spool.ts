// storage/disk/spool.ts: stores bytes whose owner is not known yet. Their file becomes a file of the owner by a rename.
//
// Promises: no byte is copied. A full disk is a refusal (C16). Of a discarded spool nothing is left after the next start.
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
  /** The file may exist, also when the disk was too full for its first byte. */
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
      await this.#files.use(this.#path, { create: isNew, from: this.#bytes }, (fd) =>
        this.#writes.all(fd, buffers, this.#bytes),
      );
    } catch (error) {
      throw asRefusal(error);
    }
    for (const buffer of buffers) this.#bytes += buffer.length;
  }

  async moveTo(path: string): Promise<void> {
    await this.#files.close(this.#path);
    // The file may have been closed before to make room, and that close may have failed.
    await this.#files.ensureKept(this.#path);
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
      // The next start removes what stays behind. The request has its answer already.
    }
  }
}
