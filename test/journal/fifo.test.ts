// fifo.test.ts: the queue behaves like an array, but taking from its front costs nothing.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fifo } from '../../src/journal/fifo.ts';

function contentOf(fifo: Fifo<number>): (number | undefined)[] {
  return Array.from({ length: fifo.length }, (_, index) => fifo.at(index));
}

it('does what an array does, whatever the order of pushes, shifts and clearings', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ push: fc.integer({ min: 1, max: 80 }) }) },
    { weight: 4, arbitrary: fc.record({ shift: fc.integer({ min: 1, max: 80 }) }) },
    { weight: 1, arbitrary: fc.record({ keepEvery: fc.integer({ min: 2, max: 5 }) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const fifo = new Fifo<number>();
      let model: number[] = [];
      let next = 0;
      for (const action of steps) {
        if ('push' in action) {
          for (let times = 0; times < action.push; times += 1) {
            fifo.push(next);
            model.push(next);
            next += 1;
          }
        } else if ('shift' in action) {
          for (let times = 0; times < action.shift; times += 1) expect(fifo.shift()).toBe(model.shift());
        } else {
          fifo.keep((item) => item % action.keepEvery === 0);
          model = model.filter((item) => item % action.keepEvery === 0);
        }
      }
      expect(contentOf(fifo)).toEqual(model);
      expect([fifo.at(-1), fifo.at(-model.length - 1), fifo.at(model.length)]).toEqual([
        model.at(-1),
        undefined,
        undefined,
      ]);
      const middle = model[model.length >> 1] ?? 0;
      expect(fifo.firstIndex((item) => item >= middle)).toBe(model.filter((item) => item < middle).length);
    }),
  );
});

it('the first index of what is nowhere is the length', () => {
  const fifo = new Fifo<number>();
  for (const item of [1, 2, 3]) fifo.push(item);
  expect(fifo.firstIndex((item) => item > 3)).toBe(3);
  expect(fifo.firstIndex((item) => item > 0)).toBe(0);
});

it('negative indexes count from the end, also after shifts', () => {
  const fifo = new Fifo<number>();
  for (const item of [1, 2, 3]) fifo.push(item);
  fifo.shift();
  expect([fifo.at(-1), fifo.at(-2), fifo.at(-3)]).toEqual([3, 2, undefined]);
});
