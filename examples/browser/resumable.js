// resumable.js: Resumable.js 1.1.
import Resumable from 'resumablejs';
import { distrust, MOST_RETRIES, PERMANENT_STATUSES } from './retries.js';

/** Resolves when the server has every byte. */
export function upload(
  file,
  { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, parallel = 1, timeoutMs = 120_000 },
) {
  const resumable = new Resumable({
    // `target` is a function because the library would append every field to a string once more, as a query.
    target: () => `${url}/media/chunks`,
    fileParameterName: 'file',
    headers: (_file, { xhr }) => {
      distrust(xhr); // By default 200 and 201 are successes, whatever their body is. This is called between open() and send().
      return { 'X-API-Key': apiKey };
    },
    // The default is `<size>-<name>`. It is the same for two files with the same name and size.
    generateUniqueIdentifier: () => fileId,
    identifierParameterName: 'fileId',
    totalChunksParameterName: 'totalChunks',
    // It starts at 0. `chunkNumberParameterName` cannot be used for it, because that number starts at 1.
    query: (_file, chunk) => ({ chunkIndex: chunk.offset }),
    minFileSize: 0, // The API accepts empty files.

    chunkSize: chunkBytes,
    forceChunkSize: true, // Without it the last chunk has up to twice that size.
    // If it were true, the library would ask for each chunk with a GET and take any 200 for "the chunk is there". The API answers
    // 200 with `exists: false`, so nothing would be sent, and success would be reported.
    testChunks: false,
    // The default is 3. With more than one, chunks arrive out of order, so the server needs `--chunk-order any`.
    simultaneousUploads: parallel,

    maxChunkRetries: MOST_RETRIES,
    // Without it a failed chunk is sent again at once. The library has no backoff and cannot read Retry-After.
    chunkRetryInterval: 1000,
    // The default list does not contain 401, 403, 409 and 413: the library would repeat them 100 times.
    permanentErrors: PERMANENT_STATUSES,
    xhrTimeout: timeoutMs, // For one chunk. The default is no time-out.
  });
  return new Promise((resolve, reject) => {
    resumable.on('fileSuccess', () => resolve());
    resumable.on('fileError', (_file, text) => reject(new Error(text || 'no answer')));
    // addFile() cuts the file into chunks a moment later. If upload() were called at once, it would find none.
    resumable.on('fileAdded', () => resumable.upload());
    resumable.addFile(file);
  });
}
