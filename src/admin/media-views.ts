// admin/media-views.ts: media entries and their bytes over HTTP (behaviour §9).
//
// Must not know: how views are made, how entries are made.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sendContent, sha256Of } from './content.ts';
import { choiceIn, type NamespaceOf } from './query.ts';
import type { Views } from './views.ts';

interface ViewRoutesOptions {
  readonly views: Views;
  readonly namespaceOf: NamespaceOf;
}

export async function mediaViews(
  app: FastifyInstance,
  { views, namespaceOf }: ViewRoutesOptions,
): Promise<void> {
  const asked = (request: FastifyRequest): [namespace: string, id: string] => [
    namespaceOf(request),
    (request.params as { id: string }).id,
  ];
  app.get('/media', async (request) => {
    const { entries, damaged } = await views.entries(namespaceOf(request));
    return { media: entries, damaged, meta: { total: entries.length } };
  });
  app.get('/media/:id', async (request) => {
    const isHashed = choiceIn(request, 'digest', ['sha256']) !== undefined;
    const entry = await views.entry(...asked(request));
    if (!isHashed) return entry;
    return { ...entry, sha256: await sha256Of(await views.entryContent(...asked(request))) };
  });
  app.get('/media/:id/content', async (request, reply) =>
    sendContent(request, reply, await views.entryContent(...asked(request))),
  );
}
