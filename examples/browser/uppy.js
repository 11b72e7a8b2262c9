// uppy.js: Uppy's XHR upload. It does not cut files into chunks: each file is sent as chunk 0 of 1, so an attempt that fails begins
// again at byte 0. Use it for images and short videos; for large files use one of the others.
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
    allowedMetaFields: ['fileId', 'chunkIndex', 'totalChunks'], // The default is every meta field.
    limit: parallel, // It counts whole files, so the server may keep its chunks in sequence.

    shouldRetry: ({ status }) => canPass(status), // By default it retries every failure.
    // This option is not in Uppy's documentation, but Uppy passes it to its requests. The default is 3 retries, which are over in a
    // second; 8 retries take 38 seconds.
    retries: 8,
    onAfterResponse: (xhr) => {
      notBefore = Date.now() + millisecondsUntil(xhr.getResponseHeader('Retry-After'));
    },
    onBeforeRequest: async (xhr) => {
      // Uppy's own `timeout` only reports a stalled upload (the event upload-stalled); the request continues.
      xhr.timeout = timeoutMs;
      xhr.ontimeout = xhr.onerror;
      distrust(xhr); // By default a 2xx that is not JSON ends the upload at once, and any JSON is a success, whatever is in it.
      await new Promise((resolve) => setTimeout(resolve, notBefore - Date.now()));
    },
  });
  for (const { file, fileId } of files) {
    // Uppy treats two files with the same name, type, size and date as one and refuses the second, unless their paths differ.
    const meta = { fileId, chunkIndex: 0, totalChunks: 1, relativePath: `${fileId}/${file.name}` };
    uppy.addFile({ name: file.name, type: file.type, data: file, meta });
  }
  // For any answer that is not 2xx, Uppy's own error says "looks like a network error". The real answer is in the request.
  const messages = [];
  uppy.on('upload-error', (_file, error, xhr) => messages.push(xhr?.responseText || error.message));
  await uppy.upload(); // It resolves even after a failure.
  uppy.destroy();
  if (messages.length > 0) throw new Error(messages.join(', '));
}
