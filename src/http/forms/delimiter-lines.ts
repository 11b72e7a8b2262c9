// http/forms/delimiter-lines.ts: checks the bytes behind each delimiter of a form.
//
// Promises: says whether a delimiter and the closing delimiter have come, and refuses a malformed delimiter line (RFC 2046
// §5.1.1). Busboy would read such bytes as the first header, so that a part is lost or the damage goes unnoticed. Busboy also
// adds up the dashes of two delimiters in a row, so that `--b-` CRLF `--b-` would close a form.
// Must not know: parts, their heads.
import { malformed } from './multipart-reader.ts';

export class DelimiterLines {
  readonly #delimiter: Buffer;
  /** The last bytes that came. They may hold an incomplete delimiter or an incomplete delimiter line. */
  #tail: Buffer = Buffer.from('\r\n'); // So that a delimiter at the start of the body looks like every other.
  hasDelimiter = false;
  hasClosing = false;

  constructor(boundary: string) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  }

  /** @throws AppError `malformed_multipart` */
  look(piece: Buffer): void {
    const open = this.#delimiter.length + 1;
    const seam = Buffer.concat([this.#tail, piece.subarray(0, open)]);
    this.#lookFor(seam, this.#tail.length);
    this.#lookFor(piece, piece.length);
    // A copy, because a slice would keep the whole piece in memory.
    this.#tail = Buffer.from(piece.length >= open ? piece.subarray(-open) : seam.subarray(-open));
  }

  /** Checks the delimiters that begin before `end`. A delimiter with an incomplete line is checked again with the next piece. */
  #lookFor(bytes: Buffer, end: number): void {
    const { length } = this.#delimiter;
    let at = bytes.indexOf(this.#delimiter);
    while (at !== -1 && at < end && at + length + 2 <= bytes.length && !this.hasClosing) {
      this.hasDelimiter = true;
      const behind = bytes.toString('latin1', at + length, at + length + 2);
      if (behind === '--') this.hasClosing = true;
      else if (behind !== '\r\n') throw malformed(NO_LINE);
      at = bytes.indexOf(this.#delimiter, at + length);
    }
  }
}

const NO_LINE = 'a delimiter line must end in CRLF; here it is followed by something else (bare LF?)';
