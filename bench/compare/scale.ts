// bench/compare/scale.ts: the amounts to measure: the full amounts of the goals, or small amounts that only show that everything
// works.
import type { CellLimits } from './cells.ts';

export interface Scale {
  readonly cells: CellLimits;
  /** The chunks of the growing upload. */
  readonly uploadChunks: number;
  /** More chunks than the journal keeps, so that the journal is full afterwards. */
  readonly warmUpChunks: number;
  /** The uploads in the fuller one of the two data folders. */
  readonly storedUploads: number;
  /** The number of parallel chunks of 64 MiB. */
  readonly parallelChunks: number;
  /** The number of chunks of 8 MiB in the largest file. */
  readonly largeFileChunks: number;
  /** The memory that is touched before each run (touch.ts). */
  readonly touchedBytes: number;
  /** The bytes over which a CRC-32 is timed. */
  readonly crcBytes: number;
}

const MIB = 1024 ** 2;

export const FULL: Scale = {
  cells: { seconds: 3, warmUpSeconds: 1.5, maxBytes: 1024 * MIB },
  uploadChunks: 80_000,
  warmUpChunks: 12_000,
  storedUploads: 100_000,
  parallelChunks: 64,
  largeFileChunks: 640,
  touchedBytes: 4096 * MIB,
  crcBytes: 1024 * MIB,
};

export const QUICK: Scale = {
  cells: { seconds: 0.5, warmUpSeconds: 0.3, maxBytes: 128 * MIB },
  uploadChunks: 4_000,
  warmUpChunks: 2_000,
  storedUploads: 1_000,
  parallelChunks: 8,
  largeFileChunks: 32,
  touchedBytes: 512 * MIB,
  crcBytes: 128 * MIB,
};
