// http/forms/media-form.ts: reads the form of a media route with @fastify/multipart, part by part in order.
//
// Promises: the plugin reads the body from our feed, so the time-outs, the back-pressure and the errors of the feed apply. The
// plugin's errors become errors of our table. A truncated form never looks complete (rules C3, C11).
// The chunk path has its own reader (multipart-reader.ts), which is several times as fast (bench/README.md).
// Must not know: which parts a route wants.
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import type { BodyFeed } from '../connection/body-feed.ts';
import type { FormBody } from '../exchange.ts';
import { cutOff, FormHeads, KEPT_HEADS_FACTOR } from './form-heads.ts';
import { malformed, type FormLimits } from './multipart-reader.ts';
import type { PartHead } from './part-head.ts';

/** The caller must read the bytes of this part to their end before it asks for the next part. */
export interface FormPart {
  readonly head: PartHead;
  readonly bytes: AsyncIterable<Buffer>;
  /** Whether the next part has begun to come. */
  readonly isFollowed: () => boolean;
}

/** @throws AppError `malformed_multipart`; the error that ended the feed */
export async function* partsOf(
  request: FastifyRequest,
  { boundary, feed }: FormBody,
  limits: FormLimits,
): AsyncGenerator<FormPart> {
  const heads = new FormHeads(boundary, limits, (refusal) => source.destroy(refusal));
  const source = new FormSource(boundary, feed, heads);
  // The plugin takes the source for the request, because it reads only `raw`.
  const form = Object.create(request, { raw: { value: source } }) as FastifyRequest;
  const options = {
    // The plugin decodes fields and writes U+FFFD for bad bytes. Only a file part gives access to the bytes.
    isPartAFile: () => true,
    limits: {
      parts: limits.maxParts,
      // The limit of one part. The route limits the length of files and fields.
      fileSize: Number.POSITIVE_INFINITY,
      headerPairs: Number.POSITIVE_INFINITY,
      headerSize: limits.maxPartHeaderBytes * KEPT_HEADS_FACTOR,
    },
  };
  const refusalOf = (error: unknown): unknown => asRefusal(error, heads, limits);
  try {
    for await (const part of form.parts(options)) {
      if (part.type !== 'file') continue; // Every part is a file here; this check is for the type.
      const bytes = bytesOf(part.file, refusalOf);
      yield { head: heads.next(), bytes, isFollowed: () => heads.hasNext };
    }
    if (heads.refusal !== null) throw heads.refusal;
  } catch (error) {
    throw refusalOf(error);
  } finally {
    source.destroy();
  }
}

async function* bytesOf(file: Readable, refusalOf: (error: unknown) => unknown): AsyncGenerator<Buffer> {
  try {
    for await (const bytes of file) yield bytes as Buffer;
  } catch (error) {
    throw refusalOf(error);
  }
}

/** Turns an error of the plugin or its parser into an error of our table. Any other error ended the feed. */
function asRefusal(error: unknown, heads: FormHeads, { maxParts }: FormLimits): unknown {
  if (!(error instanceof Error)) return error;
  if ('code' in error && error.code === 'FST_PARTS_LIMIT') return malformed(`more than ${maxParts} parts`);
  const isCutOff = /^Unexpected end of multipart data$|terminated early/.test(error.message);
  return isCutOff ? (heads.refusal ?? cutOff()) : error;
}

/** A feed as a stream, with the only content type that the plugin must see. */
class FormSource extends Readable {
  readonly headers: { readonly 'content-type': string };
  readonly #feed: BodyFeed;
  readonly #heads: FormHeads;
  #isFirst = true;

  constructor(boundary: string, feed: BodyFeed, heads: FormHeads) {
    super();
    this.headers = {
      'content-type': `multipart/form-data; boundary="${boundary.replaceAll(/["\\]/g, '\\$&')}"`,
    };
    this.#feed = feed;
    this.#heads = heads;
  }

  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    this.#heads.watch(destination);
    return super.pipe(destination);
  }

  override _read(): void {
    void this.#pull();
  }

  async #pull(): Promise<void> {
    try {
      // Take the first bytes at once: they may hold a reason to refuse the rest.
      const pieces = await (this.#isFirst ? this.#feed.next(1) : this.#feed.next());
      this.#isFirst = false;
      for (const piece of pieces ?? []) {
        this.#heads.give(piece);
        this.push(piece);
      }
      if (pieces === null) this.push(null);
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}
