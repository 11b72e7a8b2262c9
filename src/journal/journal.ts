// journal/journal.ts: the recorded exchanges of one server, all namespaces: to be queried, waited for and listened to.
//
// Promises: an exchange is found by every query from the moment `append` returns; memory is bounded (records.ts,
// event-feed.ts, waits.ts). A namespace is a name, or `*` for all of them where something is read.
// Must not know: HTTP, who observes the exchanges, that rules exist. Off (`--no-journal`) is no Journal at all.
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
  /** How many recent events can be resumed from; 1024 unless told. */
  readonly maxEvents?: number | undefined;
  /** 1000 unless told. */
  readonly maxWaits?: number | undefined;
  /** A longer gap before a re-sent POST is the client's own doing (transport-replay.ts). */
  readonly replayWindowMs?: number | undefined;
  /** Is told what a file has to keep. */
  readonly keep?: ((line: JournalLine) => void) | undefined;
  /** Milliseconds of a clock that never jumps. */
  readonly now?: (() => number) | undefined;
}

export interface Appending {
  /** Of `number`, and appended in the order of it. Unless told, the next one. */
  readonly seq?: number | undefined;
  /** Unless told, nothing is known of it. */
  readonly head?: Head | undefined;
  /** When `totalMs` was measured: putting a draft together may take its time. */
  readonly endedMs?: number | undefined;
}

export interface FindOptions {
  /** The first so many where `sinceSeq` is given, here or in the matcher, so that one can page; else the last ones. */
  readonly limit?: number | undefined;
  /** Only later ones. */
  readonly sinceSeq?: number | undefined;
}

export interface Found {
  /** In order of `seq`. */
  readonly exchanges: readonly Exchange[];
  /** How many match without the limit. */
  readonly total: number;
  /** How many exchanges of the namespace are not on record any more, since it was last cleared. */
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

  /** Exchanges on record, of all namespaces. */
  get size(): number {
    this.flush();
    return this.#records.size;
  }

  /** As `approximateBytes` counts them. */
  get bytes(): number {
    this.flush();
    return this.#records.bytes;
  }

  /** The last number given out; 0: none. To be used as `sinceSeq`. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /**
   * Gives out the next number, to an exchange that is on record from here on: before anybody looks, it is put together (`later`)
   * and appended. One that a reset takes in between never is, and leaves a gap.
   */
  number(): number {
    return (this.#lastSeq += 1);
  }

  /** To be called before the last byte of the answer is sent, or as the connection ends, with `totalMs` the time so far. */
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

  /** Changes what is on record: the client left during the answer, a commit came late. Null: it is not there any more. */
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

  /** The exchange is over. That its client left before the whole answer was handed over is told; how long it took and what had begun by then is not. */
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

  /** The lost exchange that this request seems to be the transport's replay of. Null: none. */
  replayedBy(namespace: string, arrival: Arrival): Exchange | null {
    this.flush();
    const recent = this.#records.aroundLoss(namespace, arrival.beganMs - this.#replayWindowMs);
    return recent && (lostOriginal(arrival, recent, this.#replayWindowMs)?.exchange ?? null);
  }

  /** Puts off work on the journal until somebody looks at it, or the turn ends: under load it is done for many at once. */
  later(work: () => void): void {
    this.#batch.later(work);
  }

  /** What was put off is done. */
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

  /** Exchanges that had to make room since the namespace was last cleared: those after `sinceSeq`, if there can be any. */
  evicted(namespace: string, sinceSeq = 0): number {
    this.flush();
    const { count, lastSeq } = this.#records.evicted(namespace);
    return lastSeq > sinceSeq ? count : 0;
  }

  /** How many exchanges of other namespaces fit, by namespace. */
  countElsewhere(namespace: string, isMatch: (exchange: Exchange) => boolean): ReadonlyMap<string, number> {
    this.flush();
    return this.#records.countElsewhere(namespace, isMatch);
  }

  /** As if nothing had happened in the namespace; numbers go on, and so do waits and subscriptions. */
  clear(namespace: string): void {
    this.flush();
    this.#keep({ kind: 'clear', namespace });
    this.#records.clear(namespace);
    this.#feed.clear(namespace);
    this.#waits.forget(namespace);
  }

  /**
   * Resolves as soon as so many exchanges match, those on record included, or to what was seen until the time-out.
   * @throws AppError `invalid_matcher` when there are too many waits
   */
  wait(namespace: string, matcher: JournalMatcher, options: WaitOptions = {}): Promise<WaitResult> {
    const { exchanges } = this.find(namespace, matcher);
    return this.#waits.add({ ...options, namespace, matcher, stored: exchanges });
  }

  /** Tells listeners of something that is no exchange. */
  publish(
    namespace: string,
    kind: 'ledger' | 'fault',
    data: Readonly<Record<string, unknown>>,
  ): JournalEvent {
    return this.#feed.publish(namespace, { kind, data });
  }

  /** The key of an exchange is known. Whoever resumes is told, too: so it is kept only once there can be such a one. */
  begun(exchange: () => ExchangeInFlight | null): void {
    if (!this.#feed.hasBeenHeard) return;
    const data = exchange();
    if (data === null) return;
    this.later(() => this.#feed.publish(data.namespace, { kind: 'begun', data }));
  }

  /** More of an exchange has come. It is told to whoever listens right now. */
  progressed(data: ExchangeInFlight): void {
    this.#feed.tell(data.namespace, { kind: 'progress', data });
  }

  /** @returns ends the subscription */
  subscribe(namespace: string, listener: Listener): () => void {
    this.flush();
    return this.#feed.subscribe(namespace, listener);
  }

  /** Of the last event told, of any namespace: what a new listener has. */
  get lastEventId(): number {
    this.flush();
    return this.#feed.lastId;
  }

  /** Events after that id (`Last-Event-ID`). With `subscribe` in the same turn of the loop nothing is missed or doubled. */
  since(namespace: string, eventId: number): Resumption {
    this.flush();
    return this.#feed.since(namespace, eventId);
  }

  /** Ends every wait, so that none keeps the server from closing. */
  close(): void {
    this.flush();
    this.#waits.close();
  }

  /** What was on record of another process. To be called first of all. */
  restore({ exchanges, seq }: Pick<Past, 'exchanges' | 'seq'>): void {
    this.#lastSeq = seq;
    // No transport of a client sends again what it sent to another process, as far as we can tell.
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
    // Where nothing was lost of late there is nothing to look through: under load the usual case.
    const sinceMs = entry.beganMs - this.#replayWindowMs;
    const recent = this.#records.aroundLoss(entry.exchange.namespace, sinceMs);
    if (recent === null) return false;
    entry.headMark = head?.headMark();
    return isTransportReplay(entry, recent, this.#replayWindowMs);
  }
}
