// http/host-and-expect.ts: what Node answers by itself, with an empty body, unless it is told not to: `Host` and `Expect`.
//
// Promises: a refusal is one of ours, with envelope, request id, log line and count; a client that waits for `100 Continue`
// gets it when nothing speaks against its body, and never after a refusal.
// Must not know: routes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../errors.ts';

/** Whether the request says once which host it is for, as every HTTP/1.1 request must (RFC 9112 §3.2). */
export function hasHost({ httpVersion, rawHeaders }: IncomingMessage): boolean {
  if (httpVersion === '1.0') return true;
  let hosts = 0; // Node's own `headers` has the first of several only.
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts === 1;
}

/**
 * To be called before all else: what is no good HTTP/1.1 request is no exchange of any route, and not in the journal.
 * The server must not do so itself (`requireHostHeader: false`). @throws AppError `invalid_request`
 */
export function refuseWithoutHost(request: IncomingMessage): void {
  if (hasHost(request)) return;
  throw new AppError(
    'invalid_request',
    'an HTTP/1.1 request needs exactly one Host header; check what the client or a proxy sends',
  );
}

/**
 * `Expect: 100-continue`: the client is told to go on only when its headers have passed the key check, so a refusal
 * costs it no upload (rule C11). Any other expectation is ignored and the request served: RFC 9110 §10.1.1 allows a 417
 * and asks for none. Returns the requests that have not been told yet.
 */
export function answerExpectations(app: FastifyInstance): WeakSet<IncomingMessage> {
  const waiting = new WeakSet<IncomingMessage>();
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    app.server.emit('request', request, response);
  };
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    waiting.add(request);
    serve(request, response);
  });
  app.server.on('checkExpectation', serve);
  app.addHook('preParsing', (request, reply, _payload, done) => {
    if (waiting.delete(request.raw)) reply.raw.writeContinue();
    done();
  });
  return waiting;
}
