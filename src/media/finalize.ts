// media/finalize.ts: how a finalised upload becomes an entry.
//
// Must not know: HTTP, how uploads and entries are stored.
import { nullIfDamaged } from '../core/errors.ts';
import type { FinalizedContent, MakeEntry } from '../uploads/finalized.ts';
import { sourceOf } from './entry-source.ts';
import type { Media } from './media.ts';

/**
 * What uploads make of one that is finalised. A damaged entry has its bytes: its ledger comes after them. What is wrong with it is
 * its own affair (D2).
 */
export function entryMaking(media: Pick<Media, 'settle'>): MakeEntry {
  const make = async (finalized: FinalizedContent): Promise<Error | null> =>
    media.settle(sourceOf(finalized));
  return (finalized) => make(finalized).catch(nullIfDamaged);
}
