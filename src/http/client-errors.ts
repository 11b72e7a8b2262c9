// http/client-errors.ts: what is not HTTP never reaches a route: it is refused here, and the connection ends.
//
// Promises: a good request before it on the connection gets its answer first, so that no client takes the refusal for that;
// a request that was answered before its body broke gets no second answer; a client that stays holds no connection open.
// Must not know: routes.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AppError } from '../errors.ts';
import { startTimer } from '../timers.ts';
import type { Pipelined } from './pipelined.ts';
import { errorBody } from './schemas.ts';

/** So long the client has to read the answer and to leave. */
const PARTING_MS = 1_000;

const REASONS: Readonly<Record<number, string>> = { 408: 'Request Timeout', 431: 'Headers Too Large' };

export class ClientErrors {
  readonly #pipelined: Pipelined;
  readonly #settleAnswers: () => void;
  readonly #refused = new WeakSet<Socket>();

  /** @param settleAnswers sends those that are put off until the end of the turn */
  constructor(pipelined: Pipelined, settleAnswers: () => void) {
    this.#pipelined = pipelined;
    this.#settleAnswers = settleAnswers;
  }

  /** For every error of a connection. What comes behind the first is one more, and the same. */
  readonly refuse = (error: Error & { code?: string }, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    if (this.#refused.has(socket)) {
      // A client that has left waits for no answer, and one that goes on for ever would never let go.
      if (socket.readableEnded) socket.destroy();
      return;
    }
    this.#refused.add(socket);
    this.#settleAnswers(); // It may have been refused by its head, in the packet that its broken body came in.
    this.#pipelined.behindWhole(socket, (broken) => {
      // What follows a request with `Connection: close` is no request, and gets no answer.
      const isAnswered = broken?.headersSent === true || error.code === 'HPE_CLOSED_CONNECTION';
      part(socket, isAnswered ? null : clientErrorOf(error.code ?? ''));
    });
  };

  /** For the `connect` event: without a listener, Node ends the connection and says nothing. */
  readonly refuseConnect = (_request: IncomingMessage, stream: Duplex): void => {
    const socket = stream as Socket; // Of a server of TCP connections it is one.
    socket.on('error', () => socket.destroy()).resume();
    this.#pipelined.behindWhole(socket, () => part(socket, notForConnect()));
  };
}

/** Null: without a word. */
function part(socket: Socket, refusal: AppError | null): void {
  socket.end(refusal === null ? '' : answerOf(refusal));
  const parting = startTimer(PARTING_MS, () => socket.destroy(), { isKeepingAlive: false });
  socket.once('close', () => parting.stop());
}

/** By hand: there is no response to write it to. */
function answerOf(refusal: AppError): string {
  const body = JSON.stringify(errorBody(refusal, 'none'));
  return (
    `HTTP/1.1 ${refusal.status} ${REASONS[refusal.status] ?? 'Bad Request'}\r\n` +
    `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
    `Connection: close\r\n\r\n${body}`
  );
}

function notForConnect(): AppError {
  return new AppError('invalid_request', 'this server is no proxy: CONNECT has no meaning here');
}

function clientErrorOf(code: string): AppError {
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
