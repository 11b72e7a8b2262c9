// uploads/chunk-writer.ts: writes one new chunk of one request to the storage.
//
// Promises: until `commit` resolves, the upload is as if the chunk had never been sent (C3). Afterwards the chunk is as durable
// as the mode promises (D1). A newer request can supersede a writer whose client is silent (C12). A superseded writer can only
// end.
// It does not know how requests wait for a lease (chunk-lease.ts).
import { AppError } from '../core/errors.ts';
import { MAIN_SEGMENT, ownSegment } from './chunk-table.ts';
import type { ChunkInTransit, OpenUpload } from './open-upload.ts';
import type { Spool } from './ports.ts';
import {
  decideChunk,
  deletedMeanwhile,
  receiptOf,
  refuseEmpty,
  tooLarge,
  type ChunkRef,
  type ChunkDigest,
  type ChunkOrder,
  type Receipt,
  type UploadEvent,
} from './upload.ts';

interface WriterRules {
  readonly order: ChunkOrder;
  readonly maxBytes: number;
  /** The name that the client gave to the upload. The first record of the ledger contains it. */
  readonly fileId: string;
  /** Epoch milliseconds on the clock of the namespace. */
  readonly now: () => number;
  /** The bytes are already in a spool, which will become a segment of its own. */
  readonly isSpooled: boolean;
  readonly silentMs: () => number;
}

const NOTHING_STORING = Promise.resolve();
const NOTHING_STORED = { receivedBytes: 0, nextIndex: 0, currentSize: 0 };

export class ChunkWriter implements ChunkInTransit {
  readonly kind = 'write';
  /** Resolves when this writer has committed or given up. Never rejects. */
  readonly ended: Promise<void>;
  /** Null until the chunk is stored. */
  receipt: Receipt | null = null;
  /** Where the stored chunk begins in the content. Null until it is stored, and for a chunk beyond a gap. */
  contentOffset: number | null = null;
  readonly #upload: OpenUpload;
  readonly #chunk: ChunkRef;
  readonly #rules: WriterRules;
  readonly #segment: string;
  readonly #start: number;
  #written = 0;
  /** There may be bytes to cut off. True also after a write that failed half way. */
  #isDirty = false;
  #phase: 'receiving' | 'committing' | 'ended' = 'receiving';
  #supersededBy: AppError | null = null;
  /** The last call that handed bytes to the storage. */
  #storing: Promise<unknown> = NOTHING_STORING;
  #onSuperseded: (error: AppError) => void = () => undefined;
  #resolveEnded: () => void = () => undefined;

  /** The caller guarantees that `decideChunk` said `write` and that no other writer has this chunk. */
  constructor(upload: OpenUpload, chunk: ChunkRef, rules: WriterRules) {
    this.#upload = upload;
    this.#chunk = chunk;
    this.#rules = rules;
    this.#segment = !rules.isSpooled && upload.takeMain() ? MAIN_SEGMENT : ownSegment(chunk.chunkIndex);
    this.#start = upload.committedBytes(this.#segment);
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
    upload.writers.set(chunk.chunkIndex, this);
  }

  /** How many more bytes this writer may write before the file is over the limit (C13). */
  get room(): number {
    return this.#rules.maxBytes - (this.#upload.state?.receivedBytes ?? 0) - this.#written;
  }

