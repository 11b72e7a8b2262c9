import fc from 'fast-check';
import { expect, it } from 'vitest';
import { sliceExtents } from '../../src/storage/extents.ts';
import type { Extent } from '../../src/uploads/ports.ts';
import { SEED } from '../helpers/seed.ts';

/** Every byte of the extents, each by where it lies. */
function bytesOf(extents: readonly Extent[]): string[] {
  return extents.flatMap(({ segment, offset, bytes }) =>
    Array.from({ length: bytes }, (_, i) => `${segment}:${offset + i}`),
  );
}

const someExtents = fc.array(
  fc.record({
    segment: fc.constantFrom('main', 'c1', 'c2'),
    offset: fc.nat(50),
    bytes: fc.nat(20),
  }),
  { maxLength: 8 },
);

it('a slice of the extents is the slice of their bytes, in their order, and has no empty extent', () => {
  fc.assert(
    fc.property(someExtents, fc.nat(150), fc.nat(150), (extents, start, length) => {
      const sliced = sliceExtents(extents, { start, length });
      expect(bytesOf(sliced)).toEqual(bytesOf(extents).slice(start, start + length));
      expect(sliced.filter(({ bytes }) => bytes === 0)).toEqual([]);
    }),
    { seed: SEED, numRuns: 2_000 },
  );
});

it('without a range all bytes are there, and no empty extent', () => {
  fc.assert(
    fc.property(someExtents, (extents) => {
      const sliced = sliceExtents(extents, undefined);
      expect(bytesOf(sliced)).toEqual(bytesOf(extents));
      expect(sliced.filter(({ bytes }) => bytes === 0)).toEqual([]);
    }),
    { seed: SEED },
  );
});

it('sizes beyond 4 GiB are exact', () => {
  const extents = [{ segment: 'main', offset: 0, bytes: 5 * 1024 ** 3 }];
  expect(sliceExtents(extents, { start: 5 * 1024 ** 3 - 1, length: 10 })).toEqual([
    { segment: 'main', offset: 5 * 1024 ** 3 - 1, bytes: 1 },
  ]);
});
