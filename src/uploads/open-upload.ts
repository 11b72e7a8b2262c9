// uploads/open-upload.ts: one upload while requests work on it: its folded state, its ledger, and the writer of each chunk.
//
// Promises: when `store` resolves, the records are in the ledger and in the state, in this order (rule D1). The records of one
// upload are decided and appended one at a time. A chunk has at most one writer (rule C12).
// It does not know other uploads, or when this one is opened or forgotten (open-uploads.ts).
import { AppError, InDoubt } from '../core/errors.ts';
import { SerialQueue } from '../core/keyed-queue.ts';
import type { Bytes, Ledger, Ledgers, StorageKey } from './ports.ts';
import { evolve, withoutFinalization, type UploadEvent, type UploadState } from './upload.ts';
import { MAIN_SEGMENT } from './chunk-table.ts';

/** A chunk on its way into the storage, as other requests see it that wait for it or end it. */
export interface ChunkInTransit {
  /** Resolves when the chunk is stored or given up. Never rejects. */
  readonly ended: Promise<void>;
  /** All bytes of the chunk have arrived, and its record is being stored. It can no longer be ended from outside. */
  readonly isCommitting: boolean;
  /** How long the client has sent nothing, in milliseconds. 0 while the chunk commits. */
  silentMs(): number;
  /** Resolves when no byte of the chunk is on its way to the storage any more. Never rejects. */
  written(): Promise<void>;
  /** Ends a silent chunk in favour of a newer request (C12). False: too late, because the commit has begun. */
  giveWay(): boolean;
  /** Ends the chunk because its upload is being deleted. A chunk whose commit has begun is not ended. */
  refuseDeleted(): void;
  /** Ends the chunk because the state of its upload is not known. Resolves when no byte of the chunk is written any more. */
  letGo(reason: AppError): Promise<void>;
}

/** The storage as uploads use it. */
export interface UploadStorage {
  readonly ledgers: Ledgers<UploadEvent>;
  readonly bytes: Bytes;
}

export class OpenUpload {
  readonly place: StorageKey;
  readonly storage: UploadStorage;
  /** Null until the first chunk is stored: an upload without a chunk does not exist (rule C3). */
  state: UploadState | null = null;
  /** Number of requests in flight. The collector and the cache leave an upload alone while there are any (rule C15). */
  users = 0;
  /** By chunk index: the request whose bytes are on their way to the storage. */
  readonly writers = new Map<number, ChunkInTransit>();
  #ledger: Ledger<UploadEvent> | null = null;
  #mainIsTaken = false;
  readonly #queue = new SerialQueue();
  /**
   * Set when an erasure failed, or when it is not known whether a record is stored. The upload must then be read again, as
   * another OpenUpload. Through this OpenUpload nothing is written or cut any more.
   */
  #spoilt: AppError | null = null;
  readonly #onSpoilt: (upload: OpenUpload) => void;

  /** @param onSpoilt called once, when nobody may rely on this OpenUpload any more. The callee has to call `letGo` */
  constructor(
    place: StorageKey,
    storage: UploadStorage,
    onSpoilt: (upload: OpenUpload) => void = () => undefined,
  ) {
    this.place = place;
    this.storage = storage;
    this.#onSpoilt = onSpoilt;
  }

  get isSpoilt(): boolean {
    return this.#spoilt !== null;
  }

