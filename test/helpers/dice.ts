// helpers/dice.ts: random decisions from one seed. Tests use them through seed.ts; soak/ uses them, too.
//
// Promises: the same seed gives the same decisions. Two names under one seed are independent, so the decisions of one client do not
// depend on how the other clients were scheduled.
import { createHash } from 'node:crypto';

export interface Dice {
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number;
  /** True in `share` of the cases. */
  chance(share: number): boolean;
  /** @throws Error when there are none */
  pick<T>(items: readonly T[]): T;
  shuffled<T>(items: readonly T[]): T[];
}

/** mulberry32 */
export function diceFrom(seed: number): Dice {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1));
  return {
    between,
    chance: (share) => next() < share,
    pick: (items) => {
      const item = items[between(0, items.length - 1)];
      if (item === undefined) throw new Error('nothing to pick from');
      return item;
    },
    shuffled: (items) => {
      const rest = [...items];
      return items.flatMap(() => rest.splice(between(0, rest.length - 1), 1));
    },
  };
}

export function diceFor(seed: number, name: string): Dice {
  return diceFrom(createHash('sha256').update(`${seed}/${name}`).digest().readUInt32LE(0));
}
