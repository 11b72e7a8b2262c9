// media/finalize.ts: makes an entry of an upload: for a request, for a state that is put back, and after a crash.
//
// Promises: when `finalizeUpload` resolves, the entry exists. It is made once, however often it is asked for (rule F6).
// It does not know how uploads and entries are stored.
import { nullIfDamaged } from '../core/errors.ts';
import type {
  FinalizedContent,
  FinalizedUpload,
  FinalizeRequest,
  MakeEntry,
  UploadRef,
} from '../uploads/finalized.ts';
import type { Entry, PublishFailure } from './entry.ts';
import type { EntrySpec } from './entry-form.ts';
import { sourceOf } from './entry-source.ts';
import type { Media } from './media.ts';

export interface Finalizing {
  readonly uploads: { finalize(ref: UploadRef, asked: FinalizeRequest): Promise<FinalizedUpload> };
  readonly media: Pick<Media, 'ensure' | 'tryEnsure'>;
}

export interface AskedEntry extends Pick<FinalizeRequest, 'fingerprint' | 'check'> {
  readonly spec: EntrySpec;
  /** Given when an entry that existed before is put back. */
  readonly earlier?: FinalizeRequest['earlier'] & { readonly failures: readonly PublishFailure[] };
}

export interface MadeEntry {
  readonly entry: Entry;
  /** False: the same request made the entry before. */
  readonly isNew: boolean;
}

/** @throws AppError what `check` throws, and the refusals of `Uploads.finalize` */
export async function finalizeUpload(
  { uploads, media }: Finalizing,
  ref: UploadRef,
  { spec, earlier, ...asked }: AskedEntry,
): Promise<MadeEntry> {
  const make = entryMaking(media, earlier?.failures);
  const finalized = await uploads.finalize(ref, {
    ...asked,
    spec: { ...spec },
    make,
    ...(earlier && { earlier }),
  });
  return { entry: await media.ensure(sourceOf(finalized)), isNew: finalized.isNew };
}

/**
 * The `makeEntry` of the uploads. A damaged entry counts as made: it owns the bytes, because its ledger was made after they
 * were moved. Whoever reads the entry gets the damage (D2).
 */
export function entryMaking(
  media: Pick<Media, 'tryEnsure'>,
  failures: readonly PublishFailure[] = [],
): MakeEntry {
  const make = async (finalized: FinalizedContent): Promise<Error | null> =>
    media.tryEnsure({ ...sourceOf(finalized), failures });
  return (finalized) => make(finalized).catch(nullIfDamaged);
}
