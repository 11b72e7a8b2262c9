// flow.js: Flow.js 2.14, a descendant of Resumable.js with other names and other defaults.
import Flow from '@flowjs/flow.js';
import { distrust, MOST_RETRIES, PERMANENT_STATUSES } from './retries.js';

/** Resolves when the server has every byte. */
export function upload(
  file,
  { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, parallel = 1, timeoutMs = 120_000 },
) {
  const flow = new Flow({
    target: `${url}/media/chunks`,
    fileParameterName: 'file',
    headers: (_file, chunk) => {
      // It has no time-out, so a server that stalls would stall it for ever. This is called between open() and send().
      chunk.xhr.timeout = timeoutMs;
      chunk.xhr.ontimeout = chunk.doneHandler;
      distrust(chunk.xhr); // 200, 201 and 202 are success, whatever is in them.
      return { 'X-API-Key': apiKey };
    },
    // The default, `<size>-<name>`, is the same for two files of one name and size.
    generateUniqueIdentifier: () => fileId,
    // Beside its own flowChunkNumber (which counts from 1) and so on: unknown fields do no harm.
    query: (flowFile, chunk) => ({
      fileId: flowFile.uniqueIdentifier,
      chunkIndex: chunk.offset,
      totalChunks: flowFile.chunks.length,
    }),

    chunkSize: chunkBytes,
    forceChunkSize: true, // Or the last chunk has up to twice that size.
    // It would ask with a GET for each chunk and take any 200 for "it is there". The API answers 200 `exists: false`, so
    // that nothing at all would be sent, and success reported.
    testChunks: false,
    // 3, unless told. More than one: out of order, so the server needs `--chunk-order any`.
    simultaneousUploads: parallel,

    maxChunkRetries: MOST_RETRIES, // 0, unless told.
    // Without it a chunk is sent again at once. There is no backoff, and no way to Retry-After.
    chunkRetryInterval: 1000,
    permanentErrors: PERMANENT_STATUSES, // 400, 401, 403 and 409 are not among its own: it would repeat them.
  });
  return new Promise((resolve, reject) => {
    flow.on('fileSuccess', () => resolve());
    // Not `complete`: it comes after a failure, too.
    flow.on('fileError', (_file, text) => reject(new Error(text || 'no answer')));
    flow.addFile(file);
    flow.upload();
  });
}
