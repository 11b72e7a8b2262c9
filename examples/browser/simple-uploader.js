// simple-uploader.js: simple-uploader.js 0.6, a descendant of Flow.js with other events and more hooks. Called again with the same
// `fileId` and file, it goes on where the server is.
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
      // It has no time-out, so a server that stalls would stall it for ever. This is called between open() and send().
      xhr.timeout = timeoutMs;
      xhr.ontimeout = () => xhr.dispatchEvent(new Event('error')); // The one of the two that it listens to.
      distrust(xhr); // 200, 201 and 202 are success, whatever is in them.
      return { 'X-API-Key': apiKey };
    },
    // The default, `<size>-<name>`, is the same for two files of one name and size: the second is not sent, without a word.
    generateUniqueIdentifier: () => fileId,
    // In place of its own names, which no option changes. Its chunkNumber counts from 1.
    processParams: ({ totalChunks }, _file, { offset }) => ({ fileId, chunkIndex: offset, totalChunks }),

    chunkSize: chunkBytes,
    forceChunkSize: true, // Or the last chunk has up to twice that size.
    // True, unless told: before the first chunk it asks with a GET, and takes any 200 for "it is there". The API answers 200
    // `exists: false`, so that without the next option nothing at all would be sent, and success reported.
    testChunks: true,
    // The last chunk is sent again in any case, so that another file of the same fileId is refused.
    checkChunkUploadedByResponse: ({ offset, endByte, file: { chunks } }, text) =>
      offset < chunks.length - 1 && endByte <= JSON.parse(text).data?.currentSize,
    // 3, unless told. More than one: out of order, so the server needs `--chunk-order any`.
    simultaneousUploads: parallel,

    maxChunkRetries: MOST_RETRIES, // 0, unless told.
    // 400, 401, 403 and 409 are not among its own: it would repeat them. 500 is: it would give up.
    permanentErrors: PERMANENT_STATUSES,
    // Called with each answer, before chunkRetryInterval is read, which is one for all.
    processResponse: (text, done, ...[, { xhr, retries }]) => {
      uploader.opts.chunkRetryInterval = waitBeforeRetry(retries + 1, xhr.getResponseHeader('Retry-After'));
      done(null, text);
    },
  });
  return new Promise((resolve, reject) => {
    uploader.on('fileSuccess', () => resolve());
    // Not `complete`: it comes after a failure, too.
    uploader.on('fileError', (_root, _file, text) => reject(new Error(text || 'no answer')));
    uploader.addFile(file);
    uploader.upload();
  });
}
