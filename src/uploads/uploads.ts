// uploads/uploads.ts: the service for the uploads of all namespaces: status, chunks, finalise, expiry.
//
// Promises: the rules C1-C16, F4 and F6 hold, whatever runs at the same time. One namespace never sees the uploads of another
// (K4).
// It does not know where bytes lie, or what an entry is: it hands over a place and its extents.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { isDamage, nullIfDamaged } from '../core/errors.ts';
import { wallMs } from '../core/machine-time.ts';
import { leaseChunk, type ChunkRules, type ChunkLease, type LeaseOptions } from './chunk-lease.ts';
import { OpenUploads, type OpenUploadsOptions } from './open-uploads.ts';
import type { OpenUpload } from './open-upload.ts';
import { placeOf } from './storage-key.ts';
import type { Ids } from '../core/ids.ts';
import type { OnSkipped, StorageKey } from './ports.ts';
import {
  contentIn,
  handOver,
  type FinalizedUpload,
  type FinalizeRequest,
  type UploadContent,
  type UploadRef,
} from './finalized.ts';
import { Unfinished } from './unfinished.ts';
import {
  decideFinalize,
  uploadNotFound,
  type ChunkRef,
  type ChunkOrder,
  type UploadState,
} from './upload.ts';

export interface UploadStatus {
  readonly exists: boolean;
  readonly currentSize: number;
}

export interface UploadsOptions extends Omit<OpenUploadsOptions, 'onOpened' | 'onErasing'> {
  readonly ids: Ids;
  readonly chunkOrder: ChunkOrder;
  readonly maxFileBytes: number;
  /** A writer whose client is silent for longer gives way to a newer request for its chunk (rule C12). */
  readonly takeoverAfterMs: number;
  readonly maxOpenUploads: number;
  readonly onCompleted: (place: StorageKey) => void;
  /** Called before the upload is erased. The upload exists again if the erasure fails. */
  readonly onErased: (place: StorageKey) => void;
}

