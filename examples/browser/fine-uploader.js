// fine-uploader.js: Fine Uploader 5.16 (core mode), chunked. Called again with the same `fileId` and file, it goes on where it was.
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
  // It has no time-out, so a server that stalls would stall it for ever. This makes the requests of all that are on the page.
  qq.createXhrInstance = () => Object.assign(new XMLHttpRequest(), { timeout: timeoutMs });

  return new Promise((resolve, reject) => {
    let failures = 0;
    const uploader = new qq.FineUploaderBasic({
      request: {
        endpoint,
        inputName: 'file',
        // It adds Cache-Control and X-Requested-With, which a server may not allow to other origins. This one does.
        customHeaders: { 'X-API-Key': apiKey },
        // A file that fits in one chunk is sent without chunkIndex and totalChunks: then these stand, else they are
        // overwritten. Not `uuidName` for the fileId: that is another one after a reload. Unknown fields do no harm.
        params: { fileId, chunkIndex: 0, totalChunks: 1 },
        // Left alone: `requireSuccessJson`. A 2xx without `"success": true`, a proxy's page, is a failure then.
      },
      chunking: {
        enabled: true, // It is not, unless told.
        // Left alone: `mandatory`. With it an empty file has no chunk: nothing is sent, and success reported.
        partSize: chunkBytes,
        paramNames: { partIndex: 'chunkIndex', totalParts: 'totalChunks' }, // It counts from 0.
        // More than one: out of order, so the server needs `--chunk-order any`. One that fails aborts the others.
        concurrent: { enabled: parallel > 1 },
        // Left alone: `success.endpoint`. It would finalise, but not a file that fits in one chunk, with a form that is not
        // multipart, and takes any 2xx for success. Finalise when this resolves.
      },
      maxConnections: parallel, // 3, unless told, and of all files together.
      validation: { allowEmpty: true }, // An empty file is a file.
      resume: {
        enabled: true,
        // Its notes, in localStorage, are under name, size, chunk size and URL: another file of the same name and size would
        // begin where the first one was left.
        customKeys: () => [fileId],
      },
      // Left alone: `retry`. It waits five seconds, whatever Retry-After says, and repeats everything, a 401, too, unless the
      // answer has `"preventRetry": true`. Hence onComplete.
      callbacks: {
        // False: from the first chunk. Its notes are kept for a week, uploads on the server for a day.
        onResume: (_id, _name, { start }) => start <= stored,
        onUploadChunkSuccess: () => {
          failures = 0;
        },
        onComplete: (id, ...[, answer, xhr]) => {
          if (answer.success) return resolve();
          failures += 1;
          // Without a request: the file cannot be read any more.
          if (xhr && canPass(statusOf(xhr)) && failures <= MOST_RETRIES) {
            const wait = waitBeforeRetry(failures, xhr.getResponseHeader('Retry-After'));
            return setTimeout(() => uploader.retry(id), wait); // It goes on with the chunk that failed.
          }
          // Its own interface shows `error`, which has to be a string; the API's is the code, and `message` the sentence.
          reject(new Error(answer.message ?? answer.error ?? 'no answer'));
        },
        // What fails later comes to onComplete, too.
        onError: (id, _name, reason) => {
          if (id === null) reject(new Error(reason)); // Refused by `validation`.
        },
      },
    });
    uploader.addFiles([file]);
  });
}
