// http/server.ts: one Fastify instance for the contract, a second one for an admin plane with its own port, and their hooks in a
// fixed order.
// Promises: one log line and one count for each request; no time-out on a request's total time; the admin plane is only where §9
// allows it. Must not know: how anything is stored, how the process starts and ends.
import { lookup } from 'node:dns/promises';
import type { ServerResponse } from 'node:http';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { TickQueue } from '../core/tick-queue.ts';
import { ADMIN_PREFIX, adminRoutes, probeRoutes, type AdminOptions } from '../admin/plane.ts';
import type { Clocks } from '../core/clock.ts';
import type { Config } from '../config/config.ts';
import { loadContract } from '../contract/contract.ts';
import type { Control } from '../control/control.ts';
import { AppError } from '../core/errors.ts';
import type { FaultActions } from '../faults/injection.ts';
import { isLoopback } from '../core/loopback.ts';
import { urlOf } from './connection/addresses.ts';
import { FeedBudget } from './connection/body-feed.ts';
import { decorateRequests } from './exchange.ts';
import { ClientErrors } from './connection/client-errors.ts';
import { SpoolBudget } from './forms/chunk-intake.ts';
import {
  allowPages,
  contractRoutes,
  headersForPages,
  type ContractRoutesOptions,
} from './routes/contract-routes.ts';
import { answerExpectations, isLastOnConnection, refuseUnclear } from './connection/host-and-expect.ts';
import { InFlight } from './connection/in-flight.ts';
import { Keys } from './routes/keys.ts';
import { lingerAfter } from './connection/linger.ts';
import { Pipelined } from './connection/pipelined.ts';
import { RequestRate } from './routes/rate-limit.ts';
import { answerUnroutable, installReplies, shuttingDown } from './routes/replies.ts';
import { createRequestIds } from './connection/request-ids.ts';
import { RequestLog } from './request-log.ts';
import { ServedPaths } from './connection/served.ts';
import type { VerifiedReader } from '../integrity/verified-reader.ts';
import { monotonicMs } from '../core/machine-time.ts';
import type { Fixtures } from '../media/accounts.ts';
import type { Media } from '../media/media.ts';
import { NO_SURROUNDINGS, surroundings, type SurroundOptions, type Surroundings } from '../exchange/hooks.ts';
import type { Metrics } from '../telemetry/telemetry.ts';
import { within } from '../core/timers.ts';
import type { Storage } from '../uploads/ports.ts';
import type { Uploads } from '../uploads/uploads.ts';

const FEED_MEMORY = 4 * 1024 * 1024;
const LINGER_SILENCE_MS = 5_000;
/** The interval at which Node checks for connections whose headers are overdue. */
const CHECK_MS = 5_000;

/** Called with each Fastify instance before its routes are registered: the observer sees every route and exchange. */
export type AppObserver = (app: FastifyInstance) => void;

export interface HttpOptions extends Control {
  readonly config: Config;
  readonly fixtures: Fixtures;
  readonly logger: Logger;
  readonly version: string;
  readonly storage: Storage;
  readonly metrics: Metrics;
  readonly uploads: Uploads;
  readonly media: Media;
  readonly observe?: AppObserver;
  readonly reader: VerifiedReader;
  readonly clocks: Clocks;
  readonly onDamaged: (error: AppError) => void;
  readonly shownConfig: () => object;
}

