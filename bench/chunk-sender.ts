// bench/chunk-sender.ts: the chunks of one connection: an upload of its own, chunk 0, 1, 2, … in order.
//
// Promises: no request is ever sent twice, so none can be answered as a duplicate (rule C6); every answer must be
// the one of a stored chunk. The payload is one buffer, shared and never copied.
// Must not know: how requests are scheduled, what is measured.
import { WIRES, type ChunkPlace, type Wire, type WireName } from './wires.ts';

export interface ChunkSenderOptions {
  readonly host: string;
  readonly fileId: string;
  readonly wire: WireName;
  readonly payload: Buffer;
}

/** The most that the server takes: no upload of the bench is ever complete. */
const TOTAL_CHUNKS = 1_000_000;

export class ChunkSender {
  readonly fileId: string;
  readonly #options: ChunkSenderOptions;
  readonly #wire: Wire;
  #sent = 0;
  #acknowledged = 0;

  constructor(options: ChunkSenderOptions) {
    this.#options = options;
    this.#wire = WIRES[options.wire];
    this.fileId = options.fileId;
  }

  get acknowledgedBytes(): number {
    return this.#acknowledged * this.#options.payload.length;
  }

  /** The next request, as what stands before the payload, the payload, and what stands behind it. */
  next(): readonly [head: Buffer, payload: Buffer, tail: Buffer] {
    const { host, payload } = this.#options;
    const { head, tail } = this.#wire.chunk(this.#place(this.#sent), host);
    this.#sent += 1;
    return [Buffer.from(head, 'latin1'), payload, Buffer.from(tail, 'latin1')];
  }

  /** Whether the answer says that the chunk sent last was stored. */
  accept(status: number, body: string): boolean {
    if (!this.#wire.isStored({ status, head: '', body }, this.#place(this.#sent - 1))) return false;
    this.#acknowledged += 1;
    return true;
  }

  #place(index: number): ChunkPlace {
    const { fileId, payload } = this.#options;
    return { fileId, location: '', index, bytes: payload.length, totalChunks: TOTAL_CHUNKS };
  }
}
