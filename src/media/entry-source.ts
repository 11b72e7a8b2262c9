// media/entry-source.ts: what the entry of a finalised upload is made of.
import type { FinalizedContent } from '../uploads/finalized.ts';
import type { EntrySource } from './entry-maker.ts';
import type { EntrySpec } from './entry-form.ts';

export function sourceOf({
  finalization,
  place,
  extents,
  bytes,
  sums,
  isNew = false,
}: FinalizedContent & { readonly isNew?: boolean }): EntrySource {
  const { mediaId, namespace, at, entryAt = at } = finalization;
  // The ledger gives back what `finalize` above put in.
  const spec = finalization.spec as unknown as EntrySpec;
  return { mediaId, namespace, spec, at: entryAt, bytes, extents, sums, from: place, isNew };
}
