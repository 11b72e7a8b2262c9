// bench/status-upload.ts: stores the upload that status queries ask for.
import { BENCH_KEY, STATUS_UPLOAD } from './wires.ts';

/** @throws Error when a chunk is refused */
export async function storeForStatus(url: string): Promise<void> {
  const { fileId, chunks, chunkBytes } = STATUS_UPLOAD;
  for (let index = 0; index < chunks; index += 1) {
    const body = new FormData();
    body.set('fileId', fileId);
    body.set('chunkIndex', String(index));
    body.set('totalChunks', String(chunks * 2));
    body.set('file', new Blob([Buffer.alloc(chunkBytes, 'x')]));
    const init = { method: 'POST', body, headers: { 'X-API-Key': BENCH_KEY } };
    const { status } = await fetch(`${url}/media/chunks`, init);
    if (status !== 200) throw new Error(`a chunk to ask for was answered with ${status}`);
  }
}
