// admin/content.ts: stored bytes on the wire: whole, as one range, or as a digest.
//
// Promises: a single byte range is answered as in RFC 9110 §14 (206 with Content-Range, 416 with the length), and only for the content that
// `If-Range` or `If-Match` names. Bytes are streamed. A damaged chunk is never completely sent (checked-first.ts).
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';
import { checkedFirst } from './checked-first.ts';
import { isRangeMeant, judgePreconditions } from './preconditions.ts';
import type { Content } from '../control/namespace-queries.ts';

/** @throws AppError `precondition_failed`, `range_not_satisfiable`; `upload_damaged`, before anything is sent of what is small, cut or not there (rule D5) */
export async function sendContent(
  request: FastifyRequest,
  reply: FastifyReply,
  content: Content,
): Promise<FastifyReply> {
  const tag = content.tag();
  const verdict = judgePreconditions(request.headers, tag);
  if (verdict === 'failed') throw new AppError('precondition_failed', otherContent(tag));
  if (verdict === 'not-modified')
    return reply.code(304).header('etag', tag).header('cache-control', 'no-store').send();
  // Only a GET has ranges (RFC 9110 §14.2).
  const isPart = request.method === 'GET' && isRangeMeant(request.headers, tag);
  const range = isPart ? parseRange(request.headers.range, content.bytes, reply) : null;
  const stream = await checkedFirst(content, range ?? undefined);
  // A client chose these bytes, so a browser must never show them as a page of this server.
  reply.type('application/octet-stream').header('x-content-type-options', 'nosniff');
  reply.header('accept-ranges', 'bytes').header('cache-control', 'no-store').header('etag', tag);
  if (range === null) return reply.header('content-length', content.bytes).send(stream);
  const { start, length } = range;
  return reply
    .code(206)
    .header('content-range', `bytes ${start}-${start + length - 1}/${content.bytes}`)
    .header('content-length', length)
    .send(stream);
}

function otherContent(tag: string): string {
  return `If-Match does not name the stored content, whose ETag is ${tag}: the upload grew, or was deleted and started again; read the content from its first byte`;
}

export async function sha256Of(content: Content): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of content.read()) hash.update(piece);
  return hash.digest('hex');
}

/** Null: the whole content. A header that is no single, valid byte range is ignored, as the RFC wants. */
function parseRange(
  header: string | undefined,
  bytes: number,
  reply: FastifyReply,
): { start: number; length: number } | null {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/i.exec(header ?? '') ?? [];
  const asked = first === undefined || last === undefined ? null : boundsOf(first, last, bytes);
  if (asked === null) return null;
  const end = Math.min(asked.end, bytes - 1);
  if (asked.start <= end) return { start: asked.start, length: end - asked.start + 1 };
  reply.header('content-range', `bytes */${bytes}`);
  throw new AppError(
    'range_not_satisfiable',
    `the range ${header} is outside the content, which has ${bytes} bytes`,
    { bytes },
  );
}

/** `1-3`, `5-`, `-4` (the last four). Null: no valid range. */
function boundsOf(first: string, last: string, bytes: number): { start: number; end: number } | null {
  if (first === '') return last === '' ? null : { start: Math.max(bytes - Number(last), 0), end: bytes - 1 };
  const [start, end] = [Number(first), last === '' ? bytes - 1 : Number(last)];
  return last !== '' && end < start ? null : { start, end };
}
