// core/steady-clock.ts: a date that follows the machine's date forward but never goes back.
//
// The machine's date may jump by hours at any moment, for example when NTP corrects it or a machine wakes up. After a jump
// forward, work that was scheduled for the skipped time is due. After a jump back this clock runs on from its last value at
// the speed of the monotonic clock. So nothing is undone or done twice, and a wait of seconds does not become one of hours.
//
// Promises: never goes back. Runs like the monotonic clock, except for jumps forward. It remembers those, so that an age can
// be computed without them. A new process starts with the machine's date and remembers no jump.
import { monotonicMs, wallMs } from './machine-time.ts';

/** A smaller difference is no jump: the date is adjusted by milliseconds all the time. */
const LEAST_JUMP_MS = 1_000;
/** Beyond this number the oldest jumps are forgotten. */
const MAX_JUMPS = 1_000;

interface Jump {
  readonly from: number;
  readonly to: number;
}

export class SteadyClock {
  readonly #wall: () => number;
  readonly #monotonic: () => number;
  readonly #jumps: Jump[] = [];
  #aheadMs: number;

  constructor(wall: () => number = wallMs, monotonic: () => number = monotonicMs) {
    this.#wall = wall;
    this.#monotonic = monotonic;
    this.#aheadMs = wall() - monotonic();
  }

  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number {
    const steady = this.#monotonic() + this.#aheadMs;
    const wall = this.#wall();
    if (wall <= steady) return Math.round(steady);
    this.#aheadMs += wall - steady;
    if (wall - steady >= LEAST_JUMP_MS) this.#jumps.push({ from: steady, to: wall });
    if (this.#jumps.length > MAX_JUMPS) this.#jumps.shift();
    return wall;
  }

  /** Milliseconds since `at` that were skipped in jumps. */
  skippedSince(at: number): number {
    this.now();
    return this.#jumps.reduce((sum, { from, to }) => sum + Math.max(to - Math.max(from, at), 0), 0);
  }
}
