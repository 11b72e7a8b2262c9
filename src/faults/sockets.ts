// faults/sockets.ts: how a connection ends, stalls or slows down on command, as a client sees it on the wire.
//
// Promises: `finish` is a FIN also in the middle of a body (unread bytes would make the kernel send RST instead, so they
// are read and dropped, within bounds); `reset` is an RST; nothing here outlives its connection.
// Must not know: rules, uploads, journal.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { awakeMs, startTimeout } from '../core/awake.ts';
import {
  clearInterval,
  monotonicMs,
  queueMicrotask,
  setImmediate,
  setInterval,
} from '../core/machine-time.ts';
import { startTimer } from '../core/timers.ts';

/** What is still read after a FIN, so that it stays one. */
const DRAIN_BYTES = 64 * 1024 * 1024;
const DRAIN_SILENCE_MS = 5_000;

export interface Wire {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** No more is sent (FIN). Nothing is to be done when the client has left. */
export function finish({ request }: Wire): void {
  const { socket } = request;
  if (socket.destroyed) return;
  const silence = startTimeout(
    DRAIN_SILENCE_MS,
    () => socket.destroy(),
    () => heardMs,
  );
  let bytes = 0;
  let heardMs = awakeMs();
  request.on('data', (piece: Buffer) => {
    bytes += piece.length;
    heardMs = awakeMs();
    if (bytes > DRAIN_BYTES) socket.destroy();
  });
  socket.once('close', () => silence.stop());
  request.once('end', () => socket.destroySoon());
  // Whoever was reading the body lets go of it only after this, and pauses it.
  request.on('pause', () => queueMicrotask(() => request.resume()));
  socket.end();
  request.resume();
  if (request.complete) socket.destroySoon();
}

/** The connection is gone (RST), whatever was under way. */
export function reset({ request }: Wire): void {
  request.socket.resetAndDestroy();
}

/**
 * Resolves after `ms`, or as soon as the client has left; false then. `ms` null: until it leaves. A FIN counts as leaving: who
 * sends it and waits for an answer all the same cannot be told from who has gone, and is held up here on purpose.
 */
export function hold({ request }: Wire, ms: number | null, signal?: AbortSignal): Promise<boolean> {
  const { socket } = request;
  if (socket.readableEnded) socket.destroy();
  if (socket.destroyed || signal?.aborted === true) return Promise.resolve(false);
  return new Promise((resolve) => {
    const timer = ms === null ? null : startTimer(ms, () => over(true));
    const onEnd = (): void => void socket.destroy();
    const onClose = (): void => over(false);
    const over = (isHere: boolean): void => {
      timer?.stop();
      socket.off('end', onEnd).off('close', onClose);
      signal?.removeEventListener('abort', onClose);
      resolve(isHere);
    };
    socket.once('end', onEnd).once('close', onClose);
    signal?.addEventListener('abort', onClose);
  });
}

const SIP_MS = 500;
const SIP_BYTES = 64 * 1024;
/** More than the kernels of both sides hold: a client that left has an end before that. */
const SIPS_BYTES = 16 * 1024 * 1024;

/**
 * As `hold`, for an exchange that will not go on: nothing is read of its body but a sip now and then, each twice the one
 * before until SIPS_BYTES are through. Without that, the end of a connection whose last bytes were never read would not
 * be noticed, and its descriptor stay.
 */
export async function stall(wire: Wire, ms: number | null, signal?: AbortSignal): Promise<boolean> {
  const { request } = wire;
  let size = SIP_BYTES;
  let total = 0;
  let left = 0;
  const onData = (piece: Buffer): void => {
    total += piece.length;
    left -= piece.length;
    if (left <= 0) request.pause();
  };
  request.removeAllListeners('data').on('data', onData);
  const sips = setInterval(() => {
    left = size;
    size = total < SIPS_BYTES ? size * 2 : SIP_BYTES;
    request.resume();
  }, SIP_MS);
  try {
    return await hold(wire, ms, signal);
  } finally {
    clearInterval(sips);
    request.off('data', onData);
  }
}

/**
 * Takes the place of `response.end`: `send` decides what becomes of the body. To be called before the head is written,
 * and done only then: whoever else takes that place before (linger.ts) must not get hold of the body first.
 */
export function interceptEnd(
  response: ServerResponse,
  send: (body: Buffer, end: (body: Buffer) => void) => void,
): void {
  const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse;
  response.writeHead = (...head: unknown[]) => {
    const end = response.end.bind(response);
    response.end = ((body?: unknown) => {
      response.end = end;
      send(bufferOf(body), (rest) => void end(rest));
      return response;
    }) as typeof response.end;
    return writeHead(...head);
  };
}

function bufferOf(body: unknown): Buffer {
  if (typeof body === 'string') return Buffer.from(body);
  return body instanceof Uint8Array
    ? Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    : Buffer.alloc(0);
}

/** Resolves when the bytes, and the head before them, have been handed to the kernel. */
export function written(response: ServerResponse, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('close', done);
      resolve();
    };
    response.once('close', done);
    if (bytes.length > 0) response.write(bytes, done);
    else {
      response.flushHeaders();
      setImmediate(done);
    }
  });
}

const PACE_MS = 20;

/**
 * Sends the body no faster than `bytesPerSecond`, in pieces a person could not tell from a steady stream. Resolves to how
 * much of it was sent: less than all when the client has left.
 */
export async function trickle(wire: Wire, body: Buffer, bytesPerSecond: number): Promise<number> {
  const begun = monotonicMs();
  const piece = Math.max(1, Math.round((bytesPerSecond * PACE_MS) / 1000));
  wire.response.flushHeaders();
  let sent = 0;
  while (sent < body.length) {
    const next = Math.min(sent + piece, body.length);
    const dueMs = (next / bytesPerSecond) * 1000;
    if (!(await hold(wire, Math.max(dueMs - (monotonicMs() - begun), 0)))) break;
    await written(wire.response, body.subarray(sent, next));
    sent = next;
  }
  return sent;
}

/** Bytes that no HTTP parser takes for a status line, a header or a chunk's length. */
export function noise(bytes: number, draw: () => number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, () => 0x80 + Math.floor(draw() * 0x80)));
}
