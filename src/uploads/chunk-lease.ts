// uploads/chunk-lease.ts: decides which request may store a chunk.
//
// Promises: identical chunks in flight cost one write, and the sender of each gets an answer. A holder that stays silent for
// `takeoverAfterMs` loses the lease, so a dead socket never delays a resume for longer (rule C12).
// It does not know how uploads are opened and closed.
import { startTimeout } from '../core/awake.ts';
import type { ChunkRecord } from './chunk-table.ts';
import { ChunkWriter } from './chunk-writer.ts';
import type { ChunkInTransit, OpenUpload } from './open-upload.ts';
import type { Clock } from '../core/clock.ts';
import type { StorageKey } from './ports.ts';
import type { Unfinished } from './unfinished.ts';
import {
  compareResent,
  decideChunk,
  deletedMeanwhile,
  receiptOf,
  refuseEmpty,
  type ChunkRef,
  type ChunkDigest,
  type ChunkOrder,
  type Receipt,
} from './upload.ts';

/** A chunk that is stored already. Its bytes are compared and never written (rules C6, C7). */
export interface ChunkComparison {
  readonly kind: 'compare';
  /** Number of bytes of the stored chunk. A sender of more bytes sends another chunk, and the rest need not be read. */
  readonly bytes: number;
  /** @throws AppError `chunk_conflict` */
  finish(sent: ChunkDigest): Receipt;
}

/**
 * The right of one request to store one chunk, or to compare its bytes with a stored chunk. The caller calls `end` once, also
 * after an error. `end` never rejects.
 */
export interface ChunkLease {
  readonly work: ChunkWriter | ChunkComparison;
  end(): Promise<void>;
}

export interface LeaseOptions {
  /** Aborted when the client has gone. It is read only where the request has to wait. */
  readonly signal: AbortSignal;
  /** The bytes are already in a spool. */
  readonly isSpooled: boolean;
  /** How long the client has sent nothing although it could have, in milliseconds. */
  readonly silentMs: () => number;
  /** The time of the chunk, when this is not the present time on the clock of the namespace. */
  readonly now?: () => number;
}

export interface ChunkRules {
  readonly chunkOrder: ChunkOrder;
  readonly maxFileBytes: number;
  readonly takeoverAfterMs: number;
  readonly clock: Clock;
  readonly unfinished: Unfinished;
  readonly onCompleted: (place: StorageKey) => void;
}

interface Asked {
  readonly upload: OpenUpload;
  readonly chunk: ChunkRef;
  readonly fileId: string;
  readonly release: () => void;
}

/**
 * @throws AppError the refusals of `decideChunk`, `too_many_open_uploads`
 * @throws the abort reason of the signal
 */
export async function leaseChunk(
  asked: Asked,
  options: LeaseOptions,
  rules: ChunkRules,
): Promise<ChunkLease> {
  for (;;) {
    const lease = await asked.upload.queued(() => Promise.resolve(tryLease(asked, options, rules)));
    if (lease !== null) return lease;
    const holder = asked.upload.writers.get(asked.chunk.chunkIndex);
    if (holder === undefined) continue;
    options.signal.throwIfAborted();
    await holderEnds(holder, rules.takeoverAfterMs, options.signal);
    options.signal.throwIfAborted();
  }
}

/** Null when another request is sending the same chunk. */
function tryLease(asked: Asked, options: LeaseOptions, rules: ChunkRules): ChunkLease | null {
  const { upload, chunk, fileId, release } = asked;
  const { chunkOrder: order, maxFileBytes: maxBytes, clock, unfinished } = rules;
  const decision = decideChunk(upload.state, chunk, order);
  if (decision.kind === 'compare')
    return { work: comparison(upload, chunk, decision.stored), end: () => Promise.resolve(release()) };
  if (upload.writers.has(chunk.chunkIndex)) return null;
  if (upload.state === null) unfinished.begin(upload.place);
  // `options.signal` is not read here: reading it would create the signal.
  const { isSpooled, silentMs, now = () => clock.now(upload.place.namespace) } = options;
  const writer = new ChunkWriter(upload, chunk, { order, maxBytes, fileId, now, isSpooled, silentMs });
  return { work: writer, end: () => endWriter(asked, writer, rules) };
}

async function endWriter(asked: Asked, writer: ChunkWriter, rules: ChunkRules): Promise<void> {
  const { upload, release } = asked;
  await writer.abort(); // This does nothing after a commit.
  if (upload.state === null && upload.writers.size === 0) rules.unfinished.remove(upload.place);
  if (writer.receipt?.completed === true) rules.onCompleted(upload.place);
  release();
}

function comparison(upload: OpenUpload, chunk: ChunkRef, stored: ChunkRecord): ChunkComparison {
  const compared = upload.state;
  return {
    kind: 'compare',
    bytes: stored.bytes,
    finish(sent) {
      refuseEmpty(chunk, sent.bytes);
      upload.refuseSpoilt();
      const { state } = upload;
      // A different state means that the upload was deleted and begun anew. The bytes were compared with a chunk of the old
      // upload.
      if (state === null || state !== compared) throw deletedMeanwhile(chunk);
      compareResent(stored, sent);
      return receiptOf(state, chunk.chunkIndex);
    },
  };
}

/** Resolves when the holder has ended: either it finished, or it was silent for too long and gave way. */
async function holderEnds(
  holder: ChunkInTransit,
  takeoverAfterMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const patienceMs = Math.max(takeoverAfterMs - holder.silentMs(), 1);
    if (await endsWithin(holder, patienceMs, signal)) return;
    if (holder.silentMs() >= takeoverAfterMs && holder.giveWay()) {
      await holder.ended;
      return;
    }
  }
}

/** @throws the abort reason of the signal */
function endsWithin(holder: ChunkInTransit, ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = startTimeout(ms, () => end(() => resolve(false)));
    const onAbort = (): void => end(() => reject(signal.reason));
    const end = (outcome: () => void): void => {
      timer.stop();
      signal.removeEventListener('abort', onAbort);
      outcome();
    };
    signal.addEventListener('abort', onAbort);
    void holder.ended.then(() => end(() => resolve(true)));
  });
}
