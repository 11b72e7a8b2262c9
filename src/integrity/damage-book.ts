// integrity/damage-book.ts: which stored uploads and entries are known to be wrong (rule D5).
//
// Promises: of each it is told once that something is wrong, however often that is met; when it is gone, nothing is known of it any
// more. The memory that this takes is bounded: beyond `MAX_PLACES` the one that was met first is told of once more.
// Must not know: how damage is found, where it is told.
import type { AppError, DamagedPlace } from '../errors.ts';

const MAX_PLACES = 10_000;

export class DamageBook {
  readonly #tell: (error: AppError) => void;
  readonly #known = new Set<string>();

  constructor(tell: (error: AppError) => void) {
    this.#tell = tell;
  }

  /** @param error of the code `upload_damaged` */
  met(error: AppError): void {
    const { kind, namespace, name } = error.details;
    const key = [kind, namespace, name].join('/');
    if (this.#known.has(key)) return;
    const [oldest] = this.#known;
    if (this.#known.size >= MAX_PLACES && oldest !== undefined) this.#known.delete(oldest);
    this.#known.add(key);
    this.#tell(error);
  }

  /** It is gone, and what comes in its place is another. */
  forget({ kind, namespace, name }: DamagedPlace): void {
    this.#known.delete([kind, namespace, name].join('/'));
  }
}
