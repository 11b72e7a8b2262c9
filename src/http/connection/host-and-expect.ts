// http/connection/host-and-expect.ts: answers bad `Host` and `Expect` headers in the place of Node, which would send an empty
// body. Also refuses requests that Node accepts although other servers would read them differently.
//
// Promises: each refusal has the envelope, a request id, a log line and a count. A client that waits for `100 Continue` gets it
// only when nothing speaks against its body, and never after a refusal.
// Must not know: routes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';

interface Told {
  readonly hosts: readonly string[];
  /** Names of the key headers that came twice with different values. */
  readonly keys: readonly string[];
}

/** Reads the raw headers: Node's own headers keep only the first `Host` or `Authorization` and join several `X-API-Key`. */
function toldBy(rawHeaders: readonly string[]): Told {
  const hosts: string[] = [];
  const keys: string[] = [];
  const first: { 'x-api-key'?: string; authorization?: string } = {};
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const written = rawHeaders[i] ?? '';
    if (!INTERESTING_LENGTHS.has(written.length)) continue;
    const name = written.toLowerCase();
    const value = rawHeaders[i + 1] ?? '';
    if (name === 'host') hosts.push(value);
    if (name !== 'x-api-key' && name !== 'authorization') continue;
    if ((first[name] ?? value) !== value) keys.push(written);
    first[name] = value;
  }
  return { hosts, keys };
}

const INTERESTING_LENGTHS = new Set(['host', 'x-api-key', 'authorization'].map(({ length }) => length));

/** `uri-host [ ":" port ]` (RFC 9112 §3.2, RFC 3986 §3.2.2); empty where the target has no authority. */
const HOST = /^(?:\[[\da-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i;

/**
 * Node ignores a Transfer-Encoding that is empty or only commas. Other servers see an unknown coding and find the end of the
 * body elsewhere (RFC 9112 §6.1).
 */
function hasNoCoding({ headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  return coding !== undefined && /^[\s,]*$/.test(coding);
}

/** Says why the request is not valid HTTP/1.1 although Node could read it; null: it is valid. */
export function whyUnclear(request: IncomingMessage): AppError | null {
  const { httpVersion, httpVersionMajor, headers, rawHeaders } = request;
  if (httpVersionMajor !== 1) return notThisVersion(httpVersion);
  const { hosts, keys } = toldBy(rawHeaders);
  if (httpVersion !== '1.0' && hosts.length !== 1)
    return unclear(
      'an HTTP/1.1 request needs exactly one Host header; check what the client or a proxy sends',
    );
  if (hosts.some((host) => !HOST.test(host)))
    return unclear(
      'the Host header is no host name or address with an optional port; check what the client or a proxy sends',
    );
  if (hasNoCoding(request))
    return unclear('Transfer-Encoding is empty; leave it out, or say how the body is coded');
  if (keys.length > 0)
    return unclear(`${keys.join(' and ')}: given twice with different values; send one key, once`);
  const coding = headers['transfer-encoding'];
  return coding === undefined || /^chunked$/i.test(coding.trim()) ? null : unknownCoding(coding);
}

function unclear(why: string): AppError {
  return new AppError('invalid_request', why);
}

function notThisVersion(version: string): AppError {
  return new AppError(
    'http_version_not_supported',
    `the request line says HTTP/${version}; this server speaks HTTP/1.1 (a proxy in front of it may speak more)`,
  );
}

/** A body with one more coding would be stored in its coded form in the place of the file (RFC 9112 §6.1). */
function unknownCoding(coding: string): AppError {
  return new AppError(
    'not_implemented',
    `the body has the Transfer-Encoding ${JSON.stringify(coding.slice(0, 80))}; send it as it is, with a Content-Length or with "chunked" alone`,
  );
}

/**
 * To be called before all else: a request that is not valid HTTP/1.1 belongs to no route and is not in the journal. Node's own
 * check must be off (`requireHostHeader: false`).
 * @throws AppError `invalid_request`, `not_implemented`, `http_version_not_supported`
 */
export function refuseUnclear(request: IncomingMessage): void {
  const why = whyUnclear(request);
  if (why !== null) throw why;
}

/**
 * Whether bytes behind the request on its connection can be lost or misread. A request with `Upgrade` is served as usual, but
 * Node drops the bytes that came in the same packet: the client must not wait for answers to them.
 */
export function isLastOnConnection(request: IncomingMessage): boolean {
  return request.headers.upgrade !== undefined || hasNoCoding(request);
}

/**
 * `Expect: 100-continue`: the client is told to continue only when its headers have passed the key check, so that a refusal
 * costs no upload (rule C11). Any other expectation is ignored: RFC 9110 §10.1.1 allows a 417 but does not require it. Returns
 * the requests that have not been told to continue yet.
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
