// faults/attempts.ts: how often each request of a namespace was tried.
//
// Promises: memory is bounded: of subjects not seen for `maxSubjects` others the count is forgotten, never sooner;
// counting takes the same time however many there are. One Map with its oldest key taken out would walk over the holes
// that such keys leave, on every chunk of a long run.
// Must not know: what a subject is.

export class Attempts {
  readonly #maxSubjects: number;
  #recent = new Map<string, number>();
  #older = new Map<string, number>();

  constructor(maxSubjects: number) {
    this.#maxSubjects = maxSubjects;
  }

  /** Counts this attempt and says which one it is, from 1. */
  count(subject: string): number {
    const attempt = this.last(subject) + 1;
    this.set(subject, attempt);
    return attempt;
  }

  /** 0: none is known. */
  last(subject: string): number {
    return this.#recent.get(subject) ?? this.#older.get(subject) ?? 0;
  }

  /** So many there were. */
  set(subject: string, attempts: number): void {
    this.#recent.set(subject, attempts);
    if (this.#recent.size >= this.#maxSubjects) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
  }
}
