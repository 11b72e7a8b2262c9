// admin/upload-views.ts: uploads as the ledger knows them, for people and for tests (behaviour §9, §11).
//
// Must not know: how chunks come in.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../errors.ts';
import type { Media } from '../media/media.ts';
import type { Bytes, Place } from '../uploads/ports.ts';
import { hex32, type UploadState } from '../uploads/upload.ts';
import type { Uploads, UploadRef } from '../uploads/uploads.ts';
import { sendContent, sha256Of, type Content } from './content.ts';

interface UploadViewsOptions {
  readonly uploads: Uploads;
  readonly media: Media;
  readonly readBytes: Bytes['read'];
  readonly uploadTtlMs: number;
  readonly namespaceOf: (request: FastifyRequest) => string;
}

export async function uploadViews(app: FastifyInstance, options: UploadViewsOptions): Promise<void> {
  const { uploads, namespaceOf } = options;
  app.get('/__admin/uploads', async (request) => {
    const namespace = namespaceOf(request);
    const views: object[] = [];
    const damaged: object[] = [];
    const onDamaged = ({ message }: Error, { name }: Place): number => damaged.push({ name, message });
    for await (const { namespace: own, state } of uploads.list(namespace, onDamaged))
      views.push(summaryOf(state, own, options));
    return { uploads: views, damaged, meta: { total: views.length } };
  });
  app.get('/__admin/uploads/:fileId', async (request) => {
    const ref = refOf(request, options);
    const state = await uploads.inspect(ref);
    if (state === null) throw notFound(ref);
    const { digest } = request.query as { digest?: unknown };
    const sha256 = digest === 'sha256' ? { sha256: await sha256Of(await contentOf(ref, options)) } : {};
    return { ...summaryOf(state, ref.caller.namespace, options), chunks: chunksOf(state), ...sha256 };
  });
  app.get('/__admin/uploads/:fileId/content', async (request, reply) =>
    sendContent(request, reply, await contentOf(refOf(request, options), options)),
  );
  app.delete('/__admin/uploads/:fileId', async (request) => {
    const ref = refOf(request, options);
    if (!(await uploads.remove(ref))) throw notFound(ref);
    return { deleted: true, fileId: ref.fileId };
  });
}

function refOf(request: FastifyRequest, { namespaceOf }: UploadViewsOptions): UploadRef {
  const { fileId } = request.params as { fileId: string };
  return { caller: { namespace: namespaceOf(request), fallback: null }, fileId };
}

function summaryOf(state: UploadState, namespace: string, { uploadTtlMs }: UploadViewsOptions): object {
  return {
    fileId: state.fileId,
    namespace,
    totalChunks: state.totalChunks,
    currentSize: state.currentSize,
    receivedBytes: state.receivedBytes,
    completed: state.completedBy !== null,
    finalizedAs: state.finalization?.mediaId ?? null,
    expiresAt: new Date(state.lastActivityAt + uploadTtlMs).toISOString(),
  };
}

function chunksOf(state: UploadState): object[] {
  let offset = 0;
  return [...state.chunks].map((chunk) => {
    const { index, bytes, at } = chunk;
    // The place in the content; beyond a gap it is not known yet.
    const view = { index, offset: index < state.nextIndex ? offset : null, bytes };
    offset += bytes;
    return { ...view, crc32: hex32(chunk.crc32), at: new Date(at).toISOString() };
  });
}

/** The bytes up to the first gap: of the upload, or of the entry that it became. */
async function contentOf(
  ref: UploadRef,
  { uploads, media, readBytes }: UploadViewsOptions,
): Promise<Content> {
  const found = await uploads.content(ref);
  if (found === null) throw notFound(ref);
  const { place, extents, finalization } = found;
  const bytes = extents.reduce((sum, extent) => sum + extent.bytes, 0);
  if (finalization === null) return { bytes, read: (range) => readBytes(place, extents, range) };
  const stored = await media.find(finalization.namespace, finalization.mediaId);
  if (stored === null) throw notFound(ref);
  return { bytes, read: (range) => media.content(stored, range) };
}

function notFound({ fileId }: UploadRef): AppError {
  const name = JSON.stringify(fileId.slice(0, 80));
  return new AppError(
    'upload_not_found',
    `no upload ${name} for this key; GET /__admin/uploads lists those that exist`,
  );
}
