// fetch.js: a chunked upload with nothing but `fetch`. If it is called again with the same `fileId`, after a reload or on another
// day, it continues where the server is. The file and `chunkBytes` must then be the same.
import { canPass, MOST_RETRIES, waitBeforeRetry } from './retries.js';

/** Resolves when the server has every byte. Then finalise: send a POST with the `fileId` to /media/videos or /media/images. */
export async function upload(
  file,
  { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, parallel = 1, timeoutMs = 120_000 },
) {
  const totalChunks = Math.max(1, Math.ceil(file.size / chunkBytes)); // An empty file is one empty chunk.
  const send = (path, init) => withRetries(`${url}${path}`, { headers: { 'X-API-Key': apiKey }, ...init });
  const { data } = await send(`/media/chunks?fileId=${encodeURIComponent(fileId)}`, { timeoutMs });
  // The server counts whole chunks up to the first gap. The last chunk may be short; sending it again does no harm.
  let next = Math.min(Math.floor(data.currentSize / chunkBytes), totalChunks - 1);

  /** With more than one sender, chunks arrive in any order. The server must accept that (`--chunk-order any`). */
  const worker = async () => {
    while (next < totalChunks) {
      const chunkIndex = next++;
      const body = new FormData();
      // Fields first: then the server knows which upload the bytes belong to before they arrive, and can refuse them early.
      body.set('fileId', fileId);
      body.set('chunkIndex', chunkIndex);
      body.set('totalChunks', totalChunks);
      body.set('file', file.slice(chunkIndex * chunkBytes, (chunkIndex + 1) * chunkBytes), file.name);
      await send('/media/chunks', { method: 'POST', body, timeoutMs });
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

/** A chunk may be sent any number of times, so after a lost answer it is simply sent again. */
async function withRetries(url, { timeoutMs, ...init }) {
  for (let failures = 1; ; failures += 1) {
    const { status, retryAfter, answer } = await attempt(url, init, timeoutMs);
    if (answer?.success === true) return answer;
    if (!canPass(status) || failures > MOST_RETRIES) throw new Error(answer?.message ?? `${url}: ${status}`);
    await new Promise((resolve) => setTimeout(resolve, waitBeforeRetry(failures, retryAfter)));
  }
}

async function attempt(url, init, timeoutMs) {
  try {
    // Do not set Content-Type: the browser writes it, because only the browser knows the boundary.
    // fetch has no time-out of its own.
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    const text = await response.text();
    // The page of a proxy is not JSON. A 200 that cannot be read counts as a lost answer.
    const answer = isJson(response) ? JSON.parse(text) : null;
    const status = response.ok && answer === null ? 0 : response.status;
    return { status, retryAfter: response.headers.get('Retry-After'), answer };
  } catch {
    return { status: 0, retryAfter: null, answer: null }; // There was no answer. The browser does not tell the page why.
  }
}

function isJson({ headers }) {
  return headers.get('Content-Type')?.startsWith('application/json') === true;
}
