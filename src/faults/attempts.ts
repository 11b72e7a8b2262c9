// faults/attempts.ts: how often each request of a namespace was tried.
//
// Promises: memory is bounded: of subjects not seen for `maxSubjects` others the count is forgotten, never sooner;
// counting takes the same time however many there are.
// Must not know: what a subject is.
import { LruMap } from 'toad-cache';

export class Attempts {
  readonly #counts: LruMap<number>;

  constructor(maxSubjects: number) {
    this.#counts = new LruMap(maxSubjects);
  }

  /** Counts this attempt and says which one it is, from 1. */
  count(subject: string): number {
    const attempt = this.last(subject) + 1;
    this.set(subject, attempt);
    return attempt;
  }

  /** 0: none is known. */
  last(subject: string): number {
    return this.#counts.get(subject) ?? 0;
  }

  /** So many there were. */
  set(subject: string, attempts: number): void {
    this.#counts.set(subject, attempts);
  }
}
