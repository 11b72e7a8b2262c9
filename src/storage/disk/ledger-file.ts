// storage/disk/ledger-file.ts: one open ledger on a disk.
//
// Promises: an append is stored whole or not at all, and with `fsync` it is durable (D1). A refused append is durably cut off.
// When even that fails, the ledger refuses every later append, and the error is InDoubt. The next `open` then cuts the line off
// first.
// It does not know how a new ledger is made.
import { fdatasync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { InDoubt } from '../../core/errors.ts';
import type { Ledger, LedgerRecord } from '../../uploads/ports.ts';
import type { Durability } from './paths.ts';
import type { FileWrites } from './file-writes.ts';
import type { CopiedLedger } from './ledger-copies.ts';
import { encodeLine, type LedgerEnd } from './ledger-lines.ts';
import { asDoubt, asLost, asRefusal } from '../../core/system-errors.ts';

const fdatasyncFd = promisify(fdatasync);

/** Tells whether this process may write here. The folder belongs to one process (rule D3). */
export interface LedgerOwner {
  /** Another process owns the folder. The files in it belong to that process. */
  readonly isLost: boolean;
  /** @throws AppError `storage_unavailable` when the last write must not be relied on (rule D6) */
  confirm(): void;
}

export interface LedgerFileOptions {
  readonly owner: LedgerOwner;
  readonly durability: Durability;
  readonly writes: FileWrites;
  readonly onCloseError: (error: unknown) => void;
  /** Called when the end of the ledger could not be cut off. `bytes`: the length of the part that counts. */
  readonly onStuck: (bytes: number) => void;
  /** Given when an earlier owner may still be writing to this ledger. */
  readonly copying?: LedgerCopying | undefined;
}

export interface LedgerCopying {
  /** Puts another file at the path of the ledger: the content of this file up to `end`, and one more line. */
  copy(file: FileHandle, end: LedgerEnd): Promise<CopiedLedger>;
  /** Makes it durable that the path holds another file. */
  sync(): Promise<void>;
}

export class LedgerFile implements Ledger {
  #file: FileHandle;
  readonly #options: LedgerFileOptions;
  #end: LedgerEnd;
  #broken: InDoubt | null = null;
  /** Null when no earlier owner can write to this file. */
  #copying: LedgerCopying | null;

  constructor(file: FileHandle, end: LedgerEnd, options: LedgerFileOptions) {
    this.#file = file;
    this.#end = end;
    this.#options = options;
    this.#copying = options.copying ?? null;
  }

  /** When this resolves, later writes of an earlier owner to this ledger do not count. When it rejects, the ledger is as before. */
  async takeOver(): Promise<void> {
    await this.#takeOver(this.#end);
  }

  async #takeOver(end: LedgerEnd): Promise<void> {
    const copying = this.#copying;
    if (copying === null) return;
    const before = this.#file;
    const copied = await copying.copy(before, end);
    this.#file = copied.file;
    this.#end = copied.end;
    await before.close().catch(this.#options.onCloseError);
    await copying.sync();
    this.#copying = null;
  }

  async append(records: readonly LedgerRecord[]): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    await this.takeOver().catch((error: unknown) => {
      throw asRefusal(error);
    });
    const { bytes, lines } = this.#end;
    const buffer = Buffer.from(encodeLine(lines + 1, records));
    try {
      await this.#options.writes.all(this.#file.fd, [buffer], bytes);
      await this.#sync();
      this.#options.owner.confirm();
    } catch (error) {
      await this.#cutTo(bytes, error);
      throw asRefusal(error);
    }
    this.#end = { bytes: bytes + buffer.length, lines: lines + 1, lastLineAt: bytes };
  }

  async revoke(): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    const { lines, lastLineAt } = this.#end;
    if (this.#copying !== null)
      return this.#revokeByCopy({ bytes: lastLineAt, lines: lines - 1, lastLineAt });
    await this.#cutTo(lastLineAt);
    this.#end = { bytes: lastLineAt, lines: lines - 1, lastLineAt };
  }

  async #revokeByCopy(kept: LedgerEnd): Promise<void> {
    try {
      await this.#takeOver(kept);
      this.#options.owner.confirm();
    } catch (error) {
      this.#options.onStuck(kept.bytes);
      throw (this.#broken = asDoubt(error));
    }
  }

  /** Never rejects. The records that count were synced before, and the system closes the file even when it reports an error. */
  async close(): Promise<void> {
    await this.#file.close().catch(this.#options.onCloseError);
  }

  async #sync(): Promise<void> {
    if (this.#options.durability === 'fsync') await fdatasyncFd(this.#file.fd);
  }

  /** Cuts the file durably: otherwise a power loss could bring the refused records back. @throws InDoubt */
  async #cutTo(bytes: number, cause?: unknown): Promise<void> {
    if (this.#options.owner.isLost) throw (this.#broken = asLost()); // The new owner may have appended lines behind this one.
    try {
      await this.#file.truncate(bytes);
      await this.#sync();
    } catch (error) {
      this.#options.onStuck(bytes);
      this.#broken = asDoubt(cause ?? error);
      throw this.#broken;
    }
  }
}
