// flow.js: Flow.js 2.14. It descends from Resumable.js and has other names and other defaults.
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
      // The library has no time-out, so a stalled server would stall it for ever. This is called between open() and send().
      chunk.xhr.timeout = timeoutMs;
      chunk.xhr.ontimeout = chunk.doneHandler;
      distrust(chunk.xhr); // By default 200, 201 and 202 are successes, whatever their body is.
      return { 'X-API-Key': apiKey };
    },
    // The default is `<size>-<name>`. It is the same for two files with the same name and size.
    generateUniqueIdentifier: () => fileId,
    // The library also sends its own fields, such as flowChunkNumber, which starts at 1. The API ignores them.
    query: (flowFile, chunk) => ({
      fileId: flowFile.uniqueIdentifier,
      chunkIndex: chunk.offset,
      totalChunks: flowFile.chunks.length,
    }),

    chunkSize: chunkBytes,
    forceChunkSize: true, // Without it the last chunk has up to twice that size.
    // If it were true, the library would ask for each chunk with a GET and take any 200 for "the chunk is there". The API answers
    // 200 with `exists: false`, so nothing would be sent, and success would be reported.
    testChunks: false,
    // The default is 3. With more than one, chunks arrive out of order, so the server needs `--chunk-order any`.
    simultaneousUploads: parallel,

    maxChunkRetries: MOST_RETRIES, // The default is 0.
    // Without it a failed chunk is sent again at once. The library has no backoff and cannot read Retry-After.
    chunkRetryInterval: 1000,
    permanentErrors: PERMANENT_STATUSES, // The default list does not contain 400, 401, 403 and 409: the library would repeat them.
  });
  return new Promise((resolve, reject) => {
    flow.on('fileSuccess', () => resolve());
    // Do not use `complete`: it is also fired after a failure.
    flow.on('fileError', (_file, text) => reject(new Error(text || 'no answer')));
    flow.addFile(file);
    flow.upload();
  });
}
