// uploader.mjs: a small resumable uploader. Node 20 or newer, no packages.
//
// Promises: one loop handles every failure: wait, ask the server how much it has, continue from there. Chunks and finalise requests
// can be sent again at any time, so the client never has to guess what happened when an answer is lost. An upload survives a
// restart of the app if its `fileId` and `chunkBytes` stay the same.
import { setTimeout as sleep } from 'node:timers/promises';

const DEFAULTS = {
  chunkBytes: 8 * 1024 * 1024,
  /** The upload ends after so many attempts in a row that store nothing new. */
  retries: 8,
  backoffMs: 500,
  maxBackoffMs: 30_000,
  /**
   * How long to wait for an answer. A chunk gets, in addition, the time that it takes on the slowest uplink; otherwise a slow
   * uplink would always time out.
   */
  timeoutMs: 30_000,
  slowestBytesPerSecond: 32 * 1024,
};

/** Sends a Blob (for a file: `await fs.openAsBlob(path)`) and makes a video of it. Resolves to the entry of the video. */
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
    // A chunk that is sent for the second time is no progress. Otherwise a server that forgets every upload would keep this loop
    // running for ever.
    if (chunkIndex >= progress.furthest) Object.assign(progress, { furthest: chunkIndex + 1, failures: 0 });
  }
  return call(options, '/media/videos', { fileId, platforms: '["youtube"]', ...fields });
}

/** `currentSize` counts whole chunks up to the first gap, so it tells which chunk comes next. */
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

/** The server knows something else about the upload than this client does. Asking the server again corrects that. */
const OUT_OF_STEP = ['chunk_out_of_order', 'chunk_superseded', 'upload_incomplete', 'upload_not_found'];

function dataOf({ ok, status, headers }, text) {
  const answer = parsed(text);
  if (ok && answer?.success === true) return answer.data;
  const code = answer?.error ?? 'not an answer of the API';
  // A 2xx that cannot be read counts as a lost answer.
  if (!ok && !canPass(status, code)) throw new Error(`${status} ${code}`);
  throw retryable(`${status} ${code}`, millisecondsUntil(headers.get('retry-after')));
}

function canPass(status, code) {
  if (status >= 500) return code !== 'upload_damaged';
  return [408, 425, 429].includes(status) || OUT_OF_STEP.includes(code);
}

/** Null: the body is not JSON, for example the HTML page of a proxy. */
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

/** One half of the wait is random, so that a thousand clients do not come back at the same moment. */
function backoff(failures, { backoffMs, maxBackoffMs }) {
  return Math.min(backoffMs * 2 ** (failures - 1), maxBackoffMs) * (0.5 + Math.random() / 2);
}
