// fine-uploader.js: Fine Uploader 5.16 (core mode), chunked. If it is called again with the same `fileId` and file, it continues
// where it stopped.
import qq from 'fine-uploader/lib/core';
import { canPass, MOST_RETRIES, statusOf, waitBeforeRetry } from './retries.js';
import { storedBytes } from './stored-bytes.js';

/** Resolves when the server has every byte. */
export async function upload(
  file,
  { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, parallel = 1, timeoutMs = 120_000 },
) {
  const endpoint = `${url}/media/chunks`;
  const stored = await storedBytes(`${endpoint}?fileId=${encodeURIComponent(fileId)}`, { apiKey, timeoutMs });
  // The library has no time-out, so a stalled server would stall it for ever. This function creates the requests of all uploaders
  // on the page.
  qq.createXhrInstance = () => Object.assign(new XMLHttpRequest(), { timeout: timeoutMs });

  return new Promise((resolve, reject) => {
    let failures = 0;
    const uploader = new qq.FineUploaderBasic({
      request: {
        endpoint,
        inputName: 'file',
        // The library adds Cache-Control and X-Requested-With. A server may forbid these headers for other origins; this server
        // allows them.
        customHeaders: { 'X-API-Key': apiKey },
        // A file that fits in one chunk is sent without chunkIndex and totalChunks: then these values are sent. In all other cases
        // the library overwrites them. Do not use `uuidName` for the fileId: the uuid changes after a reload. The API ignores
        // unknown fields.
        params: { fileId, chunkIndex: 0, totalChunks: 1 },
        // `requireSuccessJson` keeps its default. Then a 2xx without `"success": true`, such as the page of a proxy, is a failure.
      },
      chunking: {
        enabled: true, // The default is false.
        // `mandatory` is not set. If it were, an empty file would have no chunk: nothing would be sent, and success would be
        // reported.
        partSize: chunkBytes,
        paramNames: { partIndex: 'chunkIndex', totalParts: 'totalChunks' }, // Its index starts at 0.
        // With more than one, chunks arrive out of order, so the server needs `--chunk-order any`. One that fails aborts the
        // others.
        concurrent: { enabled: parallel > 1 },
        // `success.endpoint` is not set. It would finalise, but not for a file that fits in one chunk. Its form is not multipart,
        // and it takes any 2xx for success. Finalise when this function resolves.
      },
      maxConnections: parallel, // The default is 3. It counts for all files together.
      validation: { allowEmpty: true }, // The API accepts empty files.
      resume: {
        enabled: true,
        // The library stores its notes in localStorage under name, size, chunk size and URL. Another file with the same name and
        // size would begin where the first one stopped.
        customKeys: () => [fileId],
      },
      // `retry` is not set. It always waits five seconds, even if Retry-After says otherwise, and it repeats every failure, even a
      // 401, unless the answer has `"preventRetry": true`. Therefore onComplete retries.
      callbacks: {
        // False: then begin at the first chunk. The library keeps its notes for a week; the server keeps uploads for a day.
        onResume: (_id, _name, { start }) => start <= stored,
        onUploadChunkSuccess: () => {
          failures = 0;
        },
        onComplete: (id, ...[, answer, xhr]) => {
          if (answer.success) return resolve();
          failures += 1;
          // No request was sent: the file cannot be read any more.
          if (xhr && canPass(statusOf(xhr)) && failures <= MOST_RETRIES) {
            const wait = waitBeforeRetry(failures, xhr.getResponseHeader('Retry-After'));
            return setTimeout(() => uploader.retry(id), wait); // It continues with the chunk that failed.
          }
          // The library shows `error`, which must be a string. In an answer of the API `error` is the code, and `message` is the
          // sentence.
          reject(new Error(answer.message ?? answer.error ?? 'no answer'));
        },
        // Later failures are also reported to onComplete.
        onError: (id, _name, reason) => {
          if (id === null) reject(new Error(reason)); // Refused by `validation`.
        },
      },
    });
    uploader.addFiles([file]);
  });
}
