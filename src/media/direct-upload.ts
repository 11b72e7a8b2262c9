// media/direct-upload.ts: the bytes of a file that comes in one request, until they are an entry's (rule F8).
//
// Must not know: what becomes of them.
import type { Bytes, Extent, Place } from '../uploads/ports.ts';

const SEGMENT = 'main';

/** Bytes of a direct upload on their way. Without `createDirect` they are to be discarded. */
export class DirectUpload {
  readonly place: Place;
  readonly #bytes: Bytes;
  readonly onEnd: () => void;
  #written = 0;

  constructor(bytes: Bytes, place: Place, onEnd: () => void) {
    this.#bytes = bytes;
    this.place = place;
    this.onEnd = onEnd;
  }

  get bytes(): number {
    return this.#written;
  }

  async write(buffers: readonly Buffer[]): Promise<void> {
    await this.#bytes.write(this.place, { segment: SEGMENT, offset: this.#written }, buffers);
    for (const buffer of buffers) this.#written += buffer.length;
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
