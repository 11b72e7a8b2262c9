// storage/disk/ledger-undos.ts: remembers failed appends that could not be undone, and undoes them when the disk works again.
//
// When the sync of a line failed, and the line could not be cut off either, nobody knows whether the line is on the disk. Its
// record was refused, so it must not be read as a record that counts. If the process ends before the line is cut off, the line
// counts as any whole line does. So until then no byte that the record names is removed (errors.ts, InDoubt).
//
// Promises: when `finishUndo` resolves, the ledger is durably cut to the part that counts. A ledger of which nothing counts is
// removed. The memory for this is bounded.
// It does not know the format of lines.
import { fdatasync } from 'node:fs';
import { promisify } from 'node:util';
import { FifoMap } from 'toad-cache';
import { statIfThere, type Durability } from './paths.ts';
import { open, rm } from './files.ts';
import { isAbsent } from '../../core/system-errors.ts';

const fdatasyncFd = promisify(fdatasync);

/**
 * Number of ledgers that are remembered, 200 bytes each. Beyond it, the oldest is forgotten, and its line then counts. No
 * stored data contradicts that line.
 */
const MAX_REMEMBERED = 10_000;

interface Undo {
  readonly bytes: number;
  /** It is durable that nothing in the file counts. Only an empty file may be left. */
  isEmptied: boolean;
}

export class LedgerUndos {
  readonly #durability: Durability;
  readonly #undos = new FifoMap<Undo>(MAX_REMEMBERED);
  /** By path. A second call waits for the running undo: another undo would cut off what is appended after the first one. */
  readonly #running = new Map<string, Promise<void>>();

  constructor(durability: Durability) {
    this.#durability = durability;
  }

  /** @param isEmptied nothing was ever written to the file */
  remember(path: string, bytes: number, isEmptied = false): void {
    const known = this.#undos.get(path)?.bytes ?? bytes;
    this.#undos.delete(path);
    this.#undos.set(path, { bytes: Math.min(bytes, known), isEmptied });
  }

  /** The ledger is removed, so there is nothing to undo. */
  forget(path: string): void {
    this.#undos.delete(path);
  }

  /** Whether a restart may read more of the ledger than counts. */
  isInDoubt(path: string): boolean {
    return this.#undos.get(path)?.isEmptied === false;
  }

  /** @throws the error of the system when the undo still fails */
  finishUndo(path: string): Promise<void> {
    const running = this.#running.get(path);
    if (running !== undefined) return running;
    const undo = this.#undos.get(path);
    return undo === undefined ? NOTHING_TO_DO : this.#start(path, undo);
  }

  /** Tries every undo. Those that fail stay remembered. */
  async finishUndos(): Promise<void> {
    for (const path of this.#undos.keys()) await this.finishUndo(path).catch(() => undefined); // The undo stays remembered.
  }

  #start(path: string, undo: Undo): Promise<void> {
    const run = this.#undo(path, undo).finally(() => this.#running.delete(path));
    this.#running.set(path, run);
    return run;
  }

  async #undo(path: string, undo: Undo): Promise<void> {
    if (!undo.isEmptied) await cut(path, undo.bytes, this.#durability);
    if (undo.bytes === 0) {
      undo.isEmptied = true;
      // The size is checked again, so that a file with content is never removed here.
      if ((await statIfThere(path))?.size === 0) await rm(path, { force: true });
    }
    if (this.#undos.get(path) === undo) this.#undos.delete(path);
  }
}

const NOTHING_TO_DO = Promise.resolve();

async function cut(path: string, bytes: number, durability: Durability): Promise<void> {
  const file = await open(path, 'r+').catch((error: unknown) => {
    if (isAbsent(error)) return null;
    throw error;
  });
  if (file === null) return;
  try {
    await file.truncate(bytes);
    if (durability === 'fsync') await fdatasyncFd(file.fd);
  } finally {
    await file.close();
  }
}
