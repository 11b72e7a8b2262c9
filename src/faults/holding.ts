// faults/holding.ts: whether a fault holds its exchange now, and for how long.
import { monotonicMs } from '../core/machine-time.ts';
import type { Claim } from './rule-armed.ts';

/** The effect and place of a claim, in words. */
interface Told {
  readonly ruleId: string;
  readonly phase: string;
  readonly effect: string;
  readonly atByte?: number;
}

/** `sinceMs`: for how many milliseconds. */
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

  /** Null: the exchange is not held. */
  now(): Held | null {
    if (this.#beganMs === null) return null;
    // Rounded down: otherwise a wait could be longer than the exchange that it is a part of.
    return { ...toldOf(this.#claim), sinceMs: Math.floor(monotonicMs() - this.#beganMs) };
  }

  /** The exchange counts as held during the wait. A throttle waits many times and counts as held from its first wait on. */
  async during<T>(wait: Promise<T>): Promise<T> {
    this.#beganMs ??= monotonicMs();
    try {
      return await wait;
    } finally {
      if (this.#claim.fault.effect !== 'throttle') this.#beganMs = null;
    }
  }
}
