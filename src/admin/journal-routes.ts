// admin/journal-routes.ts: the journal over HTTP: queries, waits, verification, HAR (behaviour §9, §11).
//
// Must not know: how exchanges are recorded.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, invalidFields } from '../errors.ts';
import { endWithClient } from '../http/leaving.ts';
import { queryOf } from '../http/text.ts';
import { toHar } from '../journal/har.ts';
import type { Found, Journal } from '../journal/journal.ts';
import { parseMatcher } from '../journal/matcher.ts';
import { asText } from '../journal/verify-text.ts';
import { parseVerify, verify, type UnfiredRule } from '../journal/verify.ts';
import { parseWait } from '../journal/waits.ts';
import { prefersText } from './accept.ts';
import { EventStreams } from './events.ts';
import { bodyOf, choiceIn, EVERYBODY, type NamespaceOf } from './query.ts';

export interface JournalRoutesOptions {
  /** Null: the server runs with `--no-journal`. */
  readonly journal: Journal | null;
  readonly version: string;
  /** Where the recorded exchanges took place. */
  readonly contractUrl: () => string;
  readonly namespaceOf: NamespaceOf;
  readonly unfiredRules: (namespace: string) => readonly UnfiredRule[];
}

const DEFAULT_LIMIT = 1_000;
const NUMERIC = ['chunkIndex', 'attempt', 'status', 'sinceSeq'];

export async function journalRoutes(app: FastifyInstance, options: JournalRoutesOptions): Promise<void> {
  const { namespaceOf } = options;
  const streams = new EventStreams(app);
  app.get('/requests', async (request) => listRequests(request, options));
  app.get('/requests/:seq', async (request) => {
    const { seq } = request.params as { seq: string };
    const exchange = /^\d+$/.test(seq) ? journalOf(options).get(Number(seq)) : null;
    const namespace = namespaceOf(request);
    if (exchange !== null && (namespace === EVERYBODY || exchange.namespace === namespace)) return exchange;
    throw new AppError(
      'exchange_not_found',
      `no exchange ${JSON.stringify(seq.slice(0, 20))} on record for this key`,
    );
  });
  app.delete('/requests', async (request) => {
    journalOf(options).clear(namespaceOf(request));
    return { deleted: true };
  });
  app.post('/requests/count', async (request) => ({
    count: journalOf(options).count(namespaceOf(request), parseMatcher(bodyOf(request))),
  }));
  app.post('/requests/find', async (request) =>
    foundBody(journalOf(options).find(namespaceOf(request), parseMatcher(bodyOf(request)))),
  );
  app.post('/requests/wait', (request, reply) => waitForRequests(request, reply, options));
  // A HEAD of a stream would never end.
  app.get('/events', { exposeHeadRoute: false }, async (request, reply) =>
    streams.open(journalOf(options), namespaceOf(request), { request, reply }),
  );
  app.post('/verify', async (request, reply) => verifyRequests(request, reply, options));
}

function journalOf({ journal }: JournalRoutesOptions): Journal {
  if (journal !== null) return journal;
  throw new AppError('journal_off', 'this server keeps no journal; start it without --no-journal');
}

function foundBody({ exchanges, total, evicted }: Found): object {
  return { requests: exchanges, meta: { total, evicted } };
}

function listRequests(request: FastifyRequest, options: JournalRoutesOptions): unknown {
  const format = choiceIn(request, 'format', ['json', 'har']);
  const { limit, format: _format, namespace: _namespace, ...filter } = queryOf(request);
  const found = journalOf(options).find(options.namespaceOf(request), parseMatcher(withNumbers(filter)), {
    limit: limitOf(limit),
  });
  const { version, contractUrl } = options;
  return format === 'har' ? toHar(found.exchanges, version, contractUrl()) : foundBody(found);
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
  const { matcher, count, timeoutMs } = parseWait(bodyOf(request));
  const namespace = options.namespaceOf(request);
  const journal = journalOf(options);
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  endWithClient(reply.raw);
  const result = await journal.wait(namespace, matcher, { count, timeoutMs, signal: gone.signal });
  const exchanges = result.timedOut ? result.seen : result.exchanges;
  const found = { exchanges, total: exchanges.length, evicted: journal.evicted(namespace) };
  if (!result.timedOut) return foundBody(found);
  reply.code(408);
  const message = `waited ${timeoutMs} ms for ${count} such exchanges and saw ${exchanges.length}`;
  return { timedOut: true, message, ...foundBody(found) };
}

function verifyRequests(
  request: FastifyRequest,
  reply: FastifyReply,
  options: JournalRoutesOptions,
): unknown {
  const namespace = options.namespaceOf(request);
  const asked = parseVerify(bodyOf(request));
  const { exchanges } = journalOf(options).find(namespace);
  const verdict = verify(asked, exchanges, options.unfiredRules(namespace));
  reply.code(verdict.pass ? 200 : 409).header('vary', 'accept');
  if (!prefersText(request.headers.accept)) return verdict;
  return reply.type('text/plain; charset=utf-8').send(asText(verdict));
}
