// soak/record.ts: counts what happened, and keeps everything that must not happen as sentences.
//
// Promises: no problem is forgotten. Of problems with the same sentence only the first is shown, with how often it came.
// Must not know: what is a problem.

/** More different problems than a person reads. */
const MAX_SHOWN = 200;

export interface Counts {
  completed: number;
  bytesSent: number;
  bytesVerified: number;
  requests: number;
  expired: number;
  forgotten: number;
  audits: number;
  uploadsAudited: number;
  /** Unfinished writes that a server dropped when it started again. */
  repairs: number;
}

export class Record {
  readonly counts: Counts = {
    completed: 0,
    bytesSent: 0,
    bytesVerified: 0,
    requests: 0,
    expired: 0,
    forgotten: 0,
    audits: 0,
    uploadsAudited: 0,
    repairs: 0,
  };
  readonly #answers = new Map<string, number>();
  readonly #faults = new Map<string, number>();
  readonly #problems = new Map<string, number>();
  readonly #startedAt = performance.now();
  readonly #say: (text: string) => void;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** @param what a status with its error code, or how a request ended without an answer */
  answered(what: string): void {
    this.#answers.set(what, (this.#answers.get(what) ?? 0) + 1);
  }

  /** A rule caused it. */
  faulted(effect: string): void {
    this.#faults.set(effect, (this.#faults.get(effect) ?? 0) + 1);
  }

  problem(sentence: string): void {
    const isShown = this.#problems.has(sentence) || this.#problems.size < MAX_SHOWN;
    const shown = isShown ? sentence : 'more problems than are shown';
    const before = this.#problems.get(shown) ?? 0;
    this.#problems.set(shown, before + 1);
    if (before === 0) this.#say(`PROBLEM at ${Math.round(this.seconds)} s: ${shown}`);
  }

  get answers(): Readonly<Partial<{ [what: string]: number }>> {
    return sorted(this.#answers);
  }

  get faults(): Readonly<Partial<{ [effect: string]: number }>> {
    return sorted(this.#faults);
  }

  get problems(): readonly string[] {
    return [...this.#problems].map(([sentence, times]) =>
      times === 1 ? sentence : `${sentence} (${times} times)`,
    );
  }
}

function sorted(counts: ReadonlyMap<string, number>): Partial<{ [what: string]: number }> {
  return Object.fromEntries([...counts].toSorted(([, a], [, b]) => b - a));
}
