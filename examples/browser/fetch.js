// fetch.js: a chunked upload with nothing but `fetch`. Called again with the same `fileId`, after a reload or another day,
// it goes on where the server is: that needs the same file and the same `chunkBytes`.
import { canPass, MOST_RETRIES, waitBeforeRetry } from './retries.js';

/** Resolves when the server has every byte; then finalise with a POST of the `fileId` to /media/videos or /media/images. */
export async function upload(
  file,
  { url, apiKey, fileId, chunkBytes = 8 * 2 ** 20, parallel = 1, timeoutMs = 120_000 },
) {
  const totalChunks = Math.max(1, Math.ceil(file.size / chunkBytes)); // An empty file is one empty chunk.
  const send = (path, init) => withRetries(`${url}${path}`, { headers: { 'X-API-Key': apiKey }, ...init });
  const { data } = await send(`/media/chunks?fileId=${encodeURIComponent(fileId)}`, { timeoutMs });
  // It counts whole chunks up to the first gap. The last one may be short: sent again it does no harm.
  let next = Math.min(Math.floor(data.currentSize / chunkBytes), totalChunks - 1);

  /** With more than one of them, chunks arrive in any order: the server has to take that (`--chunk-order any`). */
  const worker = async () => {
    while (next < totalChunks) {
      const chunkIndex = next++;
      const body = new FormData();
      // Fields first: the server knows whose the bytes are when they come, and can refuse them early.
      body.set('fileId', fileId);
      body.set('chunkIndex', chunkIndex);
      body.set('totalChunks', totalChunks);
      body.set('file', file.slice(chunkIndex * chunkBytes, (chunkIndex + 1) * chunkBytes), file.name);
      await send('/media/chunks', { method: 'POST', body, timeoutMs });
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
}

/** A chunk may be sent any number of times: a lost answer needs no guessing. */
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
    // No Content-Type among the headers: the browser writes it, with the boundary that only it knows.
    // fetch itself never times out.
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(timeoutMs) });
    const text = await response.text();
    // A proxy's page is no JSON, and a 200 that cannot be read is a lost answer.
    const answer = isJson(response) ? JSON.parse(text) : null;
    const status = response.ok && answer === null ? 0 : response.status;
    return { status, retryAfter: response.headers.get('Retry-After'), answer };
  } catch {
    return { status: 0, retryAfter: null, answer: null }; // No answer: the page is not told why.
  }
}

function isJson({ headers }) {
  return headers.get('Content-Type')?.startsWith('application/json') === true;
}
