// bench/compare/scale.ts: how much is measured: in full, as the goals say, or quickly, to see that everything works.
import type { CellLimits } from './cells.ts';

export interface Scale {
  readonly cells: CellLimits;
  /** Chunks of the upload that grows. */
  readonly uploadChunks: number;
  /** More than the journal keeps: what comes after finds it full. */
  readonly warmUpChunks: number;
  /** Uploads in the fuller of two data folders. */
  readonly storedUploads: number;
  /** Chunks of 64 MiB in parallel. */
  readonly parallelChunks: number;
  /** Chunks of 8 MiB of the largest file. */
  readonly largeFileChunks: number;
  /** Of memory, before each run: see touch.ts. */
  readonly touchedBytes: number;
  /** Over which a CRC-32 is timed. */
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
