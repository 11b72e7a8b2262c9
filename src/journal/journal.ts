// journal/journal.ts: the recorded exchanges of one server, for all namespaces: queries, waits and subscriptions.
//
// Promises: every query finds an exchange from the moment `append` returns. Memory is bounded (records.ts, event-feed.ts,
// waits.ts). Where something is read, the namespace `*` means all namespaces.
// With `--no-journal` no Journal object exists.
import { TickQueue } from '../core/tick-queue.ts';
import { monotonicMs } from '../core/machine-time.ts';
import { EventFeed, type JournalEvent, type Listener, type Resumption } from './event-feed.ts';
import { pathWithoutSecrets, type Amendment, type Exchange, type ExchangeDraft } from './exchange.ts';
import type { ExchangeInFlight } from './in-flight.ts';
import type { JournalLine, Past } from './journal-lines.ts';
import { testOf, type JournalMatcher } from './matcher.ts';
import { Records, type Bounds, type Entry } from './records.ts';
import {
  canBeReplay,
  isLost,
  isTransportReplay,
  lostOriginal,
  REPLAY_WINDOW_MS,
  type Arrival,
  type Head,
} from './transport-replay.ts';
import { Waits, type WaitOptions, type WaitResult } from './waits.ts';

export interface JournalOptions extends Bounds {
  /** How many recent events can be resumed from. Default: 1024. */
  readonly maxEvents?: number | undefined;
  /** Default: 1000. */
  readonly maxWaits?: number | undefined;
  /** After a longer gap a repeated POST counts as the client's own retry (transport-replay.ts). */
  readonly replayWindowMs?: number | undefined;
  /** Receives each line that a file must keep. */
  readonly keep?: ((line: JournalLine) => void) | undefined;
  /** Milliseconds of a clock that never jumps. */
  readonly now?: (() => number) | undefined;
}

export interface Appending {
  /** A number from `number`; exchanges are appended in the order of their numbers. Default: the next number. */
  readonly seq?: number | undefined;
  /** Default: the head is not known. */
  readonly head?: Head | undefined;
  /** When `totalMs` was measured, because the draft may be put together later. */
  readonly endedMs?: number | undefined;
}

export interface FindOptions {
  /** With `sinceSeq`, here or in the matcher, the first exchanges up to this number, for paging; otherwise the last ones. */
  readonly limit?: number | undefined;
  /** Only exchanges with a higher `seq`. */
  readonly sinceSeq?: number | undefined;
}

export interface Found {
  /** In order of `seq`. */
  readonly exchanges: readonly Exchange[];
  /** Number of matches without the limit. */
  readonly total: number;
  /** Number of exchanges of the namespace that were evicted since it was last cleared. */
  readonly evicted: number;
}

export class Journal {
  readonly #records: Records;
  readonly #feed: EventFeed;
  readonly #waits: Waits;
  readonly #replayWindowMs: number;
  readonly #now: () => number;
  readonly #keep: (line: JournalLine) => void;
  readonly #batch = new TickQueue('records');
  #lastSeq = 0;

  constructor(options: JournalOptions) {
    this.#records = new Records(options);
    this.#feed = new EventFeed(options.maxEvents ?? 1024);
    this.#waits = new Waits(options.maxWaits ?? 1000);
    this.#replayWindowMs = options.replayWindowMs ?? REPLAY_WINDOW_MS;
    this.#now = options.now ?? monotonicMs;
    this.#keep = options.keep ?? (() => undefined);
  }

  /** Number of exchanges on record, over all namespaces. */
  get size(): number {
    this.flush();
    return this.#records.size;
  }

  /** Estimated by `approximateBytes`. */
  get bytes(): number {
    this.flush();
    return this.#records.bytes;
  }

