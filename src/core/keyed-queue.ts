// core/keyed-queue.ts: work under one name is done one piece after the other, in the order in which it was asked for.
//
// Promises: work that fails keeps nothing behind it from being done, and its caller is told; of a name under which nothing runs
// and nothing waits nothing is kept.
// Must not know: what the names and the work are.

async function nothing(): Promise<void> {}

export class KeyedQueue {
  readonly #last = new Map<string, Promise<void>>();

  /** Under which something runs or waits. */
  get names(): Iterable<string> {
    return this.#last.keys();
  }

  /** Resolves and rejects as the work does. */
  inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve();
    const turn = before.then(work);
    const ended = turn.then(nothing, nothing).then(() => {
      if (this.#last.get(name) === ended) this.#last.delete(name);
    });
    this.#last.set(name, ended);
    return turn;
  }
}
