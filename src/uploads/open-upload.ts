// uploads/open-upload.ts: one upload while somebody works on it: its folded state, its ledger, who writes which chunk.
//
// Promises: what `store` resolved with is in the ledger and in the state, in this order (rule D1); records of
// one upload are decided and appended one at a time; a chunk has at most one writer (rule C12).
// Must not know: HTTP, other uploads, when this one is opened or forgotten (open-uploads.ts).
import { AppError, InDoubt } from '../core/errors.ts';
import { SerialQueue } from '../core/keyed-queue.ts';
import type { Bytes, Ledger, Ledgers, StorageKey } from './ports.ts';
import { evolve, withoutFinalization, type UploadEvent, type UploadState } from './upload.ts';
import { MAIN_SEGMENT } from './chunk-table.ts';

/** A chunk on its way into the storage, as the requests see it that wait for it or end it. */
export interface ChunkInTransit {
  /** Resolves when it is stored or given up, and never rejects. */
  readonly ended: Promise<void>;
  /** All of its bytes have come, and its record is being stored: from here on it ends by itself. */
  readonly isCommitting: boolean;
  /** Milliseconds for which the client sent nothing. 0 while it commits. */
  silentMs(): number;
  /** Resolves when none of its bytes is on the way to the storage any more, and never rejects. */
  written(): Promise<void>;
  /** A newer request wants the place of a silent one (C12). False: too late, the commit has begun. */
  giveWay(): boolean;
  /** Its upload is being deleted. One whose commit has begun ends by itself. */
  refuseDeleted(): void;
  /** Nothing of its upload can be relied on. Resolves when none of its bytes comes any more. */
  letGo(reason: AppError): Promise<void>;
}

/** A storage as uploads see it. */
export interface UploadStorage {
  readonly ledgers: Ledgers<UploadEvent>;
  readonly bytes: Bytes;
}

export class OpenUpload {
  readonly place: StorageKey;
  readonly storage: UploadStorage;
  /** Null until the first chunk is stored: an upload without a chunk does not exist (rule C3). */
  state: UploadState | null = null;
  /** Requests in flight. The collector and the cache leave an upload alone while there are any (rule C15). */
  users = 0;
  /** By chunk index: the request whose bytes are on their way to the storage. */
  readonly writers = new Map<number, ChunkInTransit>();
  #ledger: Ledger<UploadEvent> | null = null;
  #mainIsTaken = false;
  readonly #queue = new SerialQueue();
  /**
   * Set when an erasure failed, or a record can be stored or not: nobody knows what is stored until it is read again, as another
   * OpenUpload. Nothing is written or cut for this one any more.
   */
  #spoilt: AppError | null = null;
  readonly #onSpoilt: (upload: OpenUpload) => void;

  /** @param onSpoilt told once, when nobody may rely on this one any more: `letGo` is to be called */
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

  /** @throws AppError when what is known of this upload is not to be relied on */
  refuseSpoilt(): void {
    if (this.#spoilt !== null) throw this.#spoilt;
  }

  /**
   * The stored records, in order: what the storage's `open` gave. What lies in the future counts as `now`: the date was set back
   * while no server ran, and nothing must be kept for all that time.
   */
  restore(ledger: Ledger<UploadEvent>, events: readonly UploadEvent[], now: number): void {
    this.#ledger = ledger;
    for (const event of events) this.state = evolve(this.state, event);
    if (this.state !== null) this.state.lastActivityAt = Math.min(this.state.lastActivityAt, now);
  }

  /**
   * One at a time: nothing else of this upload is decided or appended while `work` runs.
   * @throws AppError, and does nothing, when it is spoilt
   */
  queued<T>(work: () => Promise<T>): Promise<T> {
    return this.#queue.run(() => (this.#spoilt === null ? work() : Promise.reject(this.#spoilt)));
  }

  /** Appends, then folds. Called in its queue. When it rejects, the state is as before; with `InDoubt` it is spoilt. */
  async store(events: readonly UploadEvent[]): Promise<UploadState> {
    await this.#spoiltByDoubt(async () => {
      if (this.#ledger === null) this.#ledger = await this.storage.ledgers.create(this.place, events);
      else await this.#ledger.append(events);
    });
    for (const event of events) this.state = evolve(this.state, event);
    if (this.state === null) throw new Error('no event was stored');
    return this.state;
  }

  /** That it is finalised does not count: no entry came of it. Called in its queue. When it rejects, it is spoilt. */
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

  /** Of one that is spoilt: resolves when no byte of a writer is on its way any more, and every file is closed. */
  async letGo(): Promise<void> {
    const reason = this.#spoilt ?? new AppError('internal_error', 'the upload has to be read again');
    await Promise.all([...this.writers.values()].map((writer) => writer.letGo(reason)));
    await this.closeFiles();
  }

  /**
   * An earlier owner of the place may still write behind the end of the main segment: whatever comes gets a segment of its own.
   * Without a chunk in it the main segment is not there, or is made anew.
   */
  leaveMain(): void {
    if (this.committedBytes(MAIN_SEGMENT) > 0) this.#mainIsTaken = true;
  }

  /** Reserves the end of the main segment for one writer. False: another writes there. */
  takeMain(): boolean {
    if (this.#mainIsTaken) return false;
    this.#mainIsTaken = true;
    return true;
  }

  giveMain(): void {
    this.#mainIsTaken = false;
  }

  /** Cuts what the ledger does not know of, and names what it knows of and is not there (D2). */
  reconcile(): Promise<{ readonly strayBytes: number; readonly missing: readonly string[] }> {
    return this.storage.bytes.reconcile(this.place, this.state?.chunks.extents() ?? []);
  }

  /** Whom a deletion ends. Of an upload that does not exist yet, a chunk that is still being received comes after it. */
  writersToDelete(): readonly ChunkInTransit[] {
    const all = [...this.writers.values()];
    return this.state === null ? all.filter(({ isCommitting }) => isCommitting) : all;
  }

  /**
   * Called, in its queue, when it is whole. A chunk that is still in flight was begun for another totalChunks, and is refused with
   * its next bytes: what came of it must not become the entry's, and its last ones must not come when the others are moved
   * away, or they would make the place anew.
   */
  async cutOffWriters(): Promise<void> {
    if (this.writers.size === 0) return;
    await Promise.all([...this.writers.values()].map((writer) => writer.written()));
    await this.reconcile();
  }

  /**
   * Ledger and bytes are gone; the fileId is free again. Called in its queue, with no writer. When it rejects, an upload that existed is
   * spoilt.
   * @param onGone told when it does not exist any more, whatever becomes of its bytes
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

  /** Bytes that a segment must hold for the ledger to be true. The rest of it is not part of the upload. */
  committedBytes(segment: string): number {
    return segment === MAIN_SEGMENT ? (this.state?.mainBytes ?? 0) : 0;
  }
}
