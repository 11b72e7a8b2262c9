// exchange/hooks.ts: gives every exchange of the contract's routes an observer.
//
// Must not know: what the observer does, what the routes do.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Beginnings, Connections } from './connections.ts';
import { isOfAdminPlane } from '../http/exchange.ts';
import { ExchangeObserver, type ObserverOptions } from './exchange-observer.ts';
import type { RecordingOptions } from './exchange-recording.ts';
import type { Journal } from '../journal/journal.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** See `begun` of Exchange. 0: the request is not recorded. */
    begun: number;
  }
}

/** True for the contract's routes and for unknown paths; false for preflights and the admin plane. */
function isSurrounded(request: FastifyRequest): boolean {
  if (request.method === 'OPTIONS') return false;
  const { url } = request.routeOptions; // The URL of the request may be percent-encoded or absolute.
  return url === undefined ? !isOfAdminPlane(request.url) : !url.startsWith('/__admin');
}

export interface SurroundOptions
  extends Omit<ObserverOptions, 'recording'>, Omit<RecordingOptions, 'journal' | 'beginnings'> {
  /** Null: `--no-journal`. */
  readonly journal: Journal | null;
  /** The numbers that earlier processes gave out. */
  readonly given: { readonly begun: number; readonly connection: number };
}

export interface Surroundings {
  /** To be called as soon as a head was read: a pipelined request may then have to wait (http/connection/pipelined.ts). */
  readonly numberHead: (request: FastifyRequest) => void;
  /** Registers the hooks. To be called before the routes are registered. */
  readonly install: (app: FastifyInstance) => void;
}

export const NO_SURROUNDINGS: Surroundings = { numberHead: () => undefined, install: () => undefined };

export function surroundings(options: SurroundOptions): Surroundings {
  const { rules, live, logger, actionsOf, journal, clocks, contract, given } = options;
  const beginnings = new Beginnings(given.begun);
  const recording = journal && { journal, clocks, beginnings, contract };
  const observed = { rules, live, logger, actionsOf, recording };
  return {
    numberHead: (request) => {
      if (isSurrounded(request)) request.begun = beginnings.next();
    },
    install: (app) => surround(app, observed, new Connections(given.connection)),
  };
}

function surround(app: FastifyInstance, options: ObserverOptions, connections: Connections): void {
  app.addHook('onRequest', (request, reply, done) => {
    // Requests that are not recorded count too: after a preflight, a browser treats a connection as used, and it may repeat a
    // POST on a used connection by itself.
    const connection = connections.next(request.raw.socket);
    if (request.begun > 0) request.observer = new ExchangeObserver(options, { request, reply, connection });
    done();
  });
  // Runs after the key check and before the body is read. The hook calls back at once; it returns a promise only where a rule
  // delays.
  app.addHook('preParsing', ({ observer }, _reply, _payload, done) => {
    const begun = observer instanceof ExchangeObserver ? observer.begin() : undefined;
    if (begun === undefined) done();
    return begun;
  });
  app.addHook('onSend', ({ observer }, _reply, payload, done) => {
    const answer = observer instanceof ExchangeObserver ? observer.answer(payload) : payload;
    if (answer instanceof Promise) return answer;
    done(null, answer);
    return undefined;
  });
}
