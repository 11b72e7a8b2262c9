// bench/sender/payloads.ts: what chunks are made of: windows of one random buffer, each chunk its own.
//
// Promises: random, so that no layer can make it smaller; chunk `index` is the same bytes whenever it is asked for, and
// none like its neighbours, so that chunks stored in a wrong place are seen. No chunk is ever copied.
import { createHash, randomFillSync } from 'node:crypto';

/** How far the windows move before they come round again. */
const TRAVEL_BYTES = 64 * 1024;
/** Coprime to the travel: every neighbour is another window. */
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

  /** SHA-256 of chunks 0 to `count` - 1, one after the other. */
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
