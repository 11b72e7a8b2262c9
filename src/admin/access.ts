// admin/access.ts: who may use the admin plane (behaviour §9): whoever has its token, where there is one; and of the pages
// that a browser shows, those of the plane itself and of the origins that were allowed.
//
// Promises: the token is compared in constant time. A page of another origin can neither read an answer (no CORS header)
// nor, with a request that a browser sends without asking, change anything.
// Must not know: what the routes do.
import cors from '@fastify/cors';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import { bearerIn, isSameSecret } from '../http/keys.ts';

/** Browsers keep the answer to a preflight for this long. */
const PREFLIGHT_SECONDS = 600;

/** Before any check of a token: a preflight carries none. */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length > 0) {
    await app.register(cors, {
      origin: origins.includes('*') ? '*' : [...origins],
      methods: ['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS'],
      exposedHeaders: ['X-Request-Id'],
      maxAge: PREFLIGHT_SECONDS,
    });
  }
  app.addHook('onRequest', async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') refuseForeignPage(request, origins);
  });
}

/** Of a form or a `no-cors` fetch a browser asks nobody, but it says which page it is of. */
function refuseForeignPage({ headers, host }: FastifyRequest, origins: readonly string[]): void {
  const { origin } = headers;
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw new AppError(
    'admin_origin_forbidden',
    `a page of ${JSON.stringify(origin.slice(0, 120))} may not change anything here; allow it with --admin-cors-origin`,
  );
}

export function requireToken(app: FastifyInstance, token: string | null): void {
  if (token === null) return;
  app.addHook('onRequest', async ({ headers }) => {
    const given = bearerIn(headers) ?? String(headers['x-admin-token'] ?? '');
    if (isSameSecret(given, token)) return;
    throw new AppError(
      'admin_token_invalid',
      'the admin plane of this server needs its token: send Authorization: Bearer <admin token>',
    );
  });
}
