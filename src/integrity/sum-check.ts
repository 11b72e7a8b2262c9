// integrity/sum-check.ts: computes the CRC-32 of a stream of bytes, and reports the runs that differ from the record. Pure.
//
// Promises: a run that lies completely in the range is checked as soon as its last byte has passed. A run that only partly lies in the
// range is not checked. No byte is kept.
import { crc32 } from 'node:zlib';
import type { ContentSums, Run } from './content-sums.ts';

export interface WrongRun {
  readonly run: Run;
  readonly actual: number;
}

const NONE: readonly WrongRun[] = [];

export class SumCheck {
  readonly #sums: ContentSums;
  /** The run that is passing, or the next one. */
  #row: number;
  #at: number;
  #crc32 = 0;
  /** Runs that were whole in the range. */
  checkedRuns = 0;

  /** @param start where in the content the bytes begin */
  constructor(sums: ContentSums, start: number) {
    this.#sums = sums;
    this.#at = start;
    this.#row = sums.rowFrom(start);
    // Runs without bytes, of an empty file, have nothing to pass.
  }

  /** The next bytes of the content. Resolves what is wrong with the runs that end in them. */
  push(piece: Buffer): readonly WrongRun[] {
    let wrong = NONE;
    let rest = piece;
    while (rest.length > 0) {
      const run = this.#sums.run(this.#row);
      if (run === undefined) return wrong;
      const end = this.#at < run.start ? run.start : run.start + run.bytes;
      const taken = rest.subarray(0, end - this.#at);
      if (this.#at >= run.start) {
        this.#crc32 = crc32(taken, this.#crc32);
        if (this.#at + taken.length === end) wrong = this.#ends(run, wrong);
      }
      this.#at += taken.length;
      rest = rest.subarray(taken.length);
    }
    return wrong;
  }

  #ends(run: Run, wrong: readonly WrongRun[]): readonly WrongRun[] {
    const actual = this.#crc32;
    this.#crc32 = 0;
    this.#row += 1;
    this.checkedRuns += 1;
    return actual === run.crc32 ? wrong : [...wrong, { run, actual }];
  }
}
