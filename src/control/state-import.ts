// control/state-import.ts: imports a state into an empty namespace.
//
// Promises: chunks are stored as a client's chunks are, so an import never makes a state that a client could not make. Contents
// that are left out become filler bytes, so that a small JSON can describe a large upload. The filler depends only on the
// chunk's index and length.
// Must not know: HTTP, the JSON text of a state.
import { PUBLIC_NAMESPACE } from '../core/namespace.ts';
import { crc32 } from 'node:zlib';
import { invalidFields } from '../core/errors.ts';
import type { Fixtures } from '../media/accounts.ts';
import { requestFingerprint } from '../media/entry-fingerprint.ts';
import { parseEntryRequest, sentFields, type EntrySpec } from '../media/entry-form.ts';
import type { PublishFailure } from '../media/entry.ts';
import { finalizeUpload } from '../media/finalize.ts';
import type { Media } from '../media/media.ts';
import type { Clock } from '../core/clock.ts';
import type { UploadRef } from '../uploads/finalized.ts';
import type { Uploads } from '../uploads/uploads.ts';
import type { State, StoredChunk, StoredFinalize, StoredUpload } from './state-shapes.ts';

export interface ImportOptions {
  readonly uploads: Uploads;
  readonly media: Media;
  /** Is told the imported ids, so that they are not given out again. */
  readonly ids: { take(namespace: string, id: string): void };
  readonly fixtures: Fixtures;
  readonly clock: Clock;
  readonly uploadTtlMs: number;
}

const PIECE_BYTES = 1024 * 1024;

export class StateImport {
  readonly #options: ImportOptions;
  readonly #namespace: string;
  readonly #state: State;

  constructor(options: ImportOptions, namespace: string, state: State) {
    this.#options = options;
    this.#namespace = namespace;
    this.#state = state;
  }

  /** Refuses what is certain to fail, before anything is changed. @throws AppError `invalid_request` */
  refuse(): void {
    const { uploads, media } = this.#state;
    const finalized = uploads.flatMap(({ fileId, finalize }) => (finalize ? [{ fileId, ...finalize }] : []));
    if (this.#namespace === PUBLIC_NAMESPACE && finalized.length + media.length > 0) {
      const message = 'entries need an API key, because nobody can read an entry without a key; send the key';
      throw invalidFields([{ field: 'namespace', message }]);
    }
    for (const { fileId, ...entry } of finalized) this.#specOf(entry, fileId);
    for (const entry of media) this.#specOf(entry);
  }

  /** @throws AppError the refusals of a chunk and of a finalise */
  async run(): Promise<{ uploads: number; media: number }> {
    const { uploads, media } = this.#state;
    for (const { id } of [...uploads.flatMap(({ finalize = {} }) => finalize as { id?: string }), ...media])
      if (id !== undefined) this.#options.ids.take(this.#namespace, id);
    for (const upload of uploads) await this.#upload(upload);
    for (const entry of media) {
      await this.#entry(this.#specOf(entry), { ...entry, pieces: piecesOf(entry, 'filler of an entry ') });
    }
    const finalized = uploads.filter(({ finalize }) => finalize !== undefined);
    return { uploads: uploads.length, media: finalized.length + media.length };
  }

