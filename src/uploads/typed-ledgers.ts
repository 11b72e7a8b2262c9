// uploads/typed-ledgers.ts: a storage's ledgers as those of one service: of its own records, and of no others.
//
// Promises: what `open` gives was looked at, record by record. One that is not of the kind is damage (rule D2): its checksum is
// right, so it was written, by another version or by somebody else, and what it says nobody here can know.
// Must not know: what the records say.
import { damage } from '../core/errors.ts';
import type { LedgerRecord, Ledgers, OpenedLedger, StorageKey } from './ports.ts';

/** @param number of the record in its ledger, from 0 on */
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
