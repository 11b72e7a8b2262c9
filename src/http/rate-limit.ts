// http/rate-limit.ts: how many requests one key may make in a second (`--max-requests-per-second`).
//
// Promises: a request over the limit is refused before anything of its body is read, and does nothing; each key is counted
// by itself; no more than MAX_KEYS of them are remembered.
// Must not know: what the routes do.
import type { FastifyInstance } from 'fastify';
import { AppError } from '../errors.ts';
import { callerOf } from './exchange.ts';

const SECOND_MS = 1000;
/** The one that asked longest ago is forgotten first. */
const MAX_KEYS = 10_000;
/** What we do not promise in openapi.yaml we do not send. `Retry-After` comes with every refusal that is worth a retry. */
const NO_HEADERS = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false };

/** To be called once, before the routes come, however many prefixes they have: a key's requests are counted together. */
export function countRequests(app: FastifyInstance, maxPerSecond: number): void {
  // Loaded here, or every start would wait for it.
  void app.register(import('@fastify/rate-limit'), {
    global: false,
    max: maxPerSecond,
    timeWindow: SECOND_MS,
    cache: MAX_KEYS,
    keyGenerator: (request) => callerOf(request).namespace,
    addHeaders: { ...NO_HEADERS, 'retry-after': false },
    addHeadersOnExceeding: NO_HEADERS,
    errorResponseBuilder: () => tooManyRequests(maxPerSecond),
  });
}

/** For the routes of this scope. To be called after the hook that finds out who calls; does nothing unless they are counted. */
export function refuseTooMany(app: FastifyInstance): void {
  if (!app.hasDecorator('rateLimit')) return;
  const refuse = app.rateLimit();
  app.addHook('onRequest', async function (request, reply) {
    // A preflight has no caller.
    if (request.caller !== null) await refuse.call(this, request, reply);
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
