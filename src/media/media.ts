// media/media.ts: the service for the media entries of all namespaces: makes, reads and lists them.
//
// Promises: an entry exists if and only if its ledger exists, and then its bytes were moved to its own place (rule F7). To make
// the same entry again does nothing (F6). A refused entry does not exist, and its bytes are where they came from (C16). One
// namespace never sees the entries of another (K4). It does not know uploads, or why a platform fails.
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
  /** @param from where the bytes of the entry were before */
  readonly onCreated: (entry: Entry, from: StorageKey) => void;
  readonly onErased: (place: StorageKey) => void;
  /** A file could not be closed. Nothing is lost, but somebody should look at the disk. */
  readonly onCloseError: (error: unknown) => void;
}

const MAX_CACHED = 1_000;
/** The form of the ids that the server makes. Clients send ids, and no other string reaches the storage. */
const ID_SHAPE = /^[0-9a-f]{24}$/;

export class Media {
  readonly #options: MediaOptions;
  readonly #storage: EntryStorage;
  /** In order of last use. */
  readonly #cache = new LruMap<StoredEntry>(MAX_CACHED);
  /** Per entry. No ledger is read while a record is written: half a record would be cut off as a write that never finished. */
  readonly #queue = new KeyedQueue();
  /** Names of direct uploads whose bytes are on their way. */
  readonly #direct = new Set<string>();
  readonly #maker: EntryMaker;

  constructor(options: MediaOptions) {
    this.#options = options;
    const { ledgers, bytes } = options.storage;
    this.#storage = { ledgers: entryLedgers(ledgers), bytes };
    this.#maker = new EntryMaker(this.#storage, options.onCloseError);
  }

  /**
   * Gives the entry of this source. Makes it when it does not exist, also after a crash that interrupted the making.
   * @throws InDoubt when the making failed and could not be undone yet; after every other error nothing has changed
   */
  async ensure(source: EntrySource): Promise<Entry> {
    const made = await this.#made(source);
    if (made instanceof Error) throw made;
    return made;
  }

  /** As `ensure`, but resolves to null or to the error. With an error there is no entry, and the bytes are where they were. */
  async tryEnsure(source: EntrySource): Promise<Error | null> {
    const made = await this.#made(source);
    return made instanceof Error ? made : null;
  }

  /** The queue key contains the namespace, because one id can be put back into several namespaces. */
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

  /** Called in the queue of the entry, unless the entry is in the cache. */
  async #lookUp(namespace: string, id: string): Promise<StoredEntry | null> {
    const key = keyOf(namespace, id);
    await this.#maker.undo(placeOf(namespace, id));
    const stored = this.#cache.get(key) ?? (await this.#read(placeOf(namespace, id)));
    if (stored !== null) this.#cache.set(key, stored);
    return stored;
  }

  /**
   * Every entry of a namespace, or of all namespaces (`*`). A damaged entry does not end the list (rule D2).
   * @param onDamaged called for damaged entries, and for paths that could not be listed (place: null)
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

  /** The entry as it is now on the clock of its namespace (behaviour §5). */
  view(entry: Entry): EntryView {
    return viewEntry(entry, this.#options.clock.now(entry.namespace), this.#options.timing);
  }

  /** The bytes, checked. @throws AppError `upload_damaged` before the last byte of a damaged part is given out (rule D5) */
  content(stored: StoredEntry, range?: ByteRange): AsyncIterable<Buffer> {
    const { namespace, id } = stored.entry;
    return this.#options.reader.read(() => this.contentOf(namespace, id), range, contentOf(stored));
  }

  /** Where the content of an entry lies now. @throws AppError `media_not_found`, `upload_damaged` */
  async contentOf(namespace: string, id: string): Promise<StoredContent> {
    const stored = await this.find(namespace, id);
    if (stored !== null) return contentOf(stored);
    throw new AppError('media_not_found', 'the entry was removed while its bytes were being read');
  }

  /**
   * Begins a direct upload (rule F8). Its bytes are written to a place of their own. The id is given when the entry is made. If
   * it were given here, then with a seed the later ids would depend on uploads that failed, and one id could be given twice.
   */
  openDirect(namespace: string): DirectUpload {
    const name = randomBytes(12).toString('hex');
    this.#direct.add(name);
    return new DirectUpload(this.#storage.bytes, placeOf(namespace, name), () => this.#direct.delete(name));
  }

  /** Makes an entry of the bytes of a direct upload. @param earlier given when an entry that existed before is put back */
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

  /** Removes an entry and its bytes. */
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

  /** Makes the platform end as `failed` (behaviour §10). False: the entry is settled, or the platform was not chosen. */
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
      this.#cache.delete(keyOf(namespace, id)); // The entry is read again unless it is known that the record is stored.
      await opened.ledger.append([event]);
      this.#cache.set(keyOf(namespace, id), { ...stored, entry: evolve(stored.entry, event) });
      return true;
    } finally {
      await opened.ledger.close();
    }
  }

  /** Number of entries per status, now. Reads every entry that is not in memory: too slow for the path of a request. */
  async countByStatus(): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const count = (status: string): unknown => counts.set(status, (counts.get(status) ?? 0) + 1);
    for await (const { entry } of this.list(ALL_NAMESPACES, () => count('damaged')))
      count(this.view(entry).status);
    return counts;
  }

  /**
   * Removes bytes that never became an entry: those of a direct upload whose process died (rule C15).
   * @param onError called for each place whose bytes could not be removed; the other places are still collected
   */
  async collect(olderThanMs: number, onError: (error: unknown, place: StorageKey) => void): Promise<void> {
    const { bytes } = this.#storage;
    await this.close();
    for await (const { place, modifiedAt } of bytes.list('media')) {
      if (wallMs() < modifiedAt + olderThanMs || this.#direct.has(place.name)) continue;
      // In the queue of the entry, because an entry that is being made has bytes before it has a ledger.
      const key = keyOf(place.namespace, place.name);
      const removed = this.#queue.run(key, () => this.#removeUnknown(place));
      await removed.catch((error: unknown) => onError(error, place));
    }
  }

  async #removeUnknown(place: StorageKey): Promise<void> {
    const { bytes, ledgers } = this.#storage;
    // A damaged ledger gives undefined, and its bytes stay: a person has to look at it.
    const opened = await ledgers.open(place).catch(() => undefined);
    if (opened === null) await bytes.remove(place);
    else await opened?.ledger.close();
  }

  /** Resolves to an error when the entry does not exist, with the reason. */
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

  /** Tries again to undo the entries that could not be undone. Otherwise the next process would take them for entries. */
  async close(): Promise<void> {
    for (const place of this.#maker.refusedPlaces) {
      const undone = this.#queue.run(keyOf(place.namespace, place.name), () => this.#maker.undo(place));
      await undone.catch(() => undefined); // The place stays remembered.
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
