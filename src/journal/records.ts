// journal/records.ts: the recorded exchanges in order of `seq`, for all namespaces together and for each one.
//
// Promises: each namespace is bounded by entries and bytes. Its oldest exchanges are evicted first and counted, so the traffic
// of one namespace does not evict the exchanges of another. All namespaces together are bounded by TOTAL_FACTOR times the bytes
// of one. Only beyond that bound the namespace with the most bytes makes room, so ten thousand small namespaces stay whole
// beside a large one. Adding and evicting take constant time. Reading one namespace does not walk through the others.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { approximateBytes, type Exchange } from './exchange.ts';
import { Fifo } from './fifo.ts';
import { isLost, type Sighting } from './transport-replay.ts';

export interface Entry extends Sighting {
  /** While the answer is being sent, its timing is the time so far. */
  exchange: Omit<Exchange, 'timing' | 'endedAfter'> & {
    timing: Exchange['timing'];
    endedAfter: number | null;
  };
  endedMs: number;
  headMark: string | undefined;
  /** Set by this module. */
  bytes: number;
}

/** Per namespace. */
export interface Bounds {
  readonly maxEntries: number;
  /** Estimated by `approximateBytes`. */
  readonly maxBytes: number;
}

/** The exchanges of a namespace that were evicted since it was last cleared. */
export interface Evicted {
  readonly count: number;
  /** The highest `seq` among them. */
  readonly lastSeq: number;
}

interface Space {
  readonly entries: Fifo<Entry>;
  bytes: number;
  evicted: number;
  lastEvictedSeq: number;
  /** When the last exchange ended that a transport may repeat. */
  lostMs: number;
}

/** How many exchanges of a namespace are searched for the original of a repeated POST. */
const LOOK_BACK = 256;
/** How many namespaces without exchanges keep their count of evicted exchanges. */
const MAX_EMPTY_SPACES = 1000;
/** The bound on the bytes of all namespaces together, as a multiple of the bound of one. */
const TOTAL_FACTOR = 4;
/** The largest namespace then evicts one part in this many of its bytes at once, so that the search for it is rare. */
const LARGEST_PART = 8;

export class Records {
  readonly #bounds: Bounds;
  readonly #bySeq = new Map<number, Entry>();
  readonly #spaces = new Map<string, Space>();
  #bytes = 0;
  #emptySpaces = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#bySeq.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param entry with a `seq` higher than all before */
  add(entry: Entry): void {
    const space = this.#spaceOf(entry.exchange.namespace);
    if (space.entries.length === 0) this.#emptySpaces -= 1;
    space.entries.push(entry);
    this.#bySeq.set(entry.exchange.seq, entry);
    this.changed(entry);
  }

