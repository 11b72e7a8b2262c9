// http/forms/chunk-form.ts: collects the four parts of a chunk in any order (rules C4, C10).
//
// Promises: fields are bounded. The part named `file` is the file, whatever its headers say. A known part that comes twice is
// refused; an unknown part is ignored. File bytes are only queued here; their CRC-32 is computed as they come.
// Must not know: sockets, uploads.
import { crc32 } from 'node:zlib';
import { AppError, invalidFields, type FieldProblem } from '../../core/errors.ts';
import { MAX_TOTAL_CHUNKS, type ChunkRef, type ChunkDigest } from '../../uploads/upload.ts';
import { malformed, type PartHandler } from './multipart-reader.ts';
import type { BodyFacts } from '../observer.ts';
import { refuseTransferEncoding, type PartHead } from './part-head.ts';
import { PartDigests } from './part-digests.ts';
import { decodeText } from './text.ts';

const FIELD_NAMES = ['fileId', 'chunkIndex', 'totalChunks'] as const;
type FieldName = (typeof FIELD_NAMES)[number];

const MAX_FILE_ID_CHARACTERS = 256;

export interface ChunkIdentity {
  readonly fileId: string;
  readonly chunk: ChunkRef;
}

export class ChunkForm implements PartHandler {
  readonly #maxFieldBytes: number;
  readonly #fields = new Map<FieldName, string>();
  #current: 'file' | FieldName | null = null;
  /** The charset of the present part. */
  #charset: string | undefined;
  #fieldPieces: Buffer[] = [];
  /** The first `#ownPieces` of the field pieces are copies. */
  #ownPieces = 0;
  #fieldBytes = 0;
  #queue: Buffer[] = [];
  #hasFile = false;
  #bytes = 0;
  #crc32 = 0;
  #identity: ChunkIdentity | null = null;
  readonly #marks: readonly number[];
  /** The CRC-32 of the file up to each mark that has been passed. */
  readonly #crcAtMark = new Map<number, number>();
  readonly #log = new PartDigests();
  #fileOffset = 0;
  #partsBeforeFile = 0;

  /** @param marks byte counts of the file for which `bodyAt` can be asked, besides the end of the file */
  constructor(maxFieldBytes: number, marks: readonly number[] = []) {
    this.#maxFieldBytes = maxFieldBytes;
    this.#marks = marks;
  }

