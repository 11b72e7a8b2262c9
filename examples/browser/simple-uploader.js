// simple-uploader.js: simple-uploader.js 0.6. It descends from Flow.js and has other events and more hooks. If it is called again
// with the same `fileId` and file, it continues where the server is.
import Uploader from 'simple-uploader.js';
import { distrust, MOST_RETRIES, PERMANENT_STATUSES, waitBeforeRetry } from './retries.js';

/** Resolves when the server has every byte. */
export function upload(
  file,
  { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, parallel = 1, timeoutMs = 120_000 },
) {
  const uploader = new Uploader({
    target: `${url}/media/chunks`,
    fileParameterName: 'file',
    headers: (_file, { xhr }) => {
      // The library has no time-out, so a stalled server would stall it for ever. This is called between open() and send().
      xhr.timeout = timeoutMs;
      xhr.ontimeout = () => xhr.dispatchEvent(new Event('error')); // The library listens to `error` and not to `timeout`.
      distrust(xhr); // By default 200, 201 and 202 are successes, whatever their body is.
      return { 'X-API-Key': apiKey };
    },
    // The default is `<size>-<name>`. It is the same for two files with the same name and size: then the second one is silently not
    // sent.
    generateUniqueIdentifier: () => fileId,
    // The library's own field names cannot be changed by an option, so this replaces the fields. Its chunkNumber starts at 1.
    processParams: ({ totalChunks }, _file, { offset }) => ({ fileId, chunkIndex: offset, totalChunks }),

    chunkSize: chunkBytes,
    forceChunkSize: true, // Without it the last chunk has up to twice that size.
    // True is the default. Before the first chunk the library asks with a GET, and takes any 200 for "the chunk is there". The API
    // answers 200 with `exists: false`, so without the next option nothing would be sent, and success would be reported.
    testChunks: true,
    // The last chunk is always sent again, so that the server refuses another file with the same fileId.
    checkChunkUploadedByResponse: ({ offset, endByte, file: { chunks } }, text) =>
      offset < chunks.length - 1 && endByte <= JSON.parse(text).data?.currentSize,
    // The default is 3. With more than one, chunks arrive out of order, so the server needs `--chunk-order any`.
    simultaneousUploads: parallel,

    maxChunkRetries: MOST_RETRIES, // The default is 0.
    // The default list does not contain 400, 401, 403 and 409: the library would repeat them. It contains 500: the library would
    // give up.
    permanentErrors: PERMANENT_STATUSES,
    // This is called with each answer, before the library reads chunkRetryInterval, which is one option for all chunks.
    processResponse: (text, done, ...[, { xhr, retries }]) => {
      uploader.opts.chunkRetryInterval = waitBeforeRetry(retries + 1, xhr.getResponseHeader('Retry-After'));
      done(null, text);
    },
  });
  return new Promise((resolve, reject) => {
    uploader.on('fileSuccess', () => resolve());
    // Do not use `complete`: it is also fired after a failure.
    uploader.on('fileError', (_root, _file, text) => reject(new Error(text || 'no answer')));
    uploader.addFile(file);
    uploader.upload();
  });
}
