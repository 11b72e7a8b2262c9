// blueimp.js: jQuery File Upload 10 (blueimp), chunked. Called again with the same `fileId` and file, it goes on where the server is.
//
// It needs jQuery 3: of jQuery 4 it misses `$.type` and `$.isArray`, though its package says that any from 1.7 will do. The widget
// factory of jQuery UI is in the package.
import $ from 'jquery';
import 'blueimp-file-upload';
import { canPass, MOST_RETRIES, statusOf, waitBeforeRetry } from './retries.js';
import { storedBytes } from './stored-bytes.js';

/** Resolves when the server has every byte. Chunks go one at a time: it has no parallel ones. */
export async function upload(file, { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, timeoutMs = 120_000 }) {
  const endpoint = `${url}/media/chunks`;
  const totalChunks = Math.max(1, Math.ceil(file.size / chunkBytes));
  const stored = await storedBytes(`${endpoint}?fileId=${encodeURIComponent(fileId)}`, { apiKey, timeoutMs });
  // Whole chunks, and never all of them: it refuses to begin at the end. The last one, sent again, does no harm.
  let uploadedBytes = Math.min(Math.floor(stored / chunkBytes), totalChunks - 1) * chunkBytes;
  let failures = 0;

  const element = $('<div>').fileupload({
    url: endpoint,
    type: 'POST',
    paramName: 'file', // `files[]`, unless told.
    // It adds Content-Range and Content-Disposition, which a server may not allow to other origins. This one does.
    headers: { 'X-API-Key': apiKey },
    // The document, unless told: whatever is dropped anywhere on the page is sent at once.
    dropZone: null,
    maxChunkSize: chunkBytes, // Whole files, unless told.
    // It says in Content-Range only where a chunk belongs, and the API does not look there. For a file that fits in one chunk
    // there is no chunkbeforesend: then these stand.
    formData: { fileId, chunkIndex: 0, totalChunks: 1 },
    chunkbeforesend: (_event, chunk) => {
      chunk.formData = { fileId, chunkIndex: chunk.uploadedBytes / chunkBytes, totalChunks };
    },
    chunkdone: (_event, chunk) => {
      uploadedBytes = chunk.uploadedBytes;
      failures = 0;
    },
    timeout: timeoutMs, // Of one chunk. None, unless told.
    dataType: 'json', // Or any 2xx is success, a proxy's page, too.
  });
  for (;;) {
    try {
      await element.fileupload('send', { files: [file], uploadedBytes });
      return;
    } catch (xhr) {
      failures += 1;
      // It retries nothing.
      if (!canPass(statusOf(xhr)) || failures > MOST_RETRIES)
        throw new Error(xhr.responseJSON?.message ?? 'no answer');
      const wait = waitBeforeRetry(failures, xhr.getResponseHeader('Retry-After'));
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
