// http/routes/media.ts: the media operations over HTTP: create an entry (finalise or direct upload) and read an entry.
//
// Videos and images share these routes and one life cycle; media/platforms.ts says how they differ.
// Must not know: how entries are stored, what surrounds the routes.
import multipart from '@fastify/multipart';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError, invalidFields } from '../../core/errors.ts';
import type { VerifiedReader } from '../../integrity/verified-reader.ts';
import type { Fixtures } from '../../media/accounts.ts';
import { checkStored, type SniffedContent } from '../../media/content-check.ts';
import { parseEntryRequest, sentFields, type EntryFields, type EntrySpec } from '../../media/entry-form.ts';
import { requestFingerprint } from '../../media/entry-fingerprint.ts';
import { finalizeUpload, type MadeEntry } from '../../media/finalize.ts';
import { checkName, type MediaCheck } from '../../media/media-check.ts';
import type { Media } from '../../media/media.ts';
import type { Metrics } from '../../telemetry/telemetry.ts';
import type { Uploads } from '../../uploads/uploads.ts';
import { EntryIntake, type DirectFile } from '../forms/entry-intake.ts';
import {
  boundaryIn,
  callerOf,
  forbidCaching,
  isMultipart,
  openForm,
  operationOf,
  type BodyRules,
} from '../exchange.ts';
import type { InFlight } from '../connection/in-flight.ts';
import { partsOf } from '../forms/media-form.ts';
import type { FormLimits } from '../forms/multipart-reader.ts';
import { observerOf, type BodyFacts, type Change, type DeferredChange } from '../observer.ts';
import { addTextBodies, TEXT_BODY } from '../forms/text-body.ts';

export interface MediaRoutesOptions {
  readonly uploads: Uploads;
  readonly media: Media;
  readonly reader: VerifiedReader;
  readonly fixtures: Fixtures;
  readonly mediaCheck: MediaCheck;
  readonly isStrict: boolean;
  readonly maxFileBytes: number;
  readonly body: BodyRules;
  readonly limits: FormLimits & { readonly maxFieldBytes: number };
  readonly metrics: Metrics;
  readonly inFlight: InFlight;
}

const KINDS = [
  {
    type: 'video',
    path: '/media/videos',
    create: 'createVideo',
    read: 'getVideo',
    message: 'Video uploaded',
  },
  {
    type: 'image',
    path: '/media/images',
    create: 'createImage',
    read: 'getImage',
    message: 'Image uploaded',
  },
] as const;

export async function mediaRoutes(app: FastifyInstance, options: MediaRoutesOptions): Promise<void> {
  app.removeAllContentTypeParsers(); // Fastify's own parsers accept plain text, and wait for a silent client for ever.
  if (!options.isStrict) addTextBodies(app, options.body, options.limits.maxFieldBytes);
  await app.register(multipart);
  // For a client that waits for `100 Continue`, the check must come before the client is told to send its body. For other
  // clients, the check happens when the body is opened.
  app.addHook('onRequest', (request, _reply, done) => {
    const isWaiting = request.headers.expect !== undefined && request.method === 'POST';
    if (isWaiting) refuseOtherBodies(request, options.isStrict);
    done();
  });
  for (const kind of KINDS) {
    app.post(kind.path, { config: { operationId: kind.create } }, (request, reply) =>
      options.inFlight.track(createEntry(request, reply, { ...options, kind })),
    );
    app.get(`${kind.path}/:id`, { config: { operationId: kind.read } }, (request, reply) =>
      getEntry(request, reply, { ...options, kind }),
    );
  }
}

/** A request without a Content-Type may have no body: the missing fields are named later. @throws as `boundaryIn` */
function refuseOtherBodies({ headers }: FastifyRequest, isStrict: boolean): void {
  const contentType = headers['content-type'] ?? '';
  const isEmpty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
  const isText = !isStrict && TEXT_BODY.test(contentType);
  if (!isText && !(contentType === '' && isEmpty)) boundaryIn(contentType);
}

type KindOptions = MediaRoutesOptions & { readonly kind: (typeof KINDS)[number] };

async function createEntry(
  request: FastifyRequest,
  reply: FastifyReply,
  options: KindOptions,
): Promise<unknown> {
  const { fields, file, body } = await readRequest(request, options);
  const pending = new PendingFile(file);
  try {
    const read = parseEntryRequest(fields, options.kind.type, options.fixtures);
    const spec: EntrySpec = { ...read, fields: sentFields(fields) };
    refuseUnlessOne(spec, file);
    const observer = observerOf(request);
    await observer.identified({ fileId: spec.fileId, mediaType: options.kind.type });
    const run = async (): ReturnType<Change<MadeEntry>['run']> => {
      const made = await (file === null
        ? finalize(request, { fields, spec }, options)
        : createDirect(file, spec, options));
      pending.keep();
      const committed = made.isNew ? { offset: 0, bytes: made.entry.bytes } : null;
      return { result: made, committed, mediaId: made.entry.id };
    };
    const { entry, isNew } = await observer.commit({ run, defer: () => pending.defer(run) }, body);
    request.facts = { mediaId: entry.id, fileId: entry.spec.fileId };
    reply.code(isNew ? 201 : 200);
    forbidCaching(reply);
    return { success: true, data: options.media.view(entry), message: options.kind.message };
  } finally {
    await pending.discard();
  }
}

