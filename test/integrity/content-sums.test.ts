// What is on record of a content, put together and looked up.
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { ContentSums, MAX_RECORDED_RUNS } from '../../src/integrity/content-sums.ts';
import { combineCrc32 } from '../../src/integrity/crc32-combine.ts';
import { SumCheck } from '../../src/integrity/sum-check.ts';

it.each([
  [0, 0],
  [1, 0],
  [0, 1],
  [5, 7],
  [1_000, 65_536],
  [3, 1_048_577],
])('the CRC-32 of %d and of %d bytes give that of both together', (first, second) => {
  const [a, b] = [randomBytes(first), randomBytes(second)];
  expect(combineCrc32(crc32(a), crc32(b), second)).toBe(crc32(Buffer.concat([a, b])));
});

it('the bytes that a length beyond 2^32 shifts by are counted', () => {
  const half = combineCrc32(crc32('a'), 0, 2 ** 31);
  expect(combineCrc32(half, 0, 2 ** 31)).toBe(combineCrc32(crc32('a'), 0, 2 ** 32));
});

function sumsOf(chunks: readonly Buffer[]): ContentSums {
  const summed = chunks.map((chunk, index) => ({ index, bytes: chunk.length, crc32: crc32(chunk) }));
  return ContentSums.ofChunks(summed, chunks.length);
}

it('a record of more chunks than it may have puts neighbours together, and is read back', () => {
  const chunks = Array.from({ length: 2 * MAX_RECORDED_RUNS + 1 }, (_, i) => Buffer.from(`chunk ${i}`));
  const record = sumsOf(chunks).record();
  expect(record.bytes.length).toBeLessThanOrEqual(MAX_RECORDED_RUNS);
  const read = ContentSums.ofRecord(JSON.parse(JSON.stringify(record)) as typeof record);
  expect([read.bytes, read.chunks]).toEqual([Buffer.concat(chunks).length, chunks.length]);
  expect(read.run(1)).toMatchObject({ first: 3, last: 5, crc32: crc32(Buffer.concat(chunks.slice(3, 6))) });
  expect(new SumCheck(read, 0).push(Buffer.concat(chunks))).toEqual([]);
});

it('few chunks are recorded one by one', () => {
  const record = sumsOf([Buffer.from('ab'), Buffer.from('c')]).record();
  expect(record).toEqual({ bytes: [2, 1], crc32: [crc32('ab'), crc32('c')] });
});

it.each([1, 2, 3, 7, 100])('a wrong chunk is met with its last byte, in pieces of %d', (size) => {
  const chunks = ['one', 'two', 'three', 'four'].map((text) => Buffer.from(text));
  const check = new SumCheck(sumsOf(chunks), 0);
  const content = Buffer.concat(chunks);
  content[4] = 0;
  const met: number[] = [];
  for (let at = 0; at < content.length; at += size)
    for (const { run } of check.push(content.subarray(at, at + size))) met.push(run.first, at);
  expect(met).toEqual([1, Math.floor(5 / size) * size]);
  expect(check.checkedRuns).toBe(4);
});

it('of a chunk that the range cuts nothing is said', () => {
  const chunks = ['one', 'two', 'three'].map((text) => Buffer.from(text));
  const check = new SumCheck(sumsOf(chunks), 1);
  expect(check.push(Buffer.from('XXtwoth'))).toEqual([]);
  expect(check.checkedRuns).toBe(1);
  expect(new SumCheck(sumsOf(chunks), 1).push(Buffer.from('neTwo'))).toMatchObject([{ run: { first: 1 } }]);
});
