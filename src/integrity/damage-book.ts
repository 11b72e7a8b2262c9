// integrity/damage-book.ts: the known damage of stored uploads and entries (rule D5).
//
// Promises: the damage of an upload or entry is reported once, however often it is found. The book forgets it when the upload or entry is
// deleted or found intact. Memory is bounded: beyond `MAX_PLACES` the book forgets the oldest place, which can then be reported again.
import { FifoMap } from 'toad-cache';
import type { AppError, DamagedPlace } from '../core/errors.ts';
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

  /** The damaged chunks in the order of their index. Null if no damage of the bytes is known. */
  chunksOf(place: DamagedPlace): readonly DamagedChunk[] | null {
    const known = this.#known.get(keyOf(place));
    if (known === undefined || known.size === 0) return null;
    return [...known.values()].toSorted((a, b) => a.index - b.index);
  }

  /** The upload or entry was deleted, or found intact. */
  forget(place: DamagedPlace): void {
    this.#known.delete(keyOf(place));
  }

  /** The bytes were moved. Their damage has not changed. */
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
