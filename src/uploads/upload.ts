// uploads/upload.ts: one upload as a fold of its ledger. The `decide…` functions say what may happen. `evolve` applies what
// happened.
//
// Promises: it is pure and uses no clock, disk or HTTP. The same records give the same state (rules C1-C16, F4, F6). `evolve`
// changes the state that it is given and returns it: a copy per chunk would cost more as the upload grows.
// It does not know who asks, where bytes lie, or how an answer looks on the wire.
import { AppError } from '../core/errors.ts';
import { hex32 } from '../core/hex32.ts';
import { ChunkTable, MAIN_SEGMENT, type ChunkRecord } from './chunk-table.ts';

/** The most chunks an upload may have (rule C4). */
export const MAX_TOTAL_CHUNKS = 1_000_000;

export type ChunkOrder = 'sequential' | 'any';

/** The records of an upload's ledger (upload-records.ts). The first is always `started`. */
export type UploadEvent =
  | {
      readonly type: 'started';
      readonly format: 1;
      readonly fileId: string;
      readonly totalChunks: number;
      readonly at: number;
    }
  | ({ readonly type: 'chunk' } & ChunkRecord)
  | ({ readonly type: 'finalized' } & Finalization);

/** Records that the upload became an entry, with everything that is needed to make the entry again after a crash (rule F6). */
export type Finalization = {
  readonly mediaId: string;
  /** The namespace of the key that finalised. It differs from the namespace of the upload when the upload was keyless. */
  readonly namespace: string;
  /** Equal for two requests if and only if they ask for the same entry. */
  readonly fingerprint: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly at: number;
  /** The time of the finalise on the clock of `namespace`, which the entry uses. `at` is on the clock of the upload. */
  readonly entryAt?: number;
};

export interface UploadState {
  readonly fileId: string;
  readonly totalChunks: number;
  readonly chunks: ChunkTable;
  /** The first missing chunk, which is the next one in sequential order. */
  nextIndex: number;
  /** Bytes of chunks 0..nextIndex-1 (rule C2). */
  currentSize: number;
  /** Bytes of all chunks, including those beyond a gap. */
  receivedBytes: number;
  /** Bytes of the main segment that are in the ledger. */
  mainBytes: number;
  /** The chunk that completed the set. Its answer says `completed: true`, also when the chunk is sent again (rule C6). */
  completedBy: number | null;
  finalization: Finalization | null;
  /** Epoch milliseconds of the last record. The upload expires one time-to-live later (rule C15). */
  lastActivityAt: number;
}

export interface ChunkRef {
  readonly chunkIndex: number;
  readonly totalChunks: number;
}

export interface ChunkDigest {
  readonly bytes: number;
  readonly crc32: number;
}

/** The content of the answer to a stored chunk (rule C5). */
export interface Receipt {
  readonly completed: boolean;
  readonly chunkIndex: number;
}

export function evolve(state: UploadState | null, event: UploadEvent): UploadState {
  if (event.type === 'started') return started(event);
  if (state === null) throw new Error(`a ledger starts with "started", not with "${event.type}"`);
  if (event.type === 'chunk') addChunk(state, event);
  else state.finalization = event;
  state.lastActivityAt = event.at;
  return state;
}

/**
 * Undoes `evolve` for the last record, when that record is a refused finalisation. The record before it belongs to the chunk
 * that completed the upload.
 */
export function withoutFinalization(state: UploadState): UploadState {
  const last = state.completedBy === null ? undefined : state.chunks.get(state.completedBy);
  state.finalization = null;
  state.lastActivityAt = last?.at ?? state.lastActivityAt;
  return state;
}

function started(event: Extract<UploadEvent, { type: 'started' }>): UploadState {
  return {
    fileId: event.fileId,
    totalChunks: event.totalChunks,
    chunks: new ChunkTable(),
    nextIndex: 0,
    currentSize: 0,
    receivedBytes: 0,
    mainBytes: 0,
    completedBy: null,
    finalization: null,
    lastActivityAt: event.at,
  };
}

function addChunk(state: UploadState, chunk: ChunkRecord): void {
  state.chunks.add(chunk);
  state.receivedBytes += chunk.bytes;
  if (chunk.segment === MAIN_SEGMENT) state.mainBytes = chunk.offset + chunk.bytes;
  if (chunk.index === state.nextIndex) {
    state.nextIndex += 1;
    state.currentSize += chunk.bytes;
    passWhatWaits(state);
  }
  if (state.chunks.count === state.totalChunks) state.completedBy = chunk.index;
}

/** Counts the chunks beyond a gap as soon as the gap closes. */
function passWhatWaits(state: UploadState): void {
  while (state.chunks.count > state.nextIndex) {
    const next = state.chunks.get(state.nextIndex);
    if (next === undefined) return;
    state.nextIndex += 1;
    state.currentSize += next.bytes;
  }
}

/**
 * Decides whether this chunk may be sent now. `write`: the chunk is new. `compare`: the chunk is stored, and the bytes must be
 * the same (C6, C7).
 * @throws AppError `total_chunks_mismatch` (C9), `chunk_out_of_order` (C8)
 */