  partStarts(head: PartHead, offset: number): void {
    const { name } = head;
    this.#log.begin(head);
    this.#current = name === 'file' || isFieldName(name) ? name : null;
    if (this.#current === null) return;
    refuseTransferEncoding(head);
    this.#charset = head.charset;
    const isSecond = this.#current === 'file' ? this.#hasFile : this.#fields.has(this.#current);
    if (isSecond)
      throw invalidFields([{ field: this.#current, message: 'given twice; send each part once' }]);
    if (this.#current !== 'file') return;
    this.#hasFile = true;
    this.#fileOffset = offset;
    this.#partsBeforeFile = this.#log.parts.length - 1;
  }

  partBytes(bytes: Buffer): void {
    if (this.#current === 'file') {
      this.#queue.push(bytes);
      this.#passMarks(bytes);
      this.#bytes += bytes.length;
      this.#crc32 = crc32(bytes, this.#crc32);
      return;
    }
    this.#log.count(bytes);
    if (this.#current !== null) this.#fieldBytesCame(this.#current, bytes);
  }

  partEnds(): void {
    if (this.#current !== null && this.#current !== 'file') {
      const [only] = this.#fieldPieces;
      const isWhole = this.#fieldPieces.length === 1 && only !== undefined;
      const bytes = isWhole ? only : Buffer.concat(this.#fieldPieces);
      const text = decodeText(this.#current, bytes, this.#charset);
      this.#fields.set(this.#current, text);
      this.#log.says(text);
      this.#fieldPieces = [];
      this.#ownPieces = 0;
      this.#fieldBytes = 0;
    }
    this.#current = null;
  }

  /** The file bytes that came since the last call. The caller may free the pushed pieces after this call. */
  takeQueued(): Buffer[] {
    // The pieces of an incomplete field are kept as copies. Each piece is copied once.
    for (; this.#ownPieces < this.#fieldPieces.length; this.#ownPieces += 1) {
      const piece = this.#fieldPieces[this.#ownPieces];
      if (piece !== undefined) this.#fieldPieces[this.#ownPieces] = Buffer.copyBytesFrom(piece);
    }
    const queue = this.#queue;
    this.#queue = [];
    return queue;
  }

  get digest(): ChunkDigest {
    return { bytes: this.#bytes, crc32: this.#crc32 };
  }

  /**
   * What had come when the file had `fileBytes` bytes. `fileBytes` is one of the marks or all that has come.
   * @param receivedBytes bytes of the body that have come until now
   */
  bodyAt(fileBytes: number, receivedBytes: number): BodyFacts {
    const isInside = fileBytes < this.#bytes;
    const file = { bytes: fileBytes, crc32: isInside ? (this.#crcAtMark.get(fileBytes) ?? 0) : this.#crc32 };
    const parts = this.#log.parts.slice(0, isInside ? this.#partsBeforeFile + 1 : undefined);
    return {
      fileBytes,
      receivedBytes: isInside ? this.#fileOffset + fileBytes : receivedBytes,
      parts: parts.map((part, i) =>
        this.#hasFile && i === this.#partsBeforeFile ? { ...part, ...file } : part,
      ),
    };
  }

  #passMarks(bytes: Buffer): void {
    for (const mark of this.#marks) {
      const inside = mark - this.#bytes;
      if (inside >= 0 && inside <= bytes.length)
        this.#crcAtMark.set(mark, crc32(bytes.subarray(0, inside), this.#crc32));
    }
  }

  get hasFile(): boolean {
    return this.#hasFile;
  }

  /** Null until all three fields have come. @throws AppError `invalid_request` naming each bad field */
  get identity(): ChunkIdentity | null {
    if (this.#identity === null && this.#fields.size === FIELD_NAMES.length)
      this.#identity = parseIdentity(this.#fields);
    return this.#identity;
  }

  /** For the log: the fields that were understood so far. Never throws. */
  get knownIdentity(): { fileId?: string; chunkIndex?: number; totalChunks?: number } {
    return this.#identity === null ? {} : { fileId: this.#identity.fileId, ...this.#identity.chunk };
  }

  /** To be called at the end of the form. @throws AppError `invalid_request` naming each missing or bad part */
  complete(): ChunkIdentity {
    const missing: string[] = FIELD_NAMES.filter((name) => !this.#fields.has(name));
    if (!this.#hasFile) missing.push('file');
    if (missing.length > 0) {
      const isNameless = this.#log.parts.some(({ name }) => name === '');
      const hint = isNameless ? ' (a part came without a name: look at its Content-Disposition)' : '';
      const message = `missing; a chunk needs this form part${hint}`;
      throw invalidFields(missing.map((field) => ({ field, message })));
    }
    return this.identity ?? parseIdentity(this.#fields);
  }

  #fieldBytesCame(name: FieldName, bytes: Buffer): void {
    this.#fieldBytes += bytes.length;
    if (this.#fieldBytes > this.#maxFieldBytes) {
      throw malformed(`the field ${name} is larger than ${this.#maxFieldBytes} bytes`);
    }
    this.#fieldPieces.push(bytes);
  }
}

function isFieldName(name: string | null): name is FieldName {
  return FIELD_NAMES.some((known) => known === name);
}

function parseIdentity(fields: ReadonlyMap<FieldName, string>): ChunkIdentity {
  const problems: FieldProblem[] = [];
  const fileId = fields.get('fileId') ?? '';
  const fileIdProblem = problemOfFileId(fileId);
  if (fileIdProblem !== null) problems.push({ field: 'fileId', message: fileIdProblem });
  const readCount = (field: FieldName, from: number, to: number): number => {
    const count = parseCount(fields.get(field));
    if (count !== null && count >= from && count <= to) return count;
    const message = `got ${quote(fields.get(field))}, expected a whole number from ${from} to ${to}`;
    problems.push({ field, message });
    return Number.NaN;
  };
  const totalChunks = readCount('totalChunks', 1, MAX_TOTAL_CHUNKS);
  // `chunkIndex` is compared only with a valid `totalChunks`, so that one wrong value causes one complaint.
  const chunkIndex = readCount(
    'chunkIndex',
    0,
    (Number.isNaN(totalChunks) ? MAX_TOTAL_CHUNKS : totalChunks) - 1,
  );
  if (problems.length > 0) throw invalidFields(problems);
  return { fileId, chunk: { chunkIndex, totalChunks } };
}

/** Plain decimal digits only: no sign, space, exponent or leading zero (rule C4). */
function parseCount(text: string | undefined): number | null {
  return /^(0|[1-9]\d{0,9})$/.test(text ?? '') ? Number(text) : null;
}

/** Null: the fileId is valid. */
function problemOfFileId(fileId: string): string | null {
  if (fileId.length <= MAX_FILE_ID_CHARACTERS && /^[ -~]+$/.test(fileId)) return null; // Most ids are short ASCII.
  const length = Array.from(fileId.slice(0, MAX_FILE_ID_CHARACTERS * 2 + 1)).length; // Counts characters, not UTF-16 units.
  if (length < 1 || length > MAX_FILE_ID_CHARACTERS) {
    return `got ${length === 0 ? 'an empty one' : `more than ${MAX_FILE_ID_CHARACTERS} characters`}, expected 1 to ${MAX_FILE_ID_CHARACTERS} characters`;
  }
  return /\p{Cc}/u.test(fileId)
    ? 'has a control character; use printable ones, such as those of a UUID'
    : null;
}

/** A client's text for use in a message: short, and without characters that could break a line of the log. */
function quote(text: string | undefined): string {
  const shown = text ?? '';
  return JSON.stringify(shown.length > 40 ? `${shown.slice(0, 40)}…` : shown);
}

/** The fileId of a status query. @throws AppError `invalid_request` */
export function parseFileId(value: unknown): string {
  if (typeof value !== 'string') {
    const message = value === undefined ? 'missing; add ?fileId=<your id>' : 'given twice; send it once';
    throw invalidFields([{ field: 'fileId', message }]);
  }
  const problem = problemOfFileId(value);
  if (problem !== null)
    throw new AppError('invalid_request', `fileId: ${problem}`, {
      fields: [{ field: 'fileId', message: problem }],
    });
  return value;
}
