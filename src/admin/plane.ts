// admin/plane.ts: everything under /__admin (behaviour §9): probes, metrics, the two documents and their pages, and the
// routes of this folder.
//
// Promises: the namespace is that of the request's key, as on the contract routes, or `?namespace=`. Any body is read as
// JSON, whatever its Content-Type says, so that `curl -d` is enough.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { BodyRules } from '../http/exchange.ts';
import type { Keys } from '../http/routes/keys.ts';
import { parseJson } from '../http/forms/text.ts';
import { readBody } from '../http/forms/text-body.ts';
import { monotonicMs } from '../core/machine-time.ts';
import type { Metrics } from '../telemetry/telemetry.ts';
import type { Availability } from '../uploads/ports.ts';
import { allowOrigins, requireTokenOrLocalName } from './access.ts';
import { clockRoutes } from './clock-routes.ts';
import { controlRoutes } from './control-routes.ts';
import type { NamespaceCommands } from '../control/namespace-commands.ts';
import { documentRoutes, type DocumentOptions } from './document-routes.ts';
import type { JournalQueries } from '../control/journal-queries.ts';
import { journalRoutes } from './journal-routes.ts';
import { mediaViews } from './media-views.ts';
import { createNamespaceOf } from './query.ts';
import { scrubRoutes } from './scrub-routes.ts';
import type { Scrubs } from '../control/scrubs.ts';
import { uploadViews } from './upload-views.ts';
import type { NamespaceQueries } from '../control/namespace-queries.ts';

/** Where all of it is served. */
export const ADMIN_PREFIX = '/__admin';

export interface AdminOptions extends DocumentOptions {
  readonly views: NamespaceQueries;
  readonly scrubs: Scrubs;
  readonly keys: Keys;
  readonly metrics: Metrics;
  readonly state: ServerState;
  readonly controls: NamespaceCommands;
  readonly queries: JournalQueries;
  /** Every setting with its value and source, secrets redacted. */
  readonly shownConfig: () => object;
  readonly body: BodyRules;
}

/** What health, ready and version say. */
export interface ServerState {
  readonly version: string;
  /** As `monotonicMs` gave it. */
  readonly startedMs: number;
  readonly storage: string;
  readonly durability: string;
  readonly availability: Availability;
  readonly isDraining: () => boolean;
}

/** Safe to show to everybody who reaches the port: served even where the rest of the plane is off. */
export async function probeRoutes(app: FastifyInstance, state: ServerState): Promise<void> {
  app.get('/health', () => Promise.resolve(healthOf(state)));
  app.get('/ready', (_request, reply) => {
    if (state.isDraining()) return reply.code(503).send({ ready: false });
    const reason = state.availability.writeRefusal()?.code;
    return reason === undefined
      ? reply.send({ ready: true })
      : reply.code(503).send({ ready: false, reason });
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
    uptimeSeconds: Math.round((monotonicMs() - state.startedMs) / 1000),
    ...warning,
  };
}

/** The whole plane, probes included. To be registered under ADMIN_PREFIX. */
export async function adminRoutes(app: FastifyInstance, options: AdminOptions): Promise<void> {
  await allowOrigins(app, options.corsOrigin);
  await app.register((scope) => probeRoutes(scope, options.state));
  await app.register((scope) => documentRoutes(scope, options));
  await app.register((scope) => guardedRoutes(scope, options));
}

async function guardedRoutes(app: FastifyInstance, options: AdminOptions): Promise<void> {
  requireTokenOrLocalName(app, options.token, options.corsOrigin);
  readAnyBodyAsJson(app, options.body);
  const { controls, queries, keys, metrics, state, token, views } = options;
  const namespaceOf = createNamespaceOf(keys, token);
  app.get('/version', () => Promise.resolve({ version: state.version, node: process.version }));
  app.get('/config', () => Promise.resolve(options.shownConfig()));
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  await app.register(async (stored) => {
    // Before an answer is begun: what comes after its head can only break off (rule D6).
    stored.addHook('onRequest', (_request, _reply, done) => {
      done(state.availability.readRefusal() ?? undefined);
    });
    await stored.register(uploadViews, { views, namespaceOf });
    await stored.register(mediaViews, { views, namespaceOf });
  });
  await app.register(scrubRoutes, { scrubs: options.scrubs, namespaceOf });
  await app.register(controlRoutes, { controls, namespaceOf });
  await app.register(clockRoutes, { controls, namespaceOf });
  await app.register(journalRoutes, {
    queries,
    namespaceOf,
    version: state.version,
    contractUrl: options.contractUrl,
  });
}

/** Through the feed of every other body, so that silence of the client ends it (§7). */
function readAnyBodyAsJson(app: FastifyInstance, rules: BodyRules): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (request: FastifyRequest) => {
    const { bodyLimit: maxBytes } = request.routeOptions;
    const refusal = `the body is larger than ${maxBytes} bytes, the limit of this route`;
    const body = await readBody(request, rules, { maxBytes, refusal });
    return body.toString('latin1').trim() === '' ? undefined : parseJson(body);
  });
}
