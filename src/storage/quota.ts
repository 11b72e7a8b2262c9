// storage/quota.ts: a Bytes port that holds at most so many bytes (rule C16), over any other.
//
// Promises: a write that would go over the quota is refused before a byte of it is stored, and space that was freed
// counts again. What is stored is measured when the quota is first needed, not at start-up (D2).
import { AppError } from '../errors.ts';
import type { Bytes, Place, Spool } from '../uploads/ports.ts';

export function withQuota(bytes: Bytes, maxBytes: number): Bytes {
  const quota = new Quota(bytes, maxBytes);
  return {
    write: (place, at, buffers) => quota.writing(buffers, () => bytes.write(place, at, buffers)),
    spool: async () => countedSpool(await bytes.spool(), quota),
    adopt: (spool, place, segment) => bytes.adopt(innerSpool(spool), place, segment),
    truncate: (place: Place, segment: string, length: number) =>
      quota.freeing(bytes.truncate(place, segment, length)),
    remove: (place) => quota.freeing(bytes.remove(place)),
    reconcile: (place, expected) => quota.freeing(bytes.reconcile(place, expected)),
    sync: (place, segment) => bytes.sync(place, segment),
    move: (from, to) => bytes.move(from, to),
    release: (place) => bytes.release(place),
    read: (place, extents, range) => bytes.read(place, extents, range),
    list: (kind) => bytes.list(kind),
    usage: () => bytes.usage(),
  };
}

class Quota {
  readonly #bytes: Bytes;
  readonly #maxBytes: number;
  /** Never less than what is stored: freed bytes only count again when it is measured anew. */
  #used = Number.POSITIVE_INFINITY;
  /** Reserved, and the write has not ended. */
  #pending = 0;
  /** Bytes that the running measurement may or may not see: pending when it began, or reserved since. */
  #unsure = 0;
  #mustMeasure = true;
  #measuring: Promise<void> | null = null;

  constructor(bytes: Bytes, maxBytes: number) {
    this.#bytes = bytes;
    this.#maxBytes = maxBytes;
  }

  /** Does `write` if there is room for the buffers. @throws AppError `insufficient_storage`, and what `write` throws */
  async writing(buffers: readonly Buffer[], write: () => Promise<void>): Promise<void> {
    let length = 0;
    for (const buffer of buffers) length += buffer.length;
    const isOver = (): boolean => this.#used + length > this.#maxBytes;
    if (isOver() && (this.#mustMeasure || this.#measuring !== null)) await this.#measure();
    if (isOver()) throw noRoom(this.#maxBytes);
    this.#used += length;
    this.#pending += length;
    this.#unsure += length;
    try {
      await write();
    } catch (error) {
      this.#mustMeasure = true; // How much of it was stored is not known.
      throw error;
    } finally {
      this.#pending -= length;
    }
  }

  async freeing<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } finally {
      this.#mustMeasure = true;
    }
  }

  #measure(): Promise<void> {
    this.#measuring ??= this.#measureNow().finally(() => {
      this.#measuring = null;
    });
    return this.#measuring;
  }

  async #measureNow(): Promise<void> {
    this.#mustMeasure = false; // Before the walk: what is freed during it may be missed and wants another.
    this.#unsure = this.#pending;
    try {
      this.#used = (await this.#bytes.usage()) + this.#unsure;
    } catch (error) {
      this.#mustMeasure = true;
      throw error;
    }
    if (this.#unsure > 0) this.#mustMeasure = true; // Counted twice, some of it: measured again before it refuses.
  }
}

function noRoom(maxStoredBytes: number): AppError {
  return new AppError(
    'insufficient_storage',
    `the server may hold ${maxStoredBytes} bytes and has no room for this; nothing of this request was stored, ` +
      'send it again when there is room',
    { maxStoredBytes },
  );
}

const inner = new WeakMap<Spool, Spool>();

function countedSpool(spool: Spool, quota: Quota): Spool {
  const counted: Spool = {
    get bytes() {
      return spool.bytes;
    },
    append: (buffers) => quota.writing(buffers, () => spool.append(buffers)),
    discard: () => quota.freeing(spool.discard()),
  };
  inner.set(counted, spool);
  return counted;
}

function innerSpool(spool: Spool): Spool {
  return inner.get(spool) ?? spool;
}
