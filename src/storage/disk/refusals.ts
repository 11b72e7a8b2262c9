// storage/disk/refusals.ts: wraps the ports of a disk storage: errors of system calls become refusals.
//
// Promises: every error of both ports goes through the table of system-errors.ts, so that no call can be forgotten (rule C16).
import type { Bytes, Ledgers } from '../../uploads/ports.ts';
import { asRefusal } from '../../core/system-errors.ts';

export function ledgersWithRefusals(ledgers: Ledgers): Ledgers {
  return {
    open: (place) => refusing(ledgers.open(place)),
    create: (place, records) => refusing(ledgers.create(place, records)),
    remove: (place) => refusing(ledgers.remove(place)),
    list: (...asked) => refusingEach(ledgers.list(...asked)),
  };
}

export function bytesWithRefusals(bytes: Bytes): Bytes {
  return {
    write: (place, extent, buffers) => refusing(bytes.write(place, extent, buffers)),
    sync: (place, segment) => refusing(bytes.sync(place, segment)),
    // The spool is not wrapped, because `adopt` needs the original object. Its own calls make refusals by themselves.
    spool: () => bytes.spool(),
    adopt: (spool, place, segment) => refusing(bytes.adopt(spool, place, segment)),
    reconcile: (place, extents) => refusing(bytes.reconcile(place, extents)),
    sizes: (place, only) => refusing(bytes.sizes(place, only)),
    truncate: (place, segment, length) => refusing(bytes.truncate(place, segment, length)),
    move: (from, to) => refusing(bytes.move(from, to)),
    remove: (place) => refusing(bytes.remove(place)),
    release: (place) => refusing(bytes.release(place)),
    read: (place, extents, range) => refusingEach(bytes.read(place, extents, range)),
    list: (kind) => refusingEach(bytes.list(kind)),
    usage: (namespace) => refusing(bytes.usage(namespace)),
  };
}

async function refusing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw asRefusal(error);
  }
}

async function* refusingEach<T>(each: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* each;
  } catch (error) {
    throw asRefusal(error);
  }
}
