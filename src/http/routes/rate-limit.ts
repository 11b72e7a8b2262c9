// http/routes/rate-limit.ts: limits the requests that one key may make in a second (`--max-requests-per-second`).
//
// Promises: a request over the limit is refused before its body is read, and changes nothing. Each key is counted separately, in
// seconds of the monotonic clock, because the date may jump. At most MAX_KEYS keys are remembered.
// Must not know: what the routes do.
import type { FastifyInstance } from 'fastify';
import { LruMap } from 'toad-cache';
import { AppError } from '../../core/errors.ts';
import { monotonicMs } from '../../core/machine-time.ts';
import { callerOf } from '../exchange.ts';

const SECOND_MS = 1000;
/** The key whose last request is oldest is forgotten first. */
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

  /** Counts one more request of this key. False: the key is over its limit for this second. */
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

/** To be called after the hook that finds the caller. All prefixes share one rate, so a key's requests are counted together. */
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
    `this API key made more than ${maxRequestsPerSecond} requests in a second; the server did nothing for this request, ` +
      'send it again after the time in Retry-After',
    { maxRequestsPerSecond },
  );
}