  /** To be called when the entry's exchange was replaced. */
  changed(entry: Entry): void {
    const space = this.#spaceOf(entry.exchange.namespace);
    const more = approximateBytes(entry.exchange) - entry.bytes;
    entry.bytes += more;
    space.bytes += more;
    this.#bytes += more;
    if (isLost(entry.exchange)) space.lostMs = entry.endedMs;
    const { maxEntries, maxBytes } = this.#bounds;
    while (space.entries.length > maxEntries || space.bytes > maxBytes) this.#evictOldest(space);
    while (this.#bytes > maxBytes * TOTAL_FACTOR) this.#shrinkLargest();
  }

  find(seq: number): Entry | null {
    return this.#bySeq.get(seq) ?? null;
  }

  /** In order of `seq`, only exchanges after `sinceSeq`. */
  visit(namespace: string, sinceSeq: number, use: (exchange: Exchange) => void): void {
    if (namespace !== ALL_NAMESPACES) {
      const entries = this.#spaces.get(namespace)?.entries;
      if (entries !== undefined) visitIn(entries, sinceSeq, ({ exchange }) => use(exchange));
      return;
    }
    const all: Exchange[] = [];
    for (const { entries } of this.#spaces.values())
      visitIn(entries, sinceSeq, ({ exchange }) => all.push(exchange));
    for (const exchange of all.sort((left, right) => left.seq - right.seq)) use(exchange);
  }

  /** Newest first; null if no exchange that a transport may repeat ended since `sinceMs`. */
  aroundLoss(namespace: string, sinceMs: number): Iterable<Entry> | null {
    const space = this.#spaces.get(namespace);
    return space === undefined || space.lostMs < sinceMs ? null : newestOf(space.entries);
  }

  /** Exchanges that were evicted since the namespace was last cleared. */
  evicted(namespace: string): Evicted {
    const own = this.#spaces.get(namespace);
    const spaces = namespace === ALL_NAMESPACES ? [...this.#spaces.values()] : own === undefined ? [] : [own];
    const count = spaces.reduce((sum, { evicted }) => sum + evicted, 0);
    return { count, lastSeq: spaces.reduce((last, space) => Math.max(last, space.lastEvictedSeq), 0) };
  }

  /** Other namespaces with recorded exchanges, and how many of these match. */
  countElsewhere(namespace: string, isMatch: (exchange: Exchange) => boolean): Map<string, number> {
    const counts = new Map<string, number>();
    for (const [name, { entries }] of this.#spaces) {
      if (name === namespace) continue;
      let count = 0;
      visitIn(entries, 0, ({ exchange }) => (count += isMatch(exchange) ? 1 : 0));
      if (count > 0) counts.set(name, count);
    }
    return counts;
  }

  clear(namespace: string): void {
    for (const name of namespace === ALL_NAMESPACES ? [...this.#spaces.keys()] : [namespace]) {
      const space = this.#spaces.get(name);
      if (space === undefined) continue;
      visitIn(space.entries, 0, ({ exchange }) => this.#bySeq.delete(exchange.seq));
      this.#bytes -= space.bytes;
      this.#drop(name, space);
    }
  }

  #shrinkLargest(): void {
    let largest: Space | null = null;
    for (const space of this.#spaces.values())
      if (largest === null || space.bytes > largest.bytes) largest = space;
    const goal = ((largest?.bytes ?? 0) * (LARGEST_PART - 1)) / LARGEST_PART;
    while (largest !== null && largest.bytes > goal) this.#evictOldest(largest);
  }

  #evictOldest(space: Space): void {
    const entry = space.entries.shift();
    if (entry === undefined) return;
    this.#bytes -= entry.bytes;
    space.bytes -= entry.bytes;
    space.evicted += 1;
    space.lastEvictedSeq = entry.exchange.seq;
    this.#bySeq.delete(entry.exchange.seq);
    if (space.entries.length === 0) this.#emptied();
  }

  #spaceOf(namespace: string): Space {
    const known = this.#spaces.get(namespace);
    if (known !== undefined) return known;
    const space: Space = { entries: new Fifo(), bytes: 0, evicted: 0, lastEvictedSeq: 0, lostMs: -Infinity };
    this.#spaces.set(namespace, space);
    this.#emptySpaces += 1;
    return space;
  }

  /** In mode `open` new keys come without end, so the counts of empty namespaces must not pile up. */
  #emptied(): void {
    this.#emptySpaces += 1;
    if (this.#emptySpaces <= MAX_EMPTY_SPACES) return;
    for (const [name, space] of this.#spaces) if (space.entries.length === 0) this.#drop(name, space);
  }

  #drop(name: string, { entries }: Space): void {
    if (entries.length === 0) this.#emptySpaces -= 1;
    this.#spaces.delete(name);
  }
}

function visitIn(entries: Fifo<Entry>, sinceSeq: number, use: (entry: Entry) => void): void {
  const from = sinceSeq === 0 ? 0 : entries.firstIndex((entry) => entry.exchange.seq > sinceSeq);
  for (let index = from; index < entries.length; index += 1) {
    const entry = entries.at(index);
    if (entry !== undefined) use(entry);
  }
}

function* newestOf(entries: Fifo<Entry>): Generator<Entry> {
  for (let index = 1; index <= Math.min(LOOK_BACK, entries.length); index += 1) {
    const entry = entries.at(-index);
    if (entry !== undefined) yield entry;
  }
}
