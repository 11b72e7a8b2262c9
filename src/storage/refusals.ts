// storage/refusals.ts: a disk storage whose failed system calls come out as refusals.
//
// Promises: every way out of both ports goes through the table of system-errors.ts, so that no call can be forgotten (rule C16).
// Must not know: files.
import type { Bytes, Ledgers } from '../uploads/ports.ts';
import { asRefusal } from './system-errors.ts';

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
    spool: () => bytes.spool(), // Its own calls refuse by themselves: what is adopted must be the spool that was given.
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
