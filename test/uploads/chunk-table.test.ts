import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkTable, MAIN_SEGMENT, ownSegment, type ChunkRecord } from '../../src/uploads/chunk-table.ts';
import type { Extent } from '../../src/uploads/ports.ts';
import { SEED } from '../helpers/seed.ts';

function chunk(index: number, facts: Partial<ChunkRecord> = {}): ChunkRecord {
  return { index, segment: MAIN_SEGMENT, offset: index * 10, bytes: 10, crc32: index, at: index, ...facts };
}

function tableOf(...chunks: readonly ChunkRecord[]): ChunkTable {
  const table = new ChunkTable();
  for (const record of chunks) table.add(record);
  return table;
}

describe('a table', () => {
  it('without a chunk has none', () => {
    const table = new ChunkTable();
    expect([table.count, table.has(0), table.get(0), [...table], table.extents()]).toEqual([
      0,
      false,
      undefined,
      [],
      [],
    ]);
  });

  it('gives back what it was given, to the last bit', () => {
    const large = chunk(0, {
      offset: 5 * 1024 ** 3 - 1,
      bytes: 2 ** 40,
      crc32: 0xffffffff,
      at: 1_790_000_000_123.5,
    });
    const own = chunk(1, { segment: ownSegment(1), offset: 0, crc32: 0x80000000 });
    const table = tableOf(large, own);
    expect(table.get(0)).toEqual(large);
    expect(table.get(1)).toEqual(own);
  });

  it('with one chunk far out has that one and no other', () => {
    const far = chunk(999_999, { segment: ownSegment(999_999), offset: 0 });
    const table = tableOf(far);
    expect([table.count, table.has(0), table.has(999_998), table.has(999_999)]).toEqual([
      1,
      false,
      false,
      true,
    ]);
    expect([...table]).toEqual([far]);
  });

  it('takes a million chunks in order, in one extent and about 40 bytes each', () => {
    const before = process.memoryUsage().arrayBuffers;
    const table = new ChunkTable();
    for (let index = 0; index < 1_000_000; index += 1) table.add(chunk(index));
    expect(table.extents()).toEqual([{ segment: MAIN_SEGMENT, offset: 0, bytes: 10_000_000 }]);
    expect(table.get(999_999)).toEqual(chunk(999_999));
    // Columns double: at worst twice what is needed, and the ones before are garbage that may still be there.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1_000_000 * 40 * 4);
  });

  it('is what a map would be, whatever the order of the chunks', () => {
    const indexes = fc.uniqueArray(fc.nat(60), { maxLength: 60 });
    fc.assert(
      fc.property(indexes, fc.boolean(), (order, inMain) => {
        const table = new ChunkTable();
        const map = new Map<number, ChunkRecord>();
        for (const index of order) {
          const segment = inMain || index % 3 === 0 ? MAIN_SEGMENT : ownSegment(index);
          const record = chunk(index, { segment });
          table.add(record);
          map.set(index, record);
        }
        expect(table.count).toBe(map.size);
        expect([...table]).toEqual([...map.values()].toSorted((a, b) => a.index - b.index));
        for (let index = 0; index <= 61; index += 1) {
          expect(table.has(index)).toBe(map.has(index));
          expect(table.get(index)).toEqual(map.get(index));
        }
      }),
      { seed: SEED, numRuns: 200 },
    );
  });
});

describe('extents', () => {
  const own = (index: number, bytes = 10): ChunkRecord =>
    chunk(index, { segment: ownSegment(index), offset: 0, bytes });

  it('of chunks that touch are one', () => {
    expect(tableOf(chunk(0), chunk(1), chunk(2)).extents()).toEqual([
      { segment: 'main', offset: 0, bytes: 30 },
    ]);
  });

  it('of chunks in other segments, or not next to each other, stay apart', () => {
    const table = tableOf(chunk(0), own(1), chunk(2, { offset: 10 }), chunk(3, { offset: 40 }));
    expect(table.extents()).toEqual([
      { segment: 'main', offset: 0, bytes: 10 },
      { segment: 'c1', offset: 0, bytes: 10 },
      { segment: 'main', offset: 10, bytes: 10 },
      { segment: 'main', offset: 40, bytes: 10 },
    ]);
  });

  it('are in the order of the chunks, not of their coming', () => {
    const table = tableOf(chunk(2, { offset: 0 }), chunk(0, { offset: 10 }), own(1));
    expect(table.extents().map(({ segment, offset }) => `${segment}@${offset}`)).toEqual([
      'main@10',
      'c1@0',
      'main@0',
    ]);
  });

  it('end before the chunk that is named', () => {
    const table = tableOf(chunk(0), chunk(1), own(3));
    expect(table.extents(0)).toEqual([]);
    expect(table.extents(1)).toEqual([{ segment: 'main', offset: 0, bytes: 10 }]);
    expect(table.extents(3)).toEqual([{ segment: 'main', offset: 0, bytes: 20 }]);
    expect(table.extents(4)).toHaveLength(2);
  });

  it('of an empty file are none', () => {
    expect(tableOf(chunk(0, { bytes: 0 })).extents()).toEqual([]);
  });

  it('hold every byte once, in order', () => {
    const parts = fc.array(fc.record({ bytes: fc.nat(5), inMain: fc.boolean() }), { maxLength: 30 });
    fc.assert(
      fc.property(parts, (chunks) => {
        let mainBytes = 0;
        const records = chunks.map(({ bytes, inMain }, index) => {
          const record = inMain
            ? chunk(index, { offset: mainBytes, bytes })
            : chunk(index, { segment: ownSegment(index), offset: 0, bytes });
          if (inMain) mainBytes += bytes;
          return record;
        });
        const bytesOf = (extents: readonly Extent[]): string[] =>
          extents.flatMap(({ segment, offset, bytes }) =>
            Array.from({ length: bytes }, (_, i) => `${segment}@${offset + i}`),
          );
        expect(bytesOf(tableOf(...records).extents())).toEqual(bytesOf(records));
      }),
      { seed: SEED, numRuns: 200 },
    );
  });
});
