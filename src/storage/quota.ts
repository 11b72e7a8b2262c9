// storage/quota.ts: a Bytes port that holds at most so many bytes (rule C16), over any other.
//
// Promises: a write that would go over the quota is refused before a byte of it is stored, and space that was freed
// counts again. What is stored is measured when the quota is first needed, not at start-up (D2).
import { AppError } from '../errors.ts';
import type { Bytes, Place, Spool } from '../uploads/ports.ts';

export function withQuota(bytes: Bytes, maxBytes: number): Bytes {
  const quota = new Quota(bytes, maxBytes);
  return {
    write: async (place, at, buffers) => {
      await quota.reserve(buffers);
      await bytes.write(place, at, buffers);
    },
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
  #used = 0;
  #mustMeasure = true;
  #measuring: Promise<void> | null = null;

  constructor(bytes: Bytes, maxBytes: number) {
    this.#bytes = bytes;
    this.#maxBytes = maxBytes;
  }

  /** @throws AppError `insufficient_storage` */
  async reserve(buffers: readonly Buffer[]): Promise<void> {
    let length = 0;
    for (const buffer of buffers) length += buffer.length;
    if (this.#mustMeasure && (this.#used === 0 || this.#used + length > this.#maxBytes))
      await this.#measure();
    if (this.#used + length > this.#maxBytes) {
      throw new AppError(
        'insufficient_storage',
        `the server may hold ${this.#maxBytes} bytes and has no room for this; nothing of this request was stored, ` +
          'send it again when there is room',
        { maxStoredBytes: this.#maxBytes },
      );
    }
    this.#used += length;
  }

  async freeing<T>(work: Promise<T>): Promise<T> {
    const result = await work;
    this.#mustMeasure = true;
    return result;
  }

  #measure(): Promise<void> {
    this.#measuring ??= this.#measureNow().finally(() => {
      this.#measuring = null;
    });
    return this.#measuring;
  }

  async #measureNow(): Promise<void> {
    this.#mustMeasure = false; // Before the walk: what is freed during it may be missed and wants another.
    const before = this.#used;
    const stored = await this.#bytes.usage();
    this.#used = stored + (this.#used - before); // What was reserved during the walk may not have been seen by it.
  }
}

const inner = new WeakMap<Spool, Spool>();

function countedSpool(spool: Spool, quota: Quota): Spool {
  const counted: Spool = {
    append: async (buffers) => {
      await quota.reserve(buffers);
      await spool.append(buffers);
    },
    discard: () => quota.freeing(spool.discard()),
  };
  inner.set(counted, spool);
  return counted;
}

function innerSpool(spool: Spool): Spool {
  return inner.get(spool) ?? spool;
}
