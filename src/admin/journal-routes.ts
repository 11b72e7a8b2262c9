// admin/journal-routes.ts: the journal over HTTP: queries, waits, verification, HAR (behaviour §9, §11).
import { ALL_NAMESPACES } from '../core/namespace.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, invalidFields } from '../core/errors.ts';
import { endWithClient } from '../http/connection/leaving.ts';
import { queryOf } from '../http/forms/text.ts';
import { toHar } from '../journal/har.ts';
import { summarize } from '../journal/exchange.ts';
import { summarizeInFlight } from '../journal/in-flight.ts';
import type { Found } from '../journal/journal.ts';
import { asText } from '../journal/verify-text.ts';
import { prefersText } from './accept.ts';
import { EventStreams } from './events.ts';
import type { JournalQueries } from '../control/journal-queries.ts';
import { bodyOf, choiceIn, type NamespaceOf } from './query.ts';

export interface JournalRoutesOptions {
  readonly queries: JournalQueries;
  readonly version: string;
  /** Where the recorded exchanges took place. */
  readonly contractUrl: () => string;
  readonly namespaceOf: NamespaceOf;
}

const PLAIN_TEXT = 'text/plain; charset=utf-8';
const DEFAULT_LIMIT = 1_000;
const NUMERIC = ['chunkIndex', 'attempt', 'status', 'sinceSeq'];

export async function journalRoutes(app: FastifyInstance, options: JournalRoutesOptions): Promise<void> {
  const { namespaceOf, queries } = options;
  const streams = new EventStreams(app);
  app.get('/requests', async (request, reply) => listRequests(request, reply, options));
  app.get('/requests/:seq', async (request) => {
    const { seq } = request.params as { seq: string };
    const exchange = /^\d+$/.test(seq) ? queries.journal.get(Number(seq)) : null;
    const namespace = namespaceOf(request);
    if (exchange !== null && (namespace === ALL_NAMESPACES || exchange.namespace === namespace))
      return exchange;
    throw new AppError(
      'exchange_not_found',
      `no recorded exchange ${JSON.stringify(seq.slice(0, 20))} for this key`,
    );
  });
  app.delete('/requests', async (request) => {
    queries.journal.clear(namespaceOf(request));
    return { deleted: true };
  });
  app.post('/requests/count', async (request) => ({
    count: queries.count(namespaceOf(request), bodyOf(request)),
  }));
  app.post('/requests/find', async (request) =>
    foundBody(queries.find(namespaceOf(request), bodyOf(request))),
  );
  app.post('/requests/wait', (request, reply) => waitForRequests(request, reply, options));
  // A HEAD of a stream would never end.
  app.get('/events', { exposeHeadRoute: false }, async (request, reply) =>
    streams.open(queries, namespaceOf(request), { request, reply }),
  );
  app.post('/verify', async (request, reply) => verifyRequests(request, reply, options));
}

function foundBody({ exchanges, total, evicted }: Found): object {
  return { requests: exchanges, meta: { total, evicted } };
}

function listRequests(request: FastifyRequest, reply: FastifyReply, options: JournalRoutesOptions): unknown {
  const format = choiceIn(request, 'format', ['json', 'har']);
  const isInFlight = choiceIn(request, 'inFlight', ['true', 'false']) === 'true';
  if (isInFlight) return listInFlight(request, reply, options);
  const { limit, format: _format, namespace: _namespace, inFlight: _inFlight, ...filter } = queryOf(request);
  const { version, contractUrl, queries } = options;
  const found = queries.find(options.namespaceOf(request), withNumbers(filter), { limit: limitOf(limit) });
  reply.header('vary', 'accept');
  if (format === undefined && prefersText(request)) return reply.type(PLAIN_TEXT).send(linesOf(found));
  return format === 'har' ? toHar(found.exchanges, version, contractUrl()) : foundBody(found);
}

/** The exchanges in flight. An archive (HAR) has no such exchanges, so `format=har` is refused. */
function listInFlight(request: FastifyRequest, reply: FastifyReply, options: JournalRoutesOptions): unknown {
  choiceIn(request, 'format', ['json']);
  const { limit, format: _format, namespace: _namespace, inFlight: _inFlight, ...filter } = queryOf(request);
  const found = options.queries.inFlight(options.namespaceOf(request), withNumbers(filter));
  const requests = found.slice(0, limitOf(limit));
  reply.header('vary', 'accept');
  if (!prefersText(request)) return { requests, meta: { total: found.length } };
  return reply.type(PLAIN_TEXT).send([...requests.map(summarizeInFlight), ''].join('\n'));
}

/** One line an exchange, as a person reads it. */
function linesOf({ exchanges, evicted }: Found): string {
  const gone = evicted === 0 ? [] : [`(${evicted} exchanges before are not on record any more)`];
  return [...gone, ...exchanges.map(summarize), ''].join('\n');
}

function limitOf(limit: unknown): number {
  if (limit === undefined) return DEFAULT_LIMIT;
  if (typeof limit === 'string' && /^\d{1,9}$/.test(limit)) return Number(limit);
  throw invalidFields([{ field: 'limit', message: 'expected a whole number' }]);
}

/** A query is text; the matcher wants numbers where numbers are meant. */
function withNumbers(filter: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(filter).map(([field, value]) => {
    const isNumber = NUMERIC.includes(field) && typeof value === 'string' && /^\d+$/.test(value);
    return [field, isNumber ? Number(value) : value] as const;
  });
  return Object.fromEntries(entries);
}

async function waitForRequests(
  request: FastifyRequest,
  reply: FastifyReply,
  options: JournalRoutesOptions,
): Promise<unknown> {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  endWithClient(reply.raw);
  const namespace = options.namespaceOf(request);
  const waited = await options.queries.wait(namespace, bodyOf(request), gone.signal);
  const { reason: message, nearMisses, hints } = waited;
  if (message === null) return foundBody(waited);
  reply.code(408);
  const why = { ...(hints.length > 0 && { hints }), ...(nearMisses.length > 0 && { nearMisses }) };
  return { timedOut: true, message, ...why, ...foundBody(waited) };
}

function verifyRequests(
  request: FastifyRequest,
  reply: FastifyReply,
  options: JournalRoutesOptions,
): unknown {
  const verdict = options.queries.verify(options.namespaceOf(request), bodyOf(request));
  reply.code(verdict.pass ? 200 : 409).header('vary', 'accept');
  if (!prefersText(request)) return verdict;
  return reply.type(PLAIN_TEXT).send(asText(verdict));
}
