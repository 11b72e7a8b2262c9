// requests.ts: the requests of an upload, as clients.ts sends them.
import { chunkParts, formOf, type Part } from '../helpers/multipart.ts';
import type { Sending } from './clients.ts';

export type Step = 'uploadChunk' | 'getUploadStatus' | 'createVideo';

const FILE_ID = 'f';

/** Chunk 0 of 1, the status, or the finalise, of the one upload of this key. */
export function sendingOf(step: Step, key: string, bytes = 1000): Sending {
  if (step === 'getUploadStatus') {
    const path = `/media/chunks?fileId=${FILE_ID}`;
    return { method: 'GET', path, headers: { 'x-api-key': key }, body: Buffer.alloc(0) };
  }
  if (step === 'uploadChunk') {
    const chunk = { fileId: FILE_ID, chunkIndex: 0, totalChunks: 1, bytes: Buffer.alloc(bytes, 'content ') };
    return formSending('/media/chunks', key, chunkParts(chunk));
  }
  return formSending('/media/videos', key, [
    { name: 'fileId', value: FILE_ID },
    { name: 'platforms', value: '["instagram"]' },
  ]);
}

function formSending(path: string, key: string, parts: readonly Part[]): Sending {
  const { contentType, body } = formOf(parts);
  return { method: 'POST', path, headers: { 'x-api-key': key, 'content-type': contentType }, body };
}
