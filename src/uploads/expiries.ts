// uploads/expiries.ts: counts how many uploads expire during a piece of work.
//
// Promises: each expired upload is counted once, whether a sweep, a request or a late commit touched it first and so expired
// it.
import { ALL_NAMESPACES } from '../core/namespace.ts';

interface Count {
  readonly namespace: string;
  expired: number;
}

export class Expiries {
  readonly #counts = new Set<Count>();

  /** An upload of this namespace has expired and has been erased. */
  add(namespace: string): void {
    for (const count of this.#counts)
      if (count.namespace === ALL_NAMESPACES || count.namespace === namespace) count.expired += 1;
  }

  /** Does `work`. Counts the uploads of the namespace, or of all namespaces (`*`), that expire meanwhile. */
  async during<T>(namespace: string, work: () => Promise<T>): Promise<{ result: T; expired: number }> {
    const count: Count = { namespace, expired: 0 };
    this.#counts.add(count);
    try {
      const result = await work();
      return { result, expired: count.expired };
    } finally {
      this.#counts.delete(count);
    }
  }
}
