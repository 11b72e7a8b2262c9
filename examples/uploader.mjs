// uploader.mjs: a resumable uploader, small enough to read at a sitting. Node 20 or newer, no packages.
//
// Promises: one loop, whatever goes wrong: wait, ask the server how much it has, go on from there. Chunks and finalises
// can be sent again at any time, so no lost answer has to be guessed at. An upload survives a restart of the app as long
// as its `fileId` and `chunkBytes` are the same.
import { setTimeout as sleep } from 'node:timers/promises';

const DEFAULTS = {
  chunkBytes: 8 * 1024 * 1024,
  /** Attempts in a row that bring nothing new. */
  retries: 8,
  backoffMs: 500,
  maxBackoffMs: 30_000,
  /** For an answer; a chunk also has the time that it takes on the slowest uplink, or it would never get through there. */
  timeoutMs: 30_000,
  slowestBytesPerSecond: 32 * 1024,
};

/** Sends a Blob (of a file: `await fs.openAsBlob(path)`) and makes a video of it. Resolves to the video's entry. */
export async function upload(source, { onRetry, ...given }) {
  const options = { ...DEFAULTS, ...given };
  const progress = { furthest: 0, failures: 0 };
  for (;;) {
    try {
      return await attempt(source, options, progress);
    } catch (error) {
      progress.failures += 1;
      if (error.canRetry !== true || progress.failures > options.retries) throw error;
      const waitMs = Math.max(error.retryAfterMs, backoff(progress.failures, options));
      onRetry?.(error, waitMs);
      await sleep(waitMs);
    }
  }
}

async function attempt(source, options, progress) {
  const { fileId, fields, chunkBytes } = options;
  const totalChunks = Math.max(1, Math.ceil(source.size / chunkBytes)); // An empty file is one empty chunk.
  const status = await call(options, `/media/chunks?fileId=${encodeURIComponent(fileId)}`);
  for (let chunkIndex = nextChunk(status, source, options); chunkIndex < totalChunks; chunkIndex += 1) {
    const file = source.slice(chunkIndex * chunkBytes, (chunkIndex + 1) * chunkBytes);
    await call(options, '/media/chunks', { fileId, chunkIndex, totalChunks, file });
    // A chunk sent for the second time is no progress: a server that forgets every upload must not keep us for ever.
    if (chunkIndex >= progress.furthest) Object.assign(progress, { furthest: chunkIndex + 1, failures: 0 });
  }
  return call(options, '/media/videos', { fileId, platforms: '["youtube"]', ...fields });
}

/** `currentSize` counts whole chunks up to the first gap, and so names the next one. */
function nextChunk({ exists, currentSize }, { size }, { fileId, chunkBytes }) {
  if (!exists) return 0;
  if (currentSize === size) return Infinity;
  if (currentSize < size && currentSize % chunkBytes === 0) return currentSize / chunkBytes;
  throw new Error(`${fileId} was begun with another file or chunk size: the server has ${currentSize} bytes`);
}

async function call({ url, apiKey, timeoutMs, slowestBytesPerSecond }, path, values) {
  const request = { headers: { 'X-API-Key': apiKey } };
  if (values !== undefined) Object.assign(request, { method: 'POST', body: formOf(values) });
  const limitMs = timeoutMs + ((values?.file?.size ?? 0) / slowestBytesPerSecond) * 1000;
  const signal = AbortSignal.timeout(Math.ceil(limitMs));
  const response = await fetch(url + path, { ...request, signal }).catch(noAnswer);
  return dataOf(response, await response.text().catch(noAnswer));
}

function formOf(values) {
  const form = new FormData();
  for (const [name, value] of Object.entries(values)) form.set(name, value);
  return form;
}

function noAnswer(error) {
  throw retryable(`no answer (${error.cause?.code ?? error.name})`);
}

/** The server's idea of the upload is another than ours: asking it again puts that right. */
const OUT_OF_STEP = ['chunk_out_of_order', 'chunk_superseded', 'upload_incomplete', 'upload_not_found'];

function dataOf({ ok, status, headers }, text) {
  const answer = parsed(text);
  if (ok && answer?.success === true) return answer.data;
  const code = answer?.error ?? 'not an answer of the API';
  // A 2xx that cannot be read is a lost answer.
  if (!ok && !canPass(status, code)) throw new Error(`${status} ${code}`);
  throw retryable(`${status} ${code}`, millisecondsUntil(headers.get('retry-after')));
}

function canPass(status, code) {
  if (status >= 500) return code !== 'upload_damaged';
  return [408, 425, 429].includes(status) || OUT_OF_STEP.includes(code);
}

/** Null: no JSON, such as the HTML page of a proxy in between. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function retryable(message, retryAfterMs = 0) {
  return Object.assign(new Error(message), { canRetry: true, retryAfterMs });
}

/** `Retry-After` is a number of seconds, or a date. */
function millisecondsUntil(retryAfter) {
  if (retryAfter === null) return 0;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now();
  return Math.max(ms, 0) || 0;
}

/** The random half keeps a thousand clients from coming back at the same instant. */
function backoff(failures, { backoffMs, maxBackoffMs }) {
  return Math.min(backoffMs * 2 ** (failures - 1), maxBackoffMs) * (0.5 + Math.random() / 2);
}
