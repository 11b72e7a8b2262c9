// integrity/damage-book.ts: what is known to be wrong with stored uploads and entries (rule D5).
//
// Promises: of each upload and entry it is told once that something is wrong, however often that is met; when it is gone, or is found
// to be right again, nothing is known of it any more. The memory that this takes is bounded: beyond `MAX_PLACES` the one that was
// met first is forgotten, and told of once more.
// Must not know: how damage is found, where it is told.
import { FifoMap } from 'toad-cache';
import type { AppError, DamagedPlace } from '../errors.ts';
import { MAX_LISTED_CHUNKS, type DamagedChunk } from './stored-content.ts';

const MAX_PLACES = 10_000;

export class DamageBook {
  readonly #tell: (error: AppError) => void;
  /** By place: the chunks that are known to be damaged, by their index. */
  readonly #known = new FifoMap<Map<number, DamagedChunk>>(MAX_PLACES);

  constructor(tell: (error: AppError) => void) {
    this.#tell = tell;
  }

  /** @param error of the code `upload_damaged` */
  met(error: AppError): void {
    const { kind, namespace, name, chunks = [] } = error.details;
    const key = [kind, namespace, name].join('/');
    const known = this.#known.get(key);
    const damaged = known ?? new Map<number, DamagedChunk>();
    for (const chunk of chunks as readonly DamagedChunk[])
      if (damaged.size < MAX_LISTED_CHUNKS) damaged.set(chunk.index, chunk);
    if (known === undefined) this.#begin(key, damaged, error);
  }

  /** In the order of their index. Null: nothing is known to be wrong with its bytes. */
  chunksOf(place: DamagedPlace): readonly DamagedChunk[] | null {
    const known = this.#known.get(keyOf(place));
    if (known === undefined || known.size === 0) return null;
    return [...known.values()].toSorted((a, b) => a.index - b.index);
  }

  /** It is gone, and what comes in its place is another; or it was found to be right. */
  forget(place: DamagedPlace): void {
    this.#known.delete(keyOf(place));
  }

  /** The bytes are somewhere else now, and what is wrong with them has not changed. */
  moved(from: DamagedPlace, to: DamagedPlace): void {
    const known = this.#known.get(keyOf(from));
    if (known === undefined || known.size === 0) return;
    this.#known.delete(keyOf(from));
    this.#known.set(keyOf(to), known);
  }

  #begin(key: string, damaged: Map<number, DamagedChunk>, error: AppError): void {
    this.#known.set(key, damaged);
    this.#tell(error);
  }
}

function keyOf({ kind, namespace, name }: DamagedPlace): string {
  return [kind, namespace, name].join('/');
}