  /** @throws AppError when this upload is spoilt */
  refuseSpoilt(): void {
    if (this.#spoilt !== null) throw this.#spoilt;
  }

  /**
   * Takes the stored records, in order, as the `open` of the storage gave them. A time in the future counts as `now`: the date
   * of the machine was set back while no server ran. Otherwise the upload would be kept for all that time.
   */
  restore(ledger: Ledger<UploadEvent>, events: readonly UploadEvent[], now: number): void {
    this.#ledger = ledger;
    for (const event of events) this.state = evolve(this.state, event);
    if (this.state !== null) this.state.lastActivityAt = Math.min(this.state.lastActivityAt, now);
  }

  /**
   * Does `work` when the work before it has ended. Nothing else of this upload is decided or appended meanwhile.
   * @throws AppError when the upload is spoilt; then `work` is not done
   */
  queued<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.run(() => (this.#spoilt === null ? work() : Promise.reject(this.#spoilt)));
  }

  /**
   * Appends the records, then folds them. Called in the queue of the upload. When it rejects, the state is as before. With
   * `InDoubt` the upload is spoilt.
   */
  async store(events: readonly UploadEvent[]): Promise<UploadState> {
    await this.#spoiltByDoubt(async () => {
      if (this.#ledger === null) this.#ledger = await this.storage.ledgers.create(this.place, events);
      else await this.#ledger.append(events);
    });
    for (const event of events) this.state = evolve(this.state, event);
    if (this.state === null) throw new Error('no event was stored');
    return this.state;
  }

  /** Undoes a finalisation of which no entry came. Called in the queue of the upload. When it rejects, the upload is spoilt. */
  async revokeFinalization(): Promise<void> {
    const { state } = this;
    if (state === null || state.finalization === null) return;
    await this.#spoiltByDoubt(async () => this.#ledger?.revoke());
    this.state = withoutFinalization(state);
  }

  async #spoiltByDoubt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof InDoubt) this.#spoil(error);
      throw error;
    }
  }

  #spoil(reason: AppError): void {
    if (this.#spoilt !== null) return;
    this.#spoilt = reason;
    this.#onSpoilt(this);
  }

  /** Called when the upload is spoilt. Resolves when no byte of a writer is on its way any more, and every file is closed. */
  async letGo(): Promise<void> {
    const reason = this.#spoilt ?? new AppError('internal_error', 'the upload has to be read again');
    await Promise.all([...this.writers.values()].map((writer) => writer.letGo(reason)));
    await this.closeFiles();
  }

  /**
   * Makes every new chunk a segment of its own, because an earlier owner of the place may still write behind the end of the
   * main segment. This is not needed when the main segment holds no chunk: then it does not exist, or is made anew.
   */
  leaveMain(): void {
    if (this.committedBytes(MAIN_SEGMENT) > 0) this.#mainIsTaken = true;
  }

  /** Reserves the end of the main segment for one writer. False: another writer has it. */
  takeMain(): boolean {
    if (this.#mainIsTaken) return false;
    this.#mainIsTaken = true;
    return true;
  }

  giveMain(): void {
    this.#mainIsTaken = false;
  }

  /** Cuts off bytes that are not in the ledger. Names segments that are in the ledger and not in the storage (D2). */
  reconcile(): Promise<{ readonly strayBytes: number; readonly missing: readonly string[] }> {
    return this.storage.bytes.reconcile(this.place, this.state?.chunks.extents() ?? []);
  }

  /**
   * The writers that a deletion ends. When the upload does not exist yet, a chunk that is still being received counts as sent
   * after the deletion, and is left alone.
   */
  writersToDelete(): readonly ChunkInTransit[] {
    const all = [...this.writers.values()];
    return this.state === null ? all.filter(({ isCommitting }) => isCommitting) : all;
  }

  /**
   * Called in the queue of the upload, when the upload has all its chunks. A chunk that is still in flight was begun for
   * another totalChunks, and its next write is refused. Its bytes must not become part of the entry. Its last bytes must be
   * written before the other bytes are moved away: otherwise they would make the place anew.
   */
  async cutOffWriters(): Promise<void> {
    if (this.writers.size === 0) return;
    await Promise.all([...this.writers.values()].map((writer) => writer.written()));
    await this.reconcile();
  }

  /**
   * Removes the ledger and the bytes. The fileId is then free again. Called in the queue of the upload, when there is no
   * writer. When it rejects, an upload that existed is spoilt.
   * @param onGone called when the upload no longer exists, also when its bytes cannot be removed
   */
  async erase(onGone: () => void = () => undefined): Promise<void> {
    try {
      await this.closeFiles();
      await this.storage.ledgers.remove(this.place);
      onGone();
      await this.storage.bytes.remove(this.place);
    } catch (cause) {
      if (this.state !== null) {
        const message = 'the upload could not be erased, and has to be read again';
        this.#spoil(
          cause instanceof AppError
            ? cause
            : Object.assign(new AppError('internal_error', message), { cause }),
        );
      }
      throw cause;
    }
    this.state = null;
  }

  async closeFiles(): Promise<void> {
    const ledger = this.#ledger;
    this.#ledger = null;
    try {
      await ledger?.close();
    } finally {
      await this.storage.bytes.release(this.place);
    }
  }

  /** Number of bytes that a segment must hold according to the ledger. Bytes behind them are not part of the upload. */
  committedBytes(segment: string): number {
    return segment === MAIN_SEGMENT ? (this.state?.mainBytes ?? 0) : 0;
  }
}
