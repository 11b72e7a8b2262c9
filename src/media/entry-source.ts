// media/entry-source.ts: turns a finalised upload into the source of an entry.
import { damage } from '../core/errors.ts';
import type { FinalizedContent } from '../uploads/finalized.ts';
import type { EntrySource } from './entry-maker.ts';
import { isEntrySpec } from './stored-entry.ts';

/** @throws AppError `upload_damaged` when the record of the finalise does not describe an entry */
export function sourceOf({
  finalization,
  place,
  extents,
  bytes,
  sums,
  isNew = false,
}: FinalizedContent & { readonly isNew?: boolean }): EntrySource {
  const { mediaId, namespace, spec, at, entryAt = at } = finalization;
  if (!isEntrySpec(spec)) {
    throw damage(
      place,
      'the ledger of this upload says that it was finalised, with an entry that this version does not write; nothing was changed: ' +
        'use the version that wrote it, restore the data folder from a backup, or delete the upload and send it again',
    );
  }
  return { mediaId, namespace, spec, at: entryAt, bytes, extents, sums, from: place, isNew };
}
