// storage/memory/memory-storage.ts: both ports in memory, for tests and for servers that leave nothing behind.
//
// Promises: the same as the disk storage, but nothing survives the process.
import { AppError } from '../../core/errors.ts';
import { wallMs } from '../../core/machine-time.ts';
import type {
  Bytes,
  Extent,
  Ledger,
  LedgerRecord,
  Ledgers,
  OpenedLedger,
  StorageKey,
  Spool,
  Storage,
} from '../../uploads/ports.ts';
import { endsOf, sliceExtents } from '../extents.ts';

export function createMemoryStorage(): Storage {
  const nothing = (): Promise<void> => Promise.resolve();
  return {
    ledgers: new MemoryLedgers(),
    bytes: new MemoryBytes(),
    availability: { writeRefusal: () => null, readRefusal: () => null },
    lost: new Promise(() => undefined),
    tidy: nothing,
    close: nothing,
  };
}

interface StoredLedger {
  readonly place: StorageKey;
  /** Stored as text, as on a disk, so that a later change of an appended record object changes nothing here. */
  readonly lines: string[];
  modifiedAt: number;
}

class MemoryLedgers implements Ledgers {
  readonly #ledgers = new Map<string, StoredLedger>();

  open(place: StorageKey): Promise<OpenedLedger | null> {
    const stored = this.#ledgers.get(keyOf(place));
    if (stored === undefined) return Promise.resolve(null);
    const records = stored.lines.map((line) => JSON.parse(line) as LedgerRecord);
    return Promise.resolve({ ledger: ledgerOver(stored), records });
  }

  async create(place: StorageKey, records: readonly LedgerRecord[]): Promise<Ledger> {
    const stored: StoredLedger = { place, lines: [], modifiedAt: wallMs() };
    const ledger = ledgerOver(stored);
    await ledger.append(records);
    this.#ledgers.set(keyOf(place), stored);
    return ledger;
  }

  remove(place: StorageKey): Promise<void> {
    this.#ledgers.delete(keyOf(place));
    return Promise.resolve();
  }

  async *list(
    kind: StorageKey['kind'],
    namespace?: string,
  ): AsyncIterable<{ place: StorageKey; modifiedAt: number }> {
    for (const { place, modifiedAt } of this.#ledgers.values()) {
      if (place.kind === kind && (namespace === undefined || place.namespace === namespace))
        yield { place, modifiedAt };
    }
  }
}

