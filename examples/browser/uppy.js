// uppy.js: Uppy's XHR upload. It cuts nothing into chunks: each file goes as chunk 0 of 1, so an attempt that fails begins
// again at byte 0. Good for images and short videos; for large files take one of the others.
import Uppy from '@uppy/core';
import XHRUpload from '@uppy/xhr-upload';
import { canPass, distrust, millisecondsUntil } from './retries.js';

/**
 * Resolves when the server has every byte of every file.
 * @param files of `{ file, fileId }`
 */
export async function uploadAll(files, { url, apiKey, parallel = 1, timeoutMs = 600_000 }) {
  let notBefore = 0;
  const uppy = new Uppy().use(XHRUpload, {
    endpoint: `${url}/media/chunks`,
    fieldName: 'file',
    formData: true,
    headers: { 'X-API-Key': apiKey },
    allowedMetaFields: ['fileId', 'chunkIndex', 'totalChunks'], // Every meta field, unless told.
    limit: parallel, // Whole files at a time: the server may keep its chunks in sequence.

    shouldRetry: ({ status }) => canPass(status), // It retries everything, unless told.
    // Not in its documentation, but handed on to its requests. 3, unless told, and over in a second; 8 last for 38.
    retries: 8,
    onAfterResponse: (xhr) => {
      notBefore = Date.now() + millisecondsUntil(xhr.getResponseHeader('Retry-After'));
    },
    onBeforeRequest: async (xhr) => {
      // Its own `timeout` only reports a stalled upload (the event upload-stalled), and the request goes on.
      xhr.timeout = timeoutMs;
      xhr.ontimeout = xhr.onerror;
      distrust(xhr); // A 2xx that is no JSON ends its upload at once; JSON is success, whatever is in it.
      await new Promise((resolve) => setTimeout(resolve, notBefore - Date.now()));
    },
  });
  for (const { file, fileId } of files) {
    // Uppy takes two files of one name, type, size and date for one and refuses the second, unless their paths differ.
    const meta = { fileId, chunkIndex: 0, totalChunks: 1, relativePath: `${fileId}/${file.name}` };
    uppy.addFile({ name: file.name, type: file.type, data: file, meta });
  }
  // Of an answer that is no 2xx its own error says "looks like a network error"; the answer is in the request.
  const messages = [];
  uppy.on('upload-error', (_file, error, xhr) => messages.push(xhr?.responseText || error.message));
  await uppy.upload(); // It resolves in any case.
  uppy.destroy();
  if (messages.length > 0) throw new Error(messages.join(', '));
}
