// dropzone.js: Dropzone 6, chunked.
import { Dropzone } from 'dropzone';
import { canPass, distrust, MOST_RETRIES, waitBeforeRetry } from './retries.js';

/**
 * Dropzone sends a failed chunk again without a pause, so that every one of its retries is used up before a server has
 * restarted; and it retries everything, a 401, too. It has no option for either, hence this method, which is not documented.
 */
class PatientDropzone extends Dropzone {
  _handleUploadError(files, xhr, response) {
    const chunk = this._getChunk(files[0], xhr);
    const handle = () => super._handleUploadError(files, xhr, response);
    if (!canPass(xhr.status)) chunk.retries = MOST_RETRIES;
    if (chunk.retries === MOST_RETRIES) handle();
    else setTimeout(handle, waitBeforeRetry(chunk.retries + 1, xhr.getResponseHeader('Retry-After')));
  }
}

/** Resolves when the server has every byte. */
export function upload(
  file,
  { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, parallel = 1, timeoutMs = 120_000 },
) {
  const element = document.createElement('div'); // Yours is on the page.
  const dropzone = new PatientDropzone(element, {
    url: `${url}/media/chunks`,
    paramName: 'file',
    headers: { 'X-API-Key': apiKey },
    defaultHeaders: false, // Cache-Control and X-Requested-With, which a server may not allow to other origins.
    maxFilesize: null, // 256 MB, unless told.
    createImageThumbnails: false, // It would read large images into memory.

    chunking: true,
    forceChunking: true, // Or a file below chunkSize is sent without chunkIndex and totalChunks.
    chunkSize: chunkBytes,
    // The names that the API wants, in place of dzchunkindex and so on. Without a fileId of your own take
    // `chunk.file.upload.uuid`; it is another one after a reload, so that nothing can be resumed.
    params: (_files, _xhr, chunk) => ({
      fileId,
      chunkIndex: chunk.index,
      totalChunks: chunk.file.upload.totalChunkCount,
    }),

    // More than one: out of order, so the server needs `--chunk-order any`.
    parallelChunkUploads: parallel > 1 ? parallel : false,
    retryChunks: true, // It does not, unless told.
    retryChunksLimit: MOST_RETRIES,
    timeout: timeoutMs, // Of one chunk. None, unless told.
  });
  dropzone.on('sending', (_file, xhr) => distrust(xhr)); // Any 2xx is success, unless told.
  return new Promise((resolve, reject) => {
    dropzone.on('success', () => resolve());
    // The answer's JSON, or a text of Dropzone's own.
    dropzone.on('error', (_file, answer) => reject(new Error(answer.message ?? answer)));
    dropzone.addFile(file);
  });
}
