// media/media.ts: the media entries of all namespaces as a service: made from an upload or from direct bytes, read, listed.
//
// Promises: an entry exists if and only if its ledger does, and then its bytes are at its own place, moved there and
// never copied (rule F7); making the entry of a finalised upload again does nothing (F6). One that is refused is not there, and the
// bytes are where they came from (C16). One namespace never sees another's entries (K4).
// Must not know: HTTP, uploads (it is handed a place and extents), why a platform fails.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { randomBytes } from 'node:crypto';
import { LruMap } from 'toad-cache';
import { AppError, isDamage } from '../core/errors.ts';
import { wallMs } from '../core/machine-time.ts';
import type { ContentSums } from '../integrity/content-sums.ts';
import type { ByteRange, StoredContent } from '../integrity/stored-content.ts';
import type { VerifiedReader } from '../integrity/verified-reader.ts';
import { KeyedQueue } from '../core/keyed-queue.ts';
import type { Clock } from '../core/clock.ts';
import type { Ids } from '../core/ids.ts';
import type { OnSkipped, StorageKey, Storage } from '../uploads/ports.ts';
import { DirectUpload } from './direct-upload.ts';
import { asError, EntryMaker, type EntrySource, type EntryStorage } from './entry-maker.ts';
import type { EntrySpec } from './entry-form.ts';
import {
  contentOf,
  contentRecord,
  entryLedgers,
  foldEntry,
  placeOf,
  type StoredEntry,
} from './stored-entry.ts';
import {
  decide,
  evolve,
  viewEntry,
  type Entry,
  type EntryCreated,
  type EntryTiming,
  type EntryView,
  type PublishFailure,
} from './entry.ts';

export interface MediaOptions {
  readonly storage: Storage;
  readonly reader: VerifiedReader;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly timing: EntryTiming;
  /** @param from where its bytes were before */
  readonly onCreated: (entry: Entry, from: StorageKey) => void;
  readonly onErased: (place: StorageKey) => void;
  /** A file could not be closed: nothing is lost, but it wants a look. */
  readonly onCloseError: (error: unknown) => void;
}

const MAX_CACHED = 1_000;
/** Ids are made by us, but come back from clients: nothing else ever reaches the storage. */
const ID_SHAPE = /^[0-9a-f]{24}$/;

export class Media {
  readonly #options: MediaOptions;
  readonly #storage: EntryStorage;
  /** In order of last use. */
  readonly #cache = new LruMap<StoredEntry>(MAX_CACHED);
  /** By entry: half of a record must not be read, it would be taken for one that was never finished, and cut off. */
  readonly #queue = new KeyedQueue();
  /** Names of direct uploads on their way. */
  readonly #direct = new Set<string>();
  readonly #maker: EntryMaker;

  constructor(options: MediaOptions) {
    this.#options = options;
    const { ledgers, bytes } = options.storage;
    this.#storage = { ledgers: entryLedgers(ledgers), bytes };
    this.#maker = new EntryMaker(this.#storage, options.onCloseError);
  }

  /**
   * The entry of this source: made if it is not there, whatever a crash left half done.
   * @throws InDoubt when that failed and could not be undone yet; after every other error nothing has changed
   */
  async ensure(source: EntrySource): Promise<Entry> {
    const made = await this.#made(source);
    if (made instanceof Error) throw made;
    return made;
  }

  /** As `ensure`. Resolves to why it is certain that there is no such entry and that the bytes are where they were; or to null. */
  async tryEnsure(source: EntrySource): Promise<Error | null> {
    const made = await this.#made(source);
    return made instanceof Error ? made : null;
  }

