// storage/quota.ts: wraps any Bytes port and limits how many bytes it holds, in total and per namespace (rule C16).
//
// Promises: a write that would exceed a quota is refused before any byte of it is stored. Freed space can be used again. The
// stored bytes are measured when a quota is first needed, and not at start-up (D2). Bytes of a spool, whose owner is not known
// yet, count for the total. They count for a namespace from the moment it adopts them.
import { AppError } from '../core/errors.ts';
import type { Bytes, StorageKey, Spool } from '../uploads/ports.ts';

/** In bytes. Undefined means no limit of this kind. */
export interface QuotaLimits {
  readonly maxBytes?: number | undefined;
  readonly maxBytesPerNamespace?: number | undefined;
}

export function withQuota(bytes: Bytes, limits: QuotaLimits): Bytes {
  const quotas = new Quotas(bytes, limits);
  return {
    write(place, at, buffers) {
      const length = lengthOf(buffers);
      return quotas.taking(place, length, () =>
        quotas.takingOfAll(length, () => bytes.write(place, at, buffers)),
      );
    },
    spool: async () => countedSpool(await bytes.spool(), quotas),
    adopt(spool, place, segment) {
      return quotas.taking(place, spool.bytes, () => bytes.adopt(innerSpool(spool), place, segment));
    },
    truncate: (place: StorageKey, segment: string, length: number) =>
      quotas.freeing([place], bytes.truncate(place, segment, length)),
    remove: (place) => quotas.freeing([place], bytes.remove(place)),
    reconcile: (place, extents) => quotas.freeing([place], bytes.reconcile(place, extents)),
    sizes: (place, only) => bytes.sizes(place, only),
    sync: (place, segment) => bytes.sync(place, segment),
    // An upload of the fallback namespace becomes an entry of the caller (K3), so the bytes then belong to another namespace.
    move: (from, to) => quotas.moving(from, to, bytes.move(from, to)),
    release: (place) => bytes.release(place),
    read: (place, extents, range) => bytes.read(place, extents, range),
    list: (kind) => bytes.list(kind),
    usage: (namespace) => bytes.usage(namespace),
  };
}

/** Number of namespaces that are remembered. The bytes of a forgotten namespace are measured again. */
const MAX_NAMESPACES = 10_000;

class Quotas {
  readonly #bytes: Bytes;
  readonly #maxPerNamespace: number | undefined;
  readonly #ofAll: Quota | null;
  readonly #ofNamespaces = new Map<string, Quota>();

  constructor(bytes: Bytes, { maxBytes, maxBytesPerNamespace }: QuotaLimits) {
    this.#bytes = bytes;
    this.#maxPerNamespace = maxBytesPerNamespace;
    this.#ofAll =
      maxBytes === undefined
        ? null
        : new Quota(maxBytes, { measure: () => bytes.usage(), refusal: () => noRoom(maxBytes) });
  }

  /** Does `work` if there is room for `length` bytes of the namespace. @throws AppError `insufficient_storage` */
  taking({ namespace }: StorageKey, length: number, work: () => Promise<void>): Promise<void> {
    return this.#maxPerNamespace === undefined
      ? work()
      : this.#ofNamespace(namespace, this.#maxPerNamespace).taking(length, work);
  }

  /** Does `work` if there is room for `length` bytes in total. @throws AppError `insufficient_storage` */
  takingOfAll(length: number, work: () => Promise<void>): Promise<void> {
    return this.#ofAll === null ? work() : this.#ofAll.taking(length, work);
  }

  async freeing<T>(places: readonly StorageKey[], work: Promise<T>): Promise<T> {
    try {
      return await work;
    } finally {
      this.#ofAll?.hasFreed();
      for (const { namespace } of places) this.#ofNamespaces.get(namespace)?.hasFreed();
    }
  }

  async moving(from: StorageKey, to: StorageKey, work: Promise<boolean>): Promise<boolean> {
    try {
      return await work;
    } finally {
      if (from.namespace !== to.namespace) {
        this.#ofNamespaces.get(from.namespace)?.hasFreed();
        this.#ofNamespaces.get(to.namespace)?.hasGained();
      }
    }
  }

  #ofNamespace(namespace: string, maxBytes: number): Quota {
    const known = this.#ofNamespaces.get(namespace);
    if (known !== undefined) return known;
    if (this.#ofNamespaces.size >= MAX_NAMESPACES) this.#forgetIdle();
    const quota = new Quota(maxBytes, {
      measure: () => this.#bytes.usage(namespace),
      refusal: () => noRoomForKey(maxBytes),
    });
    this.#ofNamespaces.set(namespace, quota);
    return quota;
  }

