// admin/media-views.ts: media entries and their bytes over HTTP (behaviour §9).
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sendContent, sha256Of } from './content.ts';
import { choiceIn, type NamespaceOf } from './query.ts';
import type { NamespaceQueries } from '../control/namespace-queries.ts';

interface ViewRoutesOptions {
  readonly views: NamespaceQueries;
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
    const isVerified = choiceIn(request, 'verify', ['true', 'false']) === 'true';
    await views.entry(...asked(request)); // Whether there is one: before all of it is read.
    const verified = isVerified ? { verified: await views.verifyEntry(...asked(request)) } : {};
    const hashed = isHashed ? { sha256: await sha256Of(await views.entryContent(...asked(request))) } : {};
    // Last: it shows what has been found to be damaged.
    return { ...(await views.entry(...asked(request))), ...hashed, ...verified };
  });
  app.get('/media/:id/content', async (request, reply) =>
    sendContent(request, reply, await views.entryContent(...asked(request))),
  );
}
