// http/connection/in-flight.ts: counts the requests at work, so that a server can wait for them before it ends.
//
// A request whose client has left is still at work until its handler has released what it held. `whenIdle` waits for these
// requests too; otherwise the storage would be closed while they use it.
export class InFlight {
  #count = 0;
  #onIdle: (() => void)[] = [];

  /** Returns the given promise itself, so that a caller waits only for the work. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#count += 1;
    work.then(this.#ended, this.#ended);
    return work;
  }

  /** Resolves when no request is at work. Never rejects. */
  async whenIdle(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  readonly #ended = (): void => {
    this.#count -= 1;
    if (this.#count > 0) return;
    const waiting = this.#onIdle;
    this.#onIdle = [];
    for (const resolve of waiting) resolve();
  };
}
