// uploads/ports.ts: the interfaces through which the services use a storage: Ledgers, Bytes, and Storage, which holds both.
//
// Each port says what the caller guarantees and what the caller gets. The storages in storage/ implement the ports and pass
// one test suite (test/helpers/storage-suite.ts). The ports are designed so that S3 and PostgreSQL can implement them without a
// change here.

import type { AppError } from '../core/errors.ts';

/** A place: where a ledger and its bytes lie. The server makes `name` (a hash or an id). It is never a string from a client. */
export interface StorageKey {
  readonly kind: 'uploads' | 'media';
  readonly namespace: string;
  readonly name: string;
}

/** A record as a storage returns it: the whole JSON object that was appended. The storage does not know its contents. */
export type LedgerRecord = Readonly<Record<string, unknown>>;

/** The content of an opened ledger, and what had to be cut off to open it (rule D2). */
export interface OpenedLedger<R extends LedgerRecord = LedgerRecord> {
  readonly ledger: Ledger<R>;
  readonly records: readonly R[];
  /** A write that never finished: `bytes` were cut off the end of the ledger. Absent when the ledger was clean. */
  readonly torn?: { readonly bytes: number };
  /**
   * Present only if an earlier owner of the place may still do a write that it had begun, because nobody saw that owner end
   * (rule D3). After it resolves, writes of the earlier owner to the ledger do not count. It must be called before any byte is
   * removed that is not in the ledger. The earlier owner may still write behind the end of a segment, so nothing may be added
   * to a segment that is in the ledger.
   */
  readonly takeOver?: () => Promise<void>;
}

/**
 * The append-only log of one upload or entry.
 *
 * The caller makes one `append` at a time per ledger. When `append` resolves, the records are as durable as the mode of the
 * storage promises (rule D1), and the next `open` returns them, in order. When `append` rejects, the next `open` returns none
 * of them, because the storage has restored the end of the log.
 * When `append` rejects with `InDoubt`, the end could not be restored. The ledger then refuses every later append, and the next
 * `open` restores the end first. Only if the process ends before that, the records may be returned. Until then the caller keeps
 * every byte that they name.
 */
export interface Ledger<R extends LedgerRecord = LedgerRecord> {
  append(records: readonly R[]): Promise<void>;
  /**
   * Undoes the last append: its record counts as refused and is not returned again. The record must have been appended alone,
   * and there must be another record before it. Two calls must not follow each other without an append between them.
   * @throws InDoubt as `append` does; the record is then still stored
   */
  revoke(): Promise<void>;
  /** Closes the ledger. The appended records are stored even when this fails. */
  close(): Promise<void>;
}

/**
 * @param error `upload_damaged`
 * @param place null when the problem belongs to no single place, because the lister cannot see what is there
 */
export type OnSkipped = (error: AppError, place: StorageKey | null) => void;

/** The ledgers of a storage, with any records, or of one service, with its own records (typed-ledgers.ts). */
export interface Ledgers<R extends LedgerRecord = LedgerRecord> {
  /**
   * Resolves to null when there is no ledger at this place.
   * @throws AppError `upload_damaged` when the ledger fails its checks or cannot be read
   */
  open(place: StorageKey): Promise<OpenedLedger<R> | null>;
  /**
   * The caller guarantees that there is no ledger at this place. When it resolves, all records are stored. When it rejects,
   * none are, as in `append`.
   */
  create(place: StorageKey, records: readonly R[]): Promise<Ledger<R>>;
  /** Resolves also when there was no ledger. The caller has closed the ledger before. */
  remove(place: StorageKey): Promise<void>;
  /**
   * Every ledger of a kind (of one namespace when given) with the time of its last append. No ledger is read. A stray file, or
   * a path that cannot be read, does not stop the list (rule D5).
   * @param onSkipped called for each path that may be or contain a ledger, and cannot be read
   */
  list(
    kind: StorageKey['kind'],
    namespace?: string,
    onSkipped?: OnSkipped,
  ): AsyncIterable<{ place: StorageKey; modifiedAt: number }>;
}

/**
 * A run of bytes inside one segment. The order of the extents is the order of the content. Bytes stay where they arrived: a
 * sequential upload is one extent of the segment `main`. A chunk that came out of order, or was spooled to the disk before its
 * identity was known, is a segment of its own. So bytes are never copied to join them.
 */
