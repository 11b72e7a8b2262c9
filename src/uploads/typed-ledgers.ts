// uploads/typed-ledgers.ts: the ledgers of a storage, limited to the record types of one service.
//
// Promises: `open` checks each record. A record of an unknown kind is damage (rule D2): its checksum is right, so another
// version or another program wrote it, and its meaning is not known.
import { damage } from '../core/errors.ts';
import type { LedgerRecord, Ledgers, OpenedLedger, StorageKey } from './ports.ts';

/** @param number position of the record in its ledger, from 0 */
export type IsRecord<R extends LedgerRecord> = (record: LedgerRecord, number: number) => record is R;

export function typedLedgers<R extends LedgerRecord>(ledgers: Ledgers, isRecord: IsRecord<R>): Ledgers<R> {
  return {
    async open(place) {
      const opened = await ledgers.open(place);
      return opened === null ? null : checked(opened, place, isRecord);
    },
    create: (place, records) => ledgers.create(place, records),
    remove: (place) => ledgers.remove(place),
    list: (...asked) => ledgers.list(...asked),
  };
}

async function checked<R extends LedgerRecord>(
  opened: OpenedLedger,
  place: StorageKey,
  isRecord: IsRecord<R>,
): Promise<OpenedLedger<R>> {
  const { records } = opened;
  if (records.every(isRecord)) return { ...opened, records };
  await opened.ledger.close();
  const record = records.findIndex((found, number) => !isRecord(found, number)) + 1;
  throw damage(
    place,
    `record ${record} of the ledger is not one that this version writes; nothing was changed: use the version that wrote it, ` +
      'restore the data folder from a backup, or delete the upload and send it again',
    { record },
  );
}
