// helpers/seed.ts: random tests that can be run again: the seed is in the test's name, and TEST_SEED sets it.
import { diceFrom, type Dice as Throws } from './dice.ts';

export const SEED = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000_000);

export interface Dice extends Throws {
  bytes(length: number): Buffer;
}

/** The same throws for the same seed. */
export function diceOf(seed: number): Dice {
  const dice = diceFrom(seed);
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => dice.between(0, 255)));
  return { ...dice, bytes };
}
