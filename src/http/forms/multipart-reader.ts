// http/forms/multipart-reader.ts: reads one multipart/form-data body (RFC 7578, RFC 2046 §5.1) piece by piece.
//
// Promises: the bytes of a part are slices of the given pieces; only up to a delimiter's length is copied where two pieces meet.
// Memory is bounded by the limit of a head. A body without its closing delimiter is refused, so a truncated form never looks
// complete (rules C3, C11). The result does not depend on how the body is cut into pieces.
// Must not know: which parts a route wants, sockets, time.
import { AppError } from '../../core/errors.ts';
import { parsePartHead, type PartHead } from './part-head.ts';

export interface PartHandler {
  /** `offset`: the position in the body at which the part's content begins. */
  partStarts(head: PartHead, offset: number): void;
  /** A slice of a pushed piece. It stays valid until the memory of that piece is freed. */
  partBytes(bytes: Buffer): void;
  partEnds(): void;
}

export interface FormLimits {
  readonly maxParts: number;
  readonly maxPartHeaderBytes: number;
}

const CR = 0x0d;
const LF = 0x0a;
const DASH = 0x2d;
/** The most spaces behind a delimiter. RFC 2046 sets no limit; real clients send none or few. */
const MAX_PADDING = 64;
const NO_PADDING = { at: 0 };
/**
 * The bytes that are searched in one call. In a longer search, Node switches after some hundred possible delimiter starts to an
 * algorithm that takes several times as long for each byte (bench/README.md).
 */
const SEARCH_BYTES = 8 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');
const EMPTY = Buffer.alloc(0);

type State = 'preamble' | 'after-delimiter' | 'head' | 'before-body' | 'body' | 'epilogue';

export class MultipartReader {
  readonly #handler: PartHandler;
  readonly #limits: FormLimits;
  readonly #delimiter: Buffer;
  #state: State = 'preamble';
  /** The bytes of an incomplete token: the start of a delimiter, a delimiter's line, or a part's head. */
  #held: Buffer = Buffer.from('\r\n'); // So that a delimiter at the start of the body looks like every other.
  #parts = 0;
  /** The text before the first delimiter. */
  readonly #preamble: Buffer[] = [];
  #skipped = 0;
  #pushed = 0;