export class HttpServer {
  readonly #options: HttpOptions;
  readonly #main: FastifyInstance;
  readonly #admin: FastifyInstance | null;
  readonly #inFlight = new InFlight();
  readonly #answers = new TickQueue('answers');
  readonly #isAdminOnMain: boolean;
  readonly #requestLog: RequestLog;
  #isDraining = false;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#requestLog = new RequestLog(options);
    const { config } = options;
    const served = new ServedPaths();
    this.#main = this.#createApp(served, surroundings(surroundOptions(options)));
    const contract = contractOptions(options, { inFlight: this.#inFlight, served });
    const admin = this.#adminOptions(contract.body);
    // Not in the options: Fastify would pass the prefix on to nested plugins, which would add it again.
    const routes = (app: FastifyInstance): Promise<void> => contractRoutes(app, contract);
    for (const prefix of ['', '/api/v1']) void this.#main.register(routes, { prefix });
    this.#admin = config.adminPort === undefined ? null : this.#createApp(new ServedPaths());
    this.#isAdminOnMain =
      this.#admin === null && (isLoopback(config.host) || config.adminToken !== undefined);
    const plane = (app: FastifyInstance): Promise<void> => adminRoutes(app, admin);
    const probes = (app: FastifyInstance): Promise<void> => probeRoutes(app, admin.state);
    void this.#main.register(this.#isAdminOnMain ? plane : probes, { prefix: ADMIN_PREFIX });
    void this.#admin?.register(plane, { prefix: ADMIN_PREFIX });
  }

  get url(): string {
    return urlOf(this.#main);
  }

  get adminUrl(): string | null {
    if (this.#admin !== null) return `${urlOf(this.#admin)}${ADMIN_PREFIX}`;
    return this.#isAdminOnMain ? `${this.url}${ADMIN_PREFIX}` : null;
  }

  async listen(): Promise<void> {
    const { host, port, adminPort } = this.#options.config;
    // The resolved address: for `localhost`, Fastify opens a second server on `::1` without these listeners, which
    // `drain` misses.
    const { address } = await lookup(host, { order: 'ipv4first' });
    await this.#main.listen({ host: address, port });
    if (this.#admin !== null && adminPort !== undefined)
      await this.#admin.listen({ host: '127.0.0.1', port: adminPort });
  }

  /** From now on, contract requests are refused. The port stays open so that `ready` can answer 503 (rule D4). */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    await within(graceMs, this.#inFlight.whenIdle());
  }

  async close(): Promise<void> {
    this.#answers.flush(); // Send waiting answers first: closing would end their connections without them.
    await Promise.all([this.#main.close(), this.#admin?.close()]);
    await this.#inFlight.whenIdle();
    this.#requestLog.flush();
  }

  #createApp(served: ServedPaths, around: Surroundings = NO_SURROUNDINGS): FastifyInstance {
    const { config, logger, metrics, onDamaged } = this.#options;
    const pipelined = new Pipelined();
    const clientErrors = new ClientErrors({
      pipelined,
      flushAnswers: () => this.#answers.flush(),
      headersFor: (origin) => headersForPages(config.corsOrigin, origin),
    });
    const allowed = (request: FastifyRequest, reply: FastifyReply): void =>
      allowPages(config.corsOrigin, request, reply);
    const app = Fastify({
      logger: false,
      forceCloseConnections: true,
      return503OnClosing: false,
      requestTimeout: 0, // A slow upload may take any time (§7); only silence ends it.
      keepAliveTimeout: config.keepAliveTimeout,
      http: {
        requestTimeout: 0, // Set here as well: Node's constructor refuses a `headersTimeout` above its `requestTimeout`.
        headersTimeout: config.headerTimeout,
        connectionsCheckingInterval: Math.min(config.headerTimeout || CHECK_MS, CHECK_MS),
        requireHostHeader: false, // Node's own refusal has no body; `refuseUnclear` checks Host.
      },
      genReqId: createRequestIds(config.seed),
      routerOptions: { maxParamLength: 16_384 }, // As long as a whole head may be, so that an overlong id gets "not found".
      clientErrorHandler: clientErrors.refuse,
      frameworkErrors: (error, request, reply) =>
        answerUnroutable({ allowPages: allowed }, { error, request, reply }),
    });
    app.server.maxHeadersCount = 0; // The header bytes are bounded; a limit on the count drops headers silently.
    Object.assign(app.server, { httpAllowHalfOpen: true }); // A client that sends FIN may still wait for its answer.
    clientErrors.watch(app.server, config.headerTimeout);
    this.#options.observe?.(app);
    decorateRequests(app);
    // Hooks that run for every request take a callback: a promise would cost more than the work of most hooks.
    app.addHook('onRequest', (request, reply, done) => {
      around.numberHead(request);
      pipelined.inOrder(request.raw, reply.raw, done);
    });
    app.addHook('onRequest', (request, reply, done) => {
      request.facts = {};
      reply.header('x-request-id', request.id);
      if (isLastOnConnection(request.raw)) reply.header('connection', 'close');
      refuseUnclear(request.raw);
      done();
    });
    around.install(app);
    const onAborted = (operation: string): void => metrics.requestAborted(operation);
    served.watch(app);
    installReplies(app, {
      logger,
      onAborted,
      onDamaged,
      allowPages: allowed,
      served,
      contractAt: () => (this.#isAdminOnMain ? ADMIN_PREFIX : this.adminUrl),
    });
    this.#observe(app);
    return app;
  }

  #observe(app: FastifyInstance): void {
    const { config } = this.#options;
    const waitsForContinue = answerExpectations(app);
    app.addHook('onRequest', (request, reply, done) => {
      if (!this.#isDraining) return done();
      reply.header('connection', 'close');
      if (request.routeOptions.config.operationId === undefined) return done();
      allowPages(config.corsOrigin, request, reply);
      done(shuttingDown());
    });
    const lingering = { limitBytes: config.drainLimit, silenceMs: LINGER_SILENCE_MS };
    app.addHook('onSend', (request, reply, _payload, done) => {
      if (reply.statusCode === 204) reply.removeHeader('content-length'); // RFC 9110 §8.6
      // A client that is not told 100 sends no body, so there is no body to drain and the connection ends.
      if (waitsForContinue.has(request.raw)) reply.header('connection', 'close');
      else lingerAfter(request.raw, reply.raw, lingering);
      done();
    });
    this.#requestLog.watch(app);
    app.addHook('onSend', (request, reply, _payload, done) =>
      this.#answers.later(() => this.#send(done, { reqId: request.id, socket: reply.raw })),
    );
  }

  /** At the end of a turn, no caller catches errors. An error costs only this answer. */
  #send(done: () => void, { reqId, socket }: { reqId: string; socket: ServerResponse }): void {
    try {
      done();
    } catch (error) {
      this.#options.logger.error({ reqId, err: error }, 'the answer could not be sent');
      socket.destroy();
    }
  }

  #adminOptions(body: AdminOptions['body']): AdminOptions {
    const { config, version } = this.#options;
    return {
      ...this.#options,
      keys: new Keys([]),
      contract: loadContract,
      token: config.adminToken ?? null,
      state: {
        version,
        startedMs: monotonicMs(),
        storage: config.storage,
        durability: config.durability,
        isDraining: () => this.#isDraining,
        availability: this.#options.storage.availability,
      },
      contractUrl: () => this.url,
      hasOwnPort: config.adminPort !== undefined,
      corsOrigin: config.adminCorsOrigin,
      body,
    };
  }
}

function surroundOptions({
  rules,
  journal,
  clocks,
  controls,
  live,
  logger,
  given,
}: HttpOptions): SurroundOptions {
  const actionsOf = (namespace: string): FaultActions => controls.actionsOf(namespace);
  return { rules, journal, clocks, live, logger, given, actionsOf, contract: () => loadContract() };
}

function contractOptions(
  options: HttpOptions,
  { inFlight, served }: Pick<ContractRoutesOptions, 'inFlight' | 'served'>,
): ContractRoutesOptions {
  const { config, storage, metrics, uploads, media, reader, fixtures } = options;
  const { maxParts, maxPartHeaderBytes, maxFieldBytes, maxFileSize: maxFileBytes } = config;
  const { maxRequestsPerSecond } = config;
  return {
    rate: maxRequestsPerSecond === undefined ? null : new RequestRate(maxRequestsPerSecond),
    uploads,
    media,
    fixtures,
    metrics,
    inFlight,
    served,
    keys: new Keys(config.apiKeys),
    corsOrigin: config.corsOrigin,
    mediaCheck: config.mediaCheck,
    isStrict: config.strict,
    availability: storage.availability,
    maxFileBytes,
    limits: { maxParts, maxPartHeaderBytes, maxFieldBytes },
    body: {
      idleMs: config.idleTimeout === 0 ? Number.POSITIVE_INFINITY : config.idleTimeout,
      budget: new FeedBudget(FEED_MEMORY),
    },
    reader,
    intake: {
      uploads,
      maxFileBytes,
      openSpool: () => storage.bytes.spool(),
      spoolBudget: new SpoolBudget(config.spoolMemory),
    },
  };
}