  /** The refusal when the bytes exceed `room` (C13). */
  tooLarge(): AppError {
    return tooLarge(this.#upload.state, this.#rules.maxBytes);
  }

  silentMs(): number {
    return this.#phase === 'receiving' ? this.#rules.silentMs() : 0;
  }

  get isCommitting(): boolean {
    return this.#phase === 'committing';
  }

  async written(): Promise<void> {
    await this.#storing.catch(() => undefined); // The caller of the write gets the error.
  }

  onSuperseded(listener: (error: AppError) => void): void {
    this.#onSuperseded = listener;
    if (this.#supersededBy !== null) listener(this.#supersededBy);
  }

  giveWay(): boolean {
    const { chunkIndex } = this.#chunk;
    const message = `no byte of chunk ${chunkIndex} came for ${this.silentMs()} ms, and a newer request for this chunk took over; ask for the status and continue from there`;
    return this.#supersede(new AppError('chunk_superseded', message, { chunkIndex }));
  }

  refuseDeleted(): void {
    this.#supersede(deletedMeanwhile(this.#chunk));
  }

  letGo(reason: AppError): Promise<void> {
    return this.#supersede(reason) ? this.written() : this.ended;
  }

  #supersede(reason: AppError): boolean {
    if (this.#phase !== 'receiving') return false;
    if (this.#supersededBy === null) {
      this.#supersededBy = reason;
      this.#onSuperseded(reason);
    }
    return true;
  }

  /**
   * Writes the next bytes of the chunk, in order. The caller awaits each call before the next.
   * @throws AppError `upload_too_large`, `insufficient_storage`, `chunk_superseded`, and the refusals of `decideChunk`
   */
  async write(buffers: readonly Buffer[]): Promise<void> {
    this.#refuseSuperseded();
    this.#refuseOvertaken();
    let bytes = 0;
    for (const buffer of buffers) bytes += buffer.length;
    if (bytes > this.room) throw this.tooLarge();
    const at = { segment: this.#segment, offset: this.#start + this.#written };
    this.#isDirty = true;
    const writing = this.#upload.storage.bytes.write(this.#upload.place, at, buffers);
    this.#storing = writing;
    await writing;
    this.#written += bytes;
  }

  /**
   * Stores the chunk. All its bytes were written before, or they are in `spooled`, which becomes a segment by a move.
   * @throws AppError the refusals of `write`, `empty_chunk`, and the refusals of `decideChunk` when the upload has changed
   * since
   */
  async commit(digest: ChunkDigest, spooled?: Spool): Promise<Receipt> {
    this.#refuseSuperseded();
    this.#phase = 'committing';
    refuseEmpty(this.#chunk, digest.bytes);
    this.#refuseOvertaken();
    const { place, storage } = this.#upload;
    if (spooled !== undefined) await this.#adopt(spooled);
    if (this.#written !== digest.bytes) throw new Error('not all bytes of a chunk were handed over');
    if (digest.bytes > 0) await storage.bytes.sync(place, this.#segment);
    this.receipt = await this.#upload.queued(() => this.#record(digest));
    return this.receipt;
  }

  async #adopt(spooled: Spool): Promise<void> {
    if (this.#written > 0) throw new Error('a chunk was spooled and written');
    const { bytes } = spooled;
    if (bytes > this.room) throw this.tooLarge();
    this.#isDirty = true;
    const adopting = this.#upload.storage.bytes.adopt(spooled, this.#upload.place, this.#segment);
    this.#storing = adopting;
    await adopting;
    this.#written = bytes;
  }

  async #record({ bytes, crc32 }: ChunkDigest): Promise<Receipt> {
    const { chunkIndex, totalChunks } = this.#chunk;
    const { state } = this.#upload;
    this.#refuseOvertaken();
    const { receivedBytes, nextIndex, currentSize } = state ?? NOTHING_STORED;
    if (receivedBytes + bytes > this.#rules.maxBytes) throw this.tooLarge();
    const at = this.#rules.now();
    const place = { segment: this.#segment, offset: this.#start };
    const event: UploadEvent = { type: 'chunk', index: chunkIndex, ...place, bytes, crc32, at };
    const first: UploadEvent = { type: 'started', format: 1, fileId: this.#rules.fileId, totalChunks, at };
    const stored = await this.#upload.store(state === null ? [first, event] : [event]);
    this.contentOffset = chunkIndex === nextIndex ? currentSize : null;
    // The end of the main segment has moved. The next writer must start behind this chunk.
    this.#end();
    return receiptOf(stored, chunkIndex);
  }

  /** Ends a writer that did not commit, and cuts its bytes off. Never rejects. Does nothing after a commit. */
  async abort(): Promise<void> {
    if (this.#phase === 'ended') return;
    this.#phase = 'committing';
    const ended = this.#upload.queued(async () => {
      await this.#cutOff();
      this.#end();
    });
    // When this fails, the upload is spoilt: its ledger may contain these bytes. The next request reads the upload anew, and
    // opening cuts off the bytes that do not count.
    await ended.catch(() => this.#end());
  }

  async #cutOff(): Promise<void> {
    const { state, storage, place, writers } = this.#upload;
    try {
      if (state === null && writers.size === 1) await storage.bytes.remove(place);
      else if (this.#isDirty) await storage.bytes.truncate(place, this.#segment, this.#start);
    } catch {
      // Bytes beyond the ledger do not exist (D2). The next writer starts at the same offset, and the next opening cuts the
      // bytes off.
    }
  }

  #end(): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    if (this.#segment === MAIN_SEGMENT) this.#upload.giveMain();
    this.#upload.writers.delete(this.#chunk.chunkIndex);
    this.#resolveEnded();
  }

  /** Chunks of one upload can arrive in parallel, so a decision made when the body began may be wrong now. */
  #refuseOvertaken(): void {
    const decision = decideChunk(this.#upload.state, this.#chunk, this.#rules.order);
    if (decision.kind === 'compare') throw new Error(`chunk ${this.#chunk.chunkIndex} had two writers`);
  }

  #refuseSuperseded(): void {
    if (this.#supersededBy !== null) throw this.#supersededBy;
    if (this.#phase !== 'receiving') throw new Error('this chunk writer has ended');
  }
}
