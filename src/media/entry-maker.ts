// media/entry-maker.ts: the one way in which an entry comes to be: its bytes are moved to its place, then its ledger is made.
//
// Promises: an entry exists if and only if its ledger does, and its bytes are there before. One that cannot be made is undone: no
// ledger, and the bytes where they came from (rule C16). What the disk does not let us undo is remembered and undone before anybody
// looks for that entry again; a process that ends before leaves what a crash would have left, which is mended when it is wanted.
// Must not know: what is in an entry. The caller is in the queue of the place.
import { FifoMap } from 'toad-cache';
import type { ContentSums } from '../integrity/content-sums.ts';
import { inDoubt } from '../core/errors.ts';
import type { Bytes, Extent, Ledgers, StorageKey } from '../uploads/ports.ts';
import type { EntrySpec } from './entry-form.ts';
import type { PublishFailure } from './entry.ts';
import type { EntryRecord } from './stored-entry.ts';

/** Bytes and intent from which an entry is made. `from`: where the bytes are, unless a crash came after they were moved. */
export interface EntrySource {
  readonly mediaId: string;
  readonly namespace: string;
  readonly spec: EntrySpec;
  readonly at: number;
  readonly bytes: number;
  readonly extents: readonly Extent[];
  readonly from: StorageKey;
  /** Those that are on record of the bytes (rule D5). Asked for when the entry is made. */
  readonly sums?: () => ContentSums;
  /** Nobody can have made it before. */
  readonly isNew?: boolean;
  /** Of an entry that existed before, and is put back. */
  readonly failures?: readonly PublishFailure[];
}

type Origin = Pick<EntrySource, 'from' | 'extents'>;

interface Refused extends Origin {
  readonly place: StorageKey;
  readonly reason: Error;
}

/** Of 1 KB each. The oldest is forgotten. */
const MAX_REFUSED = 1_000;

/** A storage as entries see it. */
export interface EntryStorage {
  readonly ledgers: Ledgers<EntryRecord>;
  readonly bytes: Bytes;
}

export class EntryMaker {
  readonly #storage: EntryStorage;
  readonly #onCloseError: (error: unknown) => void;
  readonly #refused = new FifoMap<Refused>(MAX_REFUSED);

  constructor(storage: EntryStorage, onCloseError: (error: unknown) => void) {
    this.#storage = storage;
    this.#onCloseError = onCloseError;
  }

  /** Of entries that are still to be undone. */
  get refusedPlaces(): readonly StorageKey[] {
    return [...this.#refused.items.values()].map(({ value }) => value.place);
  }

  /**
   * The caller guarantees that there is no such entry.
   * @returns why it could not be made, and was undone; null when it is there
   * @throws InDoubt when it could not be undone either
   */
  async make(place: StorageKey, origin: Origin, records: readonly EntryRecord[]): Promise<Error | null> {
    try {
      await this.#bringHome(place, origin);
      const ledger = await this.#storage.ledgers.create(place, records);
      // From here on it exists: nothing that fails changes that.
      await ledger.close().catch(this.#onCloseError);
      await this.#storage.bytes.release(place).catch(this.#onCloseError);
      return null;
    } catch (error) {
      return this.#refuse({ place, from: origin.from, extents: origin.extents, reason: asError(error) });
    }
  }

  /**
   * Undoes an earlier making that is still to be undone.
   * @returns why it was refused; null when there was nothing to undo
   */
  async undo(place: StorageKey): Promise<Error | null> {
    const refused = this.#refused.get(keyOf(place));
    if (refused === undefined) return null;
    await this.#undo(refused);
    return refused.reason;
  }

  /** The entry and its bytes are removed. */
  forget(place: StorageKey): void {
    this.#refused.delete(keyOf(place));
  }

  async #refuse(refused: Refused): Promise<Error> {
    this.#refused.set(keyOf(refused.place), refused);
    try {
      await this.#undo(refused);
    } catch (error) {
      if (error === refused.reason) throw error;
      throw inDoubt(refused.reason);
    }
    return refused.reason;
  }

  /** There is no such entry, and the bytes are where they came from, when it resolves. To be called again until it does. */
  async #undo({ place, from, extents, reason }: Refused): Promise<void> {
    const { bytes, ledgers } = this.#storage;
    await ledgers.remove(place);
    if (!(await bytes.move(place, from))) {
      // Both places hold bytes. Those at the entry's are nobody's, unless the others were being removed, after they were copied.
      const { missing } = await bytes.reconcile(from, extents);
      if (missing.length > 0) {
        this.#refused.delete(keyOf(place)); // It is finished instead, the next time it is wanted.
        throw reason;
      }
    }
    this.#refused.delete(keyOf(place));
  }

  /** The bytes are at the entry's own place afterwards. No ledger speaks of that place yet. */
  async #bringHome(place: StorageKey, { from, extents }: Origin): Promise<void> {
    const { bytes } = this.#storage;
    if (await bytes.move(from, place)) return;
    // Both places hold bytes. Those at the entry's are nobody's: a crash came between the removal of an entry's ledger and that
    // of its bytes, and the entry's id is given again by a seed. Nothing is removed unless the others are all there.
    const { missing } = await bytes.reconcile(from, extents);
    if (missing.length > 0)
      throw new Error(`bytes of entry ${place.name} are missing (${missing.join(', ')})`);
    await bytes.remove(place);
    if (!(await bytes.move(from, place))) throw new Error(`the place of entry ${place.name} is taken`);
  }
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function keyOf({ namespace, name }: StorageKey): string {
  return `${namespace}/${name}`;
}
