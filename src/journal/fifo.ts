// journal/fifo.ts: a queue with access by index, and with binary search where its items are in order.
//
// Promises: `push` and `shift` take constant time on average at any length. `Array.shift` would move all remaining items, and
// a Map would walk over the holes of removed items.

/** With fewer removed items than this, freeing their space is not worth the work. */
const MIN_GONE = 64;

export class Fifo<T> {
  #items: (T | undefined)[] = [];
  /** Index of the first item; the slots before it are free. */
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Undefined outside the queue. Negative indexes count from the end. */
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
    // Half of the array is free: copying the rest costs no more than the pushes that filled it.
    if (this.#head >= MIN_GONE && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Removes every item that `isKept` rejects. Takes time linear in the queue's length. */
  keep(isKept: (item: T) => boolean): void {
    const kept: (T | undefined)[] = [];
    for (let index = this.#head; index < this.#items.length; index += 1) {
      const item = this.#items[index];
      if (item !== undefined && isKept(item)) kept.push(item);
    }
    this.#items = kept;
    this.#head = 0;
  }

  /** The index of the first item that is past, or the length. Requires that all items after that one are past, too. */
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
