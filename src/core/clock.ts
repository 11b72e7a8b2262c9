// core/clock.ts: the clock of each namespace (real, frozen, or running with an offset), and the work that waits for it.
//
// Promises: when `change` resolves, all work that became due is done (behaviour §9), in order of due time, each piece at its
// own time. Under a real or offset clock a timer does due work. Under a frozen clock only a move of the clock does it.
// Scheduled work is either done or dropped: `reset` and `close` leave nothing that holds memory or files.
// Time never runs backwards by itself.
// Idle time-outs and throttles must use the machine's own time, never this clock.
import { ALL_NAMESPACES } from './namespace.ts';
import { SteadyClock } from './steady-clock.ts';
import { startTimer, type Timer } from './timers.ts';
import { KeyedQueue } from './keyed-queue.ts';

export type ClockMode = 'real' | 'frozen' | 'offset';

/** Time as one namespace sees it. Idle time-outs use the machine's own time, never this. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. Never goes back by itself. */
  now(namespace: string): number;
  /**
   * Milliseconds that passed since `at`, an instant of `now`. A jump of the machine's date does not count, because no time
   * passed in it. Negative when `at` is in the future.
   */
  ageOf(namespace: string, at: number): number;
}

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

/** With `at` the clock stands still. During a move every clock stands still at times; `mode` is the mode that is shown then. */
type Reading =
  | { readonly mode: ClockMode; readonly at: number }
  | { readonly mode: ClockMode; readonly aheadMs: number };

/** Work that waits for a time. Exactly one of `run` and `drop` is called, once. Neither may reject. */
export interface DelayedWork {
  /** Resolves to whether the work had an effect. */
  run(): Promise<boolean>;
  /** Releases what the work holds. */
  drop(): Promise<void>;
}

interface Due {
  readonly at: number;
  readonly work: DelayedWork;
}

export class Clocks implements Clock {
  readonly #readings = new Map<string, Reading>();
  readonly #due = new Map<string, Set<Due>>();
  readonly #timers = new Map<string, Timer>();
  /** One operation at a time per namespace; later ones wait here. */
  readonly #queue = new KeyedQueue();
  readonly #steady: Pick<SteadyClock, 'now' | 'skippedSince'>;
  #isClosed = false;

  constructor(machine: Pick<SteadyClock, 'now' | 'skippedSince'> = new SteadyClock()) {
    this.#steady = machine;
  }