  #specOf({ type, fields }: StoredFinalize, fileId?: string): EntrySpec {
    const all = fileId === undefined ? fields : { ...fields, fileId };
    return { ...parseEntryRequest(all, type, this.#options.fixtures), fields: sentFields(all) };
  }

  async #upload(upload: StoredUpload): Promise<void> {
    const { fileId, totalChunks, completedBy, finalize } = upload;
    const inOrder = upload.chunks.toSorted((a, b) => a.index - b.index);
    if (this.#isOver(upload)) {
      // The exported server would have the same: the upload has expired, its entry stays.
      if (finalize === undefined) return;
      const pieces = piecesOfAll(inOrder);
      return this.#entry(this.#specOf(finalize, fileId), { ...finalize, pieces });
    }
    const ref = { caller: { namespace: this.#namespace, fallback: null }, fileId };
    const isLast = ({ index }: StoredChunk): boolean => index === completedBy;
    const others = inOrder.filter((chunk) => !isLast(chunk));
    for (const chunk of [...others, ...inOrder.filter(isLast)]) await this.#chunk(ref, totalChunks, chunk);
    if (finalize !== undefined) await this.#finalize(ref, finalize);
  }

  #isOver({ chunks, finalize }: StoredUpload): boolean {
    const now = this.#options.clock.now(this.#namespace);
    const events = finalize === undefined ? chunks : [...chunks, finalize];
    const lastActivityAt = events.reduce((latest, { at }) => Math.max(latest, timeOf(at) ?? now), 0);
    return events.length > 0 && now >= lastActivityAt + this.#options.uploadTtlMs;
  }

  async #chunk(ref: UploadRef, totalChunks: number, chunk: StoredChunk): Promise<void> {
    const at = timeOf(chunk.at);
    const lease = await this.#options.uploads.leaseChunk(
      ref,
      { chunkIndex: chunk.index, totalChunks },
      {
        signal: new AbortController().signal,
        isSpooled: false,
        silentMs: () => 0,
        ...(at === undefined ? {} : { now: () => at }),
      },
    );
    try {
      const digest = { bytes: 0, crc32: 0 };
      for (const piece of piecesOf(chunk, fillerOf(chunk))) {
        if (lease.work.kind === 'write') await lease.work.write([piece]);
        digest.bytes += piece.length;
        digest.crc32 = crc32(piece, digest.crc32);
      }
      if (lease.work.kind === 'compare') lease.work.finish(digest);
      else await lease.work.commit(digest);
    } finally {
      await lease.end();
    }
  }

  async #finalize(ref: UploadRef, entry: StoredFinalize): Promise<void> {
    const spec = this.#specOf(entry, ref.fileId);
    const fingerprint = requestFingerprint(spec.fields ?? {}, spec.type, this.#options.fixtures);
    const check = (): Promise<void> => Promise.resolve();
    const earlier = { mediaId: entry.id, at: timeOf(entry.at), failures: failuresOf(entry) };
    await finalizeUpload(this.#options, ref, { spec, fingerprint, check, earlier });
  }

  async #entry(
    spec: EntrySpec,
    entry: Pick<StoredFinalize, 'id' | 'at' | 'failures'> & { readonly pieces: Iterable<Buffer> },
  ): Promise<void> {
    const { media } = this.#options;
    const direct = media.openDirect(this.#namespace);
    try {
      for (const piece of entry.pieces) await direct.write([piece]);
      const earlier = { id: entry.id, at: timeOf(entry.at), failures: failuresOf(entry) };
      await media.createDirect(direct, spec, earlier);
    } catch (error) {
      await direct.discard();
      throw error;
    }
  }
}

function failuresOf({ failures = [] }: Pick<StoredFinalize, 'failures'>): PublishFailure[] {
  return failures.map(({ platform, reason }) => ({ platform, ...(reason !== undefined && { reason }) }));
}

function timeOf(at: string | undefined): number | undefined {
  return at === undefined ? undefined : Date.parse(at);
}

/** Readable text that differs from chunk to chunk, so that a person can recognise it in a dump. */
function fillerOf({ index }: StoredChunk): string {
  return `filler of chunk ${index} `;
}

function* piecesOfAll(chunks: readonly StoredChunk[]): Iterable<Buffer> {
  for (const chunk of chunks) yield* piecesOf(chunk, fillerOf(chunk));
}

function* piecesOf(
  { bytes, data }: { bytes: number; data?: string | undefined },
  filler: string,
): Iterable<Buffer> {
  if (data !== undefined) {
    if (bytes > 0) yield Buffer.from(data, 'base64');
    return;
  }
  for (let left = bytes; left > 0; left -= PIECE_BYTES) {
    yield Buffer.alloc(Math.min(left, PIECE_BYTES), filler);
  }
}
