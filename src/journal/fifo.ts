// journal/fifo.ts: a queue that can be read at any index and searched where its items are in order.
//
// Promises: `push` and `shift` in constant time on average, whatever the length: `Array.shift` moves every item that is
// left, and a Map walks over the holes of those that went.
// Must not know: what it holds.

/** Below this many gone items it is not worth making room. */
const MIN_GONE = 64;

export class Fifo<T> {
  #items: (T | undefined)[] = [];
  /** Index of the first item; what stood before it is gone. */
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Undefined outside of the queue. Negative indexes count from the end. */
  at(index: number): T | undefined {
    return index < 0 ? this.#fromEnd(index) : this.#items[this.#head + index];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head += 1;
    // Half of it is gone: copying what is left costs no more than the pushes that brought it.
    if (this.#head >= MIN_GONE && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Lets go of every item that is not to be kept. Takes as long as the queue is. */
  keep(isKept: (item: T) => boolean): void {
    const kept: (T | undefined)[] = [];
    for (let index = this.#head; index < this.#items.length; index += 1) {
      const item = this.#items[index];
      if (item !== undefined && isKept(item)) kept.push(item);
    }
    this.#items = kept;
    this.#head = 0;
  }

  /** The index of the first item for which it is true, given that it is true for all that follow; else the length. */
  firstIndex(isPast: (item: T) => boolean): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const item = this.#items[this.#head + middle];
      if (item !== undefined && isPast(item)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #fromEnd(index: number): T | undefined {
    return this.length + index < 0 ? undefined : this.#items[this.#items.length + index];
  }
}