  constructor(boundary: string, limits: FormLimits, handler: PartHandler) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
    this.#limits = limits;
    this.#handler = handler;
  }

  /** @throws AppError `malformed_multipart`; any error that the handler throws */
  push(piece: Buffer): void {
    let rest = this.#pushed === 0 ? this.#first(piece) : piece;
    this.#pushed += piece.length;
    // Every step either consumes bytes or holds them until more bytes come.
    while (rest.length > 0 && this.#state !== 'epilogue') rest = this.#step(rest);
  }

  /** Nearly every form begins with its complete first delimiter, so that no seam between pieces has to be checked. */
  #first(piece: Buffer): Buffer {
    const { length } = this.#delimiter;
    if (piece.length < length || piece.compare(this.#delimiter, 2, length, 0, length - 2) !== 0) return piece;
    this.#held = EMPTY;
    return this.#found(piece.subarray(length - 2));
  }

  /** To be called at the end of the body. @throws AppError `malformed_multipart` when the form is incomplete */
  end(): void {
    if (this.#state === 'epilogue') return;
    if (this.#pushed === 0) throw malformed('the body is empty: 0 bytes came; send the form with its parts');
    throw malformed(
      this.#state === 'preamble'
        ? 'the body has no delimiter line: its boundary is not the one in the Content-Type header, or its lines end in LF instead of CRLF'
        : 'the body ends before its closing delimiter: it was cut off; send the whole request again',
    );
  }

  #step(rest: Buffer): Buffer {
    switch (this.#state) {
      case 'preamble':
      case 'body':
        return this.#scan(rest);
      case 'after-delimiter':
        return this.#afterDelimiter(rest);
      case 'head':
        return this.#head(rest);
      case 'before-body':
        return this.#beforeBody(rest);
      case 'epilogue':
        return EMPTY;
    }
  }

  /** Looks for the next delimiter. The bytes before it belong to the part or to the preamble. */
  #scan(piece: Buffer): Buffer {
    const delimiter = this.#delimiter;
    if (this.#held.length > 0) {
      const seam = this.#scanSeam(piece);
      if (seam === null) return EMPTY;
      if (seam >= 0) return this.#found(piece.subarray(seam));
    }
    const at = indexOfDelimiter(piece, delimiter);
    if (at !== -1) {
      this.#emit(at === 0 ? EMPTY : piece.subarray(0, at));
      return this.#found(piece.subarray(at + delimiter.length));
    }
    const tail = partialMatch(piece, delimiter);
    this.#emit(tail === 0 ? piece : piece.subarray(0, piece.length - tail));
    // A copy, because a slice would keep the whole piece in memory while a slow client is silent.
    this.#held = tail === 0 ? EMPTY : Buffer.copyBytesFrom(piece, piece.length - tail);
    return EMPTY;
  }

  /**
   * Checks for a delimiter that began in the piece before. Returns the number of bytes of this piece up to its end. Returns -1
   * when no delimiter began there; the held bytes have then been delivered. Returns null when more bytes are needed; everything
   * is then held.
   */
  #scanSeam(piece: Buffer): number | null {
    const held = this.#held;
    const delimiter = this.#delimiter;
    const joint = Buffer.concat([held, piece.subarray(0, delimiter.length - 1)]);
    // The held bytes have a CR only as their first byte, so a delimiter begins either there or in this piece.
    if (joint.indexOf(delimiter) === 0) {
      this.#held = EMPTY;
      return delimiter.length - held.length;
    }
    if (piece.length >= delimiter.length - 1) {
      this.#held = EMPTY;
      this.#emit(held);
      return -1;
    }
    const tail = partialMatch(joint, delimiter);
    this.#emit(joint.subarray(0, joint.length - tail));
    this.#held = joint.subarray(joint.length - tail);
    return null;
  }

  #found(rest: Buffer): Buffer {
    if (this.#state === 'body') this.#handler.partEnds();
    else if (this.#skipped > 0) this.#refuseBareLineFeed();
    this.#state = 'after-delimiter';
    return rest;
  }

  #emit(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#state === 'body') this.#handler.partBytes(bytes);
    else this.#skip(bytes);
  }

  /** Text before the first delimiter is legal and ignored, up to the size that a part's head may have. */
  #skip(bytes: Buffer): void {
    this.#preamble.push(Buffer.copyBytesFrom(bytes));
    this.#skipped += bytes.length;
    if (this.#skipped <= this.#limits.maxPartHeaderBytes) return;
    throw malformed(`no delimiter line in the first ${this.#limits.maxPartHeaderBytes} bytes of the body`);
  }

  /** A delimiter behind a bare LF would count as preamble, and its part would be lost silently, so the form is refused. */
  #refuseBareLineFeed(): void {
    const line = Buffer.concat([Buffer.from('\n'), this.#delimiter.subarray(2)]);
    if (Buffer.concat(this.#preamble).includes(line))
      throw malformed('a delimiter line stands behind a bare LF; lines of a form end in CRLF');
  }

  /** `--` closes the form. Spaces and CRLF begin a part. Any other bytes make the delimiter line malformed. */
  #afterDelimiter(rest: Buffer): Buffer {
    const line = this.#join(rest, MAX_PADDING + 2);
    const kind = delimiterLine(line);
    if (kind === 'open') return this.#waitFor(line);
    if (kind === 'closing') {
      this.#held = EMPTY;
      this.#state = 'epilogue';
      return EMPTY;
    }
    if (kind === 'broken') {
      throw malformed('a delimiter line must end in CRLF; here it is followed by something else (bare LF?)');
    }
    this.#parts += 1;
    if (this.#parts > this.#limits.maxParts) throw malformed(`more than ${this.#limits.maxParts} parts`);
    this.#state = 'head';
    // Keep the CRLF: then every head, even an empty one, ends in CRLF CRLF.
    return this.#goOn(rest, kind.at);
  }

  #head(rest: Buffer): Buffer {
    const { maxPartHeaderBytes } = this.#limits;
    const seen = this.#join(rest, maxPartHeaderBytes + HEAD_END.length);
    const end = seen.indexOf(HEAD_END, Math.max(this.#held.length - HEAD_END.length + 1, 0));
    // The last bytes of an incomplete head may belong to its end, so they do not count.
    const length = end === -1 ? seen.length - HEAD_END.length + 1 : end;
    if (length > maxPartHeaderBytes) {
      throw malformed(`the headers of a part are larger than ${maxPartHeaderBytes} bytes`);
    }
    if (end === -1) return this.#waitFor(seen);
    const head = parsePartHead(seen.subarray(0, end), this.#delimiter);
    if (head === null)
      throw malformed('the headers of a part run into a delimiter: the empty line is missing');
    this.#state = 'before-body';
    const content = this.#goOn(rest, end + HEAD_END.length);
    this.#handler.partStarts(head, this.#pushed - content.length);
    return content;
  }

  /**
   * A part without content may omit the empty line: the CRLF of its delimiter then serves as the empty line (RFC 2046 §5.1.1).
   */
  #beforeBody(rest: Buffer): Buffer {
    if (this.#held.length > 0 || rest[0] === DASH) {
      const delimiterLength = this.#delimiter.length - 2;
      const seen = this.#join(rest, delimiterLength);
      const length = Math.min(seen.length, delimiterLength);
      if (seen.compare(this.#delimiter, 2, 2 + length, 0, length) === 0) {
        if (length < delimiterLength) return this.#waitFor(seen);
        this.#state = 'body';
        return this.#found(this.#goOn(rest, length));
      }
    }
    this.#state = 'body';
    // The held bytes contain no CR, so no delimiter can begin in them.
    this.#emit(this.#held);
    this.#held = EMPTY;
    return rest;
  }

  /**
   * Joins the held bytes and the new bytes. Returns the new bytes themselves when none are held, and copies at most `atMost`
   * bytes.
   */
  #join(rest: Buffer, atMost: number): Buffer {
    const held = this.#held;
    return held.length === 0 ? rest : Buffer.concat([held, rest.subarray(0, atMost - held.length)]);
  }

  /** Continues at byte `at` of the held and new bytes. At most a CR of the held bytes may be left over. */
  #goOn(rest: Buffer, at: number): Buffer {
    const from = at - this.#held.length;
    this.#held = from < 0 ? this.#held.subarray(at) : EMPTY;
    return from < 0 ? rest : rest.subarray(from);
  }

  #waitFor(seen: Buffer): Buffer {
    // Copies the bytes unless they are already a copy.
    this.#held = this.#held.length === 0 ? Buffer.copyBytesFrom(seen) : seen;
    return EMPTY;
  }
}

/** The same result as `bytes.indexOf(delimiter)`, searched in short calls. */
function indexOfDelimiter(bytes: Buffer, delimiter: Buffer): number {
  if (bytes.length <= SEARCH_BYTES) return bytes.indexOf(delimiter);
  for (let from = 0; from < bytes.length; from += SEARCH_BYTES) {
    // A delimiter that begins in these bytes may end behind them.
    const at = bytes.subarray(from, from + SEARCH_BYTES + delimiter.length - 1).indexOf(delimiter);
    if (at !== -1) return from + at;
  }
  return -1;
}

/** Classifies the bytes behind a delimiter. `at`: position of the CRLF that ends the line. `open`: more bytes are needed. */
function delimiterLine(line: Buffer): 'closing' | 'open' | 'broken' | { at: number } {
  if (line[0] === CR && line[1] === LF) return NO_PADDING;
  const text = line.toString('latin1', 0, MAX_PADDING + 2);
  if (text.startsWith('--')) return 'closing';
  const padding = text.search(/[^ \t]|$/);
  const rest = text.slice(padding);
  if (rest.startsWith('\r\n')) return { at: padding };
  const isOpen = padding <= MAX_PADDING && (rest === '' || rest === '\r' || text === '-');
  return isOpen ? 'open' : 'broken';
}

/** The length of the longest end of `bytes` with which a delimiter could begin. Reads at most a delimiter's length. */
function partialMatch(bytes: Buffer, delimiter: Buffer): number {
  const from = Math.max(bytes.length - delimiter.length + 1, 0);
  for (let at = bytes.indexOf(CR, from); at !== -1; at = bytes.indexOf(CR, at + 1)) {
    if (bytes.compare(delimiter, 0, bytes.length - at, at) === 0) return bytes.length - at;
  }
  return 0;
}

export function malformed(message: string): AppError {
  return new AppError('malformed_multipart', message);
}
