// uploads/ports.ts: what the services need from the outside world: Ledgers, Bytes, Clock.
//
// Each port says what the caller guarantees and what it must get back. The storages under storage/
// implement the first two and pass one suite (test/helpers/storage-suite.ts); S3 and PostgreSQL are meant
// to fit behind the same two without a change here.
// Must not know: HTTP, files, Fastify.

import type { AppError } from '../core/errors.ts';

/** A place: where a ledger and its bytes live. `name` is made by us (a hash or an id): never a client's string. */
export interface StorageKey {
  readonly kind: 'uploads' | 'media';
  readonly namespace: string;
  readonly name: string;
}

/** A record as a storage gives it back: the JSON object that was appended, whole. What is in it the storage does not know. */
export type LedgerRecord = Readonly<Record<string, unknown>>;

/** What an opened ledger held, and what had to be cut off to open it (rule D2). */
export interface OpenedLedger<R extends LedgerRecord = LedgerRecord> {
  readonly ledger: Ledger<R>;
  readonly records: readonly R[];
  /** A write that never finished: `bytes` were dropped from the end. Absent when the ledger was clean. */
  readonly torn?: { readonly bytes: number };
  /**
   * There only if an earlier owner of the place, whose end nobody saw, may still do a write that it had begun (rule D3). When it
   * resolves, nothing that it writes to the ledger counts; to be called before any byte is removed that the ledger does not speak
   * of. Behind the end of a segment it may still write: to no segment that the ledger speaks of anything is added.
   */
  readonly takeOver?: () => Promise<void>;
}

/**
 * The append-only log of one upload or entry.
 *
 * The caller serialises `append` per ledger. When it resolves, the records are as durable as the storage's
 * mode promises (rule D1) and will be given back, in order, by the next `open`. When it rejects, none of
 * them will be: the storage restores the end of the log. With `InDoubt` it could not: the ledger refuses every later append, the
 * next `open` restores the end first, and only if the process ends before that they may be given back. Until then the caller
 * keeps every byte that they speak of.
 */
export interface Ledger<R extends LedgerRecord = LedgerRecord> {
  append(records: readonly R[]): Promise<void>;
  /**
   * The one record that was appended last will not be given back: it counts as one that was refused. To be called at most once
   * in a row, with that record appended alone, and another before it. @throws InDoubt as `append` does: it is still there then.
   */
  revoke(): Promise<void>;
  /** What was appended is stored whatever becomes of this. */
  close(): Promise<void>;
}

/** @param error `upload_damaged` @param place null: of no single one, whoever lists does not know what there is */
export type OnSkipped = (error: AppError, place: StorageKey | null) => void;

/** A storage's, of any records, or a service's, of its own (typed-ledgers.ts). */
export interface Ledgers<R extends LedgerRecord = LedgerRecord> {
  /** Resolves to null when there is none. Throws AppError `upload_damaged` when it fails its checks or cannot be read. */
  open(place: StorageKey): Promise<OpenedLedger<R> | null>;
  /** The caller guarantees that there is none at this place. All records are there when it resolves, none when it rejects, as in `append`. */
  create(place: StorageKey, records: readonly R[]): Promise<Ledger<R>>;
  /** Resolves also when there was none. The caller has closed it. */
  remove(place: StorageKey): Promise<void>;
  /**
   * Every ledger of a kind (of one namespace when given) with the time of its last append, without reading any. What is none, or
   * cannot be looked at, keeps none of the others from being listed (rule D5).
   * @param onSkipped is told of what may be a ledger, or hold some, and cannot be looked at
   */
  list(
    kind: StorageKey['kind'],
    namespace?: string,
    onSkipped?: OnSkipped,
  ): AsyncIterable<{ place: StorageKey; modifiedAt: number }>;
}

/**
 * A run of bytes inside one segment. Bytes stay where they arrived; the order of the extents is the order of the
 * content. A sequential upload is one extent of segment `main`; a chunk that came out of order, or was
 * spooled to the disk before its identity was known, is a segment of its own. So nothing is ever copied together.
 */
