// admin/media-views.ts: media entries and their bytes, for people and for tests (behaviour §9).
//
// Must not know: how entries are made.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import type { Media, StoredEntry } from '../media/media.ts';
import type { Place } from '../uploads/ports.ts';
import { sendContent, sha256Of, type Content } from './content.ts';

interface MediaViewsOptions {
  readonly media: Media;
  readonly namespaceOf: (request: FastifyRequest) => string;
}

export async function mediaViews(app: FastifyInstance, options: MediaViewsOptions): Promise<void> {
  const { media, namespaceOf } = options;
  app.get('/__admin/media', async (request) => {
    const views: object[] = [];
    const damaged: object[] = [];
    const onDamaged = ({ message }: Error, { name: id }: Place): unknown => damaged.push({ id, message });
    for await (const stored of media.list(namespaceOf(request), onDamaged)) views.push(viewOf(stored, media));
    return { media: views, damaged, meta: { total: views.length } };
  });
  app.get('/__admin/media/:id', async (request) => {
    const stored = await find(request, options);
    const { digest } = request.query as { digest?: unknown };
    const sha256 = digest === 'sha256' ? { sha256: await sha256Of(contentOf(stored, media)) } : {};
    return { ...viewOf(stored, media), ...sha256 };
  });
  app.get('/__admin/media/:id/content', async (request, reply) =>
    sendContent(request, reply, contentOf(await find(request, options), media)),
  );
}

async function find(
  request: FastifyRequest,
  { media, namespaceOf }: MediaViewsOptions,
): Promise<StoredEntry> {
  const { id } = request.params as { id: string };
  const stored = await media.find(namespaceOf(request), id);
  if (stored !== null) return stored;
  const name = JSON.stringify(id.slice(0, 80));
  throw new AppError(
    'media_not_found',
    `no media entry ${name} for this key; GET /__admin/media lists those that exist`,
  );
}

function viewOf({ entry }: StoredEntry, media: Media): object {
  const { spec, bytes, namespace, failures } = entry;
  return { ...media.view(entry), type: spec.type, fileId: spec.fileId ?? null, bytes, namespace, failures };
}

function contentOf(stored: StoredEntry, media: Media): Content {
  return { bytes: stored.entry.bytes, read: (range) => media.content(stored, range) };
}
