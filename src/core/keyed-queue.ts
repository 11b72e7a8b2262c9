// core/keyed-queue.ts: work is done one piece after the other, in the order in which it was asked for: all of a queue, or all under one name.
//
// Promises: work that fails keeps nothing behind it from being done, and its caller is told; of a name under which nothing runs
// and nothing waits nothing is kept.
// Must not know: what the names and the work are.

export class SerialQueue {
  #last: Promise<unknown> = DONE;
  /** Running or waiting. */
  #length = 0;

  get isIdle(): boolean {
    return this.#length === 0;
  }

  /** Begins at once when nothing runs. Resolves and rejects as the work does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#length === 0 ? work() : this.#last.then(work);
    this.#length += 1;
    this.#last = result.then(this.#ended, this.#ended); // The caller gets the error; what waits behind it must still run.
    return result;
  }

  readonly #ended = (): void => {
    this.#length -= 1;
  };
}

export class KeyedQueue {
  readonly #queues = new Map<string, SerialQueue>();

  /** Under which something runs or waits. */
  get names(): Iterable<string> {
    return this.#queues.keys();
  }

  /** Begins after the caller has gone on, so that he can note that he asked. Resolves and rejects as the work does. */
  run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(name) ?? new SerialQueue();
    this.#queues.set(name, queue);
    const result = queue.run(() => DONE.then(work));
    const forget = (): void => {
      if (queue.isIdle && this.#queues.get(name) === queue) this.#queues.delete(name);
    };
    result.then(forget, forget);
    return result;
  }
}

const DONE = Promise.resolve();
