// resumable.js: Resumable.js 1.1.
import Resumable from 'resumablejs';
import { distrust, MOST_RETRIES, PERMANENT_STATUSES } from './retries.js';

/** Resolves when the server has every byte. */
export function upload(
  file,
  { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, parallel = 1, timeoutMs = 120_000 },
) {
  const resumable = new Resumable({
    // A function, because to a text it appends every field once more as a query.
    target: () => `${url}/media/chunks`,
    fileParameterName: 'file',
    headers: (_file, { xhr }) => {
      distrust(xhr); // 200 and 201 are success, whatever is in them. This is called between open() and send().
      return { 'X-API-Key': apiKey };
    },
    // The default, `<size>-<name>`, is the same for two files of one name and size.
    generateUniqueIdentifier: () => fileId,
    identifierParameterName: 'fileId',
    totalChunksParameterName: 'totalChunks',
    // From 0. `chunkNumberParameterName` cannot be used for it: that counts from 1.
    query: (_file, chunk) => ({ chunkIndex: chunk.offset }),
    minFileSize: 0, // An empty file is a file.

    chunkSize: chunkBytes,
    forceChunkSize: true, // Or the last chunk has up to twice that size.
    // It would ask with a GET for each chunk and take any 200 for "it is there". The API answers 200 `exists: false`, so
    // that nothing at all would be sent, and success reported.
    testChunks: false,
    // 3, unless told. More than one: out of order, so the server needs `--chunk-order any`.
    simultaneousUploads: parallel,

    maxChunkRetries: MOST_RETRIES,
    // Without it a chunk is sent again at once. There is no backoff, and no way to Retry-After.
    chunkRetryInterval: 1000,
    permanentErrors: PERMANENT_STATUSES, // 401, 403, 409 and 413 are not among its own: it would repeat them 100 times.
    xhrTimeout: timeoutMs, // Of one chunk. None, unless told.
  });
  return new Promise((resolve, reject) => {
    resumable.on('fileSuccess', () => resolve());
    resumable.on('fileError', (_file, text) => reject(new Error(text || 'no answer')));
    // Files are cut into chunks a moment after addFile(): upload() right behind it would find none.
    resumable.on('fileAdded', () => resumable.upload());
    resumable.addFile(file);
  });
}