/** The file of a direct upload before an entry owns it. The file is discarded unless `keep` is called. */
class PendingFile {
  #file: DirectFile | null;

  constructor(file: DirectFile | null) {
    this.#file = file;
  }

  keep(): void {
    this.#file = null;
  }

  /** Hands the file to a change that will be made later or dropped. */
  defer(run: DeferredChange['run']): DeferredChange {
    const late = new PendingFile(this.#file);
    this.keep();
    // The collection of garbage removes a file that could not be discarded, because no ledger names it (rule C15).
    const drop = (): Promise<void> => late.discard().catch(() => undefined);
    return {
      drop,
      run: async () => {
        try {
          const made = await run();
          late.keep();
          return made;
        } catch {
          return null; // The client was already told that its entry was not made.
        } finally {
          await drop();
        }
      },
    };
  }

  async discard(): Promise<void> {
    await this.#file?.upload.discard();
  }
}

interface EntryRequest {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly file: DirectFile | null;
  readonly body: BodyFacts;
}

async function readRequest(request: FastifyRequest, options: KindOptions): Promise<EntryRequest> {
  if (!isMultipart(request.headers['content-type'] ?? '')) {
    const receivedBytes = Number(request.headers['content-length'] ?? 0);
    return { fields: bodyFields(request.body), file: null, body: { receivedBytes, fileBytes: 0, parts: [] } };
  }
  const body = openForm(request, options.body);
  const { feed } = body;
  const intake = new EntryIntake(
    {
      maxFieldBytes: options.limits.maxFieldBytes,
      maxFileBytes: options.maxFileBytes,
      openDirect: () => options.media.openDirect(callerOf(request).namespace),
      observer: observerOf(request),
    },
    feed,
  );
  try {
    const form = await intake.receive(partsOf(request, body, options.limits));
    return { ...form, fields: Object.fromEntries(form.fields) };
  } finally {
    options.metrics.bytesReceived(operationOf(request), feed.receivedBytes);
  }
}

function bodyFields(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return { ...body };
  throw new AppError(
    'malformed_json',
    'the body is JSON, but not an object; send an object with the fields of an entry',
  );
}

/** Rule F2: exactly one of `file` and `fileId`. @throws AppError `invalid_request` */
function refuseUnlessOne(spec: EntrySpec, file: DirectFile | null): void {
  if (file === null && spec.fileId === undefined) {
    throw invalidFields([
      { field: 'fileId', message: 'missing; send the fileId of a complete upload, or a file' },
    ]);
  }
  if (file !== null && spec.fileId !== undefined) {
    throw invalidFields([{ field: 'fileId', message: 'sent together with a file; send one of them' }]);
  }
}

async function finalize(
  request: FastifyRequest,
  { fields, spec }: { fields: EntryFields; spec: EntrySpec },
  { uploads, media, mediaCheck, reader, fixtures }: KindOptions,
): Promise<MadeEntry> {
  const ref = { caller: callerOf(request), fileId: spec.fileId ?? '' };
  const fingerprint = requestFingerprint(fields, spec.type, fixtures);
  const check = async (content: SniffedContent): Promise<void> => {
    if (mediaCheck === 'content') await checkStored(reader, spec.type, content);
  };
  return finalizeUpload({ uploads, media }, ref, { spec, fingerprint, check });
}

async function createDirect(
  file: DirectFile,
  spec: EntrySpec,
  { media, mediaCheck, reader }: KindOptions,
): Promise<MadeEntry> {
  if (mediaCheck !== 'off') checkName(spec.type, file.filename);
  if (mediaCheck === 'content') {
    const extents = await file.upload.sync();
    const { place, sums } = file.upload;
    await checkStored(reader, spec.type, { place, extents, sums });
  }
  return { entry: await media.createDirect(file.upload, spec), isNew: true };
}

async function getEntry(
  request: FastifyRequest,
  reply: FastifyReply,
  options: KindOptions,
): Promise<unknown> {
  const { id } = request.params as { id: string };
  await observerOf(request).identified({ mediaType: options.kind.type });
  const stored = await options.media.find(callerOf(request).namespace, id);
  if (stored?.entry.spec.type !== options.kind.type) {
    throw new AppError(
      'media_not_found',
      `no ${options.kind.type} ${JSON.stringify(id.slice(0, 80))} for this API key; check the id and the key that created it`,
    );
  }
  forbidCaching(reply);
  return { success: true, data: options.media.view(stored.entry) };
}