export interface Extent {
  readonly segment: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Bytes that are kept aside until it is known to which upload they belong (rule C10: `file` may come first). */
export interface Spool {
  /** Number of bytes appended so far. */
  readonly bytes: number;
  /** The caller awaits each call before the next. When it resolves, the caller may use the buffers again. */
  append(buffers: readonly Buffer[]): Promise<void>;
  /** Removes the spool unless it was adopted. Never rejects. It is safe to call twice. */
  discard(): Promise<void>;
}

export interface Bytes {
  /**
   * Writes at `offset` of a segment, and makes the place and the segment when needed. The caller guarantees that no two writes
   * overlap, and that `offset` is at most the number of committed bytes of the segment plus the bytes that this writer wrote.
   * When it resolves, the caller may overwrite or free the buffers.
   * @throws AppError `insufficient_storage` when there is no room
   */
  write(
    place: StorageKey,
    extent: { segment: string; offset: number },
    buffers: readonly Buffer[],
  ): Promise<void>;
  /** When it resolves, every byte written to the segment, and the name of the segment, are as durable as the mode promises. */
  sync(place: StorageKey, segment: string): Promise<void>;
  spool(): Promise<Spool>;
  /** Makes the spooled bytes the segment `segment`, by a move: no byte is copied. They are durable after `sync`. */
  adopt(spool: Spool, place: StorageKey, segment: string): Promise<void>;
  /**
   * Makes the place hold what the ledger says. Segments without an extent are removed. Segments that are longer than their last
   * extent are cut. `strayBytes` is the total of the removed bytes. When segments are too short or absent, the place is
   * damaged: they are named in `missing`, and nothing is changed.
   */
  reconcile(
    place: StorageKey,
    extents: readonly Extent[],
  ): Promise<{ readonly strayBytes: number; readonly missing: readonly string[] }>;
  /**
   * How many bytes each segment of the place has, or each segment of `only`. An absent segment is not in the map.
   * @throws AppError `upload_damaged` when the segments cannot be read
   */
  sizes(place: StorageKey, only?: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Removes everything beyond the first `bytes` bytes of the segment. */
  truncate(place: StorageKey, segment: string, bytes: number): Promise<void>;
  /**
   * Moves all segments of `from` to `to` (rule F7). Resolves to true also when there was nothing at `from`. When it rejects,
   * the segments are at one of the two places, and another call finishes the move.
   * @returns false, and nothing is done, when there are bytes at both places
   */
  move(from: StorageKey, to: StorageKey): Promise<boolean>;
  /** Resolves also when there was nothing. */
  remove(place: StorageKey): Promise<void>;
  /** Closes the files that are open for the place, so that an idle place costs nothing. */
  release(place: StorageKey): Promise<void>;
  /**
   * The content in order, from `start` for `length` bytes.
   * @throws Error when bytes are missing; AppError `upload_damaged` when they cannot be read
   */
  read(
    place: StorageKey,
    extents: readonly Extent[],
    range?: { start: number; length: number },
  ): AsyncIterable<Buffer>;
  /** Places of a kind that hold bytes, with or without a ledger, and the time of their last change. */
  list(kind: StorageKey['kind']): AsyncIterable<{ place: StorageKey; modifiedAt: number }>;
  /** Number of bytes of all places, spools included; or of the places of one namespace. */
  usage(namespace?: string): Promise<number>;
}

/**
 * Whether the storage can be used and belongs to this process (rules D3, D6). Both refusals say what was found at the last
 * check. The ports check again before they acknowledge anything, and refuse with AppError `storage_unavailable`.
 */
export interface Availability {
  /** Null when something can be stored. */
  writeRefusal(): AppError | null;
  /** Null when stored data can be read. */
  readRefusal(): AppError | null;
}

export interface Storage {
  readonly ledgers: Ledgers;
  readonly bytes: Bytes;
  readonly availability: Availability;
  /** Resolves when another process owns the storage. This is final. */
  readonly lost: Promise<void>;
  /**
   * Frees the resources of namespaces that hold nothing any more. It should be called from time to time, and may run beside any
   * other call.
   */
  tidy(): Promise<void>;
  /** Resolves when every file is closed and another process can open the storage. */
  close(): Promise<void>;
}
