// http/forms/entry-intake.ts: takes the multipart form of a media endpoint: its fields, and a direct `file` if there is one.
//
// Promises: file bytes stream to the storage, never held whole (rule F8); a broken form leaves nothing behind.
// The reader is the chunk path's own: one parser, with one set of limits, time-outs and truncation rules.
// Must not know: what the fields mean.
import { AppError, invalidFields } from '../../core/errors.ts';
import { isEntryField } from '../../media/entry-form.ts';
import type { DirectUpload } from '../../media/direct-upload.ts';
import type { BodyFeed } from '../connection/body-feed.ts';
import { malformed, type MultipartReader, type PartHandler } from './multipart-reader.ts';
import type { BodyFacts, Observer } from '../observer.ts';
import { refuseTransferEncoding, type PartHead } from './part-head.ts';
import { PartDigests } from './part-digests.ts';
import { decodeText } from './text.ts';

export interface DirectFile {
  readonly upload: DirectUpload;
  readonly filename: string;
}

export interface EntryForm {
  readonly fields: ReadonlyMap<string, string>;
  readonly file: DirectFile | null;
  readonly body: BodyFacts;
}

interface EntryIntakeOptions {
  readonly maxFieldBytes: number;
  readonly maxFileBytes: number;
  readonly openDirect: () => DirectUpload;
  readonly observer: Observer;
}

/** All fields of a form together may be this many times as large as one. */
const FIELDS_FACTOR = 4;

export class EntryIntake implements PartHandler {
  readonly #options: EntryIntakeOptions;
  readonly #fields = new Map<string, string>();
  #name: string | null = null;
  /** Of the part that began last. */
  #charset: string | undefined;
  #pieces: Buffer[] = [];
  #fieldBytes = 0;
  #allFieldBytes = 0;
  #queue: Buffer[] = [];
  #fileBytes = 0;
  #file: DirectFile | null = null;
  readonly #log = new PartDigests();

  constructor(options: EntryIntakeOptions) {
    this.#options = options;
  }

  partStarts(head: PartHead): void {
    const { name, filename, charset } = head;
    this.#log.begin(head);
    this.#name = name;
    if (name === null || !isOurs(name)) return;
    refuseTransferEncoding(head);
    this.#charset = charset;
    const isSecond = name === 'file' ? this.#file !== null : this.#fields.has(name);
    if (isSecond) throw invalidFields([{ field: name, message: 'given twice; send each part once' }]);
    if (name === 'file') this.#file = { upload: this.#options.openDirect(), filename: filename ?? '' };
  }

  partBytes(bytes: Buffer): void {
    this.#log.count(bytes);
    if (this.#name === 'file') {
      this.#queue.push(bytes);
      this.#fileBytes += bytes.length;
      if (this.#fileBytes > this.#options.maxFileBytes) throw directTooLarge(this.#options.maxFileBytes);
    } else if (this.#name !== null) this.#fieldBytesCame(this.#name, bytes);
  }

  partEnds(): void {
    if (this.#name !== null && this.#name !== 'file') {
      const bytes = Buffer.concat(this.#pieces);
      // Parts that are no fields of ours are ignored: they may hold anything, and come any number of times (rule C10).
      const text = isOurs(this.#name) ? decodeText(this.#name, bytes, this.#charset) : bytes.toString();
      this.#fields.set(this.#name, text);
      this.#log.says(text);
      this.#pieces = [];
      this.#fieldBytes = 0;
    }
    this.#name = null;
  }

  /** @throws AppError the refusals of the reader and the storage; ClientGone. Nothing is left behind then. */
  async receive(reader: MultipartReader, feed: BodyFeed): Promise<EntryForm> {
    this.#options.observer.onRefused((error) => feed.fail(error));
    try {
      for (let pieces = await feed.next(1); pieces !== null; pieces = await feed.next()) {
        for (const piece of pieces) reader.push(piece);
        await this.#options.observer.fileBytes(this.#fileBytes, () => this.#bodyNow(feed));
        await this.#store();
        feed.giveBack(pieces);
      }
      reader.end();
      return { fields: this.#fields, file: this.#file, body: this.#bodyNow(feed) };
    } catch (error) {
      await this.#file?.upload.discard();
      throw error;
    } finally {
      feed.close();
    }
  }

  #bodyNow(feed: BodyFeed): BodyFacts {
    return { receivedBytes: feed.receivedBytes, fileBytes: this.#fileBytes, parts: this.#log.parts };
  }

  async #store(): Promise<void> {
    if (this.#queue.length === 0) return;
    const buffers = this.#queue;
    this.#queue = [];
    await this.#file?.upload.write(buffers);
  }

  #fieldBytesCame(name: string, bytes: Buffer): void {
    this.#fieldBytes += bytes.length;
    this.#allFieldBytes += bytes.length;
    const { maxFieldBytes } = this.#options;
    if (this.#fieldBytes > maxFieldBytes || this.#allFieldBytes > maxFieldBytes * FIELDS_FACTOR) {
      throw malformed(
        `the field ${JSON.stringify(name.slice(0, 40))} takes the form beyond ${maxFieldBytes} bytes a field`,
      );
    }
    this.#pieces.push(Buffer.copyBytesFrom(bytes)); // A slice would keep a whole network read alive.
  }
}

function isOurs(name: string): boolean {
  return name === 'file' || isEntryField(name);
}

function directTooLarge(maxBytes: number): AppError {
  const message = `the file is larger than ${maxBytes} bytes, the most one file may have; nothing of it was stored`;
  return new AppError('upload_too_large', message, { maxBytes, currentSize: 0 });
}
