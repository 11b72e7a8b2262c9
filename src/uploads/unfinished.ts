// uploads/unfinished.ts: counts the unfinished uploads of each namespace and limits their number.
//
// Promises: it counts the uploads that this process has seen. An upload of an earlier run counts from its first use, because a
// start reads no upload (rule D2).
import { AppError } from '../core/errors.ts';
import type { StorageKey } from './ports.ts';

export class Unfinished {
  readonly #maxPerNamespace: number;
  readonly #names = new Map<string, Set<string>>();

  constructor(maxPerNamespace: number) {
    this.#maxPerNamespace = maxPerNamespace;
  }

  get count(): number {
    let count = 0;
    for (const names of this.#names.values()) count += names.size;
    return count;
  }

  /** @throws AppError `too_many_open_uploads` */
  begin(place: StorageKey): void {
    const names = this.#names.get(place.namespace);
    const limit = this.#maxPerNamespace;
    if (names !== undefined && names.size >= limit && !names.has(place.name)) {
      throw new AppError(
        'too_many_open_uploads',
        `this key has ${names.size} unfinished uploads, the limit of one key; finish or delete some, or wait until some expire`,
        { maxOpenUploads: limit },
      );
    }
    this.add(place);
  }

  /** Counts an upload that exists already. It is never refused. */
  add(place: StorageKey): void {
    const names = this.#names.get(place.namespace) ?? new Set();
    this.#names.set(place.namespace, names.add(place.name));
  }

  remove(place: StorageKey): void {
    const names = this.#names.get(place.namespace);
    names?.delete(place.name);
    if (names?.size === 0) this.#names.delete(place.namespace);
  }
}
