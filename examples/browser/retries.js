// retries.js: decides whether a failed request is worth another attempt, and when. The uploaders in this folder use it.
//
// Promises: a request that the server would refuse again is not sent again; `Retry-After` is respected; only an answer of the API
// counts as an answer.

/** After so many failures of one chunk its upload ends. With the waits below, that is about two minutes without the server. */
export const MOST_RETRIES = 16;

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** @param status of the answer; 0, as in XMLHttpRequest, when there was no answer or the page may not read it */
export function canPass(status) {
  return status === 0 || status >= 500 || status === 408 || status === 425 || status === 429;
}

/**
 * The status of an answer. A 2xx that cannot come from the API, such as the page of a proxy, gives 0: it counts as a lost answer.
 * @param xhr a request that has ended
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
 * For libraries that take any 200 for success. Without this a chunk could be missing while success is reported. After this call
 * they see the status that `statusOf` gives.
 * @param xhr a request that has not been sent yet
 */
export function distrust(xhr) {
  // This must happen before `load`, because the libraries read the status then.
  xhr.addEventListener('readystatechange', () => {
    if (xhr.readyState === XMLHttpRequest.DONE)
      Object.defineProperty(xhr, 'status', { value: statusOf(xhr) });
  });
}

/** For libraries whose option is a list. With their own lists most of them repeat a 401 or a 409 until their limit. */
export const PERMANENT_STATUSES = Array.from({ length: 100 }, (_, at) => 400 + at).filter(
  (status) => !canPass(status),
);

/**
 * @param failures how many there were so far: 1 after the first
 * @param retryAfter the Retry-After header of the answer, or null. A page of another origin can read it because the server exposes
 * it.
 */
export function waitBeforeRetry(failures, retryAfter) {
  // One half of the wait is random, so that a thousand pages do not come back at the same moment.
  const backoff = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) * (0.5 + Math.random() / 2);
  return Math.max(backoff, millisecondsUntil(retryAfter));
}

/** `Retry-After` is a number of seconds, or a date. */
export function millisecondsUntil(retryAfter) {
  if (retryAfter === null) return 0;
  const ms = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : Date.parse(retryAfter) - Date.now();
  return Math.max(ms, 0) || 0;
}
