// http/forms/media-form.ts: the form of a media route, read by @fastify/multipart: its parts in their order, each with its bytes.
//
// Promises: the plugin gets the body from our feed, so time-outs, back-pressure and whatever ends the feed hold for it, too;
// its errors are those of our table; a form that was cut off never looks whole (C3, C11).
// The chunk path has a reader of its own (multipart-reader.ts), which takes a fraction of the time (bench/README.md).
// Must not know: which parts a route wants.
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import type { BodyFeed } from '../connection/body-feed.ts';
import type { FormBody } from '../exchange.ts';
import { cutOff, FormHeads, KEPT_HEADS_FACTOR } from './form-heads.ts';
import { malformed, type FormLimits } from './multipart-reader.ts';
import type { PartHead } from './part-head.ts';

/** The next part comes when the bytes of this one have been read to their end. */
export interface FormPart {
  readonly head: PartHead;
  readonly bytes: AsyncIterable<Buffer>;
  /** Whether the next part has begun to come, too. */
  readonly isFollowed: () => boolean;
}

/** @throws AppError `malformed_multipart`; whatever the feed ends with */
export async function* partsOf(
  request: FastifyRequest,
  { boundary, feed }: FormBody,
  limits: FormLimits,
): AsyncGenerator<FormPart> {
  const heads = new FormHeads(boundary, limits, (refusal) => source.destroy(refusal));
  const source = new FormSource(boundary, feed, heads);
  // To the plugin, the source is the request: it reads `raw` and nothing else of it.
  const form = Object.create(request, { raw: { value: source } }) as FastifyRequest;
  const options = {
    // Its fields are decoded texts, with U+FFFD for what it cannot decode: bytes are only to be had of files.
    isPartAFile: () => true,
    limits: {
      parts: limits.maxParts,
      // Of one part. How long a file or a field may be is the route's to say.
      fileSize: Number.POSITIVE_INFINITY,
      headerPairs: Number.POSITIVE_INFINITY,
      headerSize: limits.maxPartHeaderBytes * KEPT_HEADS_FACTOR,
    },
  };
  const refusalOf = (error: unknown): unknown => asRefusal(error, heads, limits);
  try {
    for await (const part of form.parts(options)) {
      if (part.type !== 'file') continue; // None is of another type.
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

/** What the plugin and its parser throw, as an error of ours. All else is what the feed ended with. */
function asRefusal(error: unknown, heads: FormHeads, { maxParts }: FormLimits): unknown {
  if (!(error instanceof Error)) return error;
  if ('code' in error && error.code === 'FST_PARTS_LIMIT') return malformed(`more than ${maxParts} parts`);
  const isCutOff = /^Unexpected end of multipart data$|terminated early/.test(error.message);
  return isCutOff ? (heads.refusal ?? cutOff()) : error;
}

/** A feed as a stream, under the one content type that the plugin is to see. */
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
      // The first bytes at once: they hold the reason to refuse the rest, where there is one.
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
