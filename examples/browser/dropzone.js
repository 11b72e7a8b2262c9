// dropzone.js: Dropzone 6, chunked.
import { Dropzone } from 'dropzone';
import { canPass, distrust, MOST_RETRIES, waitBeforeRetry } from './retries.js';

/**
 * By default Dropzone sends a failed chunk again without a pause, so it uses up all of its retries before a server has restarted.
 * It also retries every failure, even a 401. It has no option for either. Therefore this class overrides a method that is not
 * documented.
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
  const element = document.createElement('div'); // On your page, use your own element.
  const dropzone = new PatientDropzone(element, {
    url: `${url}/media/chunks`,
    paramName: 'file',
    headers: { 'X-API-Key': apiKey },
    // The default headers are Cache-Control and X-Requested-With. A server may forbid them for other origins.
    defaultHeaders: false,
    maxFilesize: null, // The default is 256 MB.
    createImageThumbnails: false, // Thumbnails would read large images into memory.

    chunking: true,
    forceChunking: true, // Without it a file that is smaller than chunkSize is sent without chunkIndex and totalChunks.
    chunkSize: chunkBytes,
    // The names that the API expects, instead of dzchunkindex and so on. If you have no fileId of your own, use
    // `chunk.file.upload.uuid`. It changes after a reload, so an upload cannot be resumed then.
    params: (_files, _xhr, chunk) => ({
      fileId,
      chunkIndex: chunk.index,
      totalChunks: chunk.file.upload.totalChunkCount,
    }),

    // With more than one, chunks arrive out of order, so the server needs `--chunk-order any`.
    parallelChunkUploads: parallel > 1 ? parallel : false,
    retryChunks: true, // The default is false.
    retryChunksLimit: MOST_RETRIES,
    timeout: timeoutMs, // For one chunk. The default is no time-out.
  });
  dropzone.on('sending', (_file, xhr) => distrust(xhr)); // By default any 2xx is a success.
  return new Promise((resolve, reject) => {
    dropzone.on('success', () => resolve());
    // `answer` is the JSON of the answer, or a text of Dropzone.
    dropzone.on('error', (_file, answer) => reject(new Error(answer.message ?? answer)));
    dropzone.addFile(file);
  });
}