function ledgerOver(stored: StoredLedger): Ledger {
  return {
    append(records) {
      stored.lines.push(...records.map((record) => JSON.stringify(record)));
      stored.modifiedAt = wallMs();
      return Promise.resolve();
    },
    revoke() {
      stored.lines.pop();
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

class MemoryBytes implements Bytes {
  readonly #places = new Map<
    string,
    { place: StorageKey; segments: Map<string, MemorySegment>; modifiedAt: number }
  >();
  readonly #spools = new Set<MemorySpool>();

  write(
    place: StorageKey,
    at: { segment: string; offset: number },
    buffers: readonly Buffer[],
  ): Promise<void> {
    this.#segment(place, at.segment).write(at.offset, buffers);
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  spool(): Promise<Spool> {
    const spool = new MemorySpool((ended) => this.#spools.delete(ended));
    this.#spools.add(spool);
    return Promise.resolve(spool);
  }

  async adopt(spool: Spool, place: StorageKey, segment: string): Promise<void> {
    if (!(spool instanceof MemorySpool)) throw new Error('this spool is of another storage');
    this.#segment(place, segment).write(0, spool.segment.buffers);
    await spool.discard();
  }

  reconcile(
    place: StorageKey,
    extents: readonly Extent[],
  ): Promise<{ strayBytes: number; missing: string[] }> {
    const expected = endsOf(extents);
    const segments = this.#places.get(keyOf(place))?.segments ?? new Map<string, MemorySegment>();
    const missing = [...expected].filter(([name, bytes]) => (segments.get(name)?.bytes ?? -1) < bytes);
    if (missing.length > 0) return Promise.resolve({ strayBytes: 0, missing: missing.map(([name]) => name) });
    let strayBytes = 0;
    for (const [name, segment] of segments) {
      const kept = expected.get(name);
      strayBytes += segment.bytes - (kept ?? 0);
      if (kept === undefined) segments.delete(name);
      else segment.truncate(kept);
    }
    return Promise.resolve({ strayBytes, missing: [] });
  }

  sizes(place: StorageKey, only?: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const segments = [...(this.#places.get(keyOf(place))?.segments ?? [])];
    const asked = segments.filter(([name]) => only?.includes(name) ?? true);
    return Promise.resolve(new Map(asked.map(([name, { bytes }]) => [name, bytes])));
  }

  truncate(place: StorageKey, segment: string, bytes: number): Promise<void> {
    const segments = this.#places.get(keyOf(place))?.segments;
    if (bytes === 0) segments?.delete(segment);
    else segments?.get(segment)?.truncate(bytes);
    return Promise.resolve();
  }

  move(from: StorageKey, to: StorageKey): Promise<boolean> {
    const found = this.#places.get(keyOf(from));
    if (found === undefined) return Promise.resolve(true);
    if ((this.#places.get(keyOf(to))?.segments.size ?? 0) > 0) return Promise.resolve(false);
    this.#places.delete(keyOf(from));
    this.#places.set(keyOf(to), { ...found, place: to });
    return Promise.resolve(true);
  }

  remove(place: StorageKey): Promise<void> {
    this.#places.delete(keyOf(place));
    return Promise.resolve();
  }

  release(): Promise<void> {
    return Promise.resolve();
  }

  async *read(
    place: StorageKey,
    extents: readonly Extent[],
    range?: { start: number; length: number },
  ): AsyncIterable<Buffer> {
    const segments = this.#places.get(keyOf(place))?.segments;
    for (const extent of sliceExtents(extents, range)) {
      const segment = segments?.get(extent.segment);
      if (segment === undefined || segment.bytes < extent.offset + extent.bytes) {
        throw new Error(`segment ${extent.segment} is not there or too short`);
      }
      yield* segment.read(extent.offset, extent.bytes);
    }
  }

  async *list(kind: StorageKey['kind']): AsyncIterable<{ place: StorageKey; modifiedAt: number }> {
    for (const { place, modifiedAt } of this.#places.values()) {
      if (place.kind === kind) yield { place, modifiedAt };
    }
  }

  usage(namespace?: string): Promise<number> {
    let bytes = 0;
    for (const { place, segments } of this.#places.values()) {
      if (namespace !== undefined && place.namespace !== namespace) continue;
      for (const segment of segments.values()) bytes += segment.bytes;
    }
    if (namespace === undefined) for (const spool of this.#spools) bytes += spool.segment.bytes;
    return Promise.resolve(bytes);
  }

  #segment(place: StorageKey, name: string): MemorySegment {
    const key = keyOf(place);
    const found = this.#places.get(key) ?? {
      place,
      segments: new Map<string, MemorySegment>(),
      modifiedAt: 0,
    };
    found.modifiedAt = wallMs();
    this.#places.set(key, found);
    const segment = found.segments.get(name) ?? new MemorySegment();
    found.segments.set(name, segment);
    return segment;
  }
}

class MemorySegment {
  buffers: Buffer[] = [];
  bytes = 0;

  write(offset: number, buffers: readonly Buffer[]): void {
    if (offset > this.bytes) throw new AppError('internal_error', 'a write must not leave a hole');
    if (offset < this.bytes) this.truncate(offset);
    for (const buffer of buffers) {
      this.buffers.push(Buffer.copyBytesFrom(buffer)); // A copy, because the caller may free its buffer right after this.
      this.bytes += buffer.length;
    }
  }

  truncate(bytes: number): void {
    this.buffers = [...this.read(0, Math.min(bytes, this.bytes))];
    this.bytes = Math.min(bytes, this.bytes);
  }

  *read(offset: number, length: number): IterableIterator<Buffer> {
    let skip = offset;
    let left = length;
    for (const buffer of this.buffers) {
      if (left <= 0) return;
      const piece = buffer.subarray(Math.min(skip, buffer.length), Math.min(skip + left, buffer.length));
      if (piece.length > 0) yield piece;
      skip = Math.max(skip - buffer.length, 0);
      left -= piece.length;
    }
  }
}

class MemorySpool implements Spool {
  readonly segment = new MemorySegment();
  readonly #onEnd: (spool: MemorySpool) => void;

  constructor(onEnd: (spool: MemorySpool) => void) {
    this.#onEnd = onEnd;
  }

  get bytes(): number {
    return this.segment.bytes;
  }

  append(buffers: readonly Buffer[]): Promise<void> {
    this.segment.write(this.segment.bytes, buffers);
    return Promise.resolve();
  }

  discard(): Promise<void> {
    this.#onEnd(this);
    return Promise.resolve();
  }
}

function keyOf(place: StorageKey): string {
  return `${place.kind}/${place.namespace}/${place.name}`;
}