export interface Extent {
  readonly segment: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Bytes kept aside until it is known whose they are (rule C10: `file` may come first). */
export interface Spool {
  /** Appended so far. */
  readonly bytes: number;
  /** The caller awaits each call before the next; the buffers are the caller's again when it resolves. */
  append(buffers: readonly Buffer[]): Promise<void>;
  /** Ends the spool unless it was adopted. Never rejects; safe to call twice. */
  discard(): Promise<void>;
}

export interface Bytes {
  /**
   * Writes at `offset` of a segment, creating place and segment as needed. The caller guarantees that no two
   * writes overlap and that `offset` lies at or below the segment's end of committed bytes plus what
   * this writer wrote. The buffers are the caller's again when it resolves: they may be overwritten or freed.
   * Throws AppError `insufficient_storage` when there is no room.
   */
  write(
    place: StorageKey,
    extent: { segment: string; offset: number },
    buffers: readonly Buffer[],
  ): Promise<void>;
  /** When it resolves, every byte written to the segment is as durable as the mode promises, its name included. */
  sync(place: StorageKey, segment: string): Promise<void>;
  spool(): Promise<Spool>;
  /** The spooled bytes become `segment`, by a move: no byte is copied. Durable after `sync`. */
  adopt(spool: Spool, place: StorageKey, segment: string): Promise<void>;
  /**
   * Makes the place hold what the ledger says: segments without an extent are gone, those beyond their last one are cut
   * (`strayBytes` in all). Shorter or absent ones are only named: they are damage, and nothing is changed then.
   */
  reconcile(
    place: StorageKey,
    extents: readonly Extent[],
  ): Promise<{ readonly strayBytes: number; readonly missing: readonly string[] }>;
  /**
   * How many bytes each segment of the place has, or those of `only`; what is not there is not named.
   * Throws AppError `upload_damaged` when they cannot be looked at.
   */
  sizes(place: StorageKey, only?: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Everything beyond `bytes` of the segment is gone. */
  truncate(place: StorageKey, segment: string, bytes: number): Promise<void>;
  /**
   * All segments of `from` are at `to` afterwards, by a move (rule F7); also true when there was nothing at `from`. When it rejects
   * they are at one of both; called again, it finds out.
   * False, and nothing done: there are bytes at both.
   */
  move(from: StorageKey, to: StorageKey): Promise<boolean>;
  /** Resolves also when there was nothing. */
  remove(place: StorageKey): Promise<void>;
  /** Closes what is kept open for the place, so that an idle one costs nothing. */
  release(place: StorageKey): Promise<void>;
  /**
   * The content in order, from `start` for `length` bytes. Throws when bytes are missing; AppError `upload_damaged` when they cannot
   * be read.
   */
  read(
    place: StorageKey,
    extents: readonly Extent[],
    range?: { start: number; length: number },
  ): AsyncIterable<Buffer>;
  /** Places of a kind that hold bytes, whether or not a ledger speaks of them, with the time they were last changed. */
  list(kind: StorageKey['kind']): AsyncIterable<{ place: StorageKey; modifiedAt: number }>;
  /** Bytes held by all places together, spools included; or by those of one namespace. */
  usage(namespace?: string): Promise<number>;
}

/**
 * Whether the storage is there and this process's (rules D3, D6). Both say what was seen of late; the ports look again before they
 * let anything be acknowledged, and refuse with AppError `storage_unavailable`.
 */
export interface Availability {
  /** Null: something can be stored. */
  writeRefusal(): AppError | null;
  /** Null: what is stored can be read. */
  readRefusal(): AppError | null;
}

export interface Storage {
  readonly ledgers: Ledgers;
  readonly bytes: Bytes;
  readonly availability: Availability;
  /** Resolves when the storage is another process's for good. */
  readonly lost: Promise<void>;
  /** Lets go of what namespaces take that hold nothing any more. To be called now and then, whatever else goes on. */
  tidy(): Promise<void>;
  /** Resolves when every file is closed and the storage can be opened by another process. */
  close(): Promise<void>;
}
