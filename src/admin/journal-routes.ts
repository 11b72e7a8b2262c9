// admin/journal-routes.ts: the journal over HTTP: queries, waits, events, verification, HAR (behaviour §9, §11).
//
// Must not know: how exchanges are recorded.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import type { Exchange } from '../journal/exchange.ts';
import { toHar } from '../journal/har.ts';
import type { Journal } from '../journal/journal.ts';
import { parseMatcher } from '../journal/matcher.ts';
import { asText } from '../journal/verify-text.ts';
import { parseVerify, verify, type UnfiredRule } from '../journal/verify.ts';
import { parseWait } from '../journal/waits.ts';

export interface JournalRoutesOptions {
  /** Null: the server runs with `--no-journal`. */
  readonly journal: Journal | null;
  readonly version: string;
  readonly namespaceOf: (request: FastifyRequest) => string;
  readonly unfiredRules: (namespace: string) => readonly UnfiredRule[];
}

const DEFAULT_LIMIT = 1_000;
const NUMERIC = ['chunkIndex', 'attempt', 'status', 'sinceSeq'];

export async function journalRoutes(app: FastifyInstance, options: JournalRoutesOptions): Promise<void> {
  const { namespaceOf } = options;
  app.get('/__admin/requests', (request) => listRequests(request, options));
  app.get('/__admin/requests/:seq', async (request) => {
    const { seq } = request.params as { seq: string };
    const exchange = journalOf(options).get(Number(seq));
    const namespace = namespaceOf(request);
    if (exchange !== null && (namespace === '*' || exchange.namespace === namespace)) return exchange;
    throw new AppError(
      'exchange_not_found',
      `no exchange ${JSON.stringify(seq.slice(0, 20))} on record for this key`,
    );
  });
  app.delete('/__admin/requests', async (request) => {
    journalOf(options).clear(namespaceOf(request));
    return { deleted: true };
  });
  app.post('/__admin/requests/count', async (request) => ({
    count: journalOf(options).count(namespaceOf(request), parseMatcher(request.body ?? {})),
  }));
  app.post('/__admin/requests/find', async (request) =>
    foundBody(journalOf(options).find(namespaceOf(request), parseMatcher(request.body ?? {}))),
  );
  app.post('/__admin/requests/wait', (request, reply) => waitForRequests(request, reply, options));
  app.get('/__admin/events', (request, reply) => streamEvents(request, reply, options));
  app.post('/__admin/verify', (request, reply) => verifyRequests(request, reply, options));
}

function journalOf({ journal }: JournalRoutesOptions): Journal {
  if (journal !== null) return journal;
  throw new AppError('journal_off', 'this server keeps no journal; start it without --no-journal');
}

function foundBody(found: { exchanges: readonly Exchange[]; total: number; evicted: number }): object {
  return { requests: found.exchanges, meta: { total: found.total, evicted: found.evicted } };
}

async function listRequests(request: FastifyRequest, options: JournalRoutesOptions): Promise<unknown> {
  const {
    limit,
    format,
    namespace: _namespace,
    ...filter
  } = request.query as Record<string, string | undefined>;
  const matcher = parseMatcher(withNumbers(filter));
  const count = limit === undefined ? DEFAULT_LIMIT : Number(limit);
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new AppError('invalid_matcher', `limit is ${JSON.stringify(limit)}, expected a whole number`, {
      problems: [{ pointer: '/limit', message: 'expected a whole number' }],
    });
  }
  const found = journalOf(options).find(options.namespaceOf(request), matcher, { limit: count });
  return format === 'har' ? toHar(found.exchanges, options.version) : foundBody(found);
}

/** A query is text; the matcher wants numbers where numbers are meant. */
function withNumbers(filter: Record<string, string | undefined>): Record<string, unknown> {
  const entries = Object.entries(filter).map(([field, value]) => {
    const isNumber = NUMERIC.includes(field) && /^\d+$/.test(value ?? '');
    return [field, isNumber ? Number(value) : value] as const;
  });
  return Object.fromEntries(entries);
}

async function waitForRequests(
  request: FastifyRequest,
  reply: FastifyReply,
  options: JournalRoutesOptions,
): Promise<unknown> {
  const { matcher, count, timeoutMs } = parseWait(request.body ?? {});
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const wait = { count, timeoutMs, signal: gone.signal };
  const result = await journalOf(options).wait(options.namespaceOf(request), matcher, wait);
  if (!result.timedOut) return { requests: result.exchanges, meta: { total: result.exchanges.length } };
  reply.code(408);
  return {
    timedOut: true,
    message: `waited ${timeoutMs} ms for ${count} such exchanges and saw ${result.seen.length}`,
    requests: result.seen,
    meta: { total: result.seen.length },
  };
}

const HEARTBEAT_MS = 15_000;

/** Server-sent events (WHATWG HTML §9.2): `id`, `event`, `data`; a comment now and then keeps proxies from closing. */
function streamEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  options: JournalRoutesOptions,
): FastifyReply {
  const journal = journalOf(options);
  const namespace = options.namespaceOf(request);
  const { raw } = reply;
  const send = (event: { id: number; kind: string; namespace: string; data: unknown }): void => {
    const data =
      event.kind === 'exchange' ? event.data : { namespace: event.namespace, ...(event.data as object) };
    raw.write(`id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  reply.hijack();
  raw.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  raw.write('retry: 1000\n\n');
  const lastId = Number(request.headers['last-event-id']);
  if (Number.isSafeInteger(lastId) && lastId >= 0 && request.headers['last-event-id'] !== undefined) {
    const { events, isGap } = journal.since(namespace, lastId);
    if (isGap) raw.write(`event: gap\ndata: ${JSON.stringify({ lastEventId: lastId })}\n\n`);
    for (const event of events) send(event);
  }
  const unsubscribe = journal.subscribe(namespace, send);
  const heartbeat = setInterval(() => raw.write(': \n\n'), HEARTBEAT_MS);
  raw.once('close', () => {
    clearInterval(heartbeat);
    unsubscribe();
  });
  return reply;
}

async function verifyRequests(
  request: FastifyRequest,
  reply: FastifyReply,
  options: JournalRoutesOptions,
): Promise<unknown> {
  const namespace = options.namespaceOf(request);
  const asked = parseVerify(request.body ?? {});
  const { exchanges } = journalOf(options).find(namespace);
  const verdict = verify(asked, exchanges, options.unfiredRules(namespace));
  reply.code(verdict.pass ? 200 : 409);
  if (!(request.headers.accept ?? '').includes('text/plain')) return verdict;
  return reply.type('text/plain; charset=utf-8').send(asText(verdict));
}
