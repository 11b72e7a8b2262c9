// admin/upload-views.ts: uploads over HTTP (behaviour §9, §11).
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { sendContent, sha256Of } from './content.ts';
import { choiceIn, type NamespaceOf } from './query.ts';
import type { NamespaceQueries } from '../control/namespace-queries.ts';

interface ViewRoutesOptions {
  readonly views: NamespaceQueries;
  readonly namespaceOf: NamespaceOf;
}

export async function uploadViews(
  app: FastifyInstance,
  { views, namespaceOf }: ViewRoutesOptions,
): Promise<void> {
  const asked = (request: FastifyRequest): [namespace: string, fileId: string] => [
    namespaceOf(request),
    (request.params as { fileId: string }).fileId,
  ];
  app.get('/uploads', async (request) => {
    const { uploads, damaged } = await views.uploads(namespaceOf(request));
    return { uploads, damaged, meta: { total: uploads.length } };
  });
  app.get('/uploads/:fileId', async (request) => {
    const isHashed = choiceIn(request, 'digest', ['sha256']) !== undefined;
    const isVerified = choiceIn(request, 'verify', ['true', 'false']) === 'true';
    await views.upload(...asked(request)); // Whether there is one: before all of it is read.
    const verified = isVerified ? { verified: await views.verifyUpload(...asked(request)) } : {};
    const hashed = isHashed ? { sha256: await sha256Of(await views.uploadContent(...asked(request))) } : {};
    // Last: it shows what has been found to be damaged.
    return { ...(await views.upload(...asked(request))), ...hashed, ...verified };
  });
  app.get('/uploads/:fileId/content', async (request, reply) =>
    sendContent(request, reply, await views.uploadContent(...asked(request))),
  );
  app.delete('/uploads/:fileId', async (request) => {
    const [namespace, fileId] = asked(request);
    await views.removeUpload(namespace, fileId);
    return { deleted: true, fileId };
  });
}
