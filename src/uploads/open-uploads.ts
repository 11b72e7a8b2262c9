// uploads/open-uploads.ts: which uploads are open right now, and how one is opened, expired and forgotten.
//
// Promises: an upload is read when it is first touched, never at start-up (D2); requests for one upload share one
// OpenUpload; idle ones are closed beyond `maxIdle`, so memory and descriptors do not grow with the number of
// uploads; an expired one is erased before anybody sees it (C15).
// Must not know: chunks, HTTP.
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
  /** Empty: not even its first chunk was stored. */
  readonly fileId: string;
  /** Bytes of ledger that were a write which never finished. */
  readonly tornLedgerBytes: number;
  /** Bytes beyond what the ledger speaks of. */
  readonly strayBytes: number;
}

export interface OpenUploadsOptions {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly uploadTtlMs: number;
  /** Open uploads kept for the next request when nobody uses them. */
  readonly maxIdle: number;
  /** An unfinished upload was read from the storage. */
  readonly onOpened: (place: StorageKey) => void;
  readonly onRepair: (repair: Repair) => void;
  readonly onExpired: (place: StorageKey, state: UploadState) => void;
  /** An upload is about to be erased. If it could not be, and is unfinished when it is read again, `onOpened` is told. */
  readonly onErasing: (place: StorageKey) => void;
  /** A file could not be closed: nothing is lost (every record is stored before it counts), but it wants a look. */
  readonly onCloseError: (error: unknown) => void;
  readonly makeEntry: MakeEntry;
}

interface Opening {
  readonly whenOpen: Promise<OpenUpload>;
  /** Null while it is being read. */
  upload: OpenUpload | null;
}

export class OpenUploads {
  readonly #options: OpenUploadsOptions;
  readonly #storage: UploadStorage;
  /** In order of last use: the first is the one idle for longest. */
  readonly #open = new Map<string, Opening>();
  /** An upload is not opened before its files are closed, or gone. */
  readonly #queue = new KeyedQueue();
  /** Uploads that cannot be opened and are being erased. */
  readonly #erasing = new Set<string>();
  /** Expired uploads that are being erased: who comes meanwhile waits, and finds none. */
  readonly #expiring = new Map<OpenUpload, Promise<void>>();

  constructor(options: OpenUploadsOptions) {
    this.#options = options;
    const { ledgers, bytes } = options.storage;
    this.#storage = { ledgers: uploadLedgers(ledgers), bytes };
  }

  /**
   * Runs `work` with the upload open. Its `state` is null when there is none.
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

  /** As `use`, for work that outlives a call. Each `acquire` is followed by one `release`. */
  async acquire(place: StorageKey): Promise<OpenUpload> {
    const key = keyOf(place);
    const opening = this.#open.get(key) ?? this.#load(place, key);
    this.#open.delete(key);
    this.#open.set(key, opening);
    if (opening.upload === null) {
      opening.upload = await opening.whenOpen;
      // Between the await and here the cache may have closed it: whoever is first counts again.
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
   * Erases an upload that cannot be opened. Whoever comes meanwhile waits and finds none: a chunk that began between the removal
   * of the ledger and that of the bytes would lose its own. False, and nothing is done: somebody has it open, opens it or erases
   * it right now.
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

  /** Erases an upload that exists. Called in its queue. When it rejects, whoever comes next reads anew what is stored. */
  async erase(upload: OpenUpload, onGone?: () => void): Promise<void> {
    this.#options.onErasing(upload.place);
    await upload.erase(onGone);
  }

  /**
   * The entry that it became, if it did, is there, whatever a crash left half done; or it is not finalised: an entry that cannot be
   * made does not count, and it is as before. Called in its queue.
   * @param isNew it was finalised just now
   * @returns why the entry could not be made; null when it is there, or none was asked for
   * @throws what leaves it open: it is finalised then, and the entry is made, or refused, the next time
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

  /** Whether this upload is open and exists: to know so costs nothing. False: it has to be opened to know. */
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
    whenOpen.catch(() => this.#open.delete(key)); // The next request tries again and gets the same clear error.
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

  /** Cuts what the ledger does not know of; refuses what it knows of and is not there (D2). */
  async #reconcile(upload: OpenUpload, opened: OpenedLedger | null): Promise<number> {
    if (opened?.takeOver !== undefined) {
      await opened.takeOver();
      upload.leaveMain();
    }
    if (upload.state !== null && upload.state.finalization !== null) return 0; // The bytes are the entry's now.
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
      excess -= 1; // One in use, or being read, counts, too: its own release comes back here.
      if (upload !== null && upload.users === 0) this.#forget(upload);
    }
  }

  /** Nobody uses it any more. */
  #forget(upload: OpenUpload): void {
    this.#dropped(upload, () => upload.closeFiles());
  }

  /** Nobody may rely on it any more: whoever comes next reads anew what is stored, once nothing is written there for this one. */
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
