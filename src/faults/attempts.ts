// faults/attempts.ts: counts how often each request of a namespace was tried.
//
// Promises: memory is bounded: a count is forgotten only after `maxSubjects` other subjects were seen. Counting takes
// constant time.
import { LruMap } from 'toad-cache';

export class Attempts {
  readonly #counts: LruMap<number>;

  constructor(maxSubjects: number) {
    this.#counts = new LruMap(maxSubjects);
  }

  /** Counts this attempt and returns its number, from 1. */
  count(subject: string): number {
    const attempt = this.last(subject) + 1;
    this.set(subject, attempt);
    return attempt;
  }

  /** 0: no attempt is known. */
  last(subject: string): number {
    return this.#counts.get(subject) ?? 0;
  }

  /** Sets the number of attempts. */
  set(subject: string, attempts: number): void {
    this.#counts.set(subject, attempts);
  }
}
