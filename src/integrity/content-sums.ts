// integrity/content-sums.ts: the CRC-32s that are on record of one content, in columns: of each chunk, or of neighbouring ones together.
//
// As JSON, in the ledger of an entry, it is `{bytes, crc32}`: two arrays of one length, for each run of bytes how many there are and
// their CRC-32, in the order of the content; and `chunks`, unless each run is one chunk, how many chunks each run is made of.
// Promises: pure; a run is found by its place in a time that does not grow with the content. An entry's ledger line has at most
// `MAX_RECORDED_RUNS` of them, however many chunks there were, so that finalising stays a matter of milliseconds (rule F7).
// Must not know: where the bytes lie.
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
  /** Where each run begins, and, behind the last one, where that ends. */
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

  /** How many chunks they are of. */
  get chunks(): number {
    let chunks = 0;
    for (let row = 0; row < this.count; row += 1) chunks += this.#lastOf(row) - (this.#firsts[row] ?? 0) + 1;
    return chunks;
  }

  /** Of the content that they are of. */
  get bytes(): number {
    return this.#starts[this.count] ?? 0;
  }

  /** Undefined: there are not so many. */
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

  /** The first run that begins at this place of the content or behind it; `count` when none does. */
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

  /** The run that has this place of the content; the first or the last for one that lies before or behind them all. */
  rowAt(place: number): number {
    return Math.max(this.rowFrom(place + 1) - 1, 0);
  }

  /** Everything that they say, for a digest of it. */
  columns(): readonly Uint8Array[] {
    const { buffer: starts } = this.#starts;
    const { buffer: crc32s } = this.#crc32s;
    return [new Uint8Array(starts), new Uint8Array(crc32s)];
  }

  /** For a ledger: neighbours are put together until there are few enough. */
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
