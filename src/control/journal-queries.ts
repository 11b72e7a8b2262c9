// control/journal-queries.ts: queries, waits and verifications on the journal, shared by the admin routes and the in-process
// API.
//
// Promises: the values of a question are checked too (behaviour §11). A failed answer says why nothing matched, where this can
// be known.
// Must not know: HTTP.
import { AppError } from '../core/errors.ts';
import type { FindOptions, Found, Journal } from '../journal/journal.ts';
import { matchesInFlight, parseInFlightMatcher, type ExchangeInFlight } from '../journal/in-flight.ts';
import type { Listener } from '../journal/event-feed.ts';
import { parseMatcher, refuseUnknownRules, type JournalMatcher } from '../journal/matcher.ts';
import { nearestTo, type NearMiss } from '../journal/near-misses.ts';
import { matchersOf, parseVerify, verify, type Verdict } from '../journal/verify.ts';
import { parseWait } from '../journal/waits.ts';
import type { LiveExchanges } from '../exchange/live-exchanges.ts';
import { Progress } from '../exchange/progress.ts';
import type { NamespaceCommands } from './namespace-commands.ts';
import type { Hints } from './hints.ts';

export interface JournalQueriesOptions {
  /** Null: the server runs with `--no-journal`. */
  readonly journal: Journal | null;
  readonly controls: NamespaceCommands;
  readonly hints: Hints;
  readonly live: LiveExchanges;
}

/** A finished wait. `reason`: why it did not find what it waited for. */
export interface Waited extends Found {
  readonly reason: string | null;
  readonly nearMisses: readonly NearMiss[];
  readonly hints: readonly string[];
}

export class JournalQueries {
  readonly #options: JournalQueriesOptions;
  readonly #progress: Progress;

  constructor(options: JournalQueriesOptions) {
    this.#options = options;
    this.#progress = new Progress(options.live);
  }

  /** @throws AppError `journal_off` */
  get journal(): Journal {
    const { journal } = this.#options;
    if (journal !== null) return journal;
    throw new AppError('journal_off', 'this server keeps no journal; start it without --no-journal');
  }

  /** @param json a matcher. @throws AppError `invalid_matcher`, `journal_off` */
  find(namespace: string, json: unknown, options?: FindOptions): Found {
    const { journal } = this;
    return journal.find(namespace, this.#matcher(namespace, json), options);
  }

  /** @throws as `find` */
  count(namespace: string, json: unknown): number {
    const { journal } = this;
    return journal.count(namespace, this.#matcher(namespace, json));
  }

  /** The exchanges that have not ended. @param json as `parseInFlightMatcher` takes it. @throws as `find` */
  inFlight(namespace: string, json: unknown): ExchangeInFlight[] {
    void this.journal; // With the journal off, exchanges in flight are not shown either.
    const matcher = parseInFlightMatcher(json);
    this.#refuseUnknownRules(namespace, matcher);
    return this.#options.live.inFlight(namespace).filter((exchange) => matchesInFlight(exchange, matcher));
  }

  /**
   * Passes on every event from now on, with the progress of exchanges in flight. @returns a function that ends the subscription.
   * @throws AppError `journal_off`
   */
  subscribe(namespace: string, listener: Listener): () => void {
    return this.#progress.subscribe(this.journal, namespace, listener);
  }

  /** Ends every wait and every subscription to progress. */
  close(): void {
    this.#progress.stop();
    this.#options.journal?.close();
  }

  /** @param json a matcher with `count` and `timeoutMs`. @throws as `find` */
  async wait(namespace: string, json: unknown, signal?: AbortSignal): Promise<Waited> {
    const { journal } = this;
    const { matcher, count, timeoutMs } = parseWait(json);
    this.#refuseUnknownRules(namespace, matcher);
    const result = await journal.wait(namespace, matcher, { count, timeoutMs, signal });
    const exchanges = result.timedOut ? result.seen : result.exchanges;
    const found = { exchanges, total: exchanges.length, evicted: journal.evicted(namespace) };
    if (!result.timedOut) return { ...found, reason: null, nearMisses: [], hints: [] };
    const nearMisses = nearestTo(matcher, journal.find(namespace).exchanges);
    const saw = `for ${count} such exchanges and saw ${exchanges.length}`;
    const reason =
      result.isClosed === true
        ? `the server was closed while somebody waited ${saw}`
        : `waited ${timeoutMs} ms ${saw}`;
    return { ...found, reason, nearMisses, hints: this.#options.hints.ofMatcher(namespace, matcher) };
  }

  /** @param json as `POST verify` takes it. @throws as `find` */
  verify(namespace: string, json: unknown): Verdict {
    const { journal } = this;
    const { controls, hints } = this.#options;
    const request = parseVerify(json);
    refuseUnknownRules(matchersOf(request), (id) => controls.wasArmed(namespace, id));
    const { exchanges } = journal.find(namespace);
    const evicted = (sinceSeq: number): number => journal.evicted(namespace, sinceSeq);
    const evidence = { exchanges, unfiredRules: controls.unfiredRules(namespace), evicted };
    return verify(request, evidence, (failure) => hints.ofFailure(namespace, failure));
  }

  #matcher(namespace: string, json: unknown): JournalMatcher {
    const matcher = parseMatcher(json);
    this.#refuseUnknownRules(namespace, matcher);
    return matcher;
  }

  #refuseUnknownRules(namespace: string, matcher: JournalMatcher): void {
    refuseUnknownRules([{ path: [], matcher }], (id) => this.#options.controls.wasArmed(namespace, id));
  }
}
