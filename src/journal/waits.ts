// journal/waits.ts: waits for exchanges, so that tests need no sleep (`POST requests/wait`).
//
// Promises: a wait ends inside the call that records its last exchange, at its time-out, or when its signal aborts. It leaves
// nothing behind. There are never more than `maxWaits` waits.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { z } from 'zod';
import { startTimeout } from '../core/awake.ts';
import type { Exchange } from './exchange.ts';
import { matcherSchema, testOf, type JournalMatcher } from './matcher.ts';
import { parseOrRefuse, refusalOf } from '../core/problems.ts';

export interface WaitOptions {
  /** The number of exchanges that must match. */
  readonly count?: number | undefined;
  /** Machine time during which the server was awake, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** When aborted, the wait ends as at its time-out. */
  readonly signal?: AbortSignal | undefined;
}

export type WaitResult =
  | { readonly timedOut: false; readonly exchanges: readonly Exchange[] }
  | {
      readonly timedOut: true;
      readonly seen: readonly Exchange[];
      /** The server ended before the time-out. */
      readonly isClosed?: true;
    };

const DEFAULT_WAIT_MS = 30_000;

const waitSchema = matcherSchema.extend({
  count: z.int().min(1).max(100_000).default(1),
  timeoutMs: z.int().min(0).max(600_000).default(DEFAULT_WAIT_MS),
});

/** Reads a matcher that has `count` and `timeoutMs` beside its fields (§11). @throws AppError `invalid_matcher` */
export function parseWait(value: unknown): { matcher: JournalMatcher; count: number; timeoutMs: number } {
  const { count, timeoutMs, ...matcher } = parseOrRefuse(waitSchema, value, 'invalid_matcher');
  return { matcher, count, timeoutMs };
}

interface Wait {
  readonly namespace: string;
  readonly isMatch: (exchange: Exchange) => boolean;
  readonly count: number;
  /** By `seq`. */
  readonly found: Map<number, Exchange>;
  readonly end: (result: WaitResult) => void;
}

export interface WaitRequest extends WaitOptions {
  readonly namespace: string;
  readonly matcher: JournalMatcher;
  /** The recorded exchanges that match. */
  readonly stored: readonly Exchange[];
}

export class Waits {
  readonly #maxWaits: number;
  readonly #open = new Map<string, Set<Wait>>();
  #size = 0;

  constructor(maxWaits: number) {
    this.#maxWaits = maxWaits;
  }

  get size(): number {
    return this.#size;
  }

  /** @throws AppError `invalid_matcher` when there are too many waits */
  async add({ namespace, matcher, stored, ...options }: WaitRequest): Promise<WaitResult> {
    const { count = 1, timeoutMs = DEFAULT_WAIT_MS, signal } = options;
    if (stored.length >= count) return { timedOut: false, exchanges: stored };
    if (timeoutMs <= 0 || signal?.aborted === true) return { timedOut: true, seen: stored };
    if (this.#size >= this.#maxWaits) throw tooMany(this.#maxWaits);
    return new Promise((resolve) => {
      const found = new Map(stored.map((exchange) => [exchange.seq, exchange]));
      const giveUp = (): void => wait.end({ timedOut: true, seen: inOrder(found) });
      const timer = startTimeout(timeoutMs, giveUp);
      signal?.addEventListener('abort', giveUp);
      const end = (result: WaitResult): void => {
        timer.stop();
        signal?.removeEventListener('abort', giveUp);
        this.#remove(wait);
        resolve(result);
      };
      const wait: Wait = { namespace, isMatch: testOf(matcher), count, found, end };
      this.#insert(wait);
    });
  }

  /** To be called when an exchange was recorded or amended. */
  offer(exchange: Exchange): void {
    if (this.#size === 0) return;
    this.#offerTo(this.#open.get(exchange.namespace), exchange);
    this.#offerTo(this.#open.get(ALL_NAMESPACES), exchange);
  }

  /** What waits have seen of the namespace does not count any more. */
  forget(namespace: string): void {
    for (const [key, waits] of this.#open) {
      const isTouched = namespace === ALL_NAMESPACES || key === ALL_NAMESPACES || key === namespace;
      for (const { found } of isTouched ? waits : []) forgetIn(found, namespace);
    }
  }

  /** Ends every wait as at its time-out, with the reason. */
  close(): void {
    for (const waits of this.#open.values()) {
      for (const wait of waits) wait.end({ timedOut: true, seen: inOrder(wait.found), isClosed: true });
    }
  }

  #offerTo(waits: ReadonlySet<Wait> | undefined, exchange: Exchange): void {
    for (const { isMatch, count, found, end } of waits ?? []) {
      if (!isMatch(exchange)) found.delete(exchange.seq);
      else if (found.set(exchange.seq, exchange).size >= count)
        end({ timedOut: false, exchanges: inOrder(found) });
    }
  }

  #insert(wait: Wait): void {
    const waits = this.#open.get(wait.namespace) ?? new Set();
    this.#open.set(wait.namespace, waits.add(wait));
    this.#size += 1;
  }

  #remove(wait: Wait): void {
    const waits = this.#open.get(wait.namespace);
    waits?.delete(wait);
    if (waits?.size === 0) this.#open.delete(wait.namespace);
    this.#size -= 1;
  }
}

function forgetIn(found: Map<number, Exchange>, namespace: string): void {
  for (const [seq, exchange] of found) {
    if (namespace === ALL_NAMESPACES || exchange.namespace === namespace) found.delete(seq);
  }
}

/** By `seq`: an amended exchange may begin to match after later ones. */
function inOrder(found: ReadonlyMap<number, Exchange>): Exchange[] {
  return [...found.values()].toSorted((left, right) => left.seq - right.seq);
}

function tooMany(maxWaits: number): Error {
  const message = `${maxWaits} waits are open already, which is the maximum; let some end, or poll requests/find`;
  return refusalOf('invalid_matcher', [{ path: [], message }]);
}