  /** The last number given out, for use as `sinceSeq`; 0: none. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /**
   * Gives the next number to an exchange that counts as recorded from now on: it is put together (`later`) and appended
   * before anyone reads the journal. A reset in between drops the exchange and leaves a gap in the numbers.
   */
  number(): number {
    return (this.#lastSeq += 1);
  }

  /** To be called before the last byte of the answer is sent, or when the connection ends. `totalMs` is the time so far. */
  append(draft: ExchangeDraft, appending: Appending = {}): Exchange {
    const { seq = this.number(), head, endedMs = this.#now() } = appending;
    const path = pathWithoutSecrets(draft.path);
    const exchange: Exchange = { seq, ...draft, path, suspectedTransportReplay: false };
    const beganMs = endedMs - draft.timing.totalMs;
    const entry: Entry = { exchange, beganMs, endedMs, headMark: undefined, bytes: 0 };
    if (isLost(exchange)) entry.headMark = head?.headMark();
    if (this.#isReplay(entry, head)) entry.exchange = { ...exchange, suspectedTransportReplay: true };
    this.#records.add(entry);
    this.#announce(entry.exchange);
    return entry.exchange;
  }

  /** Changes a recorded exchange: its client left during the answer, or its commit came late. Null: it was evicted. */
  amend(seq: number, changes: Amendment, head?: Head): Exchange | null {
    const entry = this.#records.find(seq);
    if (entry === null) return null;
    const exchange = { ...entry.exchange, ...changes };
    entry.exchange = exchange;
    if (isLost(exchange)) entry.headMark ??= head?.headMark();
    if (changes.outcome !== undefined) entry.endedMs = this.#now();
    this.#records.changed(entry);
    this.#announce(exchange);
    return exchange;
  }

  /** The exchange is over. Listeners are told only if its client left before the whole answer was sent. */
  ended(
    seq: number,
    { isWhole, timing, endedAfter }: { isWhole: boolean } & Pick<Exchange, 'timing' | 'endedAfter'>,
    head?: Head,
  ): void {
    const entry = this.#records.find(seq);
    if (entry === null) return;
    const { outcome } = entry.exchange;
    const hasLeft = !isWhole && (outcome === 'answered' || outcome === 'refused');
    if (hasLeft) this.amend(seq, { outcome: 'client-aborted', timing, endedAfter }, head);
    else {
      Object.assign(entry.exchange, { timing, endedAfter });
      this.#keep({ kind: 'ended', seq, endedAfter, timing });
    }
  }

  /** The lost exchange that the client's transport probably repeats with this request. Null: none. */
  replayedBy(namespace: string, arrival: Arrival): Exchange | null {
    this.flush();
    const recent = this.#records.aroundLoss(namespace, arrival.beganMs - this.#replayWindowMs);
    return recent && (lostOriginal(arrival, recent, this.#replayWindowMs)?.exchange ?? null);
  }

  /** Delays work on the journal until the journal is read or the turn ends, so that under load it is done for many at once. */
  later(work: () => void): void {
    this.#batch.later(work);
  }

  /** Does the delayed work. */
  flush(): void {
    this.#batch.flush();
  }

  get(seq: number): Exchange | null {
    this.flush();
    return this.#records.find(seq)?.exchange ?? null;
  }

  find(namespace: string, matcher: JournalMatcher = {}, { limit, sinceSeq }: FindOptions = {}): Found {
    this.flush();
    const since = Math.max(sinceSeq ?? 0, matcher.sinceSeq ?? 0);
    const exchanges: Exchange[] = [];
    this.#visit(namespace, { ...matcher, sinceSeq: since }, (exchange) => exchanges.push(exchange));
    const { length: total } = exchanges;
    const evicted = this.evicted(namespace);
    if (limit === undefined) return { exchanges, total, evicted };
    const isPaging = sinceSeq !== undefined || matcher.sinceSeq !== undefined;
    const from = isPaging ? 0 : Math.max(total - limit, 0);
    return { exchanges: exchanges.slice(from, from + limit), total, evicted };
  }

  count(namespace: string, matcher: JournalMatcher = {}): number {
    this.flush();
    let count = 0;
    this.#visit(namespace, matcher, () => (count += 1));
    return count;
  }

  /** Number of exchanges evicted since the namespace was last cleared, counting only those that may come after `sinceSeq`. */
  evicted(namespace: string, sinceSeq = 0): number {
    this.flush();
    const { count, lastSeq } = this.#records.evicted(namespace);
    return lastSeq > sinceSeq ? count : 0;
  }

  /** Number of matching exchanges in other namespaces, by namespace. */
  countElsewhere(namespace: string, isMatch: (exchange: Exchange) => boolean): ReadonlyMap<string, number> {
    this.flush();
    return this.#records.countElsewhere(namespace, isMatch);
  }

  /** Forgets all exchanges of the namespace. Numbers, waits and subscriptions go on. */
  clear(namespace: string): void {
    this.flush();
    this.#keep({ kind: 'clear', namespace });
    this.#records.clear(namespace);
    this.#feed.clear(namespace);
    this.#waits.forget(namespace);
  }

  /**
   * Resolves when `count` exchanges match, including those on record, or at the time-out with what was seen until then.
   * @throws AppError `invalid_matcher` when there are too many waits
   */
  wait(namespace: string, matcher: JournalMatcher, options: WaitOptions = {}): Promise<WaitResult> {
    const { exchanges } = this.find(namespace, matcher);
    return this.#waits.add({ ...options, namespace, matcher, stored: exchanges });
  }

  /** Tells listeners of an event that is not an exchange. */
  publish(
    namespace: string,
    kind: 'ledger' | 'fault',
    data: Readonly<Record<string, unknown>>,
  ): JournalEvent {
    return this.#feed.publish(namespace, { kind, data });
  }

  /** The key of an exchange is known. The event can be resumed from, so it is kept once a listener has ever existed. */
  begun(exchange: () => ExchangeInFlight | null): void {
    if (!this.#feed.hasBeenHeard) return;
    const data = exchange();
    if (data === null) return;
    this.later(() => this.#feed.publish(data.namespace, { kind: 'begun', data }));
  }

  /** More of an exchange's body has arrived. Only present listeners are told. */
  progressed(data: ExchangeInFlight): void {
    this.#feed.tell(data.namespace, { kind: 'progress', data });
  }

  /** @returns a function that ends the subscription */
  subscribe(namespace: string, listener: Listener): () => void {
    this.flush();
    return this.#feed.subscribe(namespace, listener);
  }

  /** The id of the last event of any namespace; a new listener starts from it. */
  get lastEventId(): number {
    this.flush();
    return this.#feed.lastId;
  }

  /** Events after this id (`Last-Event-ID`). With `subscribe` in the same turn of the loop, no event is missed or doubled. */
  since(namespace: string, eventId: number): Resumption {
    this.flush();
    return this.#feed.since(namespace, eventId);
  }

  /** Ends every wait, so that no wait keeps the server from closing. */
  close(): void {
    this.flush();
    this.#waits.close();
  }

  /** Takes over the exchanges of an earlier process. To be called before all else. */
  restore({ exchanges, seq }: Pick<Past, 'exchanges' | 'seq'>): void {
    this.#lastSeq = seq;
    // The client's transport is assumed not to repeat requests that went to an earlier process.
    const [beganMs, endedMs, headMark] = [-Infinity, -Infinity, undefined];
    for (const exchange of exchanges) this.#records.add({ exchange, beganMs, endedMs, headMark, bytes: 0 });
  }

  #announce(exchange: Exchange): void {
    this.#keep({ kind: 'exchange', exchange });
    this.#waits.offer(exchange);
    this.#feed.publish(exchange.namespace, { kind: 'exchange', data: exchange });
  }

  #visit(namespace: string, matcher: JournalMatcher, use: (exchange: Exchange) => void): void {
    const isMatch = testOf(matcher);
    this.#records.visit(namespace, matcher.sinceSeq ?? 0, (exchange) => {
      if (isMatch(exchange)) use(exchange);
    });
  }

  #isReplay(entry: Entry, head: Head | undefined): boolean {
    if (!canBeReplay(entry.exchange)) return false;
    // If nothing was lost lately, no search is needed. Under load this is the usual case.
    const sinceMs = entry.beganMs - this.#replayWindowMs;
    const recent = this.#records.aroundLoss(entry.exchange.namespace, sinceMs);
    if (recent === null) return false;
    entry.headMark = head?.headMark();
    return isTransportReplay(entry, recent, this.#replayWindowMs);
  }
}
