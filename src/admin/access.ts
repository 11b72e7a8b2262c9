// admin/access.ts: who may use the admin plane (behaviour §9): whoever has its token, where there is one; and of the pages
// that a browser shows, those of the plane itself and of the origins that were allowed.
//
// Promises: the token is compared in constant time. A page of another origin can neither read an answer (no CORS header)
// nor, with a request that a browser sends without asking, change anything; nor does it become one of ours by making its
// own name an address of this machine (DNS rebinding): without a token the plane answers to no names but those of the origins that were allowed.
// Must not know: what the routes do.
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

/** Of a form or a `no-cors` fetch a browser asks nobody, but it says which page it is of. */
function refuseForeignPage(request: FastifyRequest, origins: readonly string[]): void {
  const { origin } = request.headers;
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return;
  if (URL.canParse(origin) && new URL(origin).host === hostOf(request)) return;
  throw new AppError(
    'admin_origin_forbidden',
    `a page of ${JSON.stringify(origin.slice(0, 120))} must not change anything on this server; to allow this origin, start the server with --admin-cors-origin`,
  );
}

/** Of whom nobody asks for a token. An address cannot be made another's, and `localhost` is never asked of a DNS server. */
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

/** To us, whoever comes through a proxy on this machine comes from this machine. @throws AppError `admin_proxy_forbidden` */
function refuseProxied({ headers, raw }: FastifyRequest): void {
  const header = Object.keys(headers).find((name) => PROXY_HEADER.test(name));
  // What nginx before 1.29.7 speaks to a server when it was told no more than where that is; and it adds no header then.
  const isOldHttp = raw.httpVersion === '1.0';
  if (header === undefined && !isOldHttp) return;
  const sign = header === undefined ? 'it uses HTTP/1.0, as nginx does' : `it has the header ${header}`;
  throw new AppError(
    'admin_proxy_forbidden',
    `the request came through a proxy (${sign}): without a token the admin plane is for clients on this machine only; ` +
      'give the server an --admin-token, or keep /__admin off the proxy',
  );
}

/** Whom the request is for: its target says so before its Host header does (RFC 9112 §3.2.2). */
function hostOf({ raw: { url = '' }, headers }: FastifyRequest): string {
  return url.startsWith('/') || !URL.canParse(url) ? (headers.host ?? '') : new URL(url).host;
}

/** Without the port, and without the brackets of IPv6. */
function hostnameIn(host: string): string {
  return /^\[?(.*?)\]?(:\d+)?$/.exec(host.toLowerCase())?.[1] ?? '';
}

/** Of what holds no more than every package of this server does: it needs no token, so that a browser can open it. */
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
