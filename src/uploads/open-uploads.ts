// uploads/open-uploads.ts: which uploads are open, and how an upload is opened, expired and closed.
//
// Promises: an upload is read when it is first used, never at start-up (D2). Requests for one upload share one OpenUpload. When
// more than `maxIdle` uploads are open, idle ones are closed, so memory and descriptors do not grow with the number of uploads.
// An expired upload is erased before any request sees it (C15).
// It does not know chunks.
import { damage } from '../core/errors.ts';
import { KeyedQueue } from '../core/keyed-queue.ts';
import { handOver, type MakeEntry } from './finalized.ts';
import { OpenUpload, type UploadStorage } from './open-upload.ts';
import type { Clock } from '../core/clock.ts';
import type { OpenedLedger, StorageKey, Storage } from './ports.ts';
import { uploadLedgers } from './upload-records.ts';
import { isExpired, type UploadState } from './upload.ts';

export interface Repair {
  readonly place: StorageKey;
  /** Empty when not even the first chunk was stored. */
  readonly fileId: string;
  /** Bytes that were cut off the ledger: a write that never finished. */
  readonly tornLedgerBytes: number;
  /** Stored bytes that are not in the ledger. */
  readonly strayBytes: number;
}

export interface OpenUploadsOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly uploadTtlMs: number;
  /** How many open uploads are kept for the next request when nobody uses them. */
  readonly maxIdle: number;
  /** An unfinished upload was read from the storage. */
  readonly onOpened: (place: StorageKey) => void;
  readonly onRepair: (repair: Repair) => void;
  readonly onExpired: (place: StorageKey, state: UploadState) => void;
  /** An upload is about to be erased. If this fails, and the upload is unfinished when it is read again, `onOpened` is called. */
  readonly onErasing: (place: StorageKey) => void;
  /**
   * A file could not be closed. Nothing is lost, because every record is stored before it counts, but somebody should look at
   * the disk.
   */
  readonly onCloseError: (error: unknown) => void;
  readonly makeEntry: MakeEntry;
}

interface Opening {
  readonly whenOpen: Promise<OpenUpload>;
  /** Null while the upload is being read. */
  upload: OpenUpload | null;
}

export class OpenUploads {
  readonly #options: OpenUploadsOptions;
  readonly #storage: UploadStorage;
  /** In order of last use. The first one is idle for longest. */
  readonly #open = new Map<string, Opening>();
  /** An upload is opened again only after its files are closed or removed. */
  readonly #queue = new KeyedQueue();
  /** Uploads that cannot be opened and are being erased. */
  readonly #erasing = new Set<string>();
  /** Expired uploads that are being erased. A request for one of them waits, and then finds no upload. */
  readonly #expiring = new Map<OpenUpload, Promise<void>>();

  constructor(options: OpenUploadsOptions) {
    this.#options = options;
    const { ledgers, bytes } = options.storage;
    this.#storage = { ledgers: uploadLedgers(ledgers), bytes };
  }

  /**
   * Runs `work` with the upload open. The `state` is null when there is no such upload.
   * @throws AppError `upload_damaged` when the stored upload fails its checks
   */
  async use<T>(place: StorageKey, work: (upload: OpenUpload) => Promise<T>): Promise<T> {
    const upload = await this.acquire(place);
    try {
      return await work(upload);
    } finally {
      this.release(upload);
    }
  }

