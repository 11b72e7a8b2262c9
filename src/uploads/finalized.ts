// uploads/finalized.ts: how a finalise is asked for, and what is handed over of a finalised upload.
//
// Must not know: what is made of it.
import type { Caller } from '../core/namespace.ts';
import { ContentSums } from '../integrity/content-sums.ts';
import type { Extent, StorageKey } from './ports.ts';
import type { Finalization, UploadState } from './upload.ts';

/** A finalised upload, for the media service to make the entry of. */
export interface FinalizedContent {
  readonly finalization: Finalization;
  readonly place: StorageKey;
  readonly extents: readonly Extent[];
  readonly bytes: number;
  /** The CRC-32s that are on record of it. Called once, if at all: an upload can have a million chunks. */
  readonly sums: () => ContentSums;
}

/**
 * Makes the entry of a finalised upload unless it is there: the bytes are the entry's when this resolves to null. To an error: the
 * entry could not be made for this reason, it is certain that there is none, and the bytes are where they were. Rejects when
 * neither is known; but never with `upload_damaged`: by that one knows an upload that cannot be opened.
 * @param finalized `isNew`: nobody can have made the entry before
 */
export type MakeEntry = (finalized: FinalizedContent & { readonly isNew: boolean }) => Promise<Error | null>;

/** Of an upload, finalised or not. */
export type UploadContent = Omit<FinalizedContent, 'bytes' | 'finalization' | 'sums'> &
  Pick<UploadState, 'finalization' | 'currentSize'> & {
    readonly sums: ContentSums;
    /** Differs when the upload was deleted and begun anew: when its first chunk was stored. */
    readonly life: string;
  };

export interface UploadRef {
  readonly caller: Caller;
  readonly fileId: string;
}

export interface FinalizeRequest {
  /** Equal for two requests if and only if they ask for the same entry. */
  readonly fingerprint: string;
  readonly spec: Finalization['spec'];
  /** A last look at the content. What it throws is the refusal, and nothing has changed. */
  readonly check: (content: Pick<UploadContent, 'place' | 'extents' | 'sums'>) => Promise<void>;
  /** Of an entry that existed before, and is put back. */
  readonly earlier?: { readonly mediaId?: string | undefined; readonly at?: number | undefined };
  /** How its entry is made, where that is not the usual way. */
  readonly make?: MakeEntry;
}

export interface FinalizedUpload extends FinalizedContent {
  /** False: the same request was answered before (rule F6). */
  readonly isNew: boolean;
}

export function handOver(
  place: StorageKey,
  finalization: Finalization,
  state: UploadState,
): FinalizedContent {
  const { chunks, receivedBytes } = state;
  const sums = (): ContentSums => ContentSums.ofChunks(chunks, chunks.count);
  return { finalization, place, extents: chunks.extents(), bytes: receivedBytes, sums };
}

/** @param part up to the first gap, or all chunks that are there */
export function contentIn(place: StorageKey, state: UploadState, part: 'gapless' | 'all'): UploadContent {
  const { finalization, chunks, nextIndex, currentSize } = state;
  const [end, count] = part === 'all' ? [undefined, chunks.count] : [nextIndex, nextIndex];
  const sums = ContentSums.ofChunks(chunks, count);
  const life = String(chunks.get(0)?.at ?? '');
  return { place, extents: chunks.extents(end), finalization, currentSize, sums, life };
}
