// storage/disk/ledger-file.ts: one open ledger on a disk.
//
// Promises: an append is whole or not at all, and with `fsync` it is durable (D1). What was refused is cut off again, durably; when
// even that fails the ledger takes nothing more, and the refusal says so (InDoubt): whoever opens it next cuts it off first.
// Must not know: where the file lies, how a new one is made.
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

/** Who may write here: the one process that the folder belongs to (rule D3). */
export interface LedgerOwner {
  /** Another process has the folder: whatever is there is its own. */
  readonly isLost: boolean;
  /** @throws AppError `storage_unavailable` when what was just written is not to be relied on (rule D6) */
  confirm(): void;
}

export interface LedgerFileOptions {
  readonly owner: LedgerOwner;
  readonly durability: Durability;
  readonly writes: FileWrites;
  readonly onCloseError: (error: unknown) => void;
  /** Is told how much of the ledger counts when what is beyond could not be cut off. */
  readonly onStuck: (bytes: number) => void;
  /** Of one that an earlier owner may still be writing to. */
  readonly copying?: LedgerCopying | undefined;
}

export interface LedgerCopying {
  /** Another file is at the ledger's path when it resolves: what was in this one up to `end`, and a line more. */
  copy(file: FileHandle, end: LedgerEnd): Promise<CopiedLedger>;
  /** That it is another file is durable. */
  sync(): Promise<void>;
}

export class LedgerFile implements Ledger {
  #file: FileHandle;
  readonly #options: LedgerFileOptions;
  #end: LedgerEnd;
  #broken: InDoubt | null = null;
  /** Null: it is ours alone. */
  #copying: LedgerCopying | null;

  constructor(file: FileHandle, end: LedgerEnd, options: LedgerFileOptions) {
    this.#file = file;
    this.#end = end;
    this.#options = options;
    this.#copying = options.copying ?? null;
  }

  /** Nothing that an earlier owner writes to it counts any more when this resolves. When it rejects, what counts is as before. */
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

  /** Never rejects: what counts was synced before, and the file is closed whatever the system says. */
  async close(): Promise<void> {
    await this.#file.close().catch(this.#options.onCloseError);
  }

  async #sync(): Promise<void> {
    if (this.#options.durability === 'fsync') await fdatasyncFd(this.#file.fd);
  }

  /** Durably: or a loss of power would bring back what was refused. @throws InDoubt */
  async #cutTo(bytes: number, cause?: unknown): Promise<void> {
    if (this.#options.owner.isLost) throw (this.#broken = asLost()); // The new owner may have appended behind it.
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
