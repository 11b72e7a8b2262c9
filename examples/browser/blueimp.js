// blueimp.js: jQuery File Upload 10 (blueimp), chunked. If it is called again with the same `fileId` and file, it continues where
// the server is.
//
// It needs jQuery 3. It uses `$.type` and `$.isArray`, which jQuery 4 does not have, although its package accepts any jQuery from
// 1.7. The package contains the widget factory of jQuery UI.
import $ from 'jquery';
import 'blueimp-file-upload';
import { canPass, MOST_RETRIES, statusOf, waitBeforeRetry } from './retries.js';
import { storedBytes } from './stored-bytes.js';

/** Resolves when the server has every byte. Chunks go one at a time: the library cannot send them in parallel. */
export async function upload(file, { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, timeoutMs = 120_000 }) {
  const endpoint = `${url}/media/chunks`;
  const totalChunks = Math.max(1, Math.ceil(file.size / chunkBytes));
  const stored = await storedBytes(`${endpoint}?fileId=${encodeURIComponent(fileId)}`, { apiKey, timeoutMs });
  // Count whole chunks, but never all of them: the library refuses to begin at the end. Sending the last chunk again does no harm.
  let uploadedBytes = Math.min(Math.floor(stored / chunkBytes), totalChunks - 1) * chunkBytes;
  let failures = 0;

  const element = $('<div>').fileupload({
    url: endpoint,
    type: 'POST',
    paramName: 'file', // The default is `files[]`.
    // The library adds Content-Range and Content-Disposition. A server may forbid these headers for other origins; this server
    // allows them.
    headers: { 'X-API-Key': apiKey },
    // The default is the document: then any file that is dropped on the page is sent at once.
    dropZone: null,
    maxChunkSize: chunkBytes, // By default it sends whole files.
    // The library says only in Content-Range where a chunk belongs, and the API does not read that header. `chunkbeforesend` is not
    // called for a file that fits in one chunk: then these values are sent.
    formData: { fileId, chunkIndex: 0, totalChunks: 1 },
    chunkbeforesend: (_event, chunk) => {
      chunk.formData = { fileId, chunkIndex: chunk.uploadedBytes / chunkBytes, totalChunks };
    },
    chunkdone: (_event, chunk) => {
      uploadedBytes = chunk.uploadedBytes;
      failures = 0;
    },
    timeout: timeoutMs, // For one chunk. The default is no time-out.
    dataType: 'json', // Without it any 2xx is a success, even the page of a proxy.
  });
  for (;;) {
    try {
      await element.fileupload('send', { files: [file], uploadedBytes });
      return;
    } catch (xhr) {
      failures += 1;
      // The library retries nothing by itself.
      if (!canPass(statusOf(xhr)) || failures > MOST_RETRIES)
        throw new Error(xhr.responseJSON?.message ?? 'no answer');
      const wait = waitBeforeRetry(failures, xhr.getResponseHeader('Retry-After'));
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
