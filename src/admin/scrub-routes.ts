// admin/scrub-routes.ts: scrubs over HTTP: start, progress, end (rule D5).
import type { FastifyInstance } from 'fastify';
import type { NamespaceOf } from './query.ts';
import type { Scrubs } from '../control/scrubs.ts';

interface ScrubRoutesOptions {
  readonly scrubs: Scrubs;
  readonly namespaceOf: NamespaceOf;
}

export async function scrubRoutes(
  app: FastifyInstance,
  { scrubs, namespaceOf }: ScrubRoutesOptions,
): Promise<void> {
  app.post('/scrub', async (request, reply) => {
    const { scrub, isNew } = scrubs.start(namespaceOf(request));
    reply.code(isNew ? 202 : 200);
    return { scrub };
  });
  app.get('/scrub', async (request) => ({ scrub: scrubs.view(namespaceOf(request)) }));
  app.delete('/scrub', async (request) => ({ scrub: await scrubs.cancel(namespaceOf(request)) }));
}