export function decideChunk(
  state: UploadState | null,
  chunk: ChunkRef,
  order: ChunkOrder,
): { kind: 'write' } | { kind: 'compare'; stored: ChunkRecord } {
  if (state === null)
    return chunk.chunkIndex === 0 || order === 'any' ? { kind: 'write' } : refuseGap(chunk, 0, 0);
  if (state.totalChunks !== chunk.totalChunks) throw otherTotal(state, chunk);
  const stored = state.chunks.get(chunk.chunkIndex);
  if (stored !== undefined) return { kind: 'compare', stored };
  const isNext = chunk.chunkIndex === state.nextIndex || order === 'any';
  return isNext ? { kind: 'write' } : refuseGap(chunk, state.nextIndex, state.currentSize);
}

function otherTotal({ totalChunks }: UploadState, chunk: ChunkRef): AppError {
  return new AppError(
    'total_chunks_mismatch',
    `totalChunks is ${chunk.totalChunks}, but this upload was started with ${totalChunks}; ` +
      `send ${totalChunks}, or use a new fileId for another file`,
    { totalChunks },
  );
}

function refuseGap(chunk: ChunkRef, expectedChunkIndex: number, currentSize: number): never {
  throw new AppError(
    'chunk_out_of_order',
    `got chunk ${chunk.chunkIndex}, expected chunk ${expectedChunkIndex}; send chunk ${expectedChunkIndex} from byte ${currentSize} ` +
      '(for an uploader that sends chunks in parallel, start the server with --chunk-order any)',
    { expectedChunkIndex, currentSize },
  );
}

/** @throws AppError `empty_chunk`: only the single chunk of an empty file (chunk 0 of 1) may have no bytes (C14) */
export function refuseEmpty(chunk: ChunkRef, bytes: number): void {
  if (bytes > 0 || chunk.totalChunks === 1) return;
  throw new AppError(
    'empty_chunk',
    `chunk ${chunk.chunkIndex} of ${chunk.totalChunks} has no bytes; send at least one byte, only chunk 0 of 1 may be empty`,
  );
}

/**
 * The refusal when the file would become larger than a file may be (C13).
 * @param state null while the upload is not known
 */
export function tooLarge(state: UploadState | null, maxBytes: number): AppError {
  const limit = `the file would be larger than ${maxBytes} bytes, the limit of one upload`;
  if (state === null) return new AppError('upload_too_large', limit, { maxBytes, currentSize: 0 });
  const { currentSize } = state;
  const message = `${limit}; ${currentSize} bytes are stored and stay`;
  return new AppError('upload_too_large', message, { maxBytes, currentSize });
}

/** @throws AppError `chunk_conflict` when the bytes differ from the stored ones (C7) */
export function compareResent(stored: ChunkRecord, sent: ChunkDigest): void {
  if (stored.bytes === sent.bytes && stored.crc32 === sent.crc32) return;
  throw new AppError(
    'chunk_conflict',
    `chunk ${stored.index} is stored with ${stored.bytes} bytes (CRC-32 ${hex32(stored.crc32)}), the sent chunk has ` +
      `${sent.bytes} bytes (CRC-32 ${hex32(sent.crc32)}); use a new fileId for another file`,
    { chunkIndex: stored.index, storedBytes: stored.bytes, sentBytes: sent.bytes },
  );
}

/** The answer to a chunk. It is the same each time the chunk is sent (C5, C6). */
export function receiptOf(state: UploadState, chunkIndex: number): Receipt {
  return { completed: state.completedBy === chunkIndex, chunkIndex };
}

export function uploadNotFound(fileId: string): AppError {
  return new AppError(
    'upload_not_found',
    `no upload ${JSON.stringify(fileId)} for this API key: it was never started, has expired or was deleted; send its chunks first`,
  );
}

/** The refusal of a chunk whose upload was deleted while it was on its way. */
export function deletedMeanwhile({ chunkIndex }: ChunkRef): AppError {
  const message = 'the upload was deleted during this chunk; ask for the status and continue from there';
  return new AppError('chunk_superseded', message, { chunkIndex });
}

/**
 * Decides whether this upload may become the requested entry. `existing`: the same request finalised it before (F6).
 * @throws AppError `upload_incomplete` (F4), `already_finalized` (F6)
 */
export function decideFinalize(
  state: UploadState,
  asked: { fingerprint: string; namespace: string; order?: ChunkOrder },
): { kind: 'create' } | { kind: 'existing'; finalization: Finalization } {
  const { finalization } = state;
  if (finalization === null) {
    if (state.completedBy !== null) return { kind: 'create' };
    const { nextIndex, currentSize, totalChunks } = state;
    throw new AppError(
      'upload_incomplete',
      `${state.chunks.count} of ${totalChunks} chunks are stored; send chunk ${nextIndex} from byte ${currentSize}, then finalise`,
      {
        expectedChunkIndex: nextIndex,
        currentSize,
        totalChunks,
        // In sequential order this would add no information.
        ...(asked.order === 'any' && { received: state.chunks.runs() }),
      },
    );
  }
  const isOwn = finalization.namespace === asked.namespace;
  if (isOwn && finalization.fingerprint === asked.fingerprint) return { kind: 'existing', finalization };
  // Any key can finalise a keyless upload. The entry then belongs to that key alone (K4).
  throw new AppError(
    'already_finalized',
    isOwn
      ? `this upload became media ${finalization.mediaId} from another request; read that entry, or upload under a new fileId`
      : 'this upload was finalised with another API key; upload under a new fileId',
    isOwn ? { mediaId: finalization.mediaId } : {},
  );
}

/** @param ageOf the age of an instant on the clock of the namespace, in milliseconds */
export function isExpired(state: UploadState, ageOf: (at: number) => number, uploadTtlMs: number): boolean {
  return ageOf(state.lastActivityAt) >= uploadTtlMs;
}
