// http/forms/entry-intake.ts: takes the multipart form of a media endpoint: its fields, and a direct `file` if the form has one.
//
// Promises: file bytes stream to the storage and are never held completely in memory (rule F8). A broken form leaves nothing
// behind.
// Must not know: what the fields mean.
import { AppError, invalidFields } from '../../core/errors.ts';
import { isEntryField } from '../../media/entry-form.ts';
import type { DirectUpload } from '../../media/direct-upload.ts';
import type { BodyFeed } from '../connection/body-feed.ts';
import type { FormPart } from './media-form.ts';
import { malformed } from './multipart-reader.ts';
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

/** All fields of a form together may be this many times as large as one field. */
const FIELDS_FACTOR = 4;

export class EntryIntake {
  readonly #options: EntryIntakeOptions;
  readonly #feed: BodyFeed;
  readonly #fields = new Map<string, string>();
  #fieldBytes = 0;
  #fileBytes = 0;
  #file: DirectFile | null = null;
  readonly #log = new PartDigests();

  constructor(options: EntryIntakeOptions, feed: BodyFeed) {
    this.#options = options;
    this.#feed = feed;
  }

  /** @throws AppError the refusals of the form and of the storage; ClientGone. Nothing is left behind then. */
  async receive(parts: AsyncIterable<FormPart>): Promise<EntryForm> {
    this.#options.observer.onRefused((error) => this.#feed.fail(error));
    try {
      for await (const part of parts) await this.#take(part);
      return { fields: this.#fields, file: this.#file, body: this.#bodyNow() };
    } catch (error) {
      await this.#file?.upload.discard();
      throw error;
    } finally {
      this.#feed.close();
    }
  }

  async #take(part: FormPart): Promise<void> {
    const { head } = part;
    this.#log.begin(head);
    if (isOurs(head.name)) this.#refuseUnfit(head, head.name);
    if (head.name === 'file') await this.#takeFile(part);
    else await this.#takeField(part);
  }

  #refuseUnfit(head: PartHead, name: string): void {
    refuseTransferEncoding(head);
    const isSecond = name === 'file' ? this.#file !== null : this.#fields.has(name);
    if (isSecond) throw invalidFields([{ field: name, message: 'given twice; send each part once' }]);
  }

  async #takeFile({ head: { filename = '' }, bytes }: FormPart): Promise<void> {
    const { openDirect, maxFileBytes } = this.#options;
    const upload = openDirect();
    this.#file = { upload, filename };
    for await (const piece of bytes) {
      this.#fileBytes += piece.length;
      if (this.#fileBytes > maxFileBytes) throw directTooLarge(maxFileBytes);
      this.#log.count(piece);
      await this.#announce();
      await upload.write([piece]);
    }
  }

  /** Unknown parts are ignored: they may hold any bytes and come any number of times (rule C10). */
  async #takeField({ head: { name, charset }, bytes, isFollowed }: FormPart): Promise<void> {
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of bytes) {
      length += piece.length;
      this.#fieldBytes += piece.length;
      this.#refuseLarge(name ?? '', length);
      this.#log.count(piece);
      pieces.push(Buffer.from(piece)); // A slice would keep a whole network read in memory.
      // Fields that came together are announced together: a fault before the first byte of the file must see all fields.
      if (!isFollowed()) await this.#announce();
    }
    const whole = Buffer.concat(pieces);
    if (name === null) return;
    const text = isOurs(name) ? decodeText(name, whole, charset) : whole.toString();
    this.#fields.set(name, text);
    this.#log.says(text);
  }

  #announce(): void | Promise<void> {
    return this.#options.observer.fileBytes(this.#fileBytes, () => this.#bodyNow());
  }

  #bodyNow(): BodyFacts {
    return {
      receivedBytes: this.#feed.receivedBytes,
      fileBytes: this.#fileBytes,
      parts: this.#log.parts,
    };
  }

  #refuseLarge(name: string, bytes: number): void {
    const { maxFieldBytes } = this.#options;
    if (bytes <= maxFieldBytes && this.#fieldBytes <= maxFieldBytes * FIELDS_FACTOR) return;
    throw malformed(
      `the field ${JSON.stringify(name.slice(0, 40))} takes the form beyond ${maxFieldBytes} bytes a field`,
    );
  }
}

function isOurs(name: string | null): name is string {
  return name !== null && (name === 'file' || isEntryField(name));
}

function directTooLarge(maxBytes: number): AppError {
  const message = `the file is larger than ${maxBytes} bytes, the limit of one file; nothing of it was stored`;
  return new AppError('upload_too_large', message, { maxBytes, currentSize: 0 });
}
