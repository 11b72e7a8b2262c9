// http/forms/form-heads.ts: reads the heads of a form's parts, which @fastify/multipart hides.
//
// The plugin does not pass on the charset of a part. It silently skips a part without a name, refuses a part that is named like
// a property of an object, and cuts off long heads. Its parser (Dicer, of @fastify/busboy) announces each part before the plugin
// sees it. So the heads are read from the parser by the rules of the chunk path (part-head.ts), and the plugin gets every part
// under one plain name.
// Promises: every part is delivered or the form is refused. The memory for heads is bounded.
// Must not know: which parts a route wants, requests.
import { Dicer } from '@fastify/busboy';
import type { AppError } from '../../core/errors.ts';
import { DelimiterLines } from './delimiter-lines.ts';
import { malformed, type FormLimits } from './multipart-reader.ts';
import { headOf, type PartHead } from './part-head.ts';

/** The disposition that the plugin sees for each part: a name that it always accepts. */
const PLAIN_DISPOSITION = ['form-data; name="part"'];

/**
 * Dicer keeps this many times the limit of a head and drops the rest silently. The kept text is measured without the line ends
 * of folded lines. With this factor, even a head that consists only of folded lines is found to be too long.
 */
export const KEPT_HEADS_FACTOR = 4;

type Headers = Record<string, string[]>;

export class FormHeads {
  readonly #limits: FormLimits;
  readonly #bareDelimiter: string;
  readonly #lines: DelimiterLines;
  readonly #refuse: (refusal: AppError) => void;
  readonly #heads: PartHead[] = [];
  #preamble = '';
  #isHeadOpen = false;
  /** The bytes that the parser has been given in all, and the bytes it had been given when the last part began. */
  #given = 0;
  #givenAtPart = 0;

  /** @param refuse called with the reason why the form cannot be accepted */
  constructor(boundary: string, limits: FormLimits, refuse: (refusal: AppError) => void) {
    this.#bareDelimiter = `\n--${boundary}`;
    this.#lines = new DelimiterLines(boundary);
    this.#limits = limits;
    this.#refuse = refuse;
  }

  /** @param busboy the plugin's parser, before its first byte */
  watch(busboy: object): void {
    const dicer = dicerIn(busboy);
    dicer.on('preamble', (preamble) => {
      // Without a listener, a form that ends in its preamble causes an error that ends the process.
      preamble.on('error', () => undefined);
      preamble.on('data', (bytes: Buffer) => this.#preambleCame(bytes.toString('latin1')));
    });
    // Runs before Busboy's own listeners, which use the head as it is then.
    dicer.prependListener('part', (part) => {
      this.#partBegins();
      part.prependOnceListener('header', (headers) => this.#headCame(headers as Headers));
    });
  }

  /**
   * To be called with the bytes before they are parsed.
   * @throws AppError `malformed_multipart`
   */
  give(piece: Buffer): void {
    this.#lines.look(piece);
    this.#given += piece.length;
    const { maxPartHeaderBytes } = this.#limits;
    const mostBytes = maxPartHeaderBytes * KEPT_HEADS_FACTOR;
    if (this.#isHeadOpen && this.#given - this.#givenAtPart > mostBytes) throw tooLong(maxPartHeaderBytes);
  }

  /** The head of the next part, in the order in which the plugin delivers the parts. */
  next(): PartHead {
    const head = this.#heads.shift();
    if (head === undefined)
      throw new Error('a part without a head: @fastify/multipart is another than expected');
    return head;
  }

  /** Whether the parser has found a head that `next` has not returned yet. */
  get hasNext(): boolean {
    return this.#heads.length > 0;
  }

  /** Says why the body is not a complete form; null: the form is complete. */
  get refusal(): AppError | null {
    if (this.#given === 0) return malformed('the body is empty: 0 bytes came; send the form with its parts');
    if (this.#preamble.includes(this.#bareDelimiter))
      return malformed('a delimiter line stands behind a bare LF; lines of a form end in CRLF');
    if (!this.#lines.hasDelimiter) return malformed(NO_DELIMITER);
    if (this.#isHeadOpen) return malformed(OPEN_HEAD);
    return this.#lines.hasClosing ? null : cutOff();
  }

  #preambleCame(text: string): void {
    this.#preamble += text;
    const { maxPartHeaderBytes } = this.#limits;
    if (this.#preamble.length <= maxPartHeaderBytes) return;
    this.#refuse(malformed(`no delimiter line in the first ${maxPartHeaderBytes} bytes of the body`));
  }

  #partBegins(): void {
    if (this.#isHeadOpen) this.#refuse(malformed(OPEN_HEAD));
    this.#isHeadOpen = true;
    this.#givenAtPart = this.#given;
  }

  #headCame(headers: Headers): void {
    this.#isHeadOpen = false;
    const { maxPartHeaderBytes } = this.#limits;
    const first = firstOfEach(headers);
    if (bytesOf(headers) > maxPartHeaderBytes) this.#refuse(tooLong(maxPartHeaderBytes));
    // Dicer stops at the first line that is not a header, and drops the lines below.
    else if (!first.has('content-disposition')) this.#refuse(malformed(NO_DISPOSITION));
    this.#heads.push(headOf(first));
    headers['content-disposition'] = PLAIN_DISPOSITION;
  }
}

const NO_DELIMITER =
  'the body has no delimiter line: its boundary is not the one in the Content-Type header, or its lines end in LF instead of CRLF';
const OPEN_HEAD =
  'the headers of a part do not end before the next delimiter, or the end of the body: the empty line is missing, or lines end in LF instead of CRLF';
const NO_DISPOSITION =
  'a part has no Content-Disposition, or one below a line that is no header; send each header on a line of its own that ends in CRLF';

export function cutOff(): AppError {
  return malformed(
    'the body ends before its closing delimiter: it was cut off; send the whole request again',
  );
}

function tooLong(maxBytes: number): AppError {
  return malformed(`the headers of a part are larger than ${maxBytes} bytes`);
}

/**
 * The size of the headers as text: `name: value` lines, with the CRLF of the delimiter in front and without a CRLF at the end.
 */
function bytesOf(headers: Headers): number {
  let bytes = 0;
  for (const [name, values] of Object.entries(headers))
    for (const value of values) bytes += `\r\n${name}: ${value}`.length;
  return bytes;
}

/** Dicer keeps the spaces around a name and decodes each byte to one character. */
function firstOfEach(headers: Headers): Map<string, string> {
  const first = new Map<string, string>();
  for (const [spaced, [value = '']] of Object.entries(headers)) {
    const name = spaced.trim();
    if (!first.has(name)) first.set(name, Buffer.from(value, 'latin1').toString('utf8').trim());
  }
  return first;
}

/** Dicer is in an undocumented place. The version is pinned; if the place changes, the first form causes an error. */
function dicerIn(busboy: object): Dicer {
  const dicer = (busboy as { _parser?: { parser?: unknown } })._parser?.parser;
  if (dicer instanceof Dicer) return dicer;
  throw new Error(
    'the parser of @fastify/busboy is not where it was: another version than the one that is pinned',
  );
}
