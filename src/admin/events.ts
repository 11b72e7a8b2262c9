// admin/events.ts: what happens, as server-sent events (WHATWG HTML §9.2): `id`, `event`, `data`.
//
// Promises: a client that sends its last event id (`Last-Event-ID`) misses no event and gets no event twice. If events may be missing,
// `event: gap` says so. Progress has no id and is never repeated. A client that does not read is disconnected before it costs memory, and
// can resume. Streams end when the server ends.
import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { endWithClient } from '../http/connection/leaving.ts';
import type { JournalEvent } from '../journal/event-feed.ts';
import type { Journal } from '../journal/journal.ts';
import { clearInterval, setInterval } from '../core/machine-time.ts';
import type { JournalQueries } from '../control/journal-queries.ts';

/** Now and then a comment keeps proxies from closing. */
const HEARTBEAT_MS = 15_000;
const RETRY_MS = 1_000;
/** A client that does not read is disconnected when more bytes than this wait for it. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

export class EventStreams {
  readonly #open = new Set<ServerResponse>();

  constructor(app: FastifyInstance) {
    app.addHook('preClose', async () => {
      for (const raw of this.#open) raw.end();
    });
  }

  /** Takes the reply over. */
  open(queries: JournalQueries, namespace: string, { request, reply }: Parties): FastifyReply {
    const { journal } = queries;
    const { raw } = reply;
    const headers = {
      ...reply.getHeaders(),
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
    };
    reply.hijack();
    raw.writeHead(200, { ...headers, 'x-accel-buffering': 'no' } as Record<string, string>);
    raw.write(`retry: ${RETRY_MS}\n${beginning(journal, namespace, lastIdIn(request))}`);
    const send = (text: string): void => {
      if (raw.writableLength > MAX_WAITING_BYTES) raw.destroy();
      else if (!raw.writableEnded && !raw.destroyed) raw.write(text);
    };
    const unsubscribe = queries.subscribe(namespace, (event) => send(textOf(event)));
    const heartbeat = setInterval(() => send(': \n\n'), HEARTBEAT_MS);
    this.#open.add(raw);
    endWithClient(raw);
    raw.once('close', () => {
      clearInterval(heartbeat);
      unsubscribe();
      this.#open.delete(raw);
    });
    return reply;
  }
}

interface Parties {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

function lastIdIn({ headers }: FastifyRequest): number | null {
  const given = headers['last-event-id'];
  return typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : null;
}

/** Where the client is in the sequence: an id of its own for a new one, so that it can resume before anything happened. */
function beginning(journal: Journal, namespace: string, lastId: number | null): string {
  if (lastId === null) return `id: ${journal.lastEventId}\n\n`;
  const { events, isGap } = journal.since(namespace, lastId);
  const from = (events[0]?.id ?? journal.lastEventId + 1) - 1;
  const gap = isGap ? `id: ${from}\nevent: gap\ndata: ${JSON.stringify({ lastEventId: lastId })}\n` : '';
  return `${gap}\n${events.map(textOf).join('')}`;
}

function textOf({ id, kind, namespace, data }: JournalEvent): string {
  const told = kind === 'ledger' || kind === 'fault' ? { namespace, ...data } : data;
  const place = kind === 'progress' ? '' : `id: ${id}\n`;
  return `${place}event: ${kind}\ndata: ${JSON.stringify(told)}\n\n`;
}
