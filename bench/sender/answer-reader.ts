// bench/sender/answer-reader.ts: reads the answers on a connection that has at most one request in flight.
//
// Promises: the reader does as little work as this allows. An answer is returned only when it is complete. It reads
// Content-Length, answers without a body (204, 304) and chunked bodies; any other form is an Error, never a guess.
// Must not know: sockets, what the answers mean.
import type { Answer } from '../wires.ts';

const HEAD_END = '\r\n\r\n';
const CHUNKED_END = '0\r\n\r\n';
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;
const BODILESS = new Set([204, 304]);

export class AnswerReader {
  #text = '';

  /** The answer when its last byte has come, else null. @throws Error when the answer has none of the forms above */
  take(bytes: Buffer): Answer | null {
    this.#text += bytes.toString('latin1');
    const headEnd = this.#text.indexOf(HEAD_END);
    if (headEnd === -1) return null;
    const bodyStart = headEnd + HEAD_END.length;
    const head = this.#text.slice(0, headEnd);
    const status = Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
    const body = this.#bodyOf(status, head, bodyStart);
    if (body === null) return null;
    this.#text = '';
    return { status, head, body };
  }

  /** Null: the body is incomplete. */
  #bodyOf(status: number, head: string, start: number): string | null {
    const [, length] = CONTENT_LENGTH.exec(head) ?? [];
    if (length !== undefined) {
      const end = start + Number(length);
      if (this.#text.length > end) throw new Error('more came than one answer');
      return this.#text.length < end ? null : this.#text.slice(start);
    }
    if (BODILESS.has(status)) return '';
    if (!CHUNKED.test(head)) throw new Error(`an answer ${status} without a length`);
    // With one request in flight, nothing follows the answer, so it is enough to look for the last chunk at the end.
    return this.#text.endsWith(CHUNKED_END) ? this.#text.slice(start) : null;
  }
}
