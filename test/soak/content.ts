// soak/content.ts: makes the bytes of a chunk from seed, upload and index. Nothing is stored, and every byte can be checked.
//
// Promises: pure. Any two chunks of a run differ, and a chunk differs from itself moved by one byte. So bytes in the wrong place
// are found.
import { createCipheriv, createHash } from 'node:crypto';

export interface ChunkName {
  readonly seed: number;
  readonly fileId: string;
  readonly index: number;
}

export function chunkBytes({ seed, fileId, index }: ChunkName, length: number): Buffer {
  const name = createHash('sha256').update(`${seed}/${fileId}/${index}`).digest();
  return createCipheriv('aes-128-ctr', name.subarray(0, 16), name.subarray(16)).update(Buffer.alloc(length));
}

/** SHA-256 of an upload's first chunks, as many as there are sizes. */
export function sha256Of(seed: number, fileId: string, sizes: readonly number[]): string {
  const hash = createHash('sha256');
  for (const [index, bytes] of sizes.entries()) hash.update(chunkBytes({ seed, fileId, index }, bytes));
  return hash.digest('hex');
}
