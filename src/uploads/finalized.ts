// uploads/finalized.ts: what is handed over of a finalised upload.
//
// Must not know: what is made of it.
import type { Extent, Place } from './ports.ts';
import type { Finalization, UploadState } from './upload.ts';

/** A finalised upload, for the media service to make the entry of. */
export interface FinalizedContent {
  readonly finalization: Finalization;
  readonly place: Place;
  readonly extents: readonly Extent[];
  readonly bytes: number;
}

export function handOver(place: Place, finalization: Finalization, state: UploadState): FinalizedContent {
  return { finalization, place, extents: state.chunks.extents(), bytes: state.receivedBytes };
}
