// lifecycle/known-ids.ts: which ids of entries are given already, when a server with a seed starts.
//
// A seeded sequence begins anew with every process, and the entries of the last one are still there. So are the ids of entries
// that a crash kept from being made: they stand in the ledgers of their uploads, which a seed has us read (D2 is about servers
// without one).
//
// Promises: a damaged or unreadable ledger, which tells nothing, keeps the server from starting as little as from knowing the others.
import type { Logger } from 'pino';
import { isDamage, type AppError } from '../core/errors.ts';
import type { SeededIds } from '../core/ids.ts';
import type { Storage } from '../uploads/ports.ts';
import { uploadLedgers } from '../uploads/upload-records.ts';

/** What the log says of an upload whose last write never finished. */
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
      onDamaged(error); // It will be refused to whoever asks for it.
      return null;
    });
    await opened?.ledger.close();
    if (opened?.torn !== undefined) logger.warn({ place, tornLedgerBytes: opened.torn.bytes }, REPAIRED);
    for (const record of opened?.records ?? [])
      if (record.type === 'finalized') ids.take(record.namespace, record.mediaId);
  }
}