  /** Opens the upload for work that outlasts one call. The caller calls `release` once for each `acquire`. */
  async acquire(place: StorageKey): Promise<OpenUpload> {
    const key = keyOf(place);
    const opening = this.#open.get(key) ?? this.#load(place, key);
    this.#open.delete(key);
    this.#open.set(key, opening);
    if (opening.upload === null) {
      opening.upload = await opening.whenOpen;
      // The cache may have closed the upload during the await. Then it has to be opened again.
      if (this.#open.get(key) !== opening) return this.acquire(place);
    }
    const { upload } = opening;
    upload.users += 1;
    try {
      if (upload.users === 1 && this.#isDue(upload)) this.#expiring.set(upload, this.#expire(upload));
      const expiring = this.#expiring.get(upload);
      if (expiring !== undefined) await expiring;
    } catch (error) {
      this.release(upload);
      throw error;
    }
    return upload;
  }

  /**
   * Erases an upload that cannot be opened. A request for it waits and then finds no upload: otherwise a chunk that began
   * between the removal of the ledger and the removal of the bytes would lose its own bytes.
   * @returns false, and nothing is done, when the upload is open, being opened or being erased
   */
  async eraseUnopened(place: StorageKey): Promise<boolean> {
    const key = keyOf(place);
    if (this.#open.has(key) || this.#erasing.has(key)) return false;
    this.#erasing.add(key);
    const erased = this.#queue.run(key, () => {
      this.#options.onErasing(place);
      return new OpenUpload(place, this.#storage).erase();
    });
    await erased.finally(() => this.#erasing.delete(key));
    return true;
  }

  /**
   * Erases an upload that exists. Called in the queue of the upload. When it rejects, the next request reads the stored upload
   * anew.
   */
  async erase(upload: OpenUpload, onGone?: () => void): Promise<void> {
    this.#options.onErasing(upload.place);
    await upload.erase(onGone);
  }

  /**
   * Makes the entry of a finalised upload if a crash prevented it. When the entry cannot be made, the finalisation is undone
   * and the upload is as before. Called in the queue of the upload.
   * @param isNew the upload was finalised just now
   * @returns why the entry could not be made; null when the entry exists or the upload is not finalised
   * @throws an error when it is not known whether the entry exists: the upload stays finalised, and the next call tries again
   */
  async ensureEntry(
    upload: OpenUpload,
    isNew = false,
    make = this.#options.makeEntry,
  ): Promise<Error | null> {
    const { place, state } = upload;
    if (state === null || state.finalization === null) return null;
    const refused = await make({ ...handOver(place, state.finalization, state), isNew });
    if (refused === null) return null;
    await upload.revokeFinalization();
    this.#options.onOpened(place);
    return refused;
  }

  /** Whether this upload is open and exists. This costs nothing. False: the upload has to be opened to know. */
  isKnown(place: StorageKey): boolean {
    const upload = this.#open.get(keyOf(place))?.upload;
    return upload !== undefined && upload !== null && upload.state !== null && !this.#isDue(upload);
  }

  release(upload: OpenUpload): void {
    upload.users -= 1;
    if (upload.users > 0 || upload.isSpoilt) return;
    if (upload.state === null) this.#forget(upload);
    else if (this.#open.size > this.#options.maxIdle) this.#closeIdle();
  }

  /** Closes every file. The caller guarantees that no request is in flight. */
  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(all.map(async ({ whenOpen }) => (await whenOpen).closeFiles()));
    await Promise.all([...this.#queue.names].map((key) => this.#queue.run(key, () => Promise.resolve())));
  }

  #load(place: StorageKey, key: string): Opening {
    const whenOpen = this.#queue.run(key, () => this.#read(place));
    // The next request tries again. It gets the same clear error if the cause remains.
    whenOpen.catch(() => this.#open.delete(key));
    return { whenOpen, upload: null };
  }

  async #read(place: StorageKey): Promise<OpenUpload> {
    const { clock, onRepair } = this.#options;
    const upload = new OpenUpload(place, this.#storage, (spoilt) => this.#abandon(spoilt));
    const opened = await this.#storage.ledgers.open(place);
    if (opened !== null) upload.restore(opened.ledger, opened.records, clock.now(place.namespace));
    const strayBytes = await this.#reconcile(upload, opened).catch(async (error: unknown) => {
      await upload.closeFiles();
      throw error;
    });
    const tornLedgerBytes = opened?.torn?.bytes ?? 0;
    const fileId = upload.state?.fileId ?? '';
    if (upload.state?.finalization === null) this.#options.onOpened(place);
    if (tornLedgerBytes + strayBytes > 0) onRepair({ place, fileId, tornLedgerBytes, strayBytes });
    return upload;
  }

  /** Cuts off bytes that are not in the ledger. Refuses the upload when bytes in the ledger are missing (D2). */
  async #reconcile(upload: OpenUpload, opened: OpenedLedger | null): Promise<number> {
    if (opened?.takeOver !== undefined) {
      await opened.takeOver();
      upload.leaveMain();
    }
    if (upload.state !== null && upload.state.finalization !== null) return 0; // The bytes belong to the entry now.
    const { strayBytes, missing } = await upload.reconcile();
    if (missing.length === 0) return strayBytes;
    throw damage(
      upload.place,
      `the ledger of this upload speaks of bytes that are not stored (${missing.join(', ')}); nothing was changed: ` +
        'restore the data folder from a backup, or delete the upload and send it again',
      { missing },
    );
  }

  #isDue({ state, place }: OpenUpload): boolean {
    const { clock, uploadTtlMs } = this.#options;
    return state !== null && isExpired(state, (at) => clock.ageOf(place.namespace, at), uploadTtlMs);
  }

  #expire(upload: OpenUpload): Promise<void> {
    const { onExpired } = this.#options;
    const erased = upload.queued(async () => {
      const { state, place } = upload;
      if (state === null) return;
      await this.ensureEntry(upload);
      await this.erase(upload, () => onExpired(place, state));
    });
    return erased.finally(() => this.#expiring.delete(upload));
  }

  #closeIdle(): void {
    let excess = this.#open.size - this.#options.maxIdle;
    for (const { upload } of this.#open.values()) {
      if (excess <= 0) return;
      excess -= 1; // Uploads in use or being read count, too. Each release of one comes back here.
      if (upload !== null && upload.users === 0) this.#forget(upload);
    }
  }

  /** Closes an upload that nobody uses any more. */
  #forget(upload: OpenUpload): void {
    this.#dropped(upload, () => upload.closeFiles());
  }

  /** Closes a spoilt upload. The next request reads the stored upload anew, after the last write through this one has ended. */
  #abandon(upload: OpenUpload): void {
    this.#dropped(upload, () => upload.letGo());
  }

  #dropped(upload: OpenUpload, close: () => Promise<void>): void {
    const key = keyOf(upload.place);
    if (this.#open.get(key)?.upload === upload) this.#open.delete(key);
    this.#queue.run(key, close).catch(this.#options.onCloseError);
  }
}

function keyOf(place: StorageKey): string {
  return `${place.namespace}/${place.name}`;
}