/** Whether the caller means this upload. Null: there is no upload, or it has no stored chunk yet. */
type IsMeant = (state: UploadState | null) => boolean;

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #open: OpenUploads;
  readonly #unfinished: Unfinished;
  readonly #chunkRules: ChunkRules;

  constructor(options: UploadsOptions) {
    this.#options = options;
    this.#unfinished = new Unfinished(options.maxOpenUploads);
    this.#chunkRules = { ...options, unfinished: this.#unfinished };
    this.#open = new OpenUploads({
      ...options,
      onOpened: (place) => this.#unfinished.add(place),
      onErasing: (place) => {
        this.#unfinished.remove(place);
        options.onErased(place);
      },
    });
  }

  /** Rules C1, C2. It has one side effect: an expired upload is erased. */
  async status(ref: UploadRef): Promise<UploadStatus> {
    const state = await this.inspect(ref);
    return { exists: state !== null, currentSize: state?.currentSize ?? 0 };
  }

  /** The whole state, for the admin plane. The caller must neither change it nor keep it. */
  async inspect(ref: UploadRef): Promise<UploadState | null> {
    return this.#open.use(await this.#locate(ref), (upload) => Promise.resolve(upload.state));
  }

  /**
   * Takes the lease of a chunk. Waits while another request sends the same chunk. Takes the lease from a silent request.
   * @param wait aborted when the client has gone; then it waits no longer
   * @throws AppError the refusals of `decideChunk`; `too_many_open_uploads`; the abort reason of `wait`
   */
  async leaseChunk(ref: UploadRef, chunk: ChunkRef, wait: LeaseOptions): Promise<ChunkLease> {
    const upload = await this.#open.acquire(await this.#locate(ref));
    const release = (): void => this.#open.release(upload);
    try {
      return await leaseChunk({ upload, chunk, fileId: ref.fileId, release }, wait, this.#chunkRules);
    } catch (error) {
      release();
      throw error;
    }
  }

  /**
   * Turns a complete upload into an entry, exactly once (rules F4, F6). When this resolves, the entry exists. When it rejects
   * because there was no room, the upload is as before (C16).
   * @throws AppError `upload_not_found`, `upload_incomplete`, `already_finalized`, `insufficient_storage`
   */
  async finalize(ref: UploadRef, asked: FinalizeRequest): Promise<FinalizedUpload> {
    const { namespace } = ref.caller;
    const { fingerprint, spec } = asked;
    return this.#open.use(await this.#locate(ref), (upload) =>
      upload.queued(async () => {
        const { state, place } = upload;
        if (state === null) throw uploadNotFound(ref.fileId);
        await this.#open.ensureEntry(upload); // So the entry exists that a refusal or an answer names.
        const { chunkOrder: order } = this.#options;
        const decision = decideFinalize(state, { fingerprint, namespace, order });
        if (decision.kind === 'existing')
          return { ...handOver(place, decision.finalization, state), isNew: false };
        await asked.check(contentIn(place, state, 'all'));
        const { clock, ids } = this.#options;
        const { mediaId = ids.next(namespace), at = clock.now(place.namespace) } = asked.earlier ?? {};
        const times = { at, entryAt: asked.earlier?.at ?? clock.now(namespace) };
        const finalization = { mediaId, namespace, fingerprint, spec, ...times };
        await upload.cutOffWriters();
        const stored = await upload.store([{ type: 'finalized', ...finalization }]);
        this.#unfinished.remove(place);
        // The bytes are moved to the entry, so no file may stay open here.
        await upload.storage.bytes.release(place);
        const refused = await this.#open.ensureEntry(upload, true, asked.make);
        if (refused !== null) throw refused;
        return { ...handOver(place, finalization, stored), isNew: true };
      }),
    );
  }

  /**
   * Where the bytes of the upload lie: up to the first gap, or all. If the upload is finalised, its entry exists afterwards,
   * even if a crash interrupted the finalise.
   */
  async content(ref: UploadRef, part: 'gapless' | 'all' = 'gapless'): Promise<UploadContent | null> {
    return this.#open.use(await this.#locate(ref), (upload) =>
      upload.queued(async () => {
        const { state, place } = upload;
        if (state === null) return null;
        await this.#open.ensureEntry(upload);
        return contentIn(place, state, part);
      }),
    );
  }

  /**
   * Removes an upload and its bytes. An entry that was made of it stays.
   * @param isMeant called before any chunk is ended, because the upload may have been deleted and begun anew since the caller
   * looked
   * @returns false when there is no such upload, or `isMeant` says no
   */
  async remove(ref: UploadRef, isMeant: IsMeant = () => true): Promise<boolean> {
    return this.removeAt(await this.#locate(ref), isMeant);
  }

  /** Does the same for an upload of which only the place is known. A damaged upload is listed by its place. */
  async removeAt(place: StorageKey, isMeant: IsMeant = () => true): Promise<boolean> {
    for (;;) {
      const upload = await this.#open.acquire(place).catch(nullIfDamaged);
      if (upload !== null) return this.#removeOpen(upload, isMeant);
      if (await this.#open.eraseUnopened(place)) return true;
    }
  }

  async #removeOpen(upload: OpenUpload, isMeant: IsMeant): Promise<boolean> {
    try {
      for (;;) {
        if (!isMeant(upload.state)) return false;
        const writers = upload.writersToDelete();
        if (upload.state === null && writers.length === 0) return false;
        for (const writer of writers) writer.refuseDeleted();
        await Promise.all(writers.map((writer) => writer.ended));
        const wasThere = await upload.queued(() => this.#eraseUnwritten(upload));
        if (wasThere !== null) return wasThere;
      }
    } finally {
      this.#open.release(upload);
    }
  }

  /** False: there is no upload. Null: a writer came meanwhile, and the beginning of its chunk must not be removed. */
  async #eraseUnwritten(upload: OpenUpload): Promise<boolean | null> {
    if (upload.writers.size > 0) return null;
    if (upload.state === null) return false;
    await this.#open.ensureEntry(upload);
    await this.#open.erase(upload);
    return true;
  }

  /**
   * Every upload of a namespace, or of all namespaces (`*`). It reads each upload, so it is for the admin plane and not for the
   * path of a chunk.
   * @param onDamaged called for uploads that fail their checks, and for paths that could not be listed (place: null)
   */
  async *list(
    namespace: string,
    onDamaged: OnSkipped = () => undefined,
  ): AsyncIterable<{ namespace: string; state: UploadState }> {
    for await (const { place } of this.#placesOf(namespace, onDamaged)) {
      const opened = this.#open.use(place, ({ state }) => Promise.resolve(state));
      const state = await opened.catch((error: unknown) => {
        if (!isDamage(error)) throw error;
        onDamaged(error, place);
        return null;
      });
      if (state !== null) yield { namespace: place.namespace, state };
    }
  }

  #placesOf(namespace: string, onSkipped?: OnSkipped): AsyncIterable<{ place: StorageKey }> {
    const { ledgers } = this.#options.storage;
    return ledgers.list('uploads', namespace === ALL_NAMESPACES ? undefined : namespace, onSkipped);
  }

  /** Number of uploads that are begun and not finalised, as far as this process has seen them. */
  get unfinishedCount(): number {
    return this.#unfinished.count;
  }

  /**
   * Erases expired uploads, and bytes without a ledger (rule C15). Opening an upload expires it, so only uploads that nobody
   * used for a time-to-live are opened.
   */
  async collect(onError: (error: unknown, place: StorageKey) => void): Promise<void> {
    const { storage, uploadTtlMs, clock } = this.#options;
    const touch = async (place: StorageKey): Promise<void> => {
      try {
        await this.#open.use(place, (upload) => this.#eraseUnknown(upload));
      } catch (error) {
        onError(error, place);
      }
    };
    for await (const { place, modifiedAt } of storage.ledgers.list('uploads')) {
      if (clock.ageOf(place.namespace, modifiedAt) >= uploadTtlMs) await touch(place);
    }
    for await (const { place, modifiedAt } of storage.bytes.list('uploads')) {
      if (wallMs() >= modifiedAt + uploadTtlMs) await touch(place);
    }
  }

  /** Erases the uploads that have expired on the clock of this namespace. Reads every upload of the namespace. */
  async expire(namespace: string): Promise<void> {
    for await (const { place } of this.#placesOf(namespace)) {
      // Opening an upload expires it.
      await this.#open.use(place, () => Promise.resolve()).catch(nullIfDamaged);
    }
  }

  /** Closes every file. The caller guarantees that no request is in flight. */
  close(): Promise<void> {
    return this.#open.close();
  }

  async #eraseUnknown(upload: OpenUpload): Promise<void> {
    await upload.queued(async () => {
      if (upload.state === null && upload.users === 1) await upload.erase();
    });
  }

  /**
   * The place of the upload: in the namespace of the caller, or in the fallback namespace when the upload exists only there
   * (rule K3).
   */
  async #locate({ caller, fileId }: UploadRef): Promise<StorageKey> {
    const own = placeOf(caller.namespace, fileId);
    if (caller.fallback === null || caller.fallback === caller.namespace) return own;
    if (this.#open.isKnown(own)) return own;
    // A damaged upload exists. The request that opens it gets the error.
    const exists = (place: StorageKey): Promise<boolean> =>
      this.#open
        .use(place, ({ state }) => Promise.resolve(state !== null))
        .catch((error: unknown) => nullIfDamaged(error) === null);
    if (await exists(own)) return own;
    const shared = placeOf(caller.fallback, fileId);
    return (await exists(shared)) ? shared : own;
  }
}
