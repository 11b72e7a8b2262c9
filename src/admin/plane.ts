// admin/plane.ts: everything under /__admin that a person or a probe reads (behaviour §9): health, metrics, uploads, media,
// the contract and its page.
//
// Promises: the namespace is that of the request's key, as on the contract routes; with an admin token `?namespace=`
// takes any. Nothing here changes an upload but DELETE.
// Must not know: how requests on the contract routes are handled.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Contract } from '../contract.ts';
import { AppError, invalidFields } from '../errors.ts';
import { bearerIn, isSameSecret, PUBLIC_NAMESPACE, type Keys } from '../http/keys.ts';
import type { Journal } from '../journal/journal.ts';
import type { Media } from '../media/media.ts';
import type { Metrics } from '../telemetry.ts';
import type { Bytes } from '../uploads/ports.ts';
import type { Uploads } from '../uploads/uploads.ts';
import { renderDocs } from './docs-page.ts';
import { clockRoutes } from './clock-routes.ts';
import { controlRoutes } from './control-routes.ts';
import type { Controls } from './controls.ts';
import { journalRoutes } from './journal-routes.ts';
import { mediaViews } from './media-views.ts';
import { uploadViews } from './upload-views.ts';

export interface AdminOptions {
  readonly uploads: Uploads;
  readonly media: Media;
  readonly keys: Keys;
  readonly metrics: Metrics;
  /** Parsed when it is first asked for: start-up does not wait for it. */
  readonly contract: () => Contract;
  readonly readBytes: Bytes['read'];
  /** Null: the plane is open to whoever reaches it, which is this machine only. */
  readonly token: string | null;
  readonly uploadTtlMs: number;
  readonly state: ServerState;
  readonly controls: Controls;
  readonly journal: Journal | null;
  /** Every setting with its value and source, secrets redacted. */
  readonly shownConfig: () => object;
  readonly corsOrigin: readonly string[];
}

/** What health, ready and version say. */
export interface ServerState {
  readonly version: string;
  readonly startedAt: number;
  readonly storage: string;
  readonly durability: string;
  isDraining(): boolean;
}

/** Safe to show to everybody who reaches the port: served even where the rest of the plane is off. */
export async function probeRoutes(app: FastifyInstance, { state }: { state: ServerState }): Promise<void> {
  app.get('/__admin/health', () => Promise.resolve(healthOf(state)));
  app.get('/__admin/ready', (_request, reply) => {
    const isReady = !state.isDraining();
    return reply.code(isReady ? 200 : 503).send({ ready: isReady });
  });
}

function healthOf(state: ServerState): object {
  const warning =
    state.durability === 'none' || state.storage === 'memory'
      ? { warning: 'acknowledged bytes do not survive a power loss in this mode' }
      : {};
  return {
    status: 'ok',
    version: state.version,
    storage: state.storage,
    durability: state.storage === 'memory' ? 'none' : state.durability,
    uptimeSeconds: Math.round((Date.now() - state.startedAt) / 1000),
    ...warning,
  };
}

export async function adminRoutes(app: FastifyInstance, options: AdminOptions): Promise<void> {
  const { contract, metrics, state, token } = options;
  if (token !== null) app.addHook('onRequest', async (request) => checkToken(request, token));
  app.get('/__admin/version', () => Promise.resolve({ version: state.version, node: process.version }));
  app.get('/__admin/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  );
  app.get('/__admin/openapi.yaml', (_request, reply) =>
    reply.type('application/yaml; charset=utf-8').send(contract().text),
  );
  let page: string | null = null;
  app.get('/__admin/docs', (_request, reply) => {
    page ??= renderDocs(contract());
    return reply.type('text/html; charset=utf-8').send(page);
  });
  const namespaceOf = (request: FastifyRequest): string => askedNamespace(request, options);
  const { controls, journal } = options;
  app.get('/__admin/config', () => Promise.resolve(options.shownConfig()));
  await app.register(uploadViews, { ...options, namespaceOf });
  await app.register(mediaViews, { ...options, namespaceOf });
  await app.register(controlRoutes, { controls, namespaceOf });
  await app.register(clockRoutes, {
    namespaceOf,
    clockOf: (namespace) => controls.clock(namespace),
    changeClock: (namespace, change) => controls.changeClock(namespace, change),
  });
  await app.register(journalRoutes, {
    journal,
    namespaceOf,
    version: state.version,
    unfiredRules: (namespace) => controls.unfiredRules(namespace),
  });
}

function checkToken(request: FastifyRequest, token: string): void {
  const given = bearerIn(request.headers) ?? String(request.headers['x-admin-token'] ?? '');
  if (isSameSecret(given, token)) return;
  throw new AppError(
    'admin_token_invalid',
    'the admin plane of this server needs its token: send Authorization: Bearer <admin token>',
  );
}

/** A namespace is part of a path on the disk: nothing but the names that keys become (http/keys.ts) gets that far. */
function namedNamespace(name: string): string {
  if (/^(\*|public|ns_[0-9a-f]{16})$/.test(name)) return name;
  const message = 'expected `public`, the `ns_…` of a key, or `*`';
  throw invalidFields([{ field: 'namespace', message }]);
}

function askedNamespace(request: FastifyRequest, { keys, token }: AdminOptions): string {
  const { namespace } = request.query as { namespace?: unknown };
  if (typeof namespace === 'string') return namedNamespace(namespace); // Who gets this far may see every one (§9).
  // The Authorization header may hold the admin token: here only X-API-Key names a namespace then.
  const { 'x-api-key': key, authorization } = request.headers;
  const headers = token === null ? { 'x-api-key': key, authorization } : { 'x-api-key': key };
  if (headers['x-api-key'] === undefined && headers.authorization === undefined) return PUBLIC_NAMESPACE;
  return keys.caller(headers).namespace;
}
