// helpers/uploads.ts: the upload service over some storage, with a clock that moves only when the test moves it, and a client that
// gives chunks directly to the service, without HTTP.
import type { Caller } from '../../src/core/namespace.ts';
import { crc32 } from 'node:zlib';
import { sourceOf } from '../../src/media/entry-source.ts';
import { DamageBook } from '../../src/integrity/damage-book.ts';
import { VerifiedReader } from '../../src/integrity/verified-reader.ts';
import type { EntrySpec } from '../../src/media/entry-form.ts';
import { entryMaking } from '../../src/media/finalize.ts';
import { Media } from '../../src/media/media.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { ChunkLease } from '../../src/uploads/chunk-lease.ts';
import type { Repair } from '../../src/uploads/open-uploads.ts';
import type { FinalizedContent, FinalizeRequest } from '../../src/uploads/finalized.ts';
import type { StorageKey, Storage } from '../../src/uploads/ports.ts';
import type { ChunkDigest, Receipt } from '../../src/uploads/upload.ts';
import { Uploads, type UploadsOptions } from '../../src/uploads/uploads.ts';

export const TTL_MS = 1_000_000;

export class FakeClock {
  /** This time is ahead of the machine's, so everything that a storage dates by the machine's time is in the past. */
  ms = Date.now() + 60_000;

  now(): number {
    return this.ms;
  }

  ageOf(_namespace: string, at: number): number {
    return this.ms - at;
  }

  advance(ms: number): void {
    this.ms += ms;
  }
}

export const ALICE: Caller = { namespace: 'ns_alice', fallback: null };

export interface Service {
  readonly uploads: Uploads;
  readonly media: Media;
  readonly storage: Storage;
  readonly clock: FakeClock;
  readonly expired: StorageKey[];
  readonly completed: StorageKey[];
  readonly repairs: Repair[];
  readonly closeErrors: unknown[];
}

let ids = 0;

export function openService(
  options: Partial<UploadsOptions> & { clock?: FakeClock } = {},
  storage: Storage = createMemoryStorage(),
): Service {
  const clock = options.clock ?? new FakeClock();
  const nextId = { next: () => (ids += 1).toString(16).padStart(24, '0') };
  const timing = { pendingTimeMs: 0, processingTimeMs: 0 };
  const seen = { expired: [] as StorageKey[], completed: [] as StorageKey[], repairs: [] as Repair[] };
  const closeErrors: unknown[] = [];
  const onCloseError = (error: unknown): unknown => closeErrors.push(error);
  const reader = new VerifiedReader(storage.bytes, new DamageBook(() => undefined));
  const media = new Media({
    storage,
    reader,
    clock,
    ids: nextId,
    timing,
    onCreated: () => undefined,
    onErased: () => undefined,
    onCloseError,
  });
  const uploads = new Uploads({
    storage,
    ids: nextId,
    chunkOrder: 'sequential',
    maxFileBytes: 1_000_000,
    uploadTtlMs: TTL_MS,
    takeoverAfterMs: 3_000,
    maxIdle: 100,
    maxOpenUploads: 1_000,
    onRepair: (repair) => seen.repairs.push(repair),
    onCloseError,
    onExpired: (place) => seen.expired.push(place),
    onCompleted: (place) => seen.completed.push(place),
    onErased: () => undefined,
    makeEntry: entryMaking(media),
    ...options,
    clock,
  });
  return { uploads, media, storage, clock, closeErrors, ...seen };
}

/** What the server does with a finalised upload. Resolves to the entry's id. */
export async function entryOf(media: Media, finalized: FinalizedContent): Promise<string> {
  return (await media.ensure(sourceOf(finalized))).id;
}

export function request(
  fingerprint = 'print',
  check: FinalizeRequest['check'] = async () => {},
): FinalizeRequest {
  const spec: EntrySpec = {
    type: 'video',
    fileId: 'f',
    platforms: ['instagram'],
    isDraft: false,
    settings: { instagram: {} },
  };
  return { fingerprint, spec: { ...spec }, check };
}

export async function finalise(service: Service, fileId = 'f', asked = request()): Promise<string> {
  const finalized = await service.uploads.finalize({ caller: ALICE, fileId }, asked);
  return entryOf(service.media, finalized);
}

export interface Sending {
  readonly caller?: Caller;
  readonly fileId?: string;
  readonly index?: number;
  readonly total?: number;
  readonly signal?: AbortSignal;
  readonly isSpooled?: boolean;
  readonly silentMs?: () => number;
}

export function leaseChunk(
  { uploads }: Pick<Service, 'uploads'>,
  { caller = ALICE, fileId = 'f', index = 0, total = 1, ...options }: Sending = {},
): Promise<ChunkLease> {
  const { signal = new AbortController().signal, isSpooled = false, silentMs = () => 0 } = options;
  return uploads.leaseChunk(
    { caller, fileId },
    { chunkIndex: index, totalChunks: total },
    { signal, isSpooled, silentMs },
  );
}

export function digestOf(bytes: Buffer): ChunkDigest {
  return { bytes: bytes.length, crc32: crc32(bytes) };
}

/** One whole chunk in pieces of 7 bytes, as a request would deliver it. */
export async function send(
  service: Pick<Service, 'uploads' | 'storage'>,
  text: string | Buffer,
  sending: Sending = {},
): Promise<Receipt> {
  const bytes = Buffer.from(text as string);
  const lease = await leaseChunk(service, sending);
  try {
    return await finish(service, lease, { bytes, isSpooled: sending.isSpooled ?? false });
  } finally {
    await lease.end();
  }
}

/** Writes and commits, or compares. The caller must end the lease. */
export async function finish(
  { storage }: Pick<Service, 'storage'>,
  { work }: ChunkLease,
  { bytes, isSpooled = false }: { bytes: Buffer; isSpooled?: boolean },
): Promise<Receipt> {
  if (work.kind === 'compare') return work.finish(digestOf(bytes));
  if (!isSpooled) {
    for (let at = 0; at < bytes.length; at += 7) await work.write([bytes.subarray(at, at + 7)]);
    return work.commit(digestOf(bytes));
  }
  const spool = await storage.bytes.spool();
  try {
    await spool.append([bytes]);
    return await work.commit(digestOf(bytes), spool);
  } finally {
    await spool.discard();
  }
}

/** All chunks of a file, in order. */
export async function sendAll(service: Service, texts: readonly string[], fileId = 'f'): Promise<void> {
  for (const [index, text] of texts.entries()) {
    await send(service, text, { fileId, index, total: texts.length });
  }
}

/** The size that the status reports; null when there is no upload. */
export async function sizeOf({ uploads }: Pick<Service, 'uploads'>, fileId = 'f'): Promise<number | null> {
  const { exists, currentSize } = await uploads.status({ caller: ALICE, fileId });
  return exists ? currentSize : null;
}

/** The bytes that are there up to the first gap, of the upload or of the entry that it became. */
export async function contentOf(service: Service, fileId = 'f'): Promise<string | null> {
  const { uploads, media, storage } = service;
  const found = await uploads.content({ caller: ALICE, fileId });
  if (found === null) return null;
  const entry = found.finalization && (await media.find(ALICE.namespace, found.finalization.mediaId));
  return read(entry ? media.content(entry) : storage.bytes.read(found.place, found.extents));
}

export async function entryContent({ media }: Service, id: string): Promise<string | null> {
  const entry = await media.find(ALICE.namespace, id);
  return entry === null ? null : read(media.content(entry));
}

async function read(content: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
