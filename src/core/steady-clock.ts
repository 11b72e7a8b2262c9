// core/steady-clock.ts: the date, made fit to live by: it follows the machine's date forward and never goes back.
//
// The date of a machine may jump by hours, in the middle of everything: NTP sets it right, a machine wakes up. After a jump
// forward what is scheduled for meanwhile is due. After one back this clock goes on from where it was, as fast as the
// monotonic clock: nothing that was done is undone or done twice, and what waits for some seconds waits for no hour more.
//
// Promises: never goes back; runs as the monotonic clock does but for its jumps forward, which it remembers: what has an
// age can leave them out. After a start there is only the machine's date.
// Must not know: what is dated.
import { monotonicMs, wallMs } from './machine-time.ts';

/** What is less is no jump: the date is adjusted by milliseconds all the time. */
const LEAST_JUMP_MS = 1_000;
/** The first are forgotten first. */
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

  /** Milliseconds that passed since `at` in jumps only. */
  skippedSince(at: number): number {
    this.now();
    return this.#jumps.reduce((sum, { from, to }) => sum + Math.max(to - Math.max(from, at), 0), 0);
  }
}
