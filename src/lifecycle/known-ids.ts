// lifecycle/known-ids.ts: finds the ids of entries that are already given when a server with a seed starts.
//
// A seeded sequence begins again with each process, but the entries of the last process still exist. A crash may also have
// given an id to an entry that was not yet made; such an id stands only in the ledger of its upload. Therefore a server with
// a seed reads all ledgers at start. A server without a seed does not (rule D2).
//
// Promises: a damaged or unreadable ledger stops neither the start nor the reading of the other ledgers.
import type { Logger } from 'pino';
import { isDamage, type AppError } from '../core/errors.ts';
import type { SeededIds } from '../core/ids.ts';
import type { Storage } from '../uploads/ports.ts';
import { uploadLedgers } from '../uploads/upload-records.ts';

/** Log message about an upload whose last write was not finished. */
export const REPAIRED = 'an upload was repaired: a write that never finished was dropped';

export interface KnownIdsOptions {
  readonly ids: SeededIds;
  readonly storage: Storage;
  readonly onDamaged: (error: AppError) => void;
  readonly logger: Logger;
}

export async function takeKnownIds({ ids, storage, onDamaged, logger }: KnownIdsOptions): Promise<void> {
  for await (const { place } of storage.ledgers.list('media')) ids.take(place.namespace, place.name);
  const ledgers = uploadLedgers(storage.ledgers);
  for await (const { place } of ledgers.list('uploads')) {
    const opened = await ledgers.open(place).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      onDamaged(error); // Every request for this upload will be refused.
      return null;
    });
    await opened?.ledger.close();
    if (opened?.torn !== undefined) logger.warn({ place, tornLedgerBytes: opened.torn.bytes }, REPAIRED);
    for (const record of opened?.records ?? [])
      if (record.type === 'finalized') ids.take(record.namespace, record.mediaId);
  }
}
