// exchange/hooks.ts: puts an observer around every exchange of the contract's routes.
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
    /** See Exchange. 0: it is none that is recorded. */
    begun: number;
  }
}

/** The contract's routes and what is no route; neither preflights nor the admin plane. */
function isSurrounded(request: FastifyRequest): boolean {
  if (request.method === 'OPTIONS') return false;
  const { url } = request.routeOptions; // The request's own may be percent-encoded, or absolute.
  return url === undefined ? !isOfAdminPlane(request.url) : !url.startsWith('/__admin');
}

export interface SurroundOptions
  extends Omit<ObserverOptions, 'recording'>, Omit<RecordingOptions, 'journal' | 'beginnings'> {
  /** Null: `--no-journal`. */
  readonly journal: Journal | null;
  /** Numbers that processes before this one gave out. */
  readonly given: { readonly begun: number; readonly connection: number };
}

export interface Surroundings {
  /** To be called as soon as a head was read: a request may have to wait for its turn after that (http/connection/pipelined.ts). */
  readonly numberHead: (request: FastifyRequest) => void;
  /** Registers the hooks. To be called before the routes are. */
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
    // Those that are not on record count, too: after a preflight, a browser takes a connection for a used one, on which it
    // sends a POST again by itself.
    const connection = connections.next(request.raw.socket);
    if (request.begun > 0) request.observer = new ExchangeObserver(options, { request, reply, connection });
    done();
  });
  // After the keys have been checked, and before anything of the body is asked for. A hook that has nothing to wait for
  // calls back; a promise is returned only where a rule makes one.
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