  #forgetIdle(): void {
    for (const [namespace, quota] of this.#ofNamespaces)
      if (quota.isIdle) this.#ofNamespaces.delete(namespace);
  }
}

interface Measure {
  /** Resolves to the number of bytes that are stored now. */
  readonly measure: () => Promise<number>;
  readonly refusal: () => AppError;
}

class Quota {
  readonly #maxBytes: number;
  readonly #measured: Measure;
  /** At least the number of stored bytes. Freed bytes are subtracted only by the next measurement. */
  #used = Number.POSITIVE_INFINITY;
  /** Bytes that are reserved and whose write has not ended. */
  #pending = 0;
  /** Bytes that the running measurement may count or not: pending when it began, or reserved since. */
  #unsure = 0;
  #mustMeasure = true;
  /** How often bytes were added without a reservation. */
  #gains = 0;
  #measuring: Promise<void> | null = null;

  constructor(maxBytes: number, measured: Measure) {
    this.#maxBytes = maxBytes;
    this.#measured = measured;
  }

  /** Nobody is writing, so this quota can be forgotten and measured again at any time. */
  get isIdle(): boolean {
    return this.#pending === 0 && this.#measuring === null;
  }

  /** Does `work` if there is room for `length` bytes. @throws AppError `insufficient_storage`, and what `work` throws */
  async taking(length: number, work: () => Promise<void>): Promise<void> {
    const isOver = (): boolean => this.#used + length > this.#maxBytes;
    // Two attempts, because the first may join a measurement that began before some bytes were freed.
    for (let times = 0; times < 2 && isOver() && this.#canLearn; times += 1) await this.#measure();
    if (isOver()) throw this.#measured.refusal();
    this.#used += length;
    this.#pending += length;
    this.#unsure += length;
    try {
      await work();
    } catch (error) {
      this.#mustMeasure = true; // It is not known how many of the bytes were stored.
      throw error;
    } finally {
      this.#pending -= length;
    }
  }

  /** More bytes may be stored than are counted here. Nothing fits before they are measured. */
  hasGained(): void {
    this.#mustMeasure = true;
    this.#gains += 1;
    this.#used = Number.POSITIVE_INFINITY;
  }

  /** Some of the stored bytes may be gone. */
  hasFreed(): void {
    this.#mustMeasure = true;
  }

  get #canLearn(): boolean {
    return this.#mustMeasure || this.#measuring !== null;
  }

  #measure(): Promise<void> {
    this.#measuring ??= this.#measureNow().finally(() => {
      this.#measuring = null;
    });
    return this.#measuring;
  }

  async #measureNow(): Promise<void> {
    // Before the measurement, which may miss bytes that are freed while it runs. They then need another measurement.
    this.#mustMeasure = false;
    try {
      for (let gains = -1; gains !== this.#gains;) {
        gains = this.#gains;
        this.#unsure = this.#pending;
        this.#used = (await this.#measured.measure()) + this.#unsure;
      }
    } catch (error) {
      this.#mustMeasure = true;
      throw error;
    }
    if (this.#unsure > 0) this.#mustMeasure = true; // Some bytes may be counted twice, so the next request measures again.
  }
}

function noRoom(maxStoredBytes: number): AppError {
  return new AppError(
    'insufficient_storage',
    `the server may hold ${maxStoredBytes} bytes and has no room for this request; nothing of it was stored, ` +
      'send it again when there is room',
    { maxStoredBytes },
  );
}

function noRoomForKey(maxStoredBytesPerKey: number): AppError {
  return new AppError(
    'insufficient_storage',
    `the server may hold ${maxStoredBytesPerKey} bytes for one API key and has no room for this request; nothing of it ` +
      'was stored, send it again when some uploads of this key are deleted or have expired',
    { maxStoredBytesPerKey },
  );
}

function lengthOf(buffers: readonly Buffer[]): number {
  let bytes = 0;
  for (const { length } of buffers) bytes += length;
  return bytes;
}

const inner = new WeakMap<Spool, Spool>();

function countedSpool(spool: Spool, quotas: Quotas): Spool {
  const counted: Spool = {
    get bytes() {
      return spool.bytes;
    },
    append: (buffers) => quotas.takingOfAll(lengthOf(buffers), () => spool.append(buffers)),
    discard: () => quotas.freeing([], spool.discard()),
  };
  inner.set(counted, spool);
  return counted;
}

function innerSpool(spool: Spool): Spool {
  return inner.get(spool) ?? spool;
}
