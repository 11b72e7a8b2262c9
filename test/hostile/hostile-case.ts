// hostile/hostile-case.ts: one hostile case: the bytes for one connection, and the permitted outcome of each request in them.
//
// Promises: a case depends only on its seed and number, so that it can be played again alone.
// Must not know: sockets, what the server answers.
import { crc32 } from 'node:zlib';
import type { Dice } from '../helpers/seed.ts';

/**
 * `answered`: it is valid HTTP and gets its own answer, whatever its body is.
 * `refused`: no server may accept it. It gets a 4xx or nothing, the connection ends, and nothing after it is a request.
 * `either`: RFC 9112 permits both. `never`: it stands in the body of another request, or after a refused one.
 */
export type Fate = 'answered' | 'refused' | 'either' | 'never';

export interface Sent {
  /** Its `X-Request-Id`, which its answer must repeat. Null: it cannot have one. */
  readonly id: string | null;
  readonly method: string;
  readonly target: string;
  readonly fate: Fate;
}

export type Step = Buffer | { readonly pauseMs: number };

export interface HostileCase {
  readonly steps: readonly Step[];
  /** In the order in which they stand on the wire. */
  readonly requests: readonly Sent[];
  /** What the client does: after the last byte, but for `leave`, which is after the answers. */
  readonly ending: 'stay' | 'leave' | 'half-close' | 'reset';
}

export interface Setting {
  readonly n: number;
  readonly dice: Dice;
}

export type Generator = (setting: Setting) => HostileCase;

/** Each case has its own namespace, so that what it arms through the admin plane does not break other cases. */
export const KEYS = { contract: 'hostile', admin: 'hostile-admin' } as const;

/** One character is one byte. */
export const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1');

/** It has a checksum, so that a damaged name is not the name of another case. */
export const fileIdOf = (n: number): string => `h-${n}-${crc32(String(n)).toString(16)}`;

/** The case that made the upload with this name; null: no case did. */
export function caseOfFileId(fileId: string): number | null {
  const n = Number(/^h-(\d+)-/.exec(fileId)?.[1]);
  return fileId === fileIdOf(n) || fileId.startsWith(`${fileIdOf(n)}-`) ? n : null;
}
export const idOf = ({ n }: Setting, k = 0): string => `c${n}-${k}`;

export interface Head {
  readonly method: string;
  readonly target: string;
  readonly id: string;
  /** Whole lines without their line ends, after Host, key and id. */
  readonly lines?: readonly string[];
}

export function headOf({ method, target, id, lines = [] }: Head): string {
  const key = target.includes('/__admin') ? KEYS.admin : KEYS.contract;
  const all = ['Host: localhost', `X-API-Key: ${key}`, `X-Request-Id: ${id}`, ...lines];
  return `${method} ${target} HTTP/1.1\r\n${all.map((line) => `${line}\r\n`).join('')}\r\n`;
}

/** Valid HTTP around any body: with its length, or in the chunked transfer coding. */
function framed({ dice }: Setting, head: Head, body: Buffer): Buffer {
  const lines = [...(head.lines ?? [])];
  if (dice.chance(0.7))
    return Buffer.concat([
      bytesOf(headOf({ ...head, lines: [...lines, `Content-Length: ${body.length}`] })),
      body,
    ]);
  const coded = chunksOf(body, dice.between(1, Math.max(body.length, 1)));
  return Buffer.concat([
    bytesOf(headOf({ ...head, lines: [...lines, 'Transfer-Encoding: chunked'] })),
    coded,
  ]);
}

/** At most ten chunks: each costs both sides a call. */
function chunksOf(body: Buffer, wanted: number): Buffer {
  const size = Math.max(wanted, Math.ceil(body.length / 10));
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const piece = body.subarray(at, at + size);
    pieces.push(bytesOf(`${piece.length.toString(16)}\r\n`), piece, bytesOf('\r\n'));
  }
  return Buffer.concat([...pieces, bytesOf('0\r\n\r\n')]);
}

/** One request in correct HTTP: whatever its body is, it gets an answer. */
export function exchange(setting: Setting, head: Omit<Head, 'id'>, body: Buffer): HostileCase {
  const id = idOf(setting);
  const { method, target } = head;
  return {
    steps: [framed(setting, { ...head, id }, body)],
    requests: [{ id, method, target, fate: 'answered' }],
    ending: 'stay',
  };
}

/** A request that nothing is wrong with. */
export interface Good {
  readonly bytes: string;
  readonly sent: Sent;
}

const BOUNDARY = 'g00d';

export function goodQuery(setting: Setting, k: number, fate: Fate = 'answered'): Good {
  const head = {
    method: 'GET',
    target: `/media/chunks?fileId=${fileIdOf(setting.n)}-${k}`,
    id: idOf(setting, k),
  };
  return { bytes: headOf(head), sent: { ...head, fate } };
}

export function goodForm(fileId: string, value = 'bytes'): string {
  const fields = { fileId, chunkIndex: '0', totalChunks: '1', file: value };
  const parts = Object.entries(fields).map(
    ([name, text]) => `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`,
  );
  return `${parts.join('')}--${BOUNDARY}--\r\n`;
}

export const FORM_TYPE = `Content-Type: multipart/form-data; boundary=${BOUNDARY}`;

export function goodChunk(setting: Setting, k: number, fate: Fate = 'answered'): Good {
  const body = goodForm(`${fileIdOf(setting.n)}-${k}`);
  const head = { method: 'POST', target: '/media/chunks', id: idOf(setting, k) };
  const lines = [FORM_TYPE, `Content-Length: ${body.length}`];
  return { bytes: headOf({ ...head, lines }) + body, sent: { ...head, fate } };
}

export function anyGood(setting: Setting, k: number, fate: Fate = 'answered'): Good {
  return setting.dice.chance(0.5) ? goodQuery(setting, k, fate) : goodChunk(setting, k, fate);
}

/** In one packet or in several. */
export function cutUp({ dice }: Setting, text: string): Step[] {
  if (dice.chance(0.6)) return [bytesOf(text)];
  const at = dice.between(0, text.length);
  return [bytesOf(text.slice(0, at)), { pauseMs: 0 }, bytesOf(text.slice(at))].filter(
    (step) => !Buffer.isBuffer(step) || step.length > 0,
  );
}
