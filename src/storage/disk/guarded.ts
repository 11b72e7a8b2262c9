// storage/disk/guarded.ts: the ports of a disk storage, for as long as its folder is there and ours (rules D3, D6).
//
// Promises: nothing is written without a look at the lock within the lease; whatever a port resolves for was still ours at its end;
// what fails because the folder is not there says so, and is not taken for an upload that does not exist or is damaged.
// Must not know: where anything is. A ledger's appends confirm themselves (disk-ledger.ts): they must be undone when they are refused.
import type { Bytes, Ledger, Ledgers, OpenedLedger, Spool } from '../../uploads/ports.ts';
import type { FolderGuard } from './folder-guard.ts';

interface Ports {
  readonly ledgers: Ledgers;
  readonly bytes: Bytes;
}

export function guarded({ ledgers, bytes }: Ports, guard: FolderGuard): Ports {
  return { ledgers: guardedLedgers(ledgers, guard), bytes: guardedBytes(bytes, guard) };
}

function guardedLedgers(ledgers: Ledgers, guard: FolderGuard): Ledgers {
  return {
    async open(place) {
      const opened = await readingSurely(guard, () => ledgers.open(place));
      return opened === null ? null : guardedOpened(opened, guard);
    },
    create: async (place, records) =>
      guardedLedger(await writing(guard, () => ledgers.create(place, records)), guard),
    remove: (place) => changing(guard, () => ledgers.remove(place)),
    list: (...asked) => listing(guard, () => ledgers.list(...asked)),
  };
}

function guardedOpened(opened: OpenedLedger, guard: FolderGuard): OpenedLedger {
  const { takeOver } = opened;
  const ledger = guardedLedger(opened.ledger, guard);
  return takeOver === undefined
    ? { ...opened, ledger }
    : { ...opened, ledger, takeOver: () => changing(guard, takeOver) };
}

function guardedLedger(ledger: Ledger, guard: FolderGuard): Ledger {
  return {
    append: (records) => writing(guard, () => ledger.append(records)),
    revoke: () => ledger.revoke(), // Also of a folder that is gone: it may come back. Of a lost one the file itself refuses it.
    close: () => ledger.close(),
  };
}

function guardedBytes(bytes: Bytes, guard: FolderGuard): Bytes {
  return {
    write: (place, at, buffers) => writing(guard, () => bytes.write(place, at, buffers)),
    sync: (place, segment) => writing(guard, () => bytes.sync(place, segment)),
    spool: async () => new GuardedSpool(await writing(guard, () => bytes.spool()), guard),
    adopt: (spool, place, segment) => changing(guard, () => bytes.adopt(innerOf(spool), place, segment)),
    reconcile: (place, extents) => changing(guard, () => bytes.reconcile(place, extents)),
    truncate: (place, segment, length) => changing(guard, () => bytes.truncate(place, segment, length)),
    move: (from, to) => changing(guard, () => bytes.move(from, to)),
    remove: (place) => changing(guard, () => bytes.remove(place)),
    release: (place) => bytes.release(place),
    read: (place, extents, range) => listing(guard, () => bytes.read(place, extents, range)),
    list: (kind) => listing(guard, () => bytes.list(kind)),
    sizes: (place) => readingSurely(guard, () => bytes.sizes(place)),
    usage: (namespace) => bytes.usage(namespace),
  };
}

class GuardedSpool implements Spool {
  readonly inner: Spool;
  readonly #guard: FolderGuard;

  constructor(inner: Spool, guard: FolderGuard) {
    this.inner = inner;
    this.#guard = guard;
  }

  get bytes(): number {
    return this.inner.bytes;
  }

  append(buffers: readonly Buffer[]): Promise<void> {
    return writing(this.#guard, () => this.inner.append(buffers));
  }

  discard(): Promise<void> {
    return this.inner.discard();
  }
}

function innerOf(spool: Spool): Spool {
  return spool instanceof GuardedSpool ? spool.inner : spool;
}

/** What is not acknowledged by itself, or confirms itself. */
async function writing<T>(guard: FolderGuard, work: () => Promise<T>): Promise<T> {
  guard.assertWritable();
  try {
    return await work();
  } catch (error) {
    throw guard.explain(error);
  }
}

/** What counts when it resolves. */
async function changing<T>(guard: FolderGuard, work: () => Promise<T>): Promise<T> {
  const result = await writing(guard, work);
  guard.confirm();
  return result;
}

async function reading<T>(guard: FolderGuard, work: () => Promise<T>): Promise<T> {
  guard.assertReadable();
  try {
    return await work();
  } catch (error) {
    throw guard.explain(error);
  }
}

/** What is found, or not, in a folder that is there. */
async function readingSurely<T>(guard: FolderGuard, work: () => Promise<T>): Promise<T> {
  const result = await reading(guard, work);
  guard.confirmReadable();
  return result;
}

async function* listing<T>(guard: FolderGuard, work: () => AsyncIterable<T>): AsyncIterable<T> {
  guard.confirmReadable();
  try {
    yield* work();
  } catch (error) {
    throw guard.explain(error);
  }
}
