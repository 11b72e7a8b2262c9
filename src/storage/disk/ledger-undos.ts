// storage/disk/ledger-undos.ts: appends that failed and could not be undone: what of their ledgers counts, until the disk works again.
//
// A line of which the sync failed, and which could not be cut off either, may be on the disk or not. Its record was refused, so it
// must not be read as one that counts; and if the process ends before it could be cut off it does count, as any whole line does:
// that is why no byte that it speaks of is removed meanwhile (errors.ts, InDoubt).
//
// Promises: `finishUndo` resolves when the ledger is durably as long as what counts of it. One that is cut to nothing is gone. The memory
// that this takes is bounded.
// Must not know: lines.
import { fdatasync } from 'node:fs';
import { promisify } from 'node:util';
import { FifoMap } from 'toad-cache';
import { statIfThere, type Durability } from './paths.ts';
import { open, rm } from './files.ts';
import { isAbsent } from '../../core/system-errors.ts';

const fdatasyncFd = promisify(fdatasync);

/** Of 200 bytes each. The oldest is forgotten: its line is one that counts then, which nothing that is stored contradicts. */
const MAX_REMEMBERED = 10_000;

interface Undo {
  readonly bytes: number;
  /** It is durable that nothing counts. Only a file without content may be left. */
  isEmptied: boolean;
}

export class LedgerUndos {
  readonly #durability: Durability;
  readonly #undos = new FifoMap<Undo>(MAX_REMEMBERED);
  /** Who asks meanwhile waits for the same one: a second one would cut off what is appended after the first. */
  readonly #running = new Map<string, Promise<void>>();

  constructor(durability: Durability) {
    this.#durability = durability;
  }

  /** @param isEmptied nothing was ever written to it */
  remember(path: string, bytes: number, isEmptied = false): void {
    const known = this.#undos.get(path)?.bytes ?? bytes;
    this.#undos.delete(path);
    this.#undos.set(path, { bytes: Math.min(bytes, known), isEmptied });
  }

  /** It is removed: there is nothing to be undone. */
  forget(path: string): void {
    this.#undos.delete(path);
  }

  /** Whether more of it may be read after a restart than counts. */
  isInDoubt(path: string): boolean {
    return this.#undos.get(path)?.isEmptied === false;
  }

  /** @throws the error of the system when it still cannot be undone */
  finishUndo(path: string): Promise<void> {
    const running = this.#running.get(path);
    if (running !== undefined) return running;
    const undo = this.#undos.get(path);
    return undo === undefined ? NOTHING_TO_DO : this.#start(path, undo);
  }

  /** All of them, as far as they can be. */
  async finishUndos(): Promise<void> {
    for (const path of this.#undos.keys()) await this.finishUndo(path).catch(() => undefined); // It stays remembered.
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
      // Looked at once more: nothing that holds anything is ever removed here.
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
