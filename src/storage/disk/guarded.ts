// storage/disk/guarded.ts: wraps the ports of a disk storage: they work while the folder exists and is ours (rules D3, D6).
//
// Promises: before each write, the last check of the lock is younger than LEASE_MS (folder-guard.ts). When a port resolves, the
// folder was still ours at the end of the call. An error that is caused by a missing folder says so, and is not reported as a
// missing or damaged upload.
// The appends of a ledger are confirmed in ledger-file.ts, because a refused append must also be undone.
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
    // Allowed also when the folder is gone, because it may come back. When the folder is lost, the ledger file refuses.
    revoke: () => ledger.revoke(),
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

/** For calls that are not acknowledged by themselves, or that confirm themselves. */
async function writing<T>(guard: FolderGuard, work: () => Promise<T>): Promise<T> {
  guard.assertWritable();
  try {
    return await work();
  } catch (error) {
    throw guard.explain(error);
  }
}

/** For calls whose result counts as soon as they resolve. */
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

/** For calls that may find nothing: the folder must then exist. */
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
