// surround.ts: puts an observer around every exchange of the contract's routes.
//
// Must not know: what the observer does, what the routes do.
import type { FastifyInstance } from 'fastify';
import { Connections } from './connections.ts';
import { isOfAdminPlane } from './http/exchange.ts';
import { ExchangeObserver, type ObserverOptions } from './exchange-observer.ts';

/** Registers the hooks. To be called before the routes are. */
export function surround(app: FastifyInstance, options: ObserverOptions): void {
  const connections = new Connections();
  app.addHook('onRequest', (request, reply, done) => {
    // Those that are not on record count, too: after a preflight, a browser takes a connection for a used one, on which it
    // sends a POST again by itself.
    const connection = connections.next(request.raw.socket);
    const { url } = request.routeOptions; // The request's own may be percent-encoded, or absolute.
    const isOfPlane = url === undefined ? isOfAdminPlane(request.url) : url.startsWith('/__admin');
    if (!isOfPlane && request.method !== 'OPTIONS') {
      request.observer = new ExchangeObserver(options, { request, reply, connection });
    }
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
