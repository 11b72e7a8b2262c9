// http/forms/delimiter-lines.ts: looks at what stands behind each delimiter of a form.
//
// Promises: says whether a delimiter, and the closing one, has come, and refuses a delimiter line that is none (RFC 2046
// §5.1.1). Busboy takes what stands there for the first header, so that a part is lost or what broke is not seen; and it adds
// up the dashes of two delimiters in a row, so that `--b-` CRLF `--b-` closes a form to it.
// Must not know: parts, their heads.
import { malformed } from './multipart-reader.ts';

export class DelimiterLines {
  readonly #delimiter: Buffer;
  /** The last bytes that came, where a delimiter could have begun that is not whole, or not its line. */
  #tail: Buffer = Buffer.from('\r\n'); // So that a delimiter at the very start looks like every other.
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
    // A copy: a slice would keep the whole piece alive.
    this.#tail = Buffer.from(piece.length >= open ? piece.subarray(-open) : seam.subarray(-open));
  }

  /** Delimiters that begin before `end`. One whose line is not there yet is looked at again with the next piece. */
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
