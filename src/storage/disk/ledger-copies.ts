// storage/disk/ledger-copies.ts: copies a ledger of an earlier owner whose end nobody saw, before anything is added to it
// (parts.ts).
//
// The copy contains a line that names its owner, so each ledger is copied once. The old owner may still write to the file that
// it has open. That file is then in no folder any more.
//
// Promises: the path of a ledger holds the whole old file or the whole new one, even if the process or the power ends at any
// moment (D1).
import { fdatasync } from 'node:fs';
import { rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { open, rm } from './files.ts';
import type { FileWrites } from './file-writes.ts';
import { encodeLine, ownerRecord, type LedgerEnd } from './ledger-lines.ts';
import type { Durability } from './paths.ts';
import type { LedgerRecord } from '../../uploads/ports.ts';

const fdatasyncFd = promisify(fdatasync);

export interface CopiesOptions {
  /** The number of the parts (parts.ts). A ledger with a lower number belongs to an earlier owner. */
  readonly number: number;
  /** A folder for unfinished copies: on the filesystem of the ledgers, and emptied at the next start. */
  readonly aside: string;
}

export interface CopiedLedger {
  readonly file: FileHandle;
  readonly end: LedgerEnd;
}

export class LedgerCopies {
  readonly #options: CopiesOptions;
  readonly #durability: Durability;
  readonly #writes: FileWrites;
  #copies = 0;

  constructor(options: CopiesOptions, durability: Durability, writes: FileWrites) {
    this.#options = options;
    this.#durability = durability;
    this.#writes = writes;
  }

  get number(): number {
    return this.#options.number;
  }

  /** The records with which a new ledger begins. */
  get firstRecords(): readonly LedgerRecord[] {
    return this.number === 0 ? [] : [ownerRecord(this.number)];
  }

  /**
   * Puts another file at `path`, with the content of `file` up to `end` and the number of its owner. The caller still has to
   * sync its name.
   */
  async copy(path: string, file: FileHandle, end: LedgerEnd): Promise<CopiedLedger> {
    this.#copies += 1;
    const aside = join(this.#options.aside, `ledger-${this.#copies}`);
    const content = await firstBytes(file, end.bytes);
    const line = Buffer.from(encodeLine(end.lines + 1, [ownerRecord(this.number)]));
    const copy = await open(aside, 'wx+');
    try {
      await this.#writes.all(copy.fd, [content, line], 0);
      // The copy keeps the times of the file: it is not an activity of the upload, and the collector uses this time.
      const { atime, mtime } = await file.stat();
      await copy.utimes(atime, mtime);
      if (this.#durability === 'fsync') await fdatasyncFd(copy.fd);
      await rename(aside, path);
    } catch (error) {
      await copy.close().catch(() => undefined);
      await rm(aside, { force: true }).catch(() => undefined); // If this fails, the next start removes the file.
      throw error;
    }
    const bytes = end.bytes + line.length;
    return { file: copy, end: { bytes, lines: end.lines + 1, lastLineAt: end.bytes } };
  }
}

/** @throws Error when the old owner has cut the file meanwhile; the next open reads the new content */
async function firstBytes(file: FileHandle, bytes: number): Promise<Buffer> {
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes;) {
    const { bytesRead } = await file.read(content, at, bytes - at, at);
    if (bytesRead === 0) throw new Error(`the ledger was cut to ${at} bytes while it was copied`);
    at += bytesRead;
  }
  return content;
}
