// admin/checked-first.ts: the bytes of a content for an answer, checked before the head of the answer is sent, if the content is small.
//
// Promises: a content of up to `CHECKED_FIRST_BYTES` is compared with its CRC-32s before this resolves, and damage is an error. For a larger
// content, only files that are too short or missing are an error; a damaged chunk ends the stream before its last byte, so that the
// connection is cut and no client takes the answer for complete. The whole process holds at most `HELD_BYTES`; beyond that limit a
// content is read twice.
import { Readable } from 'node:stream';
import type { ByteRange } from '../integrity/stored-content.ts';
import type { Content } from '../control/namespace-queries.ts';

const CHECKED_FIRST_BYTES = 8 * 1024 * 1024;
const HELD_BYTES = 32 * 1024 * 1024;

let freeBytes = HELD_BYTES;

/** @throws AppError `upload_damaged` */
export async function checkedFirst(content: Content, range?: ByteRange): Promise<Readable> {
  const length = range?.length ?? content.bytes;
  if (length > CHECKED_FIRST_BYTES) return Readable.from(await holding(content.read(range), 1));
  if (length > freeBytes) {
    await holding(content.read(range), 0);
    return Readable.from(await holding(content.read(range), 1));
  }
  return held(content, range, length);
}

async function held(content: Content, range: ByteRange | undefined, length: number): Promise<Readable> {
  freeBytes -= length;
  let isHeld = true;
  const release = (): void => {
    if (isHeld) freeBytes += length;
    isHeld = false;
  };
  try {
    // An end of the stream in any way is its close: also when the client leaves before it was read.
    return Readable.from(await holding(content.read(range), length)).once('close', release);
  } catch (error) {
    release();
    throw error;
  }
}

/** The same pieces, of which those with the first `bytes` were read already. 0: all were read, and none is kept. */
async function holding(pieces: AsyncIterable<Buffer>, bytes: number): Promise<AsyncIterable<Buffer>> {
  const rest = pieces[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  for (let ahead = 0; bytes === 0 || ahead < bytes;) {
    const next = await rest.next();
    if (next.done === true) break;
    ahead += next.value.length;
    if (bytes > 0) first.push(next.value);
  }
  return continued(first, rest);
}

async function* continued(first: Buffer[], rest: AsyncIterator<Buffer>): AsyncIterable<Buffer> {
  try {
    for (let piece = first.shift(); piece !== undefined; piece = first.shift()) yield piece;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.(); // Its file is closed, also when the client leaves.
  }
}
