// retries.js: whether a failed request is worth another try, and when. The uploaders beside it use it.
//
// Promises: what the server will refuse again is not sent again; `Retry-After` is kept to; an answer counts that the API gave.

/** Failures of one chunk that end its upload; with the waits below that is some two minutes without the server. */
export const MOST_RETRIES = 16;

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** @param status of the answer; 0, as XMLHttpRequest has it, when there was none or the page may not read it */
export function canPass(status) {
  return status === 0 || status >= 500 || status === 408 || status === 425 || status === 429;
}

/**
 * The status of an answer; 0 for a 2xx that the API cannot have given, such as a proxy's page: that is a lost answer.
 * @param xhr which has ended
 */
export function statusOf(xhr) {
  const isSuccess = xhr.status >= 200 && xhr.status < 300;
  return isSuccess && !saysSuccess(xhr.responseText) ? 0 : xhr.status;
}

function saysSuccess(text) {
  try {
    return JSON.parse(text).success === true;
  } catch {
    return false;
  }
}

/**
 * For libraries that take any 200 for success, so that a chunk would be missing, and success reported: they see `statusOf` it.
 * @param xhr which has not been sent
 */
export function distrust(xhr) {
  // Before `load`, at which they look.
  xhr.addEventListener('readystatechange', () => {
    if (xhr.readyState === XMLHttpRequest.DONE)
      Object.defineProperty(xhr, 'status', { value: statusOf(xhr) });
  });
}

/** For libraries whose option is a list. Left alone, most of them repeat a 401 or a 409 until their limit. */
export const PERMANENT_STATUSES = Array.from({ length: 100 }, (_, at) => 400 + at).filter(
  (status) => !canPass(status),
);

/**
 * @param failures so far: 1 after the first
 * @param retryAfter that header of the answer, or null. A page of another origin sees it because the server exposes it.
 */
export function waitBeforeRetry(failures, retryAfter) {
  // The random half keeps a thousand pages from coming back at the same instant.
  const backoff = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
  return Math.max(backoff, millisecondsUntil(retryAfter));
}

/** A number of seconds, or a date. */
export function millisecondsUntil(retryAfter) {
  if (retryAfter === null) return 0;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now();
  return Math.max(ms, 0) || 0;
}
