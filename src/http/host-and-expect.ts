// http/host-and-expect.ts: what Node answers by itself, with an empty body, unless it is told not to: `Host` and `Expect`;
// and what it takes although others read it otherwise.
//
// Promises: a refusal is one of ours, with envelope, request id, log line and count; a client that waits for `100 Continue`
// gets it when nothing speaks against its body, and never after a refusal.
// Must not know: routes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../errors.ts';

/** Whether the request says once which host it is for, as every HTTP/1.1 request must (RFC 9112 §3.2). */
function hasHost({ httpVersion, rawHeaders }: IncomingMessage): boolean {
  if (httpVersion === '1.0') return true;
  let hosts = 0; // Node's own `headers` has the first of several only.
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts === 1;
}

/** To Node it is not there; to others it is a coding that they do not know, and the body ends elsewhere (RFC 9112 §6.1). */
function hasNoCoding({ headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  return coding !== undefined && /^[\s,]*$/.test(coding);
}

/** Why the request is no good HTTP/1.1, although Node could read it; null: it is. */
export function whyUnclear(request: IncomingMessage): string | null {
  if (!hasHost(request))
    return 'an HTTP/1.1 request needs exactly one Host header; check what the client or a proxy sends';
  return hasNoCoding(request)
    ? 'Transfer-Encoding is empty; leave it out, or say how the body is coded'
    : null;
}

/**
 * To be called before all else: what is no good HTTP/1.1 request is no exchange of any route, and not in the journal.
 * The server must not do so itself (`requireHostHeader: false`). @throws AppError `invalid_request`
 */
export function refuseUnclear(request: IncomingMessage): void {
  const why = whyUnclear(request);
  if (why !== null) throw new AppError('invalid_request', why);
}

/**
 * Whether what comes behind the request on its connection can be lost or misread. Of a request with `Upgrade`, which is
 * served as it is, Node drops what came with it in one packet: the client must not wait for answers to that.
 */
export function isLastOnConnection(request: IncomingMessage): boolean {
  return request.headers.upgrade !== undefined || hasNoCoding(request);
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
