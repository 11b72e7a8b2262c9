// ids.ts: ids of media entries: random, or with a seed a repeatable sequence per namespace.
//
// Promises: 24 lower-case hexadecimal digits, as the vendor's samples look; without a seed never given twice.
import { createHash, randomBytes } from 'node:crypto';
import type { Ids } from './uploads/ports.ts';

const ID_BYTES = 12;

export class MediaIds implements Ids {
  readonly #seed: string | null;
  readonly #counts = new Map<string, number>();

  constructor(seed: string | null) {
    this.#seed = seed;
  }

  next(namespace: string): string {
    if (this.#seed === null) return randomBytes(ID_BYTES).toString('hex');
    const count = (this.#counts.get(namespace) ?? 0) + 1;
    this.#counts.set(namespace, count);
    const hash = createHash('sha256').update(JSON.stringify([this.#seed, namespace, count]));
    return hash.digest('hex').slice(0, ID_BYTES * 2);
  }

  /** The sequence of the namespace starts anew: its entries are gone. */
  reset(namespace: string): void {
    this.#counts.delete(namespace);
  }
}
