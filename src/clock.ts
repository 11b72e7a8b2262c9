// clock.ts: time as each namespace sees it: real, frozen, or running with an offset; and work that waits for it.
//
// Promises: nothing that is due is left undone when `change` resolves (behaviour §9); under a real clock due work is
// done by a timer, under a frozen one only when the clock is moved. Time never runs backwards by itself.
// Must not know: what the work is. Idle time-outs and throttles use the machine's own time, never this.
import type { Clock } from './uploads/ports.ts';

export type ClockMode = 'real' | 'frozen' | 'offset';

export interface ClockView {
  readonly mode: ClockMode;
  /** ISO 8601. */
  readonly now: string;
  /** Milliseconds ahead of the machine's time; negative when behind. */
  readonly offsetMs: number;
}

export interface ClockChange {
  readonly mode?: ClockMode | undefined;
  /** Epoch milliseconds. */
  readonly now?: number | undefined;
  readonly advanceMs?: number | undefined;
}

type Reading =
  | { readonly mode: 'frozen'; readonly at: number }
  | { readonly mode: 'real' | 'offset'; readonly aheadMs: number };

interface Due {
  readonly at: number;
  readonly work: () => Promise<void>;
}

/** The clock of every namespace that has none of its own. */
const EVERYBODY = '*';

/** Node cannot wait longer; a timer that fires early looks at the clock and waits again. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export class Clocks implements Clock {
  readonly #readings = new Map<string, Reading>();
  readonly #due = new Map<string, Set<Due>>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Work that is being done: whoever settles meanwhile waits for it. */
  readonly #settling = new Map<string, Promise<number>>();
  readonly #machine: () => number;
  #isClosed = false;

  constructor(machine: () => number = Date.now) {
    this.#machine = machine;
  }

  now(namespace: string): number {
    const reading = this.#readingOf(namespace);
    if (reading === undefined) return this.#machine();
    return reading.mode === 'frozen' ? reading.at : this.#machine() + reading.aheadMs;
  }

  view(namespace: string): ClockView {
    const now = this.now(namespace);
    const mode = this.#readingOf(namespace)?.mode ?? 'real';
    return { mode, now: new Date(now).toISOString(), offsetMs: mode === 'real' ? 0 : now - this.#machine() };
  }

  /** Sets the clock, then does everything that has become due. Resolves to how much of `schedule`'s work that was. */
  async change(namespace: string, change: ClockChange): Promise<number> {
    const target = (change.now ?? this.now(namespace)) + (change.advanceMs ?? 0);
    this.#set(namespace, change.mode ?? this.#modeAfter(namespace, change), target);
    if (namespace !== EVERYBODY) return this.settle(namespace);
    let done = 0;
    for (const name of this.#due.keys()) done += await this.settle(name);
    return done;
  }

  /** To set or move a real clock is to give it an offset: it goes on from there. */
  #modeAfter(namespace: string, { now, advanceMs }: ClockChange): ClockMode {
    const current = this.#readingOf(namespace)?.mode ?? 'real';
    return current === 'real' && (now !== undefined || advanceMs !== undefined) ? 'offset' : current;
  }

  /** Back to the machine's time. What is scheduled is forgotten. */
  reset(namespace: string): void {
    if (namespace === EVERYBODY)
      for (const name of [...this.#readings.keys(), ...this.#due.keys()]) this.#forget(name);
    this.#forget(namespace);
  }

  #forget(namespace: string): void {
    this.#readings.delete(namespace);
    this.#due.delete(namespace);
    this.#arm(namespace);
  }

  /** Does `work` when the namespace's clock reaches `at` (epoch milliseconds). `work` never rejects. */
  schedule(namespace: string, at: number, work: () => Promise<void>): void {
    const waiting = this.#due.get(namespace) ?? new Set();
    this.#due.set(namespace, waiting.add({ at, work }));
    this.#arm(namespace);
  }

  /** Does what is due now, in order of time, behind what is being done already. Resolves to how much that was. */
  async settle(namespace: string): Promise<number> {
    const before = this.#settling.get(namespace) ?? Promise.resolve(0);
    const settled = before.then(() => this.#doDue(namespace));
    this.#settling.set(namespace, settled);
    const done = await settled;
    if (this.#settling.get(namespace) === settled) this.#settling.delete(namespace);
    return done;
  }

  async #doDue(namespace: string): Promise<number> {
    let done = 0;
    for (let next = this.#takeDue(namespace); next !== null; next = this.#takeDue(namespace)) {
      await next.work();
      done += 1;
    }
    this.#arm(namespace);
    return done;
  }

  /** Nothing fires after this. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#due.clear();
  }

  /** A clock of its own, or that of everybody. */
  #readingOf(namespace: string): Reading | undefined {
    return this.#readings.get(namespace) ?? this.#readings.get(EVERYBODY);
  }

  #set(namespace: string, mode: ClockMode, target: number): void {
    if (mode === 'real') this.#readings.delete(namespace);
    else if (mode === 'frozen') this.#readings.set(namespace, { mode, at: target });
    else this.#readings.set(namespace, { mode, aheadMs: target - this.#machine() });
  }

  #takeDue(namespace: string): Due | null {
    const waiting = this.#due.get(namespace);
    const first = firstOf(waiting);
    if (waiting === undefined || first === null || first.at > this.now(namespace)) return null;
    waiting.delete(first);
    return first;
  }

  #arm(namespace: string): void {
    clearTimeout(this.#timers.get(namespace));
    this.#timers.delete(namespace);
    const first = firstOf(this.#due.get(namespace));
    if (first === null || this.#isClosed || this.#readingOf(namespace)?.mode === 'frozen') return;
    const waitMs = Math.min(Math.max(first.at - this.now(namespace), 0), MAX_TIMER_MS);
    const timer = setTimeout(() => void this.settle(namespace), waitMs);
    timer.unref();
    this.#timers.set(namespace, timer);
  }
}

function firstOf(waiting: ReadonlySet<Due> | undefined): Due | null {
  let first: Due | null = null;
  for (const due of waiting ?? []) if (first === null || due.at < first.at) first = due;
  return first;
}
