// http/connection/in-flight.ts: how many requests are at work, so that a server can wait for them before it ends.
//
// A request whose client has left is still at work until its handler has given back what it held: `whenIdle` waits for
// that, too, or storage would be closed under it.
export class InFlight {
  #count = 0;
  #onIdle: (() => void)[] = [];

  /** The same promise: whoever waits for it waits for no more than the work. */
  track<T>(work: Promise<T>): Promise<T> {
    this.#count += 1;
    work.then(this.#ended, this.#ended);
    return work;
  }

  /** Resolves when nothing runs any more. Never rejects. */
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
