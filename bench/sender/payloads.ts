// bench/sender/payloads.ts: provides the bytes of chunks: each chunk is another window of one random buffer.
//
// Promises: the bytes are random, so that no layer can compress them. Chunk `index` always has the same bytes, and they differ
// from its neighbours, so that chunks in a wrong place are detected. No chunk is copied.
import { createHash, randomFillSync } from 'node:crypto';

/** The distance over which the windows move before they repeat. */
const TRAVEL_BYTES = 64 * 1024;
/** Coprime to the distance, so that every neighbour is another window. */
const STEP_BYTES = 4093;

export class Payloads {
  readonly #bytes: number;
  readonly #pool: Buffer;

  /** @param pool at least `poolBytesFor(bytes)` long */
  constructor(bytes: number, pool: Buffer) {
    this.#bytes = bytes;
    this.#pool = pool;
  }

  chunk(index: number): Buffer {
    const from = (index * STEP_BYTES) % TRAVEL_BYTES;
    return this.#pool.subarray(from, from + this.#bytes);
  }

  /** The SHA-256 of chunks 0 to `count` - 1, one after the other. */
  sha256(count: number): string {
    const hash = createHash('sha256');
    for (let index = 0; index < count; index += 1) hash.update(this.chunk(index));
    return hash.digest('hex');
  }
}

export function poolBytesFor(bytes: number): number {
  return bytes + TRAVEL_BYTES;
}

export function randomPool(bytes: number): Buffer {
  return randomFillSync(Buffer.allocUnsafe(poolBytesFor(bytes)));
}
