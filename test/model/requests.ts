// model/requests.ts: turns the oracle's requests and answers into HTTP and back.
//
// Must not know: which requests are sent when, what the answers are used for.
import { BOUNDARY, chunkParts, fieldParts, fieldsFirst, formOf, type Form } from '../helpers/multipart.ts';
import { requestBytes } from '../helpers/raw.ts';
import type { Heard } from '../helpers/wire.ts';
import type { Seen } from './explanations.ts';
import type { Op } from './oracle.ts';

export interface Sent {
  readonly key: string;
  readonly fileId: string;
  readonly op: Op;
  readonly requestId: string;
  readonly isFileFirst: boolean;
}

/** A request as it is sent. If it is not a chunk, `headEnd` and `fileEnd` are 0. */
export interface Bytes {
  readonly bytes: Buffer;
  readonly headEnd: number;
  /** Where the file ends when it comes last. */
  readonly fileEnd: number;
}

/** As the journal calls it. */
export function operationOf(op: Op): string {
  if (op.kind === 'chunk') return 'uploadChunk';
  if (op.kind === 'status') return 'getUploadStatus';
  return op.kind === 'finalise' && op.type === 'images' ? 'createImage' : 'createVideo';
}

export function bytesOf({ key, fileId, op, requestId, isFileFirst }: Sent): Bytes {
  const headers = { 'x-api-key': key, 'x-request-id': requestId };
  const path = encodeURIComponent(fileId);
  const form = (line: string, { contentType, body }: Form): Buffer =>
    requestBytes(line, { ...headers, 'content-type': contentType }, body);
  const whole = (bytes: Buffer): Bytes => ({ bytes, headEnd: 0, fileEnd: 0 });
  switch (op.kind) {
    case 'chunk': {
      const { index: chunkIndex, total: totalChunks, content } = op;
      const chunk = { fileId, chunkIndex, totalChunks, bytes: Buffer.from(content) };
      const parts = isFileFirst ? chunkParts(chunk) : fieldsFirst(chunk);
      const bytes = form('POST /media/chunks', formOf(parts));
      const headEnd = bytes.indexOf('\r\n\r\n') + 4;
      return { bytes, headEnd, fileEnd: bytes.length - `\r\n--${BOUNDARY}--\r\n`.length };
    }
    case 'status':
      return whole(requestBytes(`GET /media/chunks?fileId=${path}`, headers));
    case 'finalise': {
      const fields = { fileId, platforms: '["instagram"]', title: op.title };
      return whole(form(`POST /media/${op.type}`, formOf(fieldParts(fields))));
    }
    case 'remove':
      return whole(requestBytes(`DELETE /__admin/uploads/${path}`, headers));
    case 'advance': {
      const json = { ...headers, 'content-type': 'application/json' };
      return whole(requestBytes('PUT /__admin/clock', json, JSON.stringify({ advanceMs: op.ms })));
    }
  }
}

interface Body {
  readonly data: {
    readonly completed: boolean;
    readonly chunkIndex: number;
    readonly fileId: string;
    readonly exists: boolean;
    readonly currentSize: number;
    readonly id: string;
    readonly title: string;
  };
  readonly error: string;
  readonly details: { readonly mediaId?: string; readonly sentBytes?: number };
}

/** The answer in the words of the oracle, without what the client itself sent. */
export function seenIn(op: Op, fileId: string, { status, body }: Heard): Seen {
  const { data, error, details } = JSON.parse(body.toString()) as Body;
  if (Number(status) >= 300) {
    const { mediaId = null, sentBytes: _sentBytes, ...told } = details;
    return { status: Number(status), text: `${error} ${JSON.stringify(told)}`, entry: mediaId };
  }
  const entry = op.kind === 'finalise' ? data.id : null;
  return { status: Number(status), text: textOf(op, fileId, data), entry };
}

function textOf(op: Op, fileId: string, data: Body['data']): string {
  switch (op.kind) {
    case 'chunk':
      return data.completed && data.fileId === fileId ? 'completed' : `received ${data.chunkIndex}`;
    case 'status':
      return data.fileId === fileId ? JSON.stringify([data.exists, data.currentSize]) : data.fileId;
    case 'finalise':
      return `${op.type} ${data.title}`;
    case 'remove':
    case 'advance':
      return '';
  }
}
