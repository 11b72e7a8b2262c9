// helpers/seed.ts: random tests that can be repeated: the seed is in the name of the test, and TEST_SEED sets it.
import { diceFrom, type Dice as Throws } from './dice.ts';

export const SEED = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000_000);

export interface Dice extends Throws {
  bytes(length: number): Buffer;
}

/** The same seed gives the same dice. */
export function diceOf(seed: number): Dice {
  const dice = diceFrom(seed);
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => dice.between(0, 255)));
  return { ...dice, bytes };
}
