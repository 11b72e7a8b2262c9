// control/namespace-queries.ts: shows uploads and entries as their ledgers record them, for people and for tests (behaviour §9,
// §11). The admin routes and the in-process API share these queries.
//
// Promises: a namespace is a name or `*`. Only `removeUpload` changes anything. A damaged chunk is never passed on whole (rule D5).
// Must not know: HTTP, how chunks come in.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { AppError, invalidFields } from '../core/errors.ts';
import type { EntryView, PublishFailure } from '../media/entry.ts';
import type { Media } from '../media/media.ts';
import type { StoredEntry } from '../media/stored-entry.ts';
import { tagOf } from '../integrity/content-tag.ts';
import type { ContentVerifier, OnRead, Verified } from '../integrity/content-verifier.ts';
import type { DamageBook } from '../integrity/damage-book.ts';
import type { ByteRange, DamagedChunk, FindContent } from '../integrity/stored-content.ts';
import type { VerifiedReader } from '../integrity/verified-reader.ts';
import type { StorageKey } from '../uploads/ports.ts';
import { hex32 } from '../core/hex32.ts';
import { noUpload, type Contents } from './contents.ts';
import { damagedView, type Damaged } from './damaged-view.ts';
import { placeOf } from '../uploads/storage-key.ts';
import type { UploadState } from '../uploads/upload.ts';
import type { UploadRef } from '../uploads/finalized.ts';
import type { Uploads } from '../uploads/uploads.ts';

export interface UploadView {
  readonly fileId: string;
  readonly namespace: string;
  readonly totalChunks: number;
  /** The number of bytes up to the first gap. */
  readonly currentSize: number;
  /** The number of bytes of all chunks, including chunks beyond a gap. */
  readonly receivedBytes: number;
  readonly completed: boolean;
  /** The id of the entry that was made of the upload. */
  readonly finalizedAs: string | null;
  readonly expiresAt: string;
  /** The bytes that are known to be damaged; null: no damage is known. */
  readonly damaged: DamagedView | null;
}

export interface DamagedView {
  readonly chunks: readonly DamagedChunk[];
}

export interface ChunkView {
  readonly index: number;
  /** The offset in the content; null: the chunk lies beyond a gap, so its offset is not known yet. */
  readonly offset: number | null;
  readonly bytes: number;
  /** Eight hexadecimal digits. */
  readonly crc32: string;
  readonly at: string;
}

export interface UploadDetails extends UploadView {
  /** The stored chunks as runs of first and last index; at most the first 100 runs. */
  readonly received: readonly (readonly [number, number])[];
  readonly chunks: readonly ChunkView[];
}

/** An entry as the contract shows it, with further facts. */
export interface EntryDetails extends EntryView {
  readonly type: 'video' | 'image';
  readonly fileId: string | null;
  readonly bytes: number;
  readonly namespace: string;
  readonly failures: readonly PublishFailure[];
  /**
   * The fields as the client sent them: texts of a form or values of JSON. Null: the entry was made before fields were recorded.
   */
  readonly fields: Readonly<Record<string, unknown>> | null;
  /** The bytes that are known to be damaged; null: no damage is known. */
  readonly damaged: DamagedView | null;
}

/**
 * Content whose chunks are checked against their CRC-32 while it is read: `read` throws before the last byte of a damaged chunk
 * (rule D5).
 */
export interface Content {
  readonly bytes: number;
  /** An entity-tag that no other content at this address ever has. */
  readonly tag: () => string;
  read(range?: ByteRange): AsyncIterable<Buffer>;
}

export interface ViewsOptions {
  readonly uploads: Uploads;
  readonly media: Media;
  readonly contents: Contents;
  readonly reader: VerifiedReader;
  readonly verifier: ContentVerifier;
  readonly damages: DamageBook;
  readonly uploadTtlMs: number;
}

export class NamespaceQueries {
  readonly #options: ViewsOptions;

  constructor(options: ViewsOptions) {
    this.#options = options;
  }

  async uploads(
    namespace: string,
  ): Promise<{ readonly uploads: readonly UploadView[]; readonly damaged: readonly Damaged[] }> {
    const views: UploadView[] = [];
    const damaged: Damaged[] = [];
    const listed = this.#options.uploads.list(namespace, (error) => damaged.push(damagedView(error)));
    for await (const { namespace: own, state } of listed) views.push(this.#view(own, state));
    return { uploads: views, damaged };
  }

  /** @throws AppError `upload_not_found`, `upload_damaged` */
  async upload(namespace: string, fileId: string): Promise<UploadDetails> {
    const ref = await this.#ref(namespace, fileId);
    const state = await this.#options.uploads.inspect(ref);
    if (state === null) throw noUpload(fileId);
    const received = state.chunks.runs();
    return { ...this.#view(ref.caller.namespace, state), received, chunks: chunksOf(state) };
  }

  /** The bytes up to the first gap, of the upload or of the entry that was made of it. @throws AppError as `upload` */
  async uploadContent(namespace: string, fileId: string): Promise<Content> {
    return this.#content(await this.#findUpload(namespace, fileId, 'gapless'));
  }

  /** Reads every chunk, including chunks beyond a gap, and reports the damaged chunks. @throws AppError as `upload` */
  async verifyUpload(namespace: string, fileId: string, onRead?: OnRead): Promise<Verified> {
    const find = await this.#findUpload(namespace, fileId, 'all');
    return this.#options.verifier.verify(find, onRead);
  }

  async #findUpload(namespace: string, fileId: string, part: 'gapless' | 'all'): Promise<FindContent> {
    const ref = await this.#ref(namespace, fileId);
    return () => this.#options.contents.ofUpload(ref, part);
  }

  async #content(find: FindContent): Promise<Content> {
    const content = await find();
    return {
      bytes: content.bytes,
      tag: () => tagOf(content),
      read: (range) => this.#options.reader.read(find, range, content),
    };
  }

