// faults/holding.ts: whether a fault holds its exchange up now, and for how long it has.
//
// Must not know: what is waited for.
import { monotonicMs } from '../core/machine-time.ts';
import type { Claim } from './rule-armed.ts';

/** What a claim does where, in words. */
interface Told {
  readonly ruleId: string;
  readonly phase: string;
  readonly effect: string;
  readonly atByte?: number;
}

/** `sinceMs`: for so many milliseconds. */
interface Held extends Told {
  readonly sinceMs: number;
}

export function toldOf({ rule, fault }: Claim): Told {
  const { name: phase, ...where } = fault.phase;
  return { ruleId: rule.id, phase, effect: fault.effect, ...where };
}

export class Holding {
  readonly #claim: Claim;
  #beganMs: number | null = null;

  constructor(claim: Claim) {
    this.#claim = claim;
  }

  /** Null: it does not. */
  now(): Held | null {
    if (this.#beganMs === null) return null;
    // Rounded down: otherwise a wait could be longer than the exchange that it is a part of.
    return { ...toldOf(this.#claim), sinceMs: Math.floor(monotonicMs() - this.#beganMs) };
  }

  /** Ends as the wait does. A throttle waits again and again: it holds from the first time on. */
  async during<T>(wait: Promise<T>): Promise<T> {
    this.#beganMs ??= monotonicMs();
    try {
      return await wait;
    } finally {
      if (this.#claim.fault.effect !== 'throttle') this.#beganMs = null;
    }
  }
}
