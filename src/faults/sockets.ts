// faults/sockets.ts: how a connection ends, stalls or slows down on command, as a client sees it on the wire.
//
// Promises: `finish` is a FIN also in the middle of a body (unread bytes would make the kernel send RST instead, so they
// are read and dropped, within bounds); `reset` is an RST; nothing here outlives its connection.
// Must not know: rules, uploads, journal.
import type { IncomingMessage, ServerResponse } from 'node:http';

/** What is still read after a FIN, so that it stays one. */
const DRAIN_BYTES = 64 * 1024 * 1024;
const DRAIN_SILENCE_MS = 5_000;

export interface Wire {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** No more is sent (FIN). */
export function finish({ request }: Wire): void {
  const { socket } = request;
  const silence = setTimeout(() => socket.destroy(), DRAIN_SILENCE_MS);
  let bytes = 0;
  request.on('data', (piece: Buffer) => {
    bytes += piece.length;
    silence.refresh();
    if (bytes > DRAIN_BYTES) socket.destroy();
  });
  socket.once('close', () => clearTimeout(silence));
  request.once('end', () => socket.destroySoon());
  socket.end();
  request.resume();
  if (request.complete) socket.destroySoon();
}

/** The connection is gone (RST), whatever was under way. */
export function reset({ request }: Wire): void {
  request.socket.resetAndDestroy();
}

/** Resolves after `ms`, or as soon as the client has left; false then. `ms` null: until it leaves. */
export function hold({ request }: Wire, ms: number | null): Promise<boolean> {
  const { socket } = request;
  if (socket.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    const timer = ms === null ? null : setTimeout(() => settle(true), ms);
    const onClose = (): void => settle(false);
    const settle = (isHere: boolean): void => {
      if (timer !== null) clearTimeout(timer);
      socket.off('close', onClose);
      resolve(isHere);
    };
    socket.once('close', onClose);
  });
}

const SIP_MS = 1_000;

/**
 * As `hold`, for an exchange that will not go on: nothing is read of its body but a sip a second. Without that, the end of
 * a connection whose last bytes were never read would not be noticed, and its descriptor stay.
 */
export async function stall(wire: Wire, ms: number | null): Promise<boolean> {
  const { request } = wire;
  request.removeAllListeners('data');
  request.on('data', () => request.pause());
  const sips = setInterval(() => request.resume(), SIP_MS);
  try {
    return await hold(wire, ms);
  } finally {
    clearInterval(sips);
  }
}

/** Takes the place of `response.end`: `send` decides what becomes of the body. To be called before the head is written. */
export function interceptEnd(
  response: ServerResponse,
  send: (body: Buffer, end: (body: Buffer) => void) => void,
): void {
  const end = response.end.bind(response);
  response.end = ((body?: unknown) => {
    response.end = end;
    send(bufferOf(body), (rest) => void end(rest));
    return response;
  }) as typeof response.end;
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
    response.once('close', resolve);
    if (bytes.length > 0) response.write(bytes, () => resolve());
    else {
      response.flushHeaders();
      setImmediate(resolve);
    }
  });
}

const PACE_MS = 20;

/** Sends the body at `bytesPerSecond`, in pieces a person could not tell from a steady stream. */
export async function trickle(wire: Wire, body: Buffer, bytesPerSecond: number): Promise<void> {
  const begun = performance.now();
  const piece = Math.max(1, Math.round((bytesPerSecond * PACE_MS) / 1000));
  for (let sent = 0; sent < body.length && !wire.request.socket.destroyed; sent += piece) {
    await written(wire.response, body.subarray(sent, sent + piece));
    const dueMs = (Math.min(sent + piece, body.length) / bytesPerSecond) * 1000;
    await hold(wire, Math.max(dueMs - (performance.now() - begun), 0));
  }
}
