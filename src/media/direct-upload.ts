// media/direct-upload.ts: the bytes of a file that comes in one request, until they are an entry's (rule F8).
//
// Must not know: what becomes of them.
import { crc32 } from 'node:zlib';
import { ContentSums, type SummedChunk } from '../integrity/content-sums.ts';
import type { Bytes, Extent, StorageKey } from '../uploads/ports.ts';

const SEGMENT = 'main';
/** Of so many bytes each there is one CRC-32 on record: who reads a part of the file has that part checked. */
const SUMMED_BYTES = 8 * 1024 * 1024;

/** Bytes of a direct upload on their way. Without `createDirect` they are to be discarded. */
export class DirectUpload {
  readonly place: StorageKey;
  readonly #bytes: Bytes;
  readonly onEnd: () => void;
  #written = 0;
  readonly #sums: SummedChunk[] = [];
  /** Of what is not in one of them yet. */
  #last = { bytes: 0, crc32: 0 };

  constructor(bytes: Bytes, place: StorageKey, onEnd: () => void) {
    this.#bytes = bytes;
    this.place = place;
    this.onEnd = onEnd;
  }

  get bytes(): number {
    return this.#written;
  }

  /** Of what was written. */
  get sums(): ContentSums {
    const index = this.#sums.length;
    const all = this.#last.bytes > 0 ? [...this.#sums, { index, ...this.#last }] : this.#sums;
    return ContentSums.ofChunks(all, all.length);
  }

  async write(buffers: readonly Buffer[]): Promise<void> {
    for (const buffer of buffers) this.#sum(buffer); // First: afterwards the buffers are the caller's again.
    await this.#bytes.write(this.place, { segment: SEGMENT, offset: this.#written }, buffers);
    for (const buffer of buffers) this.#written += buffer.length;
  }

  #sum(buffer: Buffer): void {
    let rest = buffer;
    while (rest.length > 0) {
      const taken = rest.subarray(0, SUMMED_BYTES - this.#last.bytes);
      const bytes = this.#last.bytes + taken.length;
      this.#last = { bytes, crc32: crc32(taken, this.#last.crc32) };
      rest = rest.subarray(taken.length);
      if (bytes < SUMMED_BYTES) return;
      this.#sums.push({ index: this.#sums.length, ...this.#last });
      this.#last = { bytes: 0, crc32: 0 };
    }
  }

  async sync(): Promise<Extent[]> {
    if (this.#written === 0) return [];
    await this.#bytes.sync(this.place, SEGMENT);
    return [{ segment: SEGMENT, offset: 0, bytes: this.#written }];
  }

  /** Never rejects: what could not be removed is the collector's now (rule C15), and the request has its own answer. */
  async discard(): Promise<void> {
    await this.#bytes.remove(this.place).catch(() => undefined);
    this.onEnd();
  }
}
