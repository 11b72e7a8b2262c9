// core/ids.ts: ids of media entries. They are random, or with a seed a repeatable sequence per namespace.
//
// Promises: 24 lower-case hexadecimal digits, as in the vendor's samples. Without a seed no id is given twice.
import { ALL_NAMESPACES } from './namespace.ts';
import { createHash, randomBytes } from 'node:crypto';

/** Ids as one namespace sees them: 24 lower-case hexadecimal digits. */
export interface Ids {
  next(namespace: string): string;
}

const ID_BYTES = 12;

export class SeededIds implements Ids {
  readonly #seed: string | null;
  readonly #counts = new Map<string, number>();
  readonly #taken = new Map<string, Set<string>>();

  constructor(seed: string | null) {
    this.#seed = seed;
  }

  next(namespace: string): string {
    if (this.#seed === null) return randomBytes(ID_BYTES).toString('hex');
    const count = (this.#counts.get(namespace) ?? 0) + 1;
    this.#counts.set(namespace, count);
    const hash = createHash('sha256').update(JSON.stringify([this.#seed, namespace, count]));
    const id = hash.digest('hex').slice(0, ID_BYTES * 2);
    return this.#taken.get(namespace)?.has(id) === true ? this.next(namespace) : id;
  }

  /** Marks an id as used: an entry with it exists, from before this process or from elsewhere. It is never given then. */
  take(namespace: string, id: string): void {
    if (this.#seed === null) return;
    const taken = this.#taken.get(namespace) ?? new Set();
    this.#taken.set(namespace, taken.add(id));
  }

  /** The sequence of the namespace starts again, because its entries are gone. */
  reset(namespace: string): void {
    for (const known of [this.#counts, this.#taken]) {
      if (namespace === ALL_NAMESPACES) known.clear();
      else known.delete(namespace);
    }
  }
}
