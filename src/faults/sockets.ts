// faults/sockets.ts: ends, stalls or slows a connection, as the client sees it on the wire.
//
// Promises: `finish` sends a FIN even in the middle of a body. Unread bytes would make the kernel send an RST, so they are read
// and dropped, within bounds. `reset` sends an RST. Nothing here outlives its connection.
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

/** How much is read after a FIN, so that the kernel does not turn it into an RST. */
const DRAIN_BYTES = 64 * 1024 * 1024;
const DRAIN_SILENCE_MS = 5_000;

export interface Wire {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Sends a FIN. Does nothing when the client has left. */
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
  // The body's reader detaches only after this and pauses the stream, so it must be resumed.
  request.on('pause', () => queueMicrotask(() => request.resume()));
  socket.end();
  request.resume();
  if (request.complete) socket.destroySoon();
}

/** Ends the connection with an RST, whatever is under way. */
export function reset({ request }: Wire): void {
  request.socket.resetAndDestroy();
}

/**
 * Resolves to true after `ms` milliseconds, or to false when the client has left. `ms` null: waits until the client leaves.
 * A FIN counts as leaving: a client that sends a FIN and still waits for an answer looks the same as one that has gone.
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
/** More than the kernels of both sides buffer, so the end of a departed client's connection comes before. */
const SIPS_BYTES = 16 * 1024 * 1024;

/**
 * As `hold`, for an exchange that will not go on. Its body is read only in small pieces at intervals, each piece twice as
 * large as the one before, up to SIPS_BYTES. Without this reading the end of a connection with unread bytes would not be
 * noticed, and its descriptor would stay open.
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
 * Replaces `response.end`; `send` then decides what is sent of the body. To be called before the head is written.
 * The replacement happens when the head is written: code that replaces `end` before that (linger.ts) must not get the body first.
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

/** Resolves when the bytes, and the head before them, were handed to the kernel. */
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
 * Sends the body no faster than `bytesPerSecond`, in pieces so small that the stream looks steady. Resolves to the number of
 * bytes sent, which is smaller than the body when the client has left.
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

/** Bytes that no HTTP parser accepts as a status line, a header or a chunk length. */
export function noise(bytes: number, draw: () => number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, () => 0x80 + Math.floor(draw() * 0x80)));
}
