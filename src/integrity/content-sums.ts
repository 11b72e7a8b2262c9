// integrity/content-sums.ts: the recorded CRC-32s of one content, in columns: one for each chunk or for several neighbouring chunks (a run).
//
// The ledger of an entry has them as JSON `{bytes, crc32, chunks}`: arrays with one item for each run, in the order of the content. The items
// are the number of bytes, the CRC-32 and the number of chunks. `chunks` is absent if each run is one chunk.
// Promises: pure; a binary search finds a run by its place. A ledger line has at most `MAX_RECORDED_RUNS` runs, so that a finalise of many
// chunks still takes milliseconds (rule F7).
import { combineCrc32 } from './crc32-combine.ts';

export const MAX_RECORDED_RUNS = 4_096;

export interface SummedChunk {
  readonly index: number;
  readonly bytes: number;
  readonly crc32: number;
}

/** Bytes `start` to `start + bytes` of the content: chunks `first` to `last`. */
export interface Run {
  readonly first: number;
  readonly last: number;
  readonly start: number;
  readonly bytes: number;
  readonly crc32: number;
}

export interface RecordedSums {
  readonly bytes: readonly number[];
  readonly crc32: readonly number[];
  readonly chunks?: readonly number[];
}

export class ContentSums {
  /** The start of each run, and after them the end of the last run. */
  readonly #starts: Float64Array;
  readonly #crc32s: Uint32Array;
  readonly #firsts: Uint32Array;
  readonly #lasts: Uint32Array;

  private constructor(runs: number) {
    this.#starts = new Float64Array(runs + 1);
    this.#crc32s = new Uint32Array(runs);
    this.#firsts = new Uint32Array(runs);
    this.#lasts = new Uint32Array(runs);
  }

  /** @param count how many of the chunks, in the order of the content */
  static ofChunks(chunks: Iterable<SummedChunk>, count: number): ContentSums {
    const sums = new ContentSums(count);
    let row = 0;
    for (const { index, bytes, crc32 } of chunks) {
      if (row === count) break;
      sums.#set(row, { first: index, last: index, bytes, crc32 });
      row += 1;
    }
    return sums;
  }

  static ofRecord({ bytes, crc32, chunks }: RecordedSums): ContentSums {
    const sums = new ContentSums(bytes.length);
    let first = 0;
    for (const [row, length] of bytes.entries()) {
      const last = first + (chunks?.[row] ?? 1) - 1;
      sums.#set(row, { first, last, bytes: length, crc32: crc32[row] ?? 0 });
      first = last + 1;
    }
    return sums;
  }

  get count(): number {
    return this.#crc32s.length;
  }

  /** The number of chunks in all runs. */
  get chunks(): number {
    let chunks = 0;
    for (let row = 0; row < this.count; row += 1) chunks += this.#lastOf(row) - (this.#firsts[row] ?? 0) + 1;
    return chunks;
  }

  /** The number of bytes in all runs. */
  get bytes(): number {
    return this.#starts[this.count] ?? 0;
  }

  /** Undefined if there is no such row. */
  run(row: number): Run | undefined {
    if (row < 0 || row >= this.count) return undefined;
    const [start = 0, end = 0] = this.#starts.subarray(row, row + 2);
    return {
      first: this.#firsts[row] ?? 0,
      last: this.#lastOf(row),
      start,
      bytes: end - start,
      crc32: this.#crc32s[row] ?? 0,
    };
  }

  /** The row of the first run that begins at or after this place. `count` if there is none. */
  rowFrom(place: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#starts[middle] ?? 0) < place) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The row of the run that has this place. The first or the last row, if the place is before or after all runs. */
  rowAt(place: number): number {
    return Math.max(this.rowFrom(place + 1) - 1, 0);
  }

  /** The raw columns, for a digest. */
  columns(): readonly Uint8Array[] {
    const { buffer: starts } = this.#starts;
    const { buffer: crc32s } = this.#crc32s;
    return [new Uint8Array(starts), new Uint8Array(crc32s)];
  }

  /** The JSON for a ledger. Neighbouring runs are joined until there are at most `MAX_RECORDED_RUNS`. */
  record(): RecordedSums {
    const perRun = Math.ceil(this.count / MAX_RECORDED_RUNS);
    const bytes: number[] = [];
    const crc32: number[] = [];
    const chunks: number[] = [];
    for (let row = 0; row < this.count; row += perRun) {
      const end = Math.min(row + perRun, this.count);
      bytes.push((this.#starts[end] ?? 0) - (this.#starts[row] ?? 0));
      crc32.push(this.#combined(row, end));
      chunks.push(this.#lastOf(end - 1) - (this.#firsts[row] ?? 0) + 1);
    }
    return chunks.some((count) => count > 1) ? { bytes, crc32, chunks } : { bytes, crc32 };
  }

  #combined(from: number, end: number): number {
    let crc32 = this.#crc32s[from] ?? 0;
    for (let row = from + 1; row < end; row += 1) {
      const bytes = (this.#starts[row + 1] ?? 0) - (this.#starts[row] ?? 0);
      crc32 = combineCrc32(crc32, this.#crc32s[row] ?? 0, bytes);
    }
    return crc32;
  }

  #lastOf(row: number): number {
    return this.#lasts[row] ?? 0;
  }

  #set(row: number, run: Omit<Run, 'start'>): void {
    this.#starts[row + 1] = (this.#starts[row] ?? 0) + run.bytes;
    this.#crc32s[row] = run.crc32;
    this.#firsts[row] = run.first;
    this.#lasts[row] = run.last;
  }
}