  /** An id can be put back into several namespaces. */
  #made(source: EntrySource): Promise<Entry | Error> {
    return this.#queue.run(keyOf(source.namespace, source.mediaId), () => this.#make(source));
  }

  /** Null when this namespace has no such entry. */
  async find(namespace: string, id: string): Promise<StoredEntry | null> {
    if (!ID_SHAPE.test(id)) return null;
    const key = keyOf(namespace, id);
    return this.#cache.get(key) !== undefined
      ? this.#lookUp(namespace, id)
      : this.#queue.run(key, () => this.#lookUp(namespace, id));
  }

  /** In its queue, unless it is in the cache. */
  async #lookUp(namespace: string, id: string): Promise<StoredEntry | null> {
    const key = keyOf(namespace, id);
    await this.#maker.undo(placeOf(namespace, id));
    const stored = this.#cache.get(key) ?? (await this.#read(placeOf(namespace, id)));
    if (stored !== null) this.#cache.set(key, stored);
    return stored;
  }

  /**
   * Every entry of a namespace, or of all (`*`). A damaged one does not take the others with it (rule D2).
   * @param onDamaged is told of those, and of what could not be listed (place: null)
   */
  async *list(namespace: string, onDamaged: OnSkipped = () => undefined): AsyncIterable<StoredEntry> {
    const only = namespace === ALL_NAMESPACES ? undefined : namespace;
    for await (const { place } of this.#storage.ledgers.list('media', only, onDamaged)) {
      const found = this.find(place.namespace, place.name);
      const stored = await found.catch((error: unknown) => {
        if (!isDamage(error)) throw error;
        onDamaged(error, place);
        return null;
      });
      if (stored !== null) yield stored;
    }
  }

  /** The entry as it is now on its namespace's clock (behaviour §5). */
  view(entry: Entry): EntryView {
    return viewEntry(entry, this.#options.clock.now(entry.namespace), this.#options.timing);
  }

  /** The bytes, held against their CRC-32s. @throws AppError `upload_damaged`, before the last byte of what is damaged (rule D5) */
  content(stored: StoredEntry, range?: ByteRange): AsyncIterable<Buffer> {
    const { namespace, id } = stored.entry;
    return this.#options.reader.read(() => this.contentOf(namespace, id), range, contentOf(stored));
  }

  /** Where the content of an entry is now. @throws AppError `media_not_found`, `upload_damaged` */
  async contentOf(namespace: string, id: string): Promise<StoredContent> {
    const stored = await this.find(namespace, id);
    if (stored !== null) return contentOf(stored);
    throw new AppError('media_not_found', 'the entry was removed while its bytes were being read');
  }

  /**
   * Begins a direct upload (rule F8): its bytes stream to a place of their own. An id it gets with its entry: with a seed, ids
   * would depend on uploads that failed, and one could be given twice that only bytes on their way know of.
   */
  openDirect(namespace: string): DirectUpload {
    const name = randomBytes(12).toString('hex');
    this.#direct.add(name);
    return new DirectUpload(this.#storage.bytes, placeOf(namespace, name), () => this.#direct.delete(name));
  }

  /** The bytes of a direct upload become an entry. @param earlier of an entry that existed before, and is put back */
  async createDirect(
    direct: DirectUpload,
    spec: EntrySpec,
    earlier: {
      readonly id?: string | undefined;
      readonly at?: number | undefined;
      readonly failures?: readonly PublishFailure[];
    } = {},
  ): Promise<Entry> {
    const extents = await direct.sync();
    const { bytes, place: from } = direct;
    const { namespace } = from;
    const { clock, ids } = this.#options;
    const { id: mediaId = ids.next(namespace), at = clock.now(namespace), failures = [] } = earlier;
    const sums = (): ContentSums => direct.sums;
    const entry = await this.ensure({ mediaId, namespace, spec, at, bytes, extents, from, sums, failures });
    direct.onEnd();
    return entry;
  }

  /** Forgets an entry and its bytes. */
  remove(namespace: string, id: string): Promise<void> {
    const place = placeOf(namespace, id);
    const key = keyOf(namespace, id);
    return this.#queue.run(key, async () => {
      this.#cache.delete(key);
      await this.#storage.ledgers.remove(place);
      await this.#storage.bytes.remove(place);
      this.#options.onErased(place);
      this.#maker.forget(place);
    });
  }

  /** The entry's platform will end `failed` (behaviour §10). False: it is settled, or was not chosen. */
  failPublish(namespace: string, id: string, failure: PublishFailure): Promise<boolean> {
    return this.#queue.run(keyOf(namespace, id), () => this.#failPublish(namespace, id, failure));
  }

  async #failPublish(namespace: string, id: string, failure: PublishFailure): Promise<boolean> {
    const { clock, timing } = this.#options;
    const opened = await this.#storage.ledgers.open(placeOf(namespace, id));
    if (opened === null) return false;
    try {
      const stored = foldEntry(opened.records);
      const moment = { now: clock.now(namespace), timing };
      const event = stored && decide(stored.entry, { type: 'fail-publish', ...failure }, moment);
      if (stored === null || event === null) return false;
      this.#cache.delete(keyOf(namespace, id)); // Unless it is known that it is stored it is read again.
      await opened.ledger.append([event]);
      this.#cache.set(keyOf(namespace, id), { ...stored, entry: evolve(stored.entry, event) });
      return true;
    } finally {
      await opened.ledger.close();
    }
  }

  /** Entries by status, now. Reads every one that is not in memory: for metrics, not for a request's path. */
  async countByStatus(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const count = (status: string): unknown => counts.set(status, (counts.get(status) ?? 0) + 1);
    for await (const { entry } of this.list(ALL_NAMESPACES, () => count('damaged')))
      count(this.view(entry).status);
    return counts;
  }

  /**
   * Removes bytes that never became an entry: of a direct upload whose process died (rule C15).
   * @param onError is told of one whose bytes could not be removed; the others are
   */
  async collect(olderThanMs: number, onError: (error: unknown, place: StorageKey) => void): Promise<void> {
    const { bytes } = this.#storage;
    await this.close();
    for await (const { place, modifiedAt } of bytes.list('media')) {
      if (wallMs() < modifiedAt + olderThanMs || this.#direct.has(place.name)) continue;
      // In its queue: of an entry that is being made the bytes come before the ledger.
      const key = keyOf(place.namespace, place.name);
      const removed = this.#queue.run(key, () => this.#removeUnknown(place));
      await removed.catch((error: unknown) => onError(error, place));
    }
  }

  async #removeUnknown(place: StorageKey): Promise<void> {
    const { bytes, ledgers } = this.#storage;
    const opened = await ledgers.open(place).catch(() => undefined); // Damaged: somebody has to look at it.
    if (opened === null) await bytes.remove(place);
    else await opened?.ledger.close();
  }

  /** An error: why there is no such entry. */
  async #make(source: EntrySource): Promise<Entry | Error> {
    const place = placeOf(source.namespace, source.mediaId);
    const refused = await this.#maker.undo(place);
    if (refused !== null) return refused;
    try {
      const existing = await this.#lookUp(source.namespace, source.mediaId);
      if (existing !== null) return existing.entry;
    } catch (error) {
      if (source.isNew !== true || isDamage(error)) throw error;
      return asError(error);
    }
    return this.#makeAt(place, source);
  }

  async #makeAt(place: StorageKey, source: EntrySource): Promise<Entry | Error> {
    const { mediaId: id, namespace, spec, at, bytes, extents, failures = [] } = source;
    const known = failures.length === 0 ? {} : { failures };
    const created: EntryCreated = { type: 'entry-created', at, id, namespace, spec, bytes, ...known };
    const sums = source.sums?.() ?? null;
    const refused = await this.#maker.make(place, source, [created, contentRecord(extents, sums)]);
    if (refused !== null) return refused;
    const stored = { entry: evolve(null, created), extents, sums };
    this.#cache.set(keyOf(namespace, id), stored);
    this.#options.onCreated(stored.entry, source.from);
    return stored.entry;
  }

  /** What could not be undone is tried once more: the next process would take it for an entry. */
  async close(): Promise<void> {
    for (const place of this.#maker.refusedPlaces) {
      const undone = this.#queue.run(keyOf(place.namespace, place.name), () => this.#maker.undo(place));
      await undone.catch(() => undefined); // It stays remembered.
    }
  }

  async #read(place: StorageKey): Promise<StoredEntry | null> {
    const opened = await this.#storage.ledgers.open(place);
    if (opened === null) return null;
    await opened.ledger.close();
    return foldEntry(opened.records);
  }
}

function keyOf(namespace: string, id: string): string {
  return `${namespace}/${id}`;
}
