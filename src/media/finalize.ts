// media/finalize.ts: how an upload becomes an entry: of a request, of a state that is put back, and of what a crash left half done.
//
// Promises: the entry is there when `finalizeUpload` resolves, once, however often it is asked for (rule F6).
// Must not know: HTTP, how uploads and entries are stored.
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
  /** Of an entry that existed before, and is put back. */
  readonly earlier?: FinalizeRequest['earlier'] & { readonly failures: readonly PublishFailure[] };
}

export interface MadeEntry {
  readonly entry: Entry;
  /** False: it was made by the same request before. */
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
 * What uploads make of one that is finalised. A damaged entry has its bytes: its ledger comes after them. What is wrong with it is
 * its own affair (D2).
 */
export function entryMaking(
  media: Pick<Media, 'tryEnsure'>,
  failures: readonly PublishFailure[] = [],
): MakeEntry {
  const make = async (finalized: FinalizedContent): Promise<Error | null> =>
    media.tryEnsure({ ...sourceOf(finalized), failures });
  return (finalized) => make(finalized).catch(nullIfDamaged);
}
