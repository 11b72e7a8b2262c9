// http/connection/client-errors.ts: what is not HTTP never reaches a route: it is refused here, and the connection ends.
//
// Promises: a good request before it on the connection gets its answer first, so that no client takes the refusal for that;
// a request that was answered before its body broke gets no second answer; a client that stays holds no connection open.
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

/** So long the client has to read the answer and to leave. */
const PARTING_MS = 1_000;

/** As Node's parser reports it. */
type ConnectionError = Error & {
  readonly code?: string;
  readonly rawPacket?: unknown;
  readonly bytesParsed?: number;
};

type HeadersForPages = Readonly<Record<string, string>>;

export interface ClientErrorsOptions {
  readonly pipelined: Pipelined;
  /** Sends those that are put off until the end of the turn. */
  readonly flushAnswers: () => void;
  /** What lets a page of this origin read the refusal, as it may read every other answer. */
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

  /** Of this server, whose `clientError` is `refuse`. */
  watch(server: Server, headerTimeoutMs: number): void {
    server.on('connect', this.#refuseConnect);
    this.#headTimes = new HeadTimes(server, headerTimeoutMs);
  }

  /** For every error of a connection. What comes behind the first is one more, and the same. */
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
      // A client that has left waits for no answer, and one that goes on for ever would never let go.
      if (socket.readableEnded) socket.destroy();
      return;
    }
    this.#refused.add(socket);
    this.#flushAnswers(); // It may have been refused by its head, in the packet that its broken body came in.
    this.#pipelined.behindWhole(socket, (broken) => {
      // What follows a request with `Connection: close` is no request, and gets no answer.
      const isAnswered = broken?.headersSent === true || error.code === 'HPE_CLOSED_CONNECTION';
      if (isAnswered) return part(socket, '');
      const { head, line } = brokenIn(error);
      part(socket, this.#answerOf(clientErrorOf(error.code ?? '', line), originIn(head)));
    });
  }

  /** For the `connect` event: without a listener, Node ends the connection and says nothing. */
  readonly #refuseConnect = (request: IncomingMessage, stream: Duplex): void => {
    const socket = stream as Socket; // Of a server of TCP connections it is one.
    socket.on('error', () => socket.destroy()).resume();
    this.#pipelined.behindWhole(socket, () =>
      part(socket, this.#answerOf(notForConnect(), request.headers.origin)),
    );
  };

  /** By hand: there is no response to write it to. */
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

/** @param answer empty: without a word */
function part(socket: Socket, answer: string): void {
  socket.end(answer);
  const parting = startTimer(PARTING_MS, () => socket.destroy(), { isKeepingAlive: false });
  socket.once('close', () => parting.stop());
}

/** As far as they came in the packet in which the parser gave up: the head that it read, and the line it read. */
function brokenIn({ rawPacket, bytesParsed = 0 }: ConnectionError): { head: string; line: string } {
  const packet = Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1') : '';
  const before = packet.slice(0, bytesParsed);
  const headAt = before.lastIndexOf('\r\n\r\n');
  return {
    head: packet.slice(headAt === -1 ? 0 : headAt + 4),
    line: packet.slice(before.lastIndexOf('\n') + 1),
  };
}

/** Undefined: it does not stand in what came of the head. */
function originIn(head: string): string | undefined {
  return /^origin:[ \t]*([^\s]{1,200})[ \t]*\r?$/im.exec(head)?.[1];
}

function notForConnect(): AppError {
  return new AppError('invalid_request', 'this server is no proxy: CONNECT has no meaning here');
}

/** A request line whose method Node's parser does not know, and nothing else is wrong with (RFC 9110 §9.1). */
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
    'what came is not an HTTP/1.1 request that can be read; check what the client or a proxy sends',
  );
}
