// http/routes/contract-routes.ts: the eight operations of openapi.yaml, at `/` and at `/api/v1`, behind CORS and keys.
//
// Must not know: the files of the storage and of the configuration.
import cors from '@fastify/cors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Availability } from '../../uploads/ports.ts';
import { tooLarge } from '../../uploads/upload.ts';
import { accountRoutes } from './accounts.ts';
import { FORM_OVERHEAD_BYTES } from '../forms/chunk-intake.ts';
import { chunkRoutes, type ChunkRoutesOptions } from './chunks.ts';
import { isOfAdminPlane, refuseContentCoding } from '../exchange.ts';
import type { Keys } from './keys.ts';
import { mediaRoutes, type MediaRoutesOptions } from './media.ts';
import type { ServedPaths } from '../connection/served.ts';
import { refuseTooMany, type RequestRate } from './rate-limit.ts';

export interface ContractRoutesOptions extends MediaRoutesOptions, ChunkRoutesOptions {
  readonly keys: Keys;
  readonly corsOrigin: readonly string[];
  readonly served: ServedPaths;
  /** Null: the rate is not limited. */
  readonly rate: RequestRate | null;
  readonly availability: Availability;
}

/** How long browsers keep the answer to a preflight. */
const PREFLIGHT_SECONDS = 600;
const EXPOSED_HEADERS = ['X-Request-Id', 'Retry-After', 'Allow', 'WWW-Authenticate', 'X-Mock-Fault'];

/**
 * The headers that let a page of an allowed origin read an answer. They name the origin and allow credentials, because a page
 * that sends `withCredentials` may not read an answer for `*`. Credentials are harmless: this server uses no cookies or other
 * ambient rights.
 */
export function headersForPages(
  origins: readonly string[],
  origin: string | undefined,
): Readonly<Record<string, string>> {
  const isAny = origins.includes('*');
  const isAllowed = isAny || (origin !== undefined && origins.includes(origin));
  if (!isAllowed) return { vary: 'Origin' };
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin ?? '*',
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': EXPOSED_HEADERS.join(', '),
  };
}

/**
 * Lets pages of these origins read a refusal that does not come from a contract route and so has no CORS headers yet. Without
 * the headers, a page takes a mistyped path or a server that is ending for a network failure.
 */
export function allowPages(
  origins: readonly string[],
  { url, headers }: FastifyRequest,
  reply: FastifyReply,
): void {
  if (!isOfAdminPlane(url)) reply.headers(headersForPages(origins, headers.origin));
}

/** A preflight is allowed for any path, so that a page can read the refusal of an unknown path. */
function isPreflight({ headers }: FastifyRequest): boolean {
  return headers.origin !== undefined && headers['access-control-request-method'] !== undefined;
}

/** Answers OPTIONS (RFC 9110 §9.3.7). */
function tellMethods(request: FastifyRequest, reply: FastifyReply, served: ServedPaths): void {
  const methods = served.methodsOf(request.url.split('?', 1)[0] ?? '');
  if (methods.length === 0) return reply.callNotFound();
  void reply
    .code(204)
    .header('allow', [...methods, 'OPTIONS'].join(', '))
    .send();
}

export async function contractRoutes(app: FastifyInstance, options: ContractRoutesOptions): Promise<void> {
  // The plugin answers the preflights of every path. A preflight of the admin plane must not be allowed.
  app.addHook('onRequest', (request, reply, done) => {
    const { '*': decodedPath = request.url } = request.params as { '*'?: string };
    if (decodedPath.startsWith('/__admin')) reply.callNotFound();
    else if (request.method === 'OPTIONS' && !isPreflight(request))
      tellMethods(request, reply, options.served);
    else done();
  });
  await app.register(cors, {
    origin: options.corsOrigin.includes('*')
      ? (origin, answer) => answer(null, origin ?? '*')
      : [...options.corsOrigin],
    credentials: true,
    methods: ['GET', 'POST', 'OPTIONS'],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_SECONDS,
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
  if (options.rate !== null) refuseTooMany(app, options.rate);
  // These checks come before a client that waits for `100 Continue` is told to send its body (rule C13).
  app.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.operationId === undefined) return done();
    refuseContentCoding(request, reply);
    const declaredBytes = Number(request.headers['content-length'] ?? 0);
    if (declaredBytes - FORM_OVERHEAD_BYTES > options.maxFileBytes)
      throw tooLarge(null, options.maxFileBytes);
    done();
  });
  // Each plugin has its own scope, because the plugins read bodies in different ways.
  await app.register(async (stored) => {
    // Refuses a chunk that cannot be stored before its body is sent (rule D6).
    stored.addHook('onRequest', (request, _reply, done) => {
      const { availability } = options;
      done(
        (request.method === 'POST' ? availability.writeRefusal() : availability.readRefusal()) ?? undefined,
      );
    });
    await stored.register(chunkRoutes, options);
    await stored.register(mediaRoutes, options);
  });
  await app.register(accountRoutes, options);
}
