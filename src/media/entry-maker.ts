// media/entry-maker.ts: makes every entry: it moves the bytes to the place of the entry, then makes the ledger.
//
// Promises: an entry exists if and only if its ledger exists, and its bytes are at its place before that. When an entry cannot
// be made, the work is undone: there is no ledger, and the bytes are back where they came from (rule C16). When the disk does
// not allow this, the maker remembers the place and undoes the work before the entry is looked up again. When the process ends
// before that, it leaves what a crash would leave. That is mended when the entry is used.
// It does not know the content of an entry. The caller runs in the queue of the place.
import { FifoMap } from 'toad-cache';
import type { ContentSums } from '../integrity/content-sums.ts';
import { inDoubt } from '../core/errors.ts';
import type { Bytes, Extent, Ledgers, StorageKey } from '../uploads/ports.ts';
import type { EntrySpec } from './entry-form.ts';
import type { PublishFailure } from './entry.ts';
import type { EntryRecord } from './stored-entry.ts';

/** The bytes and the request from which an entry is made. `from`: where the bytes are, unless they were moved before a crash. */
export interface EntrySource {
  readonly mediaId: string;
  readonly namespace: string;
  readonly spec: EntrySpec;
  readonly at: number;
  readonly bytes: number;
  readonly extents: readonly Extent[];
  readonly from: StorageKey;
  /** The CRC-32s that are on record for the bytes (rule D5). Called when the entry is made. */
  readonly sums?: () => ContentSums;
  /** True when nobody can have made the entry before. */
  readonly isNew?: boolean;
  /** Given when an entry that existed before is put back. */
  readonly failures?: readonly PublishFailure[];
}

type Origin = Pick<EntrySource, 'from' | 'extents'>;

interface Refused extends Origin {
  readonly place: StorageKey;
  readonly reason: Error;
}

/** The number of places that are remembered, 1 KB each. Beyond it, the oldest is forgotten. */
const MAX_REFUSED = 1_000;

/** The storage as entries use it. */
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

  /** The places of entries that are still to be undone. */
  get refusedPlaces(): readonly StorageKey[] {
    return [...this.#refused.items.values()].map(({ value }) => value.place);
  }

  /**
   * Makes the entry. The caller guarantees that it does not exist.
   * @returns why the entry could not be made, after the work was undone; null when the entry exists
   * @throws InDoubt when the work could not be undone either
   */
  async make(place: StorageKey, origin: Origin, records: readonly EntryRecord[]): Promise<Error | null> {
    try {
      await this.#bringHome(place, origin);
      const ledger = await this.#storage.ledgers.create(place, records);
      // The entry exists from here on. A failure of the next calls does not change that.
      await ledger.close().catch(this.#onCloseError);
      await this.#storage.bytes.release(place).catch(this.#onCloseError);
      return null;
    } catch (error) {
      return this.#refuse({ place, from: origin.from, extents: origin.extents, reason: asError(error) });
    }
  }

  /**
   * Undoes an entry that could not be made, if this is still to be done.
   * @returns why the entry was refused; null when there was nothing to undo
   */
  async undo(place: StorageKey): Promise<Error | null> {
    const refused = this.#refused.get(keyOf(place));
    if (refused === undefined) return null;
    await this.#undo(refused);
    return refused.reason;
  }

  /** Called when the entry and its bytes are removed. */
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

  /** When this resolves, the entry does not exist, and the bytes are where they came from. After an error it is called again. */
  async #undo({ place, from, extents, reason }: Refused): Promise<void> {
    const { bytes, ledgers } = this.#storage;
    await ledgers.remove(place);
    if (!(await bytes.move(place, from))) {
      // Both places hold bytes. The bytes at `place` belong to nobody, with one exception: they are the only whole copy when a
      // move by copy was interrupted while it removed the source. Then bytes at `from` are missing.
      const { missing } = await bytes.reconcile(from, extents);
      if (missing.length > 0) {
        this.#refused.delete(keyOf(place)); // Instead, the next use of the entry finishes it.
        throw reason;
      }
    }
    this.#refused.delete(keyOf(place));
  }

  /** Moves the bytes to the place of the entry. The caller guarantees that this place has no ledger. */
  async #bringHome(place: StorageKey, { from, extents }: Origin): Promise<void> {
    const { bytes } = this.#storage;
    if (await bytes.move(from, place)) return;
    // Both places hold bytes. The bytes at the place of the entry belong to nobody: a crash came after the removal of an
    // entry's ledger and before the removal of its bytes, and a seed gave the same id again. They are removed only if all bytes
    // of `from` are there.
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
