// soak/wire.ts: one HTTP request, sent as clients of all kinds send it: whole, cut at a byte by FIN or RST, or with a silence in
// the middle.
//
// Promises: it always ends: with an answer, broken, cut by this side, or when the given patience is over. Nothing is sent twice.
// For a broken request it reports only what was seen: whether the whole body was handed over, and the status if one came.
// Must not know: uploads, rules, whether an answer is right.
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { deferred } from './deferred.ts';

export interface Cut {
  /** After so many bytes of the body. If that is the whole body: before its answer. */
  readonly atByte: number;
  readonly how: 'FIN' | 'RST';
}

export interface Silence {
  readonly atByte: number;
  readonly ms: number;
}

export interface Sending {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Partial<{ [name: string]: string }>>;
  readonly body?: Buffer;
  readonly isCoded?: boolean;
  readonly cut?: Cut;
  readonly silence?: Silence;
  readonly agent: Agent;
  readonly patienceMs: number;
}

export type Met =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: IncomingMessage['headers'];
      readonly body: Buffer;
    }
  | {
      readonly kind: 'broken';
      readonly why: string;
      readonly status: number | null;
      /** A kept-alive connection that may have been ended before the request arrived. */
      readonly isReused: boolean;
    }
  /** Cut by this side, as requested. */
  | { readonly kind: 'cut' }
  | { readonly kind: 'patience' };

export function newAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 64, timeout: 120_000 });
}

export async function send(sending: Sending): Promise<Met> {
  const { method, url, headers, body, isCoded = false, agent } = sending;
  const length = body === undefined || isCoded ? {} : { 'content-length': String(body.length) };
  const outgoing = request(url, { method, headers: { ...headers, ...length }, agent });
  const met = meets(outgoing);
  const over = new AbortController();
  const patience = delay(sending.patienceMs, { kind: 'patience' } as const, { signal: over.signal }).catch(
    () => met,
  );
  const written = write(outgoing, sending);
  const result = await Promise.race([met, patience, written.then((isCut) => (isCut ? CUT : met))]);
  over.abort();
  if (result.kind === 'patience') outgoing.destroy();
  return result;
}

const CUT = { kind: 'cut' } as const;

/** True: it was cut. */
async function write(outgoing: ClientRequest, { body, cut, silence }: Sending): Promise<boolean> {
  if (body === undefined) {
    outgoing.end();
    return false;
  }
  let at = 0;
  const upTo = async (end: number): Promise<void> => {
    await handOver(outgoing, body.subarray(at, end));
    at = end;
  };
  if (silence !== undefined) {
    await upTo(silence.atByte);
    await silentFor(outgoing, silence.ms);
  }
  if (cut === undefined) {
    if (!outgoing.destroyed) outgoing.end(body.subarray(at));
    return false;
  }
  await upTo(Math.max(at, cut.atByte));
  if (outgoing.socket === null || outgoing.destroyed) return false;
  if (cut.how === 'RST') outgoing.socket.resetAndDestroy();
  else outgoing.socket.destroy();
  return true;
}

/** Resolves when the kernel has the bytes, or when the connection takes no more. */
async function handOver(outgoing: ClientRequest, bytes: Buffer): Promise<void> {
  if (outgoing.destroyed) return;
  const { promise, resolve } = deferred();
  outgoing.once('close', resolve);
  if (bytes.length === 0) outgoing.flushHeaders();
  if (outgoing.socket === null) await socketOf(outgoing);
  outgoing.write(bytes, () => resolve());
  await promise;
  outgoing.off('close', resolve);
}

async function socketOf(outgoing: ClientRequest): Promise<void> {
  const { promise, resolve } = deferred();
  const connected = (socket: Socket): void => {
    if (socket.connecting) socket.once('connect', () => resolve()).once('close', () => resolve());
    else resolve();
  };
  outgoing.once('socket', connected).once('close', resolve);
  await promise;
  outgoing.off('close', resolve);
}

async function silentFor(outgoing: ClientRequest, ms: number): Promise<void> {
  const left = new AbortController();
  const leave = (): void => left.abort();
  outgoing.once('close', leave).once('response', leave);
  await delay(ms, undefined, { signal: left.signal }).catch(() => undefined);
  outgoing.off('close', leave).off('response', leave);
}

async function meets(outgoing: ClientRequest): Promise<Met> {
  const { promise, resolve } = deferred<Met>();
  let status: number | null = null;
  const broken = (why: string): void =>
    resolve({ kind: 'broken', why, status, isReused: outgoing.reusedSocket });
  outgoing.on('error', (error: NodeJS.ErrnoException) => broken(error.code ?? error.message));
  outgoing.on('close', () => broken('closed'));
  outgoing.on('response', (answer) => {
    status = answer.statusCode ?? 0;
    const pieces: Buffer[] = [];
    answer.on('data', (piece: Buffer) => pieces.push(piece));
    answer.on('error', (error: NodeJS.ErrnoException) => broken(error.code ?? error.message));
    answer.on('end', () => {
      if (!answer.complete) return broken('incomplete');
      const body = Buffer.concat(pieces);
      resolve({ kind: 'answer', status: answer.statusCode ?? 0, headers: answer.headers, body });
    });
  });
  return promise;
}
