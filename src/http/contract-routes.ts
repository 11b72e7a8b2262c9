// http/contract-routes.ts: the eight operations of openapi.yaml, at `/` and at `/api/v1`, behind CORS and keys.
//
// Must not know: storage, config files, the admin plane.
import cors from '@fastify/cors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { tooLarge } from '../uploads/upload.ts';
import { accountRoutes } from './accounts.ts';
import { FORM_OVERHEAD_BYTES } from './chunk-intake.ts';
import { chunkRoutes, type ChunkRoutesOptions } from './chunks.ts';
import { isOfAdminPlane, refuseContentCoding } from './exchange.ts';
import type { Keys } from './keys.ts';
import { mediaRoutes, type MediaRoutesOptions } from './media.ts';
import { refuseTooMany } from './rate-limit.ts';

export interface ContractRoutesOptions extends MediaRoutesOptions, ChunkRoutesOptions {
  readonly keys: Keys;
  readonly corsOrigin: readonly string[];
}

/** Browsers keep the answer to a preflight for this long. */
const PREFLIGHT_SECONDS = 600;
const EXPOSED_HEADERS = ['X-Request-Id', 'Retry-After', 'Allow', 'X-Mock-Fault'];

/**
 * Lets pages of these origins read a refusal that came before, or instead of, a contract route, and so before CORS was seen
 * to: a page takes a mistyped path, or a server that is ending, for a network that is down when it may not read the answer.
 */
export function allowPages(
  origins: readonly string[],
  { url, headers }: FastifyRequest,
  reply: FastifyReply,
): void {
  if (isOfAdminPlane(url)) return;
  const isAny = origins.includes('*');
  if (!isAny) reply.header('vary', 'Origin');
  if (!isAny && !origins.includes(headers.origin ?? '')) return;
  reply.header('access-control-allow-origin', isAny ? '*' : headers.origin);
  reply.header('access-control-expose-headers', EXPOSED_HEADERS.join(', '));
}

export async function contractRoutes(app: FastifyInstance, options: ContractRoutesOptions): Promise<void> {
  // The plugin takes the preflights of every path; those of the admin plane must not be allowed to any page.
  app.addHook('onRequest', (request, reply, done) => {
    const { '*': decodedPath = request.url } = request.params as { '*'?: string };
    if (decodedPath.startsWith('/__admin')) reply.callNotFound();
    else done();
  });
  await app.register(cors, {
    origin: options.corsOrigin.includes('*') ? '*' : [...options.corsOrigin],
    methods: ['GET', 'POST', 'OPTIONS'],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_SECONDS,
    strictPreflight: false, // An OPTIONS that is no preflight gets the same 204, and no text/plain refusal.
  });
  app.addHook('onRequest', (request, _reply, done) => {
    const { operationId, isKeyOptional } = request.routeOptions.config;
    if (operationId === undefined) return done(); // A preflight carries no key.
    request.caller =
      isKeyOptional === true
        ? options.keys.callerOrPublic(request.headers)
        : options.keys.caller(request.headers);
    done();
  });
  refuseTooMany(app);
  // Before a client that waits for it is told to go on with its body (rule C13).
  app.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.operationId === undefined) return done();
    refuseContentCoding(request, reply);
    const declaredBytes = Number(request.headers['content-length'] ?? 0);
    if (declaredBytes - FORM_OVERHEAD_BYTES > options.maxFileBytes)
      throw tooLarge(null, options.maxFileBytes);
    done();
  });
  // Each in a scope of its own: they read bodies in different ways.
  await app.register(chunkRoutes, options);
  await app.register(mediaRoutes, options);
  await app.register(accountRoutes, options);
}
