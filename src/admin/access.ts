// admin/access.ts: who may use the admin plane (behaviour §9): clients with its token, if there is one; and in a browser, only pages of the
// plane itself and of allowed origins.
//
// Promises: the token is compared in constant time. A page of another origin cannot read an answer (no CORS header) and cannot change
// anything by a request without a preflight. A page cannot point its own name to this machine either (DNS rebinding): without a token
// the plane answers only requests to IP addresses, `localhost` and the hosts of allowed origins.
import { isIP } from 'node:net';
import cors from '@fastify/cors';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../core/errors.ts';
import { bearerIn, isSameSecret } from '../http/routes/keys.ts';

/** Browsers keep the answer to a preflight for this long. */
const PREFLIGHT_SECONDS = 600;

/** Before any check of a token: a preflight carries none. */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length > 0) {
    await app.register(cors, {
      origin: origins.includes('*') ? '*' : [...origins],
      methods: ['GET', 'PUT', 'POST', 'DELETE', 'OPTIONS'],
      exposedHeaders: ['X-Request-Id', 'ETag', 'Content-Range', 'Accept-Ranges'],
      maxAge: PREFLIGHT_SECONDS,
    });
  }
  app.addHook('onRequest', async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') refuseForeignPage(request, origins);
  });
}

/** A browser sends a form or a `no-cors` fetch without a preflight, but with the origin of its page. */
function refuseForeignPage(request: FastifyRequest, origins: readonly string[]): void {
  const { origin } = request.headers;
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host === hostOf(request)) return;
  throw new AppError(
    'admin_origin_forbidden',
    `a page of ${JSON.stringify(origin.slice(0, 120))} must not change anything on this server; to allow this origin, start the server with --admin-cors-origin`,
  );
}

/** The check of a plane without a token. An attacker cannot rebind an IP address, and no DNS server is asked for `localhost`. */
function requireLocalName(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.includes('*')) return;
  const allowed = new Set(
    origins.flatMap((origin) => (URL.canParse(origin) ? [new URL(origin).hostname] : [])),
  );
  app.addHook('onRequest', async (request) => {
    refuseProxied(request);
    const name = hostnameIn(hostOf(request));
    if (isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost') || allowed.has(name)) return;
    throw new AppError(
      'admin_host_forbidden',
      `without a token the admin plane does not answer to ${JSON.stringify(name.slice(0, 120))}; ask 127.0.0.1 or ` +
        'localhost, allow the origin of this name with --admin-cors-origin, or give the server an --admin-token',
    );
  });
}

/** Headers by which a proxy says that it is one (RFC 9110 §7.6.3, RFC 7239), and those that were there before. */
const PROXY_HEADER =
  /^(?:via|forwarded|x-forwarded(?:-.+)?|x-real-ip|x-client-ip|x-original-host|cf-connecting-ip)$/;

/** Behind a proxy on this machine every client looks local. @throws AppError `admin_proxy_forbidden` */
function refuseProxied({ headers, raw }: FastifyRequest): void {
  const header = Object.keys(headers).find((name) => PROXY_HEADER.test(name));
  // nginx before 1.29.7 uses HTTP/1.0 to an upstream by default, and adds no header.
  const isOldHttp = raw.httpVersion === '1.0';
  if (header === undefined && !isOldHttp) return;
  const sign = header === undefined ? 'it uses HTTP/1.0, as nginx does' : `it has the header ${header}`;
  throw new AppError(
    'admin_proxy_forbidden',
    `the request came through a proxy (${sign}): without a token the admin plane is for clients on this machine only; ` +
      'give the server an --admin-token, or keep /__admin off the proxy',
  );
}

/** The host of the request. An absolute target overrides the Host header (RFC 9112 §3.2.2). */
function hostOf({ raw: { url = '' }, headers }: FastifyRequest): string {
  return url.startsWith('/') || !URL.canParse(url) ? (headers.host ?? '') : new URL(url).host;
}

/** Without the port, and without the brackets of IPv6. */
function hostnameIn(host: string): string {
  return /^\[?(.*?)\]?(:\d+)?$/.exec(host.toLowerCase())?.[1] ?? '';
}

/** For the documents. They need no token, because every package has them, and a browser has no token to send. */
export function requireLocalNameUnlessToken(
  app: FastifyInstance,
  token: string | null,
  origins: readonly string[],
): void {
  if (token === null) requireLocalName(app, origins);
}

export function requireTokenOrLocalName(
  app: FastifyInstance,
  token: string | null,
  origins: readonly string[],
): void {
  if (token === null) return requireLocalName(app, origins);
  app.addHook('onRequest', async ({ headers }) => {
    const given = bearerIn(headers) ?? String(headers['x-admin-token'] ?? '');
    if (isSameSecret(given, token)) return;
    throw new AppError(
      'admin_token_invalid',
      'the admin plane of this server needs its token: send Authorization: Bearer <admin token>',
    );
  });
}
