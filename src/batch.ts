// batch.ts: work that can wait until the end of the turn, done together.
//
// What runs once for each request finds nothing of itself in the processor's caches; run for many requests in a row, the
// same code takes a fraction of the time (bench/README.md has the figures). So what nobody waits for is put off until the
// turn of the event loop ends, or until somebody looks.
//
// Promises: everything is done, in order, before the next turn begins, or before `settle` returns.
// Must not know: what the work is. It does not throw.

export class Batch {
  #waiting: (() => void)[] = [];
  #done = 0;

  later(work: () => void): void {
    if (this.#waiting.length === 0) setImmediate(this.#atEndOfTurn);
    this.#waiting.push(work);
  }

  /** Does now what was put off. Work that is put off meanwhile is done, too. */
  settle(): void {
    for (let work = this.#waiting[this.#done]; work !== undefined; work = this.#waiting[this.#done]) {
      this.#done += 1;
      work();
    }
    this.#waiting = [];
    this.#done = 0;
  }

  readonly #atEndOfTurn = (): void => this.settle();
}
