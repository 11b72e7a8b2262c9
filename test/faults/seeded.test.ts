// seeded.test.ts: a seed gives the same sequence every time; another seed gives another sequence; the values are evenly spread.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createSequence } from '../../src/faults/seeded.ts';

function drawsOf(seed: string | number, count: number): number[] {
  const draw = createSequence(seed);
  return Array.from({ length: count }, () => draw());
}

it('the same seed gives the same sequence', () => {
  fc.assert(
    fc.property(fc.string(), (seed) => {
      expect(drawsOf(seed, 20)).toEqual(drawsOf(seed, 20));
    }),
  );
});

it('the sequence of a seed never changes from one release to the next', () => {
  expect(drawsOf('a seed', 3)).toMatchInlineSnapshot(`
    [
      0.9468346405774355,
      0.8377748914062977,
      0.11986853159032762,
    ]
  `);
});

it('a number and its digits are the same seed', () => {
  expect(drawsOf(42, 5)).toEqual(drawsOf('42', 5));
});

it('each draw differs from the one before', () => {
  const draws = drawsOf(1, 1000);
  expect(new Set(draws).size).toBe(1000);
});

it('seeds that are alike give sequences that are not', () => {
  const firsts = Array.from({ length: 1000 }, (_, seed) => drawsOf(seed, 1)[0]);
  expect(new Set(firsts).size).toBe(1000);
});

it('draws lie in [0, 1) and are spread evenly', () => {
  const draws = drawsOf('even', 100_000);
  expect(draws.every((draw) => draw >= 0 && draw < 1)).toBe(true);
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const draw of draws) {
    const tenth = Math.floor(draw * 10);
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  for (const count of tenths) expect(Math.abs(count - 10_000)).toBeLessThan(500);
});
