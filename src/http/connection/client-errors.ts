// http/connection/client-errors.ts: refuses bytes that are not HTTP, because they never reach a route, and ends the connection.
//
// Promises: a valid request earlier on the connection gets its answer first, so that the client does not take the refusal for
// that answer. A request that was answered before its body broke gets no second answer. A client that does not leave cannot hold
// the connection open.
// Must not know: routes.
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError } from '../../core/errors.ts';
import { wallMs } from '../../core/machine-time.ts';
import { startTimer } from '../../core/timers.ts';
import { HeadTimes } from './head-time.ts';
import type { Pipelined } from './pipelined.ts';
import { errorBody } from '../../contract/bodies.ts';

/** The client has this long to read the answer and to leave. */
const PARTING_MS = 1_000;

/** The error as Node's parser reports it. */
type ConnectionError = Error & {
  readonly code?: string;
  readonly rawPacket?: unknown;
  readonly bytesParsed?: number;
};

type HeadersForPages = Readonly<Record<string, string>>;

export interface ClientErrorsOptions {
  readonly pipelined: Pipelined;
  /** Sends the answers that are waiting for the end of the turn. */
  readonly flushAnswers: () => void;
  /** The CORS headers that let a page of this origin read the refusal, as they do for every other answer. */
  readonly headersFor: (origin: string | undefined) => HeadersForPages;
}

export class ClientErrors {
  readonly #pipelined: Pipelined;
  readonly #flushAnswers: () => void;
  readonly #headersFor: (origin: string | undefined) => HeadersForPages;
  readonly #refused = new WeakSet<Socket>();
  #headTimes: HeadTimes | null = null;

  constructor({ pipelined, flushAnswers, headersFor }: ClientErrorsOptions) {
    this.#pipelined = pipelined;
    this.#flushAnswers = flushAnswers;
    this.#headersFor = headersFor;
  }

  /** Watches the server. Its `clientError` handler is `refuse`. */
  watch(server: Server, headerTimeoutMs: number): void {
    server.on('connect', this.#refuseConnect);
    this.#headTimes = new HeadTimes(server, headerTimeoutMs);
  }

  /** Handles every error of a connection. Only the first error is answered; Node repeats it for the bytes that follow. */
  readonly refuse = (error: ConnectionError, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && this.#headTimes !== null)
      return this.#headTimes.whenOver(socket, () => this.#refuse(error, socket));
    this.#refuse(error, socket);
  };

  #refuse(error: ConnectionError, socket: Socket): void {
    if (this.#refused.has(socket)) {
      // A client that has left waits for no answer. A client that keeps sending would keep the connection open for ever.
      if (socket.readableEnded) socket.destroy();
      return;
    }
    this.#refused.add(socket);
    // The same packet may hold a request head that was refused and the broken body: send that refusal first.
    this.#flushAnswers();
    this.#pipelined.behindWhole(socket, (broken) => {
      // Bytes that follow a request with `Connection: close` are not a request, and get no answer.
      const isAnswered = broken?.headersSent === true || error.code === 'HPE_CLOSED_CONNECTION';
      if (isAnswered) return part(socket, '');
      const { head, line } = brokenIn(error);
      part(socket, this.#answerOf(clientErrorOf(error.code ?? '', line), originIn(head)));
    });
  }

  /** For the `connect` event: without a listener, Node ends the connection without an answer. */
  readonly #refuseConnect = (request: IncomingMessage, stream: Duplex): void => {
    const socket = stream as Socket; // A server of TCP connections always passes a Socket.
    socket.on('error', () => socket.destroy()).resume();
    this.#pipelined.behindWhole(socket, () =>
      part(socket, this.#answerOf(notForConnect(), request.headers.origin)),
    );
  };

  /** Writes the answer as text, because there is no response object for bytes that are not a request. */
  #answerOf(refusal: AppError, origin: string | undefined): string {
    const body = JSON.stringify(errorBody(refusal, 'none'));
    const headers = {
      Date: new Date(wallMs()).toUTCString(), // RFC 9110 §6.6.1
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      ...this.#headersFor(origin),
      Connection: 'close',
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${lines.join('')}\r\n${body}`;
  }
}

/** @param answer empty: the connection ends without an answer */
function part(socket: Socket, answer: string): void {
  socket.end(answer);
  const parting = startTimer(PARTING_MS, () => socket.destroy(), { isKeepingAlive: false });
  socket.once('close', () => parting.stop());
}

/** The head and the line in which the parser gave up, as far as they are in the last packet. */
function brokenIn({ rawPacket, bytesParsed = 0 }: ConnectionError): { head: string; line: string } {
  const packet = Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1') : '';
  const before = packet.slice(0, bytesParsed);
  const headAt = before.lastIndexOf('\r\n\r\n');
  return {
    head: packet.slice(headAt === -1 ? 0 : headAt + 4),
    line: packet.slice(before.lastIndexOf('\n') + 1),
  };
}

/** Undefined: the received part of the head has no Origin. */
function originIn(head: string): string | undefined {
  return /^origin:[ \t]*([^\s]{1,200})[ \t]*\r?$/im.exec(head)?.[1];
}

function notForConnect(): AppError {
  return new AppError('invalid_request', 'this server is no proxy: CONNECT has no meaning here');
}

/** A request line that is valid except that Node's parser does not know its method (RFC 9110 §9.1). */
const UNKNOWN_METHOD = /^([!#$%&'*+.^`|~\w-]{1,40}) \S+ HTTP\/1\.[01]\r?\n/;

function clientErrorOf(code: string, line: string): AppError {
  const [, method] = code === 'HPE_INVALID_METHOD' ? (UNKNOWN_METHOD.exec(line) ?? []) : [];
  if (method !== undefined) {
    return new AppError(
      'not_implemented',
      `this server does not know the method ${JSON.stringify(method)}; the contract has GET and POST`,
    );
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new AppError(
      'headers_too_large',
      'the request line and headers are larger than 16 KiB; send fewer or shorter ones',
    );
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new AppError('request_timeout', 'the headers did not come in time; send the request again');
  }
  return new AppError(
    'invalid_request',
    'the bytes are not a readable HTTP/1.1 request; check what the client or a proxy sends',
  );
}
