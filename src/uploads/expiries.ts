// uploads/expiries.ts: how many uploads expire while something is being done.
//
// Promises: each is counted once, whoever touched it first and so expired it: a sweep, a request, a late commit.
// Must not know: when an upload expires, what is being done.
import { ALL_NAMESPACES } from '../core/namespace.ts';

interface Count {
  readonly namespace: string;
  expired: number;
}

export class Expiries {
  readonly #counts = new Set<Count>();

  /** An upload of this namespace has expired, and is gone. */
  add(namespace: string): void {
    for (const count of this.#counts)
      if (count.namespace === ALL_NAMESPACES || count.namespace === namespace) count.expired += 1;
  }

  /** What `work` resolves to, and how many uploads of a namespace, or of all (`*`), expired meanwhile. */
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
