// storage/disk-ledger.ts: the Ledgers port on a local disk: one append-only text file per upload or entry.
//
// What is in it: ledger-lines.ts. A write that never finished is dropped and reported as torn. Damage is refused: the file stays
// as it is, and every other ledger goes on (rule D2).
//
// Promises: an append is whole or not at all; with `fsync` it is synced, and so is the name of a new file (D1).
import { fdatasync } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Ledger, Ledgers, OpenedLedger, Place } from '../uploads/ports.ts';
import {
  asRefusal,
  FOLDERS_OF_A_PLACE,
  hasCode,
  modifiedAt,
  placePath,
  placesIn,
  syncFolder,
  type Durability,
} from './disk-paths.ts';
import { DiskFolders } from './disk-folders.ts';
import { FileWrites } from './file-writes.ts';
import { encodeLine, readLines } from './ledger-lines.ts';

const fdatasyncFd = promisify(fdatasync);

export class DiskLedgers implements Ledgers {
  readonly #root: string;
  readonly #options: LedgerOptions;
  readonly #folders: DiskFolders;
  /** Ledgers whose content is durable, since this process made it, or synced it when it was read. */
  readonly #durable = new Set<string>();

  constructor(root: string, durability: Durability) {
    this.#root = root;
    this.#folders = new DiskFolders(dirname(root), durability);
    this.#options = { durability, writes: new FileWrites() };
  }

  async open(place: Place): Promise<OpenedLedger | null> {
    const path = this.#path(place);
    const file = await openFile(path);
    if (file === null) {
      await this.#settleFound(path); // Removed, perhaps, by a process that did not live to sync it; its bytes go next.
      return null;
    }
    try {
      // By the one descriptor: somebody may remove the file meanwhile.
      const content = await file.readFile();
      const { records, lines, validBytes } = readLines(content, place);
      const torn = content.length - validBytes;
      if (torn > 0) await file.truncate(validBytes);
      if (records.length === 0) {
        await rm(path, { force: true }); // The very first write never finished: there is no such ledger.
        await file.close();
        return null;
      }
      await this.#settleRead(path, file);
      const ledger = new DiskLedger(file, { bytes: validBytes, lines }, this.#options);
      return torn > 0 ? { ledger, records, torn: { bytes: torn } } : { ledger, records };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async create(place: Place, records: readonly object[]): Promise<Ledger> {
    const path = this.#path(place);
    try {
      const file = await this.#createFile(path);
      const ledger = new DiskLedger(file, { bytes: 0, lines: 0 }, this.#options);
      try {
        await this.#begin(ledger, path, records);
      } catch (error) {
        await withdraw(ledger, path);
        throw error;
      }
      return ledger;
    } catch (error) {
      throw asRefusal(error);
    }
  }

  async #begin(ledger: DiskLedger, path: string, records: readonly object[]): Promise<void> {
    await ledger.append(records);
    try {
      await this.#syncName(path);
    } catch (error) {
      await ledger.empty();
      throw error;
    }
    this.#rememberDurable(path);
  }

  async remove(place: Place): Promise<void> {
    const path = this.#path(place);
    this.#durable.delete(path);
    await this.#folders.holding(dirname(path), async () => {
      await rm(path, { force: true });
      // A ledger that comes back without its bytes, which are removed after it, would be damage.
      await this.#syncName(path).catch(unlessAbsent);
    });
  }

  async *list(kind: Place['kind'], namespace?: string): AsyncIterable<{ place: Place; modifiedAt: number }> {
    for await (const { place, path } of placesIn(this.#root, kind, namespace)) {
      const at = await modifiedAt(path);
      if (at !== undefined) yield { place, modifiedAt: at };
    }
  }

  /** Removes the folders of namespaces that hold nothing any more. */
  tidy(): Promise<void> {
    return this.#folders.tidy(this.#root, FOLDERS_OF_A_PLACE);
  }

  #path(place: Place): string {
    return `${placePath(this.#root, place)}.log`;
  }

  /** Most ledgers are made in a folder that is there: it is made only when the file cannot be. */
  async #createFile(path: string): Promise<FileHandle> {
    try {
      return await open(path, 'wx');
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      return this.#folders.putInto(dirname(path), () => open(path, 'wx'));
    }
  }

  /** What was read is durable when this resolves: it may be of a process that wrote it and did not live to sync it. */
  async #settleRead(path: string, file: FileHandle): Promise<void> {
    if (this.#options.durability === 'none') return;
    if (!this.#durable.has(path)) {
      await fdatasyncFd(file.fd);
      this.#rememberDurable(path);
    }
    await this.#settleFound(path);
  }

  /** One that is forgotten is synced once more than it needs to be. */
  #rememberDurable(path: string): void {
    if (this.#options.durability === 'none') return;
    if (this.#durable.size >= MAX_DURABLE) this.#durable.clear();
    this.#durable.add(path);
  }

  async #settleFound(path: string): Promise<void> {
    const folder = dirname(path);
    await this.#folders.holding(folder, () => this.#folders.settleFound(folder)).catch(unlessAbsent);
  }

  async #syncName(path: string): Promise<void> {
    if (this.#options.durability === 'none') return;
    const folder = dirname(path);
    try {
      await syncFolder(folder);
      await this.#folders.settle(folder);
    } catch (error) {
      this.#folders.forgetFound(folder);
      throw error;
    }
  }
}

/** One that is refused is not there, and not open. */
async function withdraw(ledger: DiskLedger, path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } finally {
    await ledger.close();
  }
}

/** No such folder: there never was a ledger in it, or it was synced without one and removed. */
function unlessAbsent(error: unknown): void {
  if (!hasCode(error, 'ENOENT')) throw error;
}

interface LedgerOptions {
  readonly durability: Durability;
  readonly writes: FileWrites;
}

class DiskLedger implements Ledger {
  readonly #file: FileHandle;
  readonly #durability: Durability;
  readonly #writes: FileWrites;
  #bytes: number;
  #lines: number;
  /** Set when a failed append could not be undone: appending after it would make damage of it. */
  #broken: Error | null = null;

  constructor(file: FileHandle, end: { bytes: number; lines: number }, options: LedgerOptions) {
    this.#file = file;
    this.#bytes = end.bytes;
    this.#lines = end.lines;
    this.#durability = options.durability;
    this.#writes = options.writes;
  }

  async append(records: readonly object[]): Promise<void> {
    if (this.#broken !== null) throw this.#broken;
    const buffer = Buffer.from(encodeLine(this.#lines + 1, records));
    try {
      await this.#writes.all(this.#file.fd, [buffer], this.#bytes);
      if (this.#durability === 'fsync') await fdatasyncFd(this.#file.fd);
    } catch (error) {
      await this.#undo();
      throw asRefusal(error);
    }
    this.#bytes += buffer.length;
    this.#lines += 1;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Of one that is refused and removed: should a loss of power bring back its name, it speaks of nothing. */
  async empty(): Promise<void> {
    this.#bytes = 0;
    await this.#undo();
  }

  async #undo(): Promise<void> {
    try {
      await this.#file.truncate(this.#bytes);
      // Or a loss of power would bring back what was refused.
      if (this.#durability === 'fsync') await fdatasyncFd(this.#file.fd);
    } catch (cause) {
      this.#broken = new Error('the ledger could not be restored after a failed append', { cause });
    }
  }
}

/** For reading and writing. Null: it is not there. */
async function openFile(path: string): Promise<FileHandle | null> {
  return open(path, 'r+').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
}

/** Of 100 bytes each. */
const MAX_DURABLE = 20_000;
