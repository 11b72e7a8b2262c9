// http/routes/chunks.ts: the two chunk operations of the contract over HTTP.
//
// Must not know: what surrounds them (keys, faults, journal, metrics), how a chunk is stored.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Metrics } from '../../telemetry/telemetry.ts';
import type { Caller } from '../../core/namespace.ts';
import type { Uploads } from '../../uploads/uploads.ts';
import { ChunkForm, parseFileId } from '../forms/chunk-form.ts';
import { ChunkIntake, type IntakeOptions } from '../forms/chunk-intake.ts';
import { boundaryIn, callerOf, forbidCaching, openForm, type BodyRules } from '../exchange.ts';
import type { InFlight } from '../connection/in-flight.ts';
import { MultipartReader, type FormLimits } from '../forms/multipart-reader.ts';
import type { Subject } from '../../contract/operations.ts';
import { observerOf } from '../observer.ts';
import { chunkBody, uploadStatusBody } from '../../contract/bodies.ts';
import { queryOf } from '../forms/text.ts';

export interface ChunkRoutesOptions {
  readonly uploads: Uploads;
  readonly intake: IntakeOptions;
  readonly body: BodyRules;
  readonly limits: FormLimits & { readonly maxFieldBytes: number };
  readonly metrics: Metrics;
  readonly inFlight: InFlight;
}

export async function chunkRoutes(app: FastifyInstance, options: ChunkRoutesOptions): Promise<void> {
  // The handler reads the body as a stream, so no parser of Fastify may touch it, whatever its content type is.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  // For a client that waits for `100 Continue`, the check must come before the client is told to send its body. For other
  // clients, the check happens when the body is opened.
  app.addHook('onRequest', ({ method, headers }, _reply, done) => {
    if (headers.expect !== undefined && method === 'POST') boundaryIn(headers['content-type'] ?? '');
    done();
  });
  app.get(
    '/media/chunks',
    { config: { operationId: 'getUploadStatus', isKeyOptional: true, subjectOf } },
    (request, reply) => getUploadStatus(request, reply, options),
  );
  app.post('/media/chunks', { config: { operationId: 'uploadChunk', isKeyOptional: true } }, (request) =>
    options.inFlight.track(uploadChunk(request, options)),
  );
}

/** An empty subject: the route will refuse the request. */
function subjectOf(request: { readonly url: string }): Subject {
  try {
    return { fileId: fileIdOf(request) };
  } catch {
    return {};
  }
}

/** @throws AppError `invalid_request` */
function fileIdOf(request: { readonly url: string }): string {
  return parseFileId(queryOf(request)['fileId']);
}

async function getUploadStatus(
  request: FastifyRequest,
  reply: FastifyReply,
  { uploads }: ChunkRoutesOptions,
): Promise<unknown> {
  const fileId = fileIdOf(request);
  request.facts = { fileId };
  await observerOf(request).identified({ fileId });
  forbidCaching(reply);
  return uploadStatusBody(fileId, await uploads.status({ caller: ownOf(request), fileId }));
}

/**
 * Chunks and their status stay in the caller's own namespace. Only a finalise also looks into the public namespace (rule K3).
 */
function ownOf(request: FastifyRequest): Caller {
  return { ...callerOf(request), fallback: null };
}

async function uploadChunk(request: FastifyRequest, options: ChunkRoutesOptions): Promise<unknown> {
  const { limits, metrics } = options;
  const { boundary, feed, declaredBytes } = openForm(request, options.body);
  const observer = observerOf(request);
  const form = new ChunkForm(limits.maxFieldBytes, observer.marks);
  const intake = new ChunkIntake(
    options.intake,
    { caller: ownOf(request), observer },
    { feed, form, declaredBytes },
  );
  try {
    const { receipt, identity } = await intake.receive(new MultipartReader(boundary, limits, form));
    return chunkBody(identity.fileId, receipt);
  } finally {
    metrics.bytesReceived('uploadChunk', feed.receivedBytes);
    request.facts = { ...form.knownIdentity, bytes: form.digest.bytes };
  }
}
