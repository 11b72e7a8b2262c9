// http/in-flight.ts: which requests are at work, so that a server can wait for them before it ends.
//
// A request whose client has left is still at work until its handler has given back what it held: `settled` waits for
// that, too, or storage would be closed under it.
export class InFlight {
  readonly #running = new Set<Promise<unknown>>();

  async track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
    }
  }

  get count(): number {
    return this.#running.size;
  }

  /** Resolves when nothing runs any more. Never rejects. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running);
  }
}
