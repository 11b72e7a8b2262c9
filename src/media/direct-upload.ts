// media/direct-upload.ts: stores the bytes of a file that comes in one request, until they become an entry (rule F8).
import { crc32 } from 'node:zlib';
import { ContentSums, type SummedChunk } from '../integrity/content-sums.ts';
import type { Bytes, Extent, StorageKey } from '../uploads/ports.ts';

const SEGMENT = 'main';
/** One CRC-32 is recorded per this number of bytes. A reader of a part of the file checks that part with them. */
const SUMMED_BYTES = 8 * 1024 * 1024;

/** The bytes of a direct upload on their way. The caller passes it to `createDirect`, or discards it. */
export class DirectUpload {
  readonly place: StorageKey;
  readonly #bytes: Bytes;
  readonly onEnd: () => void;
  #written = 0;
  readonly #sums: SummedChunk[] = [];
  /** The bytes after the last recorded CRC-32. */
  #last = { bytes: 0, crc32: 0 };

  constructor(bytes: Bytes, place: StorageKey, onEnd: () => void) {
    this.#bytes = bytes;
    this.place = place;
    this.onEnd = onEnd;
  }

  get bytes(): number {
    return this.#written;
  }

  /** The CRC-32s of the bytes written so far. */
  get sums(): ContentSums {
    const index = this.#sums.length;
    const all = this.#last.bytes > 0 ? [...this.#sums, { index, ...this.#last }] : this.#sums;
    return ContentSums.ofChunks(all, all.length);
  }

  async write(buffers: readonly Buffer[]): Promise<void> {
    // Before the write, because afterwards the caller may use the buffers again.
    for (const buffer of buffers) this.#sum(buffer);
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

  /** Never rejects. The collector removes what could not be removed here (rule C15). The request has its own answer. */
  async discard(): Promise<void> {
    await this.#bytes.remove(this.place).catch(() => undefined);
    this.onEnd();
  }
}