  /** Removes the upload. An entry that was made of it stays. @throws AppError `upload_not_found` */
  async removeUpload(namespace: string, fileId: string): Promise<void> {
    const isGone = await this.#options.uploads.remove(await this.#ref(namespace, fileId));
    if (!isGone) throw noUpload(fileId);
  }

  async entries(
    namespace: string,
  ): Promise<{ readonly entries: readonly EntryDetails[]; readonly damaged: readonly Damaged[] }> {
    const entries: EntryDetails[] = [];
    const damaged: Damaged[] = [];
    const listed = this.#options.media.list(namespace, (error) => damaged.push(damagedView(error)));
    for await (const stored of listed) entries.push(this.#details(stored));
    return { entries, damaged };
  }

  /** @throws AppError `media_not_found` */
  async entry(namespace: string, id: string): Promise<EntryDetails> {
    return this.#details(await this.#stored(namespace, id));
  }

  /** @throws AppError `media_not_found`, `upload_damaged` */
  async entryContent(namespace: string, id: string): Promise<Content> {
    return this.#content(await this.#findEntry(namespace, id));
  }

  /** As `verifyUpload`. @throws AppError `media_not_found`, `upload_damaged` */
  async verifyEntry(namespace: string, id: string, onRead?: OnRead): Promise<Verified> {
    return this.#options.verifier.verify(await this.#findEntry(namespace, id), onRead);
  }

  async #findEntry(namespace: string, id: string): Promise<FindContent> {
    const { entry } = await this.#stored(namespace, id);
    return this.#options.contents.ofEntry(entry.namespace, id);
  }

  #view(namespace: string, state: UploadState): UploadView {
    return {
      fileId: state.fileId,
      namespace,
      totalChunks: state.totalChunks,
      currentSize: state.currentSize,
      receivedBytes: state.receivedBytes,
      completed: state.completedBy !== null,
      finalizedAs: state.finalization?.mediaId ?? null,
      expiresAt: new Date(state.lastActivityAt + this.#options.uploadTtlMs).toISOString(),
      damaged: this.#damagedAt(bytesOf(namespace, state)),
    };
  }

  #details({ entry }: StoredEntry): EntryDetails {
    const { spec, bytes, namespace, failures } = entry;
    const { type, fileId = null, fields = null } = spec;
    const damaged = this.#damagedAt({ kind: 'media', namespace, name: entry.id });
    return { ...this.#options.media.view(entry), type, fileId, bytes, namespace, failures, fields, damaged };
  }

  #damagedAt(place: StorageKey): DamagedView | null {
    const chunks = this.#options.damages.chunksOf(place);
    return chunks && { chunks };
  }

  async #ref(namespace: string, fileId: string): Promise<UploadRef> {
    const own = namespace === ALL_NAMESPACES ? await this.#holderOf(fileId) : namespace;
    return { caller: { namespace: own, fallback: null }, fileId };
  }

  /** The only namespace that has an upload with this fileId. */
  async #holderOf(fileId: string): Promise<string> {
    const holders: string[] = [];
    for await (const { namespace, state } of this.#options.uploads.list(ALL_NAMESPACES)) {
      if (state.fileId === fileId) holders.push(namespace);
    }
    const [holder, ...others] = holders;
    if (holder === undefined) throw noUpload(fileId);
    if (others.length === 0) return holder;
    const message = `${holders.length} namespaces have an upload with this fileId (${holders.slice(0, 5).join(', ')}); name one of them`;
    throw invalidFields([{ field: 'namespace', message }]);
  }

  async #stored(namespace: string, id: string): Promise<StoredEntry> {
    const { media } = this.#options;
    if (namespace !== ALL_NAMESPACES) {
      const stored = await media.find(namespace, id);
      if (stored !== null) return stored;
    } else for await (const stored of media.list(ALL_NAMESPACES)) if (stored.entry.id === id) return stored;
    const name = JSON.stringify(id.slice(0, 80));
    throw new AppError(
      'media_not_found',
      `no media entry ${name} for this key; GET /__admin/media lists those that exist`,
    );
  }
}

/** The storage key of the upload's bytes: its own key, or the key of the entry that was made of it. */
function bytesOf(namespace: string, { fileId, finalization }: UploadState): StorageKey {
  if (finalization === null) return placeOf(namespace, fileId);
  return { kind: 'media', namespace: finalization.namespace, name: finalization.mediaId };
}

function chunksOf(state: UploadState): ChunkView[] {
  let offset = 0;
  return [...state.chunks].map(({ index, bytes, crc32, at }) => {
    const place = index < state.nextIndex ? offset : null;
    offset += bytes;
    return { index, offset: place, bytes, crc32: hex32(crc32), at: new Date(at).toISOString() };
  });
}
