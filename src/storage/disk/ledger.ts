// storage/disk/ledger.ts: the Ledgers port on a local disk: one append-only text file per upload or entry.
//
// The format is in ledger-lines.ts. A write that never finished is dropped and reported as torn. A damaged ledger is refused:
// its file stays as it is, and every other ledger goes on (rule D2).
//
// Promises: an append is stored whole or not at all (ledger-file.ts). With `fsync` it is synced, and so is the name of a new
// file (D1). A ledger whose creation was refused does not exist. If it could not be removed at once, it is removed before it is
// opened or made again.
import { fdatasync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { FifoMap } from 'toad-cache';
import { InDoubt } from '../../core/errors.ts';
import type {
  Ledger,
  LedgerRecord,
  Ledgers,
  OnSkipped,
  OpenedLedger,
  StorageKey,
} from '../../uploads/ports.ts';
import {
  asDamage,
  datedPlacesIn,
  FOLDERS_OF_A_PLACE,
  placePath,
  syncFolder,
  type DiskNotes,
  type Durability,
  type ReportSkipped,
} from './paths.ts';
import { DiskFolders } from './folders.ts';
import { FileWrites } from './file-writes.ts';
import { open, rm } from './files.ts';
import { LedgerFile, type LedgerCopying, type LedgerOwner } from './ledger-file.ts';
import { readLines, type LedgerEnd, type LedgerLines } from './ledger-lines.ts';
import { LedgerCopies, type CopiesOptions } from './ledger-copies.ts';
import { LedgerUndos } from './ledger-undos.ts';
import { asDoubt, isAbsent, isTaken, systemErrorKind } from '../../core/system-errors.ts';

const fdatasyncFd = promisify(fdatasync);

const EMPTY: LedgerEnd = { bytes: 0, lines: 0, lastLineAt: 0 };

type Read = Pick<LedgerLines, 'end' | 'owner'>;

interface DiskLedgersOptions extends Partial<Omit<DiskNotes, 'onCopied'>> {
  readonly owner?: LedgerOwner;
  readonly copies?: CopiesOptions;
}

/** For tests, which own the folder without a lock. */
const NOBODY_ELSE: LedgerOwner = { isLost: false, confirm: () => undefined };
const NO_COPIES: CopiesOptions = { number: 0, aside: '' };

export class DiskLedgers implements Ledgers {
  readonly #root: string;
  readonly #durability: Durability;
  readonly #onCloseError: DiskNotes['onCloseError'];
  readonly #writes = new FileWrites();
  readonly #folders: DiskFolders;
  readonly #undos: LedgerUndos;
  /** Ledgers whose content is durable: this process made them, or synced them when it read them. */
  readonly #durable = new FifoMap<true>(MAX_DURABLE);
  readonly #owner: LedgerOwner;
  readonly #copies: LedgerCopies;

  readonly #report: ReportSkipped;

  constructor(root: string, durability: Durability, notes: DiskLedgersOptions = {}) {
    this.#root = root;
    this.#durability = durability;
    this.#onCloseError = notes.onCloseError ?? ((): void => undefined);
    this.#owner = notes.owner ?? NOBODY_ELSE;
    this.#copies = new LedgerCopies(notes.copies ?? NO_COPIES, durability, this.#writes);
    this.#report = notes.onSkipped ?? ((): void => undefined);
    this.#folders = new DiskFolders(dirname(root), durability);
    this.#undos = new LedgerUndos(durability);
  }

  async open(place: StorageKey): Promise<OpenedLedger | null> {
    try {
      return await this.#open(place);
    } catch (error) {
      throw asDamage(error, place);
    }
  }

  async #open(place: StorageKey): Promise<OpenedLedger | null> {
    const path = this.#path(place);
    await this.#undos.finishUndo(path);
    const file = await openFile(path);
    if (file === null) {
      // An earlier process may have removed the file and died before the sync. The caller removes the bytes next, so the
      // removal must be durable.
      await this.#syncFound(path);
      return null;
    }
    try {
      // All reads use this descriptor, because the file may be removed from the folder meanwhile.
      const content = await file.readFile();
      const read = readLines(content, place);
      const { records, end, owner } = read;
      const torn = content.length - end.bytes;
      if (torn > 0) {
        await file.truncate(end.bytes);
        this.#durable.delete(path);
      }
      if (records.length === 0) {
        await rm(path, { force: true }); // The very first write never finished, so there is no such ledger.
        await this.#close(file);
        return null;
      }
      await this.#syncRead(path, file);
      const ledger = this.#ledgerOf(file, path, read);
      const opened = torn > 0 ? { ledger, records, torn: { bytes: torn } } : { ledger, records };
      return owner < this.#copies.number || read.isInherited
        ? { ...opened, takeOver: () => takenOver(ledger) }
        : opened;
    } catch (error) {
      await this.#close(file);
      throw error;
    }
  }

  async create(place: StorageKey, records: readonly LedgerRecord[]): Promise<Ledger> {
    const path = this.#path(place);
    await this.#undos.finishUndo(path);
    let file: FileHandle | null = null;
    try {
      file = await this.#createFile(path);
      const ledger = this.#ledgerOf(file, path, { end: EMPTY, owner: this.#copies.number });
      await ledger.append([...this.#copies.firstRecords, ...records]);
      await this.#syncName(path);
      this.#rememberDurable(path);
      return ledger;
    } catch (error) {
      if (file === null && isTaken(error)) throw error;
      throw await this.#withdrawn(path, file, error);
    }
  }

  /** Removes a ledger that could not be made. Resolves to the refusal. The ledger is gone unless the refusal is InDoubt. */
  async #withdrawn(path: string, file: FileHandle | null, cause: unknown): Promise<unknown> {
    if (this.#owner.isLost) {
      await file?.close().catch(this.#onCloseError);
      return cause; // The file at that path belongs to the new owner.
    }
    this.#undos.remember(path, 0, file === null);
    await this.#undos.finishUndo(path).catch(() => undefined); // The undo stays remembered.
    if (file !== null) await this.#close(file);
    const why = cause instanceof InDoubt ? cause.cause : cause;
    return this.#undos.isInDoubt(path) ? asDoubt(why) : why;
  }

  async remove(place: StorageKey): Promise<void> {
    const path = this.#path(place);
    this.#durable.delete(path);
    const removing = this.#folders.holding(dirname(path), async () => {
      await rm(path, { force: true });
      this.#undos.forget(path);
      // The caller removes the bytes next. If a power loss brought the ledger back without them, it would be damaged.
      await this.#syncName(path).catch(unlessAbsent);
    });
    await removing.catch((error: unknown) => {
      throw asDamage(error, place, 'removed');
    });
  }

  list(
    kind: StorageKey['kind'],
    namespace?: string,
    onSkipped?: OnSkipped,
  ): AsyncIterable<{ place: StorageKey; modifiedAt: number }> {
    const [root, report] = [this.#root, this.#report];
    return datedPlacesIn({ root, kind, namespace, suffix: '.log', report, onSkipped });
  }

  /** Removes the folders of namespaces that hold nothing any more, and the ledgers that could not be removed before. */
  async tidy(): Promise<void> {
    await this.#undos.finishUndos();
    await this.#folders.tidy(this.#root, FOLDERS_OF_A_PLACE);
  }

  /** Tries the remaining undos once more: the next process would take refused records for records that count. */
  async close(): Promise<void> {
    if (!this.#owner.isLost) await this.#undos.finishUndos();
  }

  #ledgerOf(file: FileHandle, path: string, read: Read): LedgerFile {
    const { end, owner } = read;
    const isOthers = owner < this.#copies.number;
    const copying: LedgerCopying = {
      copy: (from, upTo) => this.#copies.copy(path, from, upTo),
      sync: () => this.#syncName(path),
    };
    return new LedgerFile(file, end, {
      durability: this.#durability,
      writes: this.#writes,
      owner: this.#owner,
      onCloseError: this.#onCloseError,
      onStuck: (bytes) => this.#undos.remember(path, bytes),
      copying: isOthers ? copying : undefined,
    });
  }

  async #close(file: FileHandle): Promise<void> {
    await file.close().catch(this.#onCloseError);
  }

  #path(place: StorageKey): string {
    return `${placePath(this.#root, place)}.log`;
  }

  /** Most ledgers are made in a folder that exists. So the folder is made only when the file cannot be made. */
  async #createFile(path: string): Promise<FileHandle> {
    try {
      return await open(path, 'wx');
    } catch (error) {
      if (!isAbsent(error)) throw error;
      return this.#folders.putInto(dirname(path), () => open(path, 'wx'));
    }
  }

  /** Makes durable what was read: the process that wrote it may have died before the sync. */
  async #syncRead(path: string, file: FileHandle): Promise<void> {
    if (this.#durability === 'none') return;
    if (this.#durable.get(path) === undefined) {
      await fdatasyncFd(file.fd);
      this.#rememberDurable(path);
    }
    await this.#syncFound(path);
  }

  /** The oldest path is forgotten when there are too many. It is then synced once more than needed. */
  #rememberDurable(path: string): void {
    if (this.#durability === 'none') return;
    this.#durable.set(path, true);
  }

  async #syncFound(path: string): Promise<void> {
    const folder = dirname(path);
    await this.#folders.holding(folder, () => this.#folders.syncFound(folder)).catch(unlessAbsent);
  }

  async #syncName(path: string): Promise<void> {
    if (this.#durability === 'none') return;
    const folder = dirname(path);
    try {
      await syncFolder(folder);
      await this.#folders.syncNames(folder);
    } catch (error) {
      this.#folders.forgetFound(folder);
      throw error;
    }
  }
}

/** When there is no room for a copy, the ledger stays as it is. It can be read, and the next append tries the copy again. */
async function takenOver(ledger: LedgerFile): Promise<void> {
  try {
    await ledger.takeOver();
  } catch (error) {
    if (systemErrorKind(error) !== 'no-room') throw error;
  }
}

/** The folder does not exist: it never held a ledger, or it was synced when it was empty and then removed. */
function unlessAbsent(error: unknown): void {
  if (!isAbsent(error)) throw error;
}

/** Opens the file for reading and writing. Null when it does not exist. */
async function openFile(path: string): Promise<FileHandle | null> {
  return open(path, 'r+').catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
}

/** Number of paths that are remembered, 100 bytes each. */
const MAX_DURABLE = 20_000;
