// uploads/chunk-table.ts: the chunks of one upload, stored in columns.
//
// Promises: adding and finding a chunk cost the same at the 10th and at the 1,000,000th chunk. A chunk costs about 40 bytes,
// whatever its index: a single chunk 999,999 allocates no room for the chunks before it.
// The table does not know the rules of uploads. It keeps the records that it is given.
import type { Extent } from './ports.ts';

/**
 * One stored chunk. `at`: epoch milliseconds on the clock of the namespace. `segment`: see ports.ts. This is a type alias
 * because an interface is not assignable to the record of a ledger.
 */
export type ChunkRecord = {
  readonly index: number;
  readonly segment: string;
  readonly offset: number;
  readonly bytes: number;
  readonly crc32: number;
  readonly at: number;
};

/** The segment that a sequential upload fills from its start. */
export const MAIN_SEGMENT = 'main';

/** The segment of a chunk that could not be added to the main segment. The server makes the name, so it is safe in a path. */
export function ownSegment(index: number): string {
  return `c${index}`;
}

const FIRST_CAPACITY = 8;
const MAX_RUNS = 100;

export class ChunkTable {
  #count = 0;
  /** Chunks 0..prefix-1 were added in this order. The row of each is its index, so they need no look-up. */
  #prefix = 0;
  readonly #rowOf = new Map<number, number>();
  #index = new Float64Array(FIRST_CAPACITY);
  #offset = new Float64Array(FIRST_CAPACITY);
  #bytes = new Float64Array(FIRST_CAPACITY);
  #at = new Float64Array(FIRST_CAPACITY);
  #crc32 = new Uint32Array(FIRST_CAPACITY);
  #inMain = new Uint8Array(FIRST_CAPACITY);

  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return index < this.#prefix || this.#rowOf.has(index);
  }

  /** The caller guarantees that `record.index` is not in the table. */
  add(record: ChunkRecord): void {
    if (this.#count === this.#index.length) this.#grow();
    const row = this.#count;
    this.#index[row] = record.index;
    this.#offset[row] = record.offset;
    this.#bytes[row] = record.bytes;
    this.#at[row] = record.at;
    this.#crc32[row] = record.crc32;
    this.#inMain[row] = record.segment === MAIN_SEGMENT ? 1 : 0;
    this.#count += 1;
    if (record.index === row && this.#prefix === row) this.#prefix += 1;
    else this.#rowOf.set(record.index, row);
  }

  get(index: number): ChunkRecord | undefined {
    const row = index < this.#prefix ? index : this.#rowOf.get(index);
    return row === undefined ? undefined : this.#record(row);
  }

  /** In order of the index. */
  *[Symbol.iterator](): IterableIterator<ChunkRecord> {
    for (let row = 0; row < this.#prefix; row += 1) yield this.#record(row);
    const others = [...this.#rowOf.keys()].toSorted((a, b) => a - b);
    for (const index of others) {
      const record = this.get(index);
      if (record !== undefined) yield record;
    }
  }

  /** The first and the last index of each run of chunks, in order. At most MAX_RUNS runs are returned. */
  runs(): (readonly [number, number])[] {
    const runs: [number, number][] = this.#prefix > 0 ? [[0, this.#prefix - 1]] : [];
    let left = this.#count - this.#prefix;
    for (let index = this.#prefix; left > 0; index += 1) {
      if (!this.#rowOf.has(index)) continue;
      left -= 1;
      const last = runs.at(-1);
      if (last !== undefined && last[1] === index - 1) last[1] = index;
      else if (runs.length === MAX_RUNS) break;
      else runs.push([index, index]);
    }
    return runs;
  }

  /** Where the stored chunks of 0..end-1 lie. Neighbours that touch become one extent, so a sequential upload has one extent. */
  extents(end = Number.POSITIVE_INFINITY): Extent[] {
    const extents: { segment: string; offset: number; bytes: number }[] = [];
    for (const chunk of this) {
      if (chunk.index >= end) break;
      const last = extents.at(-1);
      if (last?.segment === chunk.segment && last.offset + last.bytes === chunk.offset)
        last.bytes += chunk.bytes;
      else if (chunk.bytes > 0)
        extents.push({ segment: chunk.segment, offset: chunk.offset, bytes: chunk.bytes });
    }
    return extents;
  }

  #record(row: number): ChunkRecord {
    const index = this.#index[row] ?? 0;
    return {
      index,
      segment: this.#inMain[row] === 1 ? MAIN_SEGMENT : ownSegment(index),
      offset: this.#offset[row] ?? 0,
      bytes: this.#bytes[row] ?? 0,
      crc32: this.#crc32[row] ?? 0,
      at: this.#at[row] ?? 0,
    };
  }

  #grow(): void {
    const capacity = this.#index.length * 2;
    const wider = (column: Float64Array): Float64Array<ArrayBuffer> => {
      const copy = new Float64Array(capacity);
      copy.set(column);
      return copy;
    };
    this.#index = wider(this.#index);
    this.#offset = wider(this.#offset);
    this.#bytes = wider(this.#bytes);
    this.#at = wider(this.#at);
    const crc32 = new Uint32Array(capacity);
    crc32.set(this.#crc32);
    this.#crc32 = crc32;
    const inMain = new Uint8Array(capacity);
    inMain.set(this.#inMain);
    this.#inMain = inMain;
  }
}
