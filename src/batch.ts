// batch.ts: work that can wait until the end of the turn, done together.
//
// What runs once for each request finds nothing of itself in the processor's caches; run for many requests in a row, the
// same code takes a fraction of the time (bench/README.md has the figures). So what nobody waits for is put off until the
// turn of the event loop ends, or until somebody looks.
//
// Promises: everything is done, in order and one at a time, before the next turn begins, or before `settle` returns.
// Work that throws keeps nothing behind it from being done.
// Must not know: what the work is.

export class Batch {
  #waiting: (() => void)[] = [];
  #done = 0;
  #isSettling = false;

  later(work: () => void): void {
    if (this.#waiting.length === 0) setImmediate(this.#atEndOfTurn);
    this.#waiting.push(work);
  }

  /**
   * Does now what was put off, and what is put off meanwhile. Does nothing when it is called by such work: what comes
   * behind it must find it done.
   * @throws what the work throws; the rest is done at the end of the turn then
   */
  settle(): void {
    if (this.#isSettling) return;
    this.#isSettling = true;
    try {
      for (let work = this.#waiting[this.#done]; work !== undefined; work = this.#waiting[this.#done]) {
        this.#done += 1;
        work();
      }
    } finally {
      this.#isSettling = false;
      this.#waiting = this.#waiting.slice(this.#done);
      this.#done = 0;
      if (this.#waiting.length > 0) setImmediate(this.#atEndOfTurn);
    }
  }

  readonly #atEndOfTurn = (): void => this.settle();
}
