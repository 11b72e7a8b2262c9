// http/rate-limit.ts: how many requests one key may make in a second (`--max-requests-per-second`).
//
// Promises: a request over the limit is refused before anything of its body is read, and does nothing; each key is counted
// by itself, in seconds of the monotonic clock: the date may jump; no more than MAX_KEYS of them are remembered.
// Must not know: what the routes do.
import type { FastifyInstance } from 'fastify';
import { LruMap } from 'toad-cache';
import { AppError } from '../errors.ts';
import { monotonicMs } from '../machine-time.ts';
import { callerOf } from './exchange.ts';

const SECOND_MS = 1000;
/** The one that asked longest ago is forgotten first. */
const MAX_KEYS = 10_000;

interface Second {
  readonly beganMs: number;
  requests: number;
}

export class RequestRate {
  readonly maxPerSecond: number;
  readonly #now: () => number;
  /** By key. */
  readonly #seconds = new LruMap<Second>(MAX_KEYS);

  constructor(maxPerSecond: number, now: () => number = monotonicMs) {
    this.maxPerSecond = maxPerSecond;
    this.#now = now;
  }

  /** One more request of this key. False: it made as many in this second as it may. */
  take(key: string): boolean {
    const now = this.#now();
    const known = this.#seconds.get(key);
    const isRunning = known !== undefined && now - known.beganMs < SECOND_MS;
    const second = isRunning ? known : { beganMs: now, requests: 0 };
    second.requests += 1;
    this.#seconds.set(key, second);
    return second.requests <= this.maxPerSecond;
  }
}

/** To be called after the hook that finds out who calls. With one rate for all prefixes, a key's requests are counted together. */
export function refuseTooMany(app: FastifyInstance, rate: RequestRate): void {
  app.addHook('onRequest', (request, _reply, done) => {
    // A preflight has no caller.
    const isRefused = request.caller !== null && !rate.take(callerOf(request).namespace);
    done(isRefused ? tooManyRequests(rate.maxPerSecond) : undefined);
  });
}

function tooManyRequests(maxRequestsPerSecond: number): AppError {
  return new AppError(
    'too_many_requests',
    `this API key may make ${maxRequestsPerSecond} requests a second and made more; nothing of this one was done, ` +
      'send it again after the time that Retry-After says',
    { maxRequestsPerSecond },
  );
}
