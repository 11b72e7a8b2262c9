// bench/sender/connection.ts: one keep-alive connection that sends one request at a time, with as little work as Node allows.
//
// Promises: the payload is copied only when a copy is cheaper than a second buffer for the kernel. Answers are read into one
// reused buffer. No request is sent twice.
// Must not know: what the requests mean, when to stop.
import { connect, type Socket } from 'node:net';
import { AnswerReader } from './answer-reader.ts';
import type { Answer } from '../wires.ts';

/** Up to this size, copying into one buffer is cheaper than sending three buffers. */
const COPIED_BYTES = 64 * 1024;
const READ_BYTES = 16 * 1024;

export interface Pieces {
  readonly head: string;
  readonly payload: Buffer;
  readonly tail: string;
}

export class Connection {
  readonly #socket: Socket;
  readonly #reader = new AnswerReader();
  #answered: ((answer: Answer) => void) | null = null;
  #failed: (error: Error) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(url: string): Promise<Connection> {
    const { hostname, port } = new URL(url);
    return new Promise((resolve, reject) => {
      // Reads directly into our own buffer: no stream, and no new buffer for each answer.
      const onread = {
        buffer: Buffer.allocUnsafe(READ_BYTES),
        callback: (length: number, buffer: Uint8Array) => {
          connection.#came(Buffer.from(buffer.buffer, buffer.byteOffset, length));
          return true;
        },
      };
      const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
      const connection = new Connection(socket);
      connection.#failed = reject;
      socket.once('connect', () => resolve(connection));
      socket.on('error', (error) => connection.#failed(error));
      socket.once('close', () => connection.#failed(new Error('the server closed the connection')));
    });
  }

  /** Calls one of the two callbacks once. A promise would be a cost of its own at 10,000 requests a second. */
  send(pieces: Pieces, answered: (answer: Answer) => void, failed: (error: Error) => void): void {
    this.#answered = answered;
    this.#failed = failed;
    const { head, payload, tail } = pieces;
    if (payload.length <= COPIED_BYTES) {
      this.#socket.write(joined(pieces));
      return;
    }
    this.#socket.cork();
    this.#socket.write(head, 'latin1');
    this.#socket.write(payload);
    if (tail !== '') this.#socket.write(tail, 'latin1');
    this.#socket.uncork();
  }

  close(): void {
    this.#failed = () => undefined;
    this.#socket.destroy();
  }

  #came(bytes: Buffer): void {
    try {
      const answer = this.#reader.take(bytes);
      if (answer === null) return;
      const answered = this.#answered;
      this.#answered = null;
      if (answered === null) throw new Error('an answer came that nobody waits for');
      answered(answer);
    } catch (error) {
      this.#failed(error as Error);
    }
  }
}

function joined({ head, payload, tail }: Pieces): Buffer {
  const whole = Buffer.allocUnsafe(head.length + payload.length + tail.length);
  whole.write(head, 0, 'latin1');
  payload.copy(whole, head.length);
  if (tail !== '') whole.write(tail, head.length + payload.length, 'latin1');
  return whole;
}
