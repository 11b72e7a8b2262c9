// core/keyed-queue.ts: queues that do one piece of work after the other, in the order of the calls. A `KeyedQueue` has one
// such queue per name.
//
// Promises: a failure is reported to the caller and does not stop the work behind it. A name without running or waiting work
// takes no memory.

export class SerialQueue {
  #last: Promise<unknown> = DONE;
  /** Pieces of work that run or wait. */
  #length = 0;

  get isIdle(): boolean {
    return this.#length === 0;
  }

  /** Starts at once when nothing runs. Resolves and rejects as the work does. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#length === 0 ? work() : this.#last.then(work);
    this.#length += 1;
    this.#last = result.then(this.#ended, this.#ended); // The caller gets the error; the next work must run all the same.
    return result;
  }

  readonly #ended = (): void => {
    this.#length -= 1;
  };
}

export class KeyedQueue {
  readonly #queues = new Map<string, SerialQueue>();

  /** The names with running or waiting work. */
  get names(): Iterable<string> {
    return this.#queues.keys();
  }

  /** Starts after the caller's own turn, so that the caller can record the call first. Resolves and rejects as the work does. */
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
