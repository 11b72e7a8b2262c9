// uploads/uploads.ts: the uploads of all namespaces as a service: status, chunks, finalise, expiry.
//
// Promises: the rules C1-C16, F4 and F6 of the behaviour page, whatever runs at the same time; one namespace never
// sees another's uploads (K4).
// Must not know: HTTP, where bytes lie, what a media entry is (it hands over a place and its extents).
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
  /** A writer silent for longer gives way to a newer request for its chunk (rule C12). */
  readonly takeoverAfterMs: number;
  readonly maxOpenUploads: number;
  readonly onCompleted: (place: StorageKey) => void;
  /** Told before it is gone: it may be there once more when it could not be erased. */
  readonly onErased: (place: StorageKey) => void;
}

/** Null: there is none, or it is just being begun. */
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

  /** Rules C1, C2. Without side effects but one: an expired upload is gone. */
  async status(ref: UploadRef): Promise<UploadStatus> {
    const state = await this.inspect(ref);
    return { exists: state !== null, currentSize: state?.currentSize ?? 0 };
  }

  /** The whole state, for the admin plane. Not to be changed or kept. */
  async inspect(ref: UploadRef): Promise<UploadState | null> {
    return this.#open.use(await this.#locate(ref), (upload) => Promise.resolve(upload.state));
  }

  /**
   * Asks for the lease of a chunk: waits while another request is sending the same one, takes over from a silent one.
   * @param wait aborted when the client has gone: it waits no longer
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
   * Turns a complete upload into an entry, exactly once (rules F4, F6). The entry is there when this resolves; when it rejects since
   * there was no room, the upload is as before (C16).
   * @throws AppError `upload_not_found`, `upload_incomplete`, `already_finalized`, `insufficient_storage`
   */
  async finalize(ref: UploadRef, asked: FinalizeRequest): Promise<FinalizedUpload> {
    const { namespace } = ref.caller;
    const { fingerprint, spec } = asked;
    return this.#open.use(await this.#locate(ref), (upload) =>
      upload.queued(async () => {
        const { state, place } = upload;
        if (state === null) throw uploadNotFound(ref.fileId);
        await this.#open.ensureEntry(upload); // What a refusal or an answer names is there.
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
        // The entry's bytes are moved away: nothing of them may be kept open here.
        await upload.storage.bytes.release(place);
        const refused = await this.#open.ensureEntry(upload, true, asked.make);
        if (refused !== null) throw refused;
        return { ...handOver(place, finalization, stored), isNew: true };
      }),
    );
  }

  /** Where its bytes lie, up to the first gap or all; the entry that it became is there then, whatever a crash left half done. */
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
   * Forgets an upload, its bytes included; an entry made of it stays. False: there was none that is meant.
   * @param isMeant it may have been deleted, and begun anew, since the caller looked: asked before any chunk is ended for it
   */
  async remove(ref: UploadRef, isMeant: IsMeant = () => true): Promise<boolean> {
    return this.removeAt(await this.#locate(ref), isMeant);
  }

  /** As `remove`, of one that is known by its place only: a damaged one is listed by it. */
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

  /** False: there is none. Null: a writer came meanwhile, and what it writes must not lose its beginning. */
  async #eraseUnwritten(upload: OpenUpload): Promise<boolean | null> {
    if (upload.writers.size > 0) return null;
    if (upload.state === null) return false;
    await this.#open.ensureEntry(upload);
    await this.#open.erase(upload);
    return true;
  }

  /**
   * Every upload of a namespace, or of all (`*`). Reads each one: for the admin plane, not for the chunk path.
   * @param onDamaged is told of those that fail their checks, and of what could not be listed (place: null)
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

  /** Uploads begun and not yet finalised, as far as this process has seen them. */
  get unfinishedCount(): number {
    return this.#unfinished.count;
  }

  /**
   * Erases what has expired, and bytes that no ledger speaks of (rule C15). Touching an upload expires it, so only
   * those that nobody touched for a time-to-live are opened at all.
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

  /** Erases what has expired on this namespace's clock. Reads every upload of it. */
  async expire(namespace: string): Promise<void> {
    for await (const { place } of this.#placesOf(namespace)) {
      // Touching an upload expires it.
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

  /** The upload's place: in the own namespace, or in the fallback when only that one has it (rule K3). */
  async #locate({ caller, fileId }: UploadRef): Promise<StorageKey> {
    const own = placeOf(caller.namespace, fileId);
    if (caller.fallback === null || caller.fallback === caller.namespace) return own;
    if (this.#open.isKnown(own)) return own;
    // A damaged one is there: whoever opens it is told.
    const exists = (place: StorageKey): Promise<boolean> =>
      this.#open
        .use(place, ({ state }) => Promise.resolve(state !== null))
        .catch((error: unknown) => nullIfDamaged(error) === null);
    if (await exists(own)) return own;
    const shared = placeOf(caller.fallback, fileId);
    return (await exists(shared)) ? shared : own;
  }
}
