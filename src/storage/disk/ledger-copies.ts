// storage/disk/ledger-copies.ts: ledgers of an owner whose end nobody saw: each becomes another file before it is written to (parts.ts).
//
// The copy says in a line of its own whose it is, so that it is made once. What the old owner still writes, to the file that it has
// open, is in no folder any more.
//
// Promises: at the path of a ledger there is the old file or the whole new one, whenever the process or the power goes (D1).
// Must not know: what the records are.
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
  /** As in parts.ts: a ledger with a lower one is of an earlier owner. */
  readonly number: number;
  /** Holds what is not finished; on the same filesystem as the ledgers, and emptied at the next start. */
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

  /** What a new ledger begins with. */
  get firstRecords(): readonly LedgerRecord[] {
    return this.number === 0 ? [] : [ownerRecord(this.number)];
  }

  /** Another file is at `path`: what was in `file` up to `end`, and whose it is. Its name is still to be synced. */
  async copy(path: string, file: FileHandle, end: LedgerEnd): Promise<CopiedLedger> {
    this.#copies += 1;
    const aside = join(this.#options.aside, `ledger-${this.#copies}`);
    const content = await firstBytes(file, end.bytes);
    const line = Buffer.from(encodeLine(end.lines + 1, [ownerRecord(this.number)]));
    const copy = await open(aside, 'wx+');
    try {
      await this.#writes.all(copy.fd, [content, line], 0);
      // That it was copied is no activity: the collector goes by this time.
      const { atime, mtime } = await file.stat();
      await copy.utimes(atime, mtime);
      if (this.#durability === 'fsync') await fdatasyncFd(copy.fd);
      await rename(aside, path);
    } catch (error) {
      await copy.close().catch(() => undefined);
      await rm(aside, { force: true }).catch(() => undefined); // It goes with the next start.
      throw error;
    }
    const bytes = end.bytes + line.length;
    return { file: copy, end: { bytes, lines: end.lines + 1, lastLineAt: end.bytes } };
  }
}

/** @throws Error when the old owner has cut it meanwhile: whoever opens it again reads what is there */
async function firstBytes(file: FileHandle, bytes: number): Promise<Buffer> {
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes;) {
    const { bytesRead } = await file.read(content, at, bytes - at, at);
    if (bytesRead === 0) throw new Error(`the ledger was cut to ${at} bytes while it was copied`);
    at += bytesRead;
  }
  return content;
}
