// admin/state.ts: what a namespace holds, out as JSON and in again; ready-made states by name; reset.
//
// Promises: importing what was exported gives the same answers to every client; chunks without `data` get filler bytes
// that depend on nothing but their index, so that a small JSON can stand for a large upload; an import goes the way of every
// chunk, so it can never make a state that a client could not have made.
// Must not know: HTTP.
import { crc32 } from 'node:zlib';
import type { z } from 'zod';
import type { Fixtures } from '../media/accounts.ts';
import { parseEntryRequest, specFingerprint, type EntrySpec } from '../media/entry-form.ts';
import type { Media } from '../media/media.ts';
import type { Bytes, Clock } from '../uploads/ports.ts';
import { hex32, type UploadState } from '../uploads/upload.ts';
import type { FinalizedContent, Uploads, UploadRef } from '../uploads/uploads.ts';
import { fixtureState } from './state-fixtures.ts';
import { parseImport, type chunkSchema, type ExportedUpload, type finalizeSchema } from './state-shapes.ts';

export interface StateOptions {
  readonly uploads: Uploads;
  readonly media: Media;
  readonly fixtures: Fixtures;
  readonly clock: Clock;
  readonly readBytes: Bytes['read'];
  readonly ensureEntry: (finalized: FinalizedContent) => Promise<unknown>;
}

export interface ExportedState {
  readonly format: 1;
  readonly namespace: string;
  readonly exportedAt: string;
  readonly uploads: readonly ExportedUpload[];
}

export class NamespaceStates {
  readonly #options: StateOptions;

  constructor(options: StateOptions) {
    this.#options = options;
  }

  /** @param withBytes the chunks' bytes, too, as Base64 */
  async export(namespace: string, withBytes: boolean): Promise<ExportedState> {
    const uploads: ExportedUpload[] = [];
    for await (const { namespace: own, state } of this.#options.uploads.list(namespace)) {
      uploads.push(await this.#exportUpload(own, state, withBytes));
    }
    const exportedAt = new Date(this.#options.clock.now(namespace)).toISOString();
    return { format: 1, namespace, exportedAt, uploads };
  }

  /** Replaces the uploads and entries of the namespace. @throws AppError `invalid_request`; the refusals of a chunk */
  async import(namespace: string, json: unknown): Promise<{ uploads: number; media: number }> {
    const wanted = parseImport(json);
    const now = this.#options.clock.now(namespace);
    const uploads = 'fixture' in wanted ? fixtureState(wanted.fixture, now, wanted.fileId) : wanted.uploads;
    await this.clearUploads(namespace);
    await this.clearMedia(namespace);
    let media = 0;
    for (const upload of uploads) {
      const ref = { caller: { namespace, fallback: null }, fileId: upload.fileId };
      for (const chunk of upload.chunks) await this.#importChunk(ref, upload.totalChunks, chunk);
      if (upload.finalize === undefined) continue;
      await this.#finalize(ref, upload.finalize);
      media += 1;
    }
    return { uploads: uploads.length, media };
  }

  async clearUploads(namespace: string): Promise<number> {
    let count = 0;
    for await (const { namespace: own, state } of this.#options.uploads.list(namespace)) {
      const ref = { caller: { namespace: own, fallback: null }, fileId: state.fileId };
      if (await this.#options.uploads.remove(ref)) count += 1;
    }
    return count;
  }

  async clearMedia(namespace: string): Promise<number> {
    let count = 0;
    for await (const { entry } of this.#options.media.list(namespace)) {
      await this.#options.media.remove(entry.namespace, entry.id);
      count += 1;
    }
    return count;
  }

  async #exportUpload(namespace: string, state: UploadState, withBytes: boolean): Promise<ExportedUpload> {
    const { fileId, totalChunks, finalization } = state;
    const chunks: ExportedUpload['chunks'] = [];
    for (const { index, bytes, crc32: crc, at, segment, offset } of state.chunks) {
      const place = await this.#placeOfContent(namespace, fileId);
      const data =
        withBytes && place !== null
          ? { data: await base64(this.#options.readBytes(place, [{ segment, offset, bytes }])) }
          : {};
      chunks.push({ index, bytes, crc32: hex32(crc), at: new Date(at).toISOString(), ...data });
    }
    if (finalization === null) return { fileId, totalChunks, chunks };
    return { fileId, totalChunks, chunks, finalize: requestOf(finalization.spec as unknown as EntrySpec) };
  }

  /** The upload's own place, or its entry's when the bytes have moved there. */
  async #placeOfContent(namespace: string, fileId: string): Promise<Parameters<Bytes['read']>[0] | null> {
    const content = await this.#options.uploads.content({ caller: { namespace, fallback: null }, fileId });
    if (content === null) return null;
    const { finalization, place } = content;
    return finalization === null
      ? place
      : { kind: 'media', namespace: finalization.namespace, name: finalization.mediaId };
  }

  async #importChunk(ref: UploadRef, totalChunks: number, chunk: z.infer<typeof chunkSchema>): Promise<void> {
    const bytes =
      chunk.data === undefined ? filler(chunk.index, chunk.bytes) : Buffer.from(chunk.data, 'base64');
    const turn = await this.#options.uploads.claimChunk(
      ref,
      { chunkIndex: chunk.index, totalChunks },
      { signal: new AbortController().signal, isSpooled: false, silentMs: () => 0 },
    );
    try {
      const digest = { bytes: bytes.length, crc32: crc32(bytes) };
      if (turn.work.kind === 'compare') turn.work.finish(digest);
      else {
        if (bytes.length > 0) await turn.work.write([bytes]);
        await turn.work.commit(digest);
      }
    } finally {
      await turn.end();
    }
  }

  async #finalize(ref: UploadRef, { type, fields }: z.infer<typeof finalizeSchema>): Promise<void> {
    const spec = parseEntryRequest({ ...fields, fileId: ref.fileId }, type, this.#options.fixtures);
    const check = (): Promise<void> => Promise.resolve();
    const asked = { fingerprint: specFingerprint(spec), spec: { ...spec }, check };
    await this.#options.ensureEntry(await this.#options.uploads.finalize(ref, asked));
  }
}

/** The form that this entry was made from, so that an import can make it again. */
function requestOf(spec: EntrySpec): z.infer<typeof finalizeSchema> {
  const { type, fileId: _fileId, platforms, settings, scheduledAt, ...rest } = spec;
  const scheduled = scheduledAt === undefined ? {} : { scheduledAt: new Date(scheduledAt).toISOString() };
  return { type, fields: { ...rest, ...scheduled, platforms, ...settings } };
}

/** Bytes that a person can recognise in a dump, and that differ from chunk to chunk. */
function filler(index: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, `filler of chunk ${index} `);
}

async function base64(content: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces).toString('base64');
}
