// control/state-export.ts: exports the contents of a namespace as JSON.
//
// Promises: the export holds everything that `state-import.ts` needs to rebuild the namespace. An upload that another key
// finalised is shown as complete, because its entry belongs to that key's state.
// Must not know: HTTP, how a state is imported.
import { AppError, isDamage } from '../core/errors.ts';
import type { EntryFields, EntrySpec } from '../media/entry-form.ts';
import type { Media } from '../media/media.ts';
import type { StoredEntry } from '../media/stored-entry.ts';
import { runsOf, type FindContent } from '../integrity/stored-content.ts';
import type { VerifiedReader } from '../integrity/verified-reader.ts';
import type { Clock } from '../core/clock.ts';
import type { Contents } from './contents.ts';
import { hex32 } from '../core/hex32.ts';
import { damagedView, type Damaged } from './damaged-view.ts';
import type { UploadState } from '../uploads/upload.ts';
import type { Uploads } from '../uploads/uploads.ts';
import type { State, StoredChunk, StoredFinalize, StoredMedia, StoredUpload } from './state-shapes.ts';

export interface ExportOptions {
  readonly uploads: Uploads;
  readonly media: Media;
  readonly clock: Clock;
  readonly contents: Contents;
  readonly reader: VerifiedReader;
}

export interface ExportedState extends State {
  readonly format: 1;
  readonly namespace: string;
  readonly exportedAt: string;
  /** The damaged uploads and entries, which are not among the others (rule D5). Absent: no damage. */
  readonly damaged?: readonly Damaged[];
}

/** The limit of all contents, as Base64 in one JSON text. More would not fit into a string. */
const MAX_EXPORTED_BYTES = 128 * 1024 * 1024;

export class StateExport {
  readonly #options: ExportOptions;
  readonly #namespace: string;
  readonly #isWithBytes: boolean;
  #bytes = 0;
  /** By kind and name, because an entry that cannot be read is met a second time through its upload. */
  readonly #damaged = new Map<string, Damaged>();

  /** @param isWithBytes whether the export holds the contents as Base64 */
  constructor(options: ExportOptions, namespace: string, isWithBytes: boolean) {
    this.#options = options;
    this.#namespace = namespace;
    this.#isWithBytes = isWithBytes;
  }

  /** @throws AppError `body_too_large` when the contents exceed the limit */
  async run(): Promise<ExportedState> {
    const { uploads, media, clock } = this.#options;
    const state: State = { uploads: [], media: [] };
    const covered = new Set<string>();
    const onDamaged = (error: AppError): void => this.#isDamaged(error);
    for await (const { state: upload } of uploads.list(this.#namespace, onDamaged)) {
      const exported = await this.#unlessDamaged(async () => {
        const entry = await this.#entryOf(upload);
        if (entry !== null) covered.add(entry.entry.id);
        return this.#upload(upload, entry);
      });
      if (exported !== null) state.uploads.push(exported);
    }
    for await (const stored of media.list(this.#namespace, onDamaged)) {
      const isCovered = covered.has(stored.entry.id);
      const exported = isCovered ? null : await this.#unlessDamaged(() => this.#entry(stored));
      if (exported !== null) state.media.push(exported);
    }
    const exportedAt = isoOf(clock.now(this.#namespace));
    const damaged = this.#damaged.size === 0 ? {} : { damaged: [...this.#damaged.values()] };
    return { format: 1, namespace: this.#namespace, exportedAt, ...state, ...damaged };
  }

  /** Null: the item is damaged and was added to the list of damage. */
  async #unlessDamaged<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#isDamaged(error);
      return null;
    }
  }

  #isDamaged(error: AppError): void {
    const damaged = damagedView(error);
    this.#damaged.set(`${damaged.kind}/${damaged.name}`, damaged);
  }

  /** The entry that was made of the upload, if the entry is in this namespace. */
  async #entryOf({ finalization }: UploadState): Promise<StoredEntry | null> {
    if (finalization === null || finalization.namespace !== this.#namespace) return null;
    return this.#options.media.find(this.#namespace, finalization.mediaId);
  }

  async #upload(upload: UploadState, entry: StoredEntry | null): Promise<StoredUpload> {
    const { fileId, totalChunks, chunks, completedBy } = upload;
    const data = this.#isWithBytes ? await this.#chunkData(fileId) : null;
    const exported: StoredChunk[] = [];
    for (const { index, bytes, crc32, at } of chunks) {
      const content = data === null ? {} : { data: data.get(index) ?? '' };
      exported.push({ index, bytes, crc32: hex32(crc32), at: isoOf(at), ...content });
    }
    const whole = completedBy === null ? {} : { completedBy };
    const finalize = entry === null ? {} : { finalize: requestOf(entry) };
    return { fileId, totalChunks, chunks: exported, ...whole, ...finalize };
  }

  /** The chunks as Base64, by index. */
  async #chunkData(fileId: string): Promise<Map<number, string>> {
    const { contents, reader } = this.#options;
    const ref = { caller: { namespace: this.#namespace, fallback: null }, fileId };
    const find: FindContent = () => contents.ofUpload(ref, 'all');
    const content = await find();
    const runs = runsOf(content);
    const data = new Map<number, string>();
    for (let row = 0; row < runs.count; row += 1) {
      const { first = 0, start = 0, bytes = 0 } = runs.run(row) ?? {};
      data.set(first, await this.#base64(reader.read(find, { start, length: bytes }, content)));
    }
    return data;
  }

  async #entry(stored: StoredEntry): Promise<StoredMedia> {
    const { fileId } = stored.entry.spec;
    const { fields, ...request } = requestOf(stored);
    const content = this.#options.media.content(stored);
    const data = this.#isWithBytes ? { data: await this.#base64(content) } : {};
    const all = fileId === undefined ? fields : { fileId, ...fields };
    return { ...request, fields: all, bytes: stored.entry.bytes, ...data };
  }

  async #base64(content: AsyncIterable<Buffer>): Promise<string> {
    const pieces: Buffer[] = [];
    for await (const piece of content) {
      this.#bytes += piece.length;
      if (this.#bytes > MAX_EXPORTED_BYTES) throw tooLarge();
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString('base64');
  }
}

function tooLarge(): AppError {
  return new AppError(
    'body_too_large',
    `the contents are more than ${MAX_EXPORTED_BYTES} bytes; export without contents, or read the content of each upload and entry`,
    { maxBytes: MAX_EXPORTED_BYTES },
  );
}

/** The form from which the entry was made, so that an import can make the entry again. */
function requestOf({ entry }: StoredEntry): StoredFinalize {
  const failures = entry.failures.length === 0 ? {} : { failures: [...entry.failures] };
  const { fileId: _fileId, ...fields } = entry.spec.fields ?? fieldsOf(entry.spec);
  return { id: entry.id, type: entry.spec.type, fields, at: isoOf(entry.createdAt), ...failures };
}

/** For an entry without recorded fields: fields that make the same entry. */
function fieldsOf({ type: _type, platforms, settings, scheduledAt, ...rest }: EntrySpec): EntryFields {
  const scheduled = scheduledAt === undefined ? {} : { scheduledAt: isoOf(scheduledAt) };
  return { ...rest, ...scheduled, platforms, ...settings };
}

function isoOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
