// uploads/finalized.ts: the request of a finalise, and the data that the maker of the entry gets.
//
// It does not know what is made of that data.
import type { Caller } from '../core/namespace.ts';
import { ContentSums } from '../integrity/content-sums.ts';
import type { Extent, StorageKey } from './ports.ts';
import type { Finalization, UploadState } from './upload.ts';

/** A finalised upload, from which the media service makes the entry. */
export interface FinalizedContent {
  readonly finalization: Finalization;
  readonly place: StorageKey;
  readonly extents: readonly Extent[];
  readonly bytes: number;
  /** The CRC-32s that are on record for the content. Called at most once, because an upload can have a million chunks. */
  readonly sums: () => ContentSums;
}

/**
 * Makes the entry of a finalised upload unless it exists.
 * Resolves to null when the entry exists and owns the bytes. Resolves to an error when the entry could not be made: then it is
 * certain that there is no entry, and that the bytes are where they were. Rejects when neither is certain. The rejection is
 * never `upload_damaged`: that code means that the upload itself cannot be opened.
 * @param finalized `isNew`: nobody can have made the entry before
 */
export type MakeEntry = (finalized: FinalizedContent & { readonly isNew: boolean }) => Promise<Error | null>;

/** The content of an upload, finalised or not. */
export type UploadContent = Omit<FinalizedContent, 'bytes' | 'finalization' | 'sums'> &
  Pick<UploadState, 'finalization' | 'currentSize'> & {
    readonly sums: ContentSums;
    /** When the first chunk was stored. It differs when the upload was deleted and begun anew. */
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
  /** A last check of the content. When it throws, its error is the refusal, and nothing has changed. */
  readonly check: (content: Pick<UploadContent, 'place' | 'extents' | 'sums'>) => Promise<void>;
  /** Given when an entry that existed before is put back. */
  readonly earlier?: { readonly mediaId?: string | undefined; readonly at?: number | undefined };
  /** Makes the entry in place of the usual `makeEntry`. */
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

/** @param part `gapless`: the chunks up to the first gap. `all`: all stored chunks */
export function contentIn(place: StorageKey, state: UploadState, part: 'gapless' | 'all'): UploadContent {
  const { finalization, chunks, nextIndex, currentSize } = state;
  const [end, count] = part === 'all' ? [undefined, chunks.count] : [nextIndex, nextIndex];
  const sums = ContentSums.ofChunks(chunks, count);
  const life = String(chunks.get(0)?.at ?? '');
  return { place, extents: chunks.extents(end), finalization, currentSize, sums, life };
}