  #machine(): number {
    return this.#steady.now();
  }

  now(namespace: string): number {
    return timeOf(this.#readingOf(namespace), this.#machine());
  }

  ageOf(namespace: string, at: number): number {
    const age = this.now(namespace) - at;
    // A jump counts under a namespace's own clock: there the test itself made the jump.
    return this.#readingOf(namespace) === undefined ? age - this.#steady.skippedSince(at) : age;
  }

  view(namespace: string): ClockView {
    const now = this.now(namespace);
    const mode = this.#readingOf(namespace)?.mode ?? 'real';
    return { mode, now: new Date(now).toISOString(), offsetMs: mode === 'real' ? 0 : now - this.#machine() };
  }

  /**
   * Sets the clock and does all work that becomes due. On the way forward the clock stops at each due time, so one step of a
   * day has the same effect as many small steps.
   * @param moved is awaited at each stop, before the work that is due there, and again at the end
   * @returns how many pieces of work had an effect
   */
  change(namespace: string, change: ClockChange, moved: () => Promise<void> = nothing): Promise<number> {
    return this.#queue.run(namespace, async () => {
      const mode = change.mode ?? this.#modeAfter(namespace, change);
      const reading = this.#readingAfter(namespace, mode, change);
      let done = 0;
      try {
        for (
          let at = this.#nextStop(namespace, reading);
          at !== null;
          at = this.#nextStop(namespace, reading)
        ) {
          this.#readings.set(namespace, { mode, at });
          await moved();
          done += await this.#runDueBy(namespace);
        }
      } finally {
        this.#put(namespace, reading);
      }
      await moved();
      return done + (await this.#runDueBy(namespace));
    });
  }

  /** A real clock that is set or moved becomes an offset clock: it runs on from the new time. */
  #modeAfter(namespace: string, { now, advanceMs }: ClockChange): ClockMode {
    const current = this.#readingOf(namespace)?.mode ?? 'real';
    return current === 'real' && (now !== undefined || advanceMs !== undefined) ? 'offset' : current;
  }

  /** Undefined: the namespace has no clock of its own any more. */
  #readingAfter(
    namespace: string,
    mode: ClockMode,
    { now, advanceMs = 0 }: ClockChange,
  ): Reading | undefined {
    if (mode === 'real') return undefined;
    const at = (now ?? this.now(namespace)) + advanceMs;
    return mode === 'frozen' ? { mode, at } : { mode, aheadMs: at - this.#machine() };
  }

  /** The next due time up to the reading; null when no work is due by then. */
  #nextStop(namespace: string, reading: Reading | undefined): number | null {
    const followed = namespace === ALL_NAMESPACES ? undefined : this.#readings.get(ALL_NAMESPACES);
    const target = timeOf(reading ?? followed, this.#machine());
    const first = firstOf(this.#namesBy(namespace).flatMap((name) => [...(this.#due.get(name) ?? [])]));
    return first === null || first.at > target ? null : Math.max(first.at, this.now(namespace));
  }

  #put(namespace: string, reading: Reading | undefined): void {
    if (reading === undefined) this.#readings.delete(namespace);
    else this.#readings.set(namespace, reading);
    for (const name of this.#namesBy(namespace)) this.#arm(name);
  }

  /** The namespaces that follow this namespace's clock and have work that is due or running. */
  #namesBy(namespace: string): string[] {
    if (namespace !== ALL_NAMESPACES) return [namespace];
    const names = new Set([...this.#due.keys(), ...this.#queue.names]);
    return [...names].filter((name) => name !== ALL_NAMESPACES && !this.#readings.has(name));
  }

  async #runDueBy(namespace: string): Promise<number> {
    let done = 0;
    for (const name of this.#namesBy(namespace))
      done += await (name === namespace ? this.#runDue(name) : this.#runDueQueued(name));
    return done;
  }

  /** Returns to the machine's time and drops scheduled work. When this resolves, the dropped work holds nothing any more. */
  async reset(namespace: string): Promise<void> {
    const names = [...this.#namesIn(namespace)];
    await Promise.all(
      names.map((name) =>
        this.#queue.run(name, () => {
          this.#readings.delete(name);
          return this.#dropAll(name);
        }),
      ),
    );
  }

  /** Drops scheduled work as `reset` does, but keeps the clock as it is. */
  async drop(namespace: string): Promise<void> {
    const names = [...this.#namesIn(namespace)];
    await Promise.all(names.map((name) => this.#queue.run(name, () => this.#dropAll(name))));
  }

  /** The namespaces with a clock or with work: this one, or all of them. */
  #namesIn(namespace: string): Set<string> {
    if (namespace !== ALL_NAMESPACES) return new Set([namespace]);
    return new Set([ALL_NAMESPACES, ...this.#readings.keys(), ...this.#due.keys(), ...this.#queue.names]);
  }

  async #dropAll(namespace: string): Promise<void> {
    const waiting = this.#due.get(namespace) ?? [];
    this.#due.delete(namespace);
    this.#arm(namespace);
    await Promise.all([...waiting].map(({ work }) => work.drop()));
  }

  /** Does `work` when the namespace's clock reaches `at` (epoch milliseconds), unless it is dropped before. */
  schedule(namespace: string, at: number, work: DelayedWork): void {
    if (this.#isClosed) {
      void work.drop();
      return;
    }
    const waiting = this.#due.get(namespace) ?? new Set();
    this.#due.set(namespace, waiting.add({ at, work }));
    this.#arm(namespace);
  }

  /** Running work ends, all other work is dropped. After this nothing is done and nothing is held. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.drop(ALL_NAMESPACES);
  }

  /** Does the work that is due now, after the work that is running. Resolves to how many pieces had an effect. */
  #runDueQueued(namespace: string): Promise<number> {
    return this.#queue.run(namespace, () => this.#runDue(namespace));
  }

  /** In order of due time. To be called in the queue of the namespace. */
  async #runDue(namespace: string): Promise<number> {
    let done = 0;
    for (let next = this.#takeDue(namespace); next !== null; next = this.#takeDue(namespace)) {
      if (await next.work.run()) done += 1;
    }
    this.#arm(namespace);
    return done;
  }

  /** The namespace's own clock, or the one that was set for all namespaces. */
  #readingOf(namespace: string): Reading | undefined {
    return this.#readings.get(namespace) ?? this.#readings.get(ALL_NAMESPACES);
  }

  #takeDue(namespace: string): Due | null {
    const waiting = this.#due.get(namespace);
    const first = firstOf(waiting);
    if (waiting === undefined || first === null || first.at > this.now(namespace)) return null;
    waiting.delete(first);
    if (waiting.size === 0) this.#due.delete(namespace);
    return first;
  }

  #arm(namespace: string): void {
    this.#timers.get(namespace)?.stop();
    this.#timers.delete(namespace);
    const first = firstOf(this.#due.get(namespace));
    const reading = this.#readingOf(namespace);
    if (first === null || this.#isClosed || (reading !== undefined && 'at' in reading)) return;
    const waitMs = Math.max(first.at - this.now(namespace), 0);
    const timer = startTimer(waitMs, () => void this.#runDueQueued(namespace), { isKeepingAlive: false });
    this.#timers.set(namespace, timer);
  }
}

async function nothing(): Promise<void> {}

function timeOf(reading: Reading | undefined, machineMs: number): number {
  if (reading === undefined) return machineMs;
  return 'at' in reading ? reading.at : machineMs + reading.aheadMs;
}

function firstOf(waiting: Iterable<Due> | undefined): Due | null {
  let first: Due | null = null;
  for (const due of waiting ?? []) if (first === null || due.at < first.at) first = due;
  return first;
}
