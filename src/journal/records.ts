// journal/records.ts: the exchanges that are kept, in order of `seq`, of all namespaces and of each one.
//
// Promises: bounded by entries and bytes, the oldest of all go first and are counted for their namespace; adding and
// evicting take the same time however many there are; reading one namespace does not look at the others.
// Must not know: who reads, what else happens when an exchange comes.
import { ALL_NAMESPACES } from './event-feed.ts';
import { approximateBytes, type Exchange } from './exchange.ts';
import { Fifo } from './fifo.ts';
import { isLost, type Sighting } from './transport-replay.ts';

export interface Entry extends Sighting {
  /** Its timing is what it is so far, while its answer is being sent. */
  exchange: Omit<Exchange, 'timing' | 'endedAfter'> & {
    timing: Exchange['timing'];
    endedAfter: number | null;
  };
  endedMs: number;
  headMark: string | undefined;
  /** Set here. */
  bytes: number;
}

export interface Bounds {
  readonly maxEntries: number;
  /** As `approximateBytes` counts them. */
  readonly maxBytes: number;
}

interface Space {
  readonly entries: Fifo<Entry>;
  evicted: number;
  /** When the last one ended that a transport may send again. */
  lostMs: number;
}

/** So many exchanges of a namespace are looked at for the original of a re-sent POST. */
const LOOK_BACK = 256;
/** Namespaces without an entry whose count of evicted ones is remembered. */
const MAX_EMPTY_SPACES = 1000;

export class Records {
  readonly #bounds: Bounds;
  readonly #entries = new Fifo<Entry>();
  readonly #spaces = new Map<string, Space>();
  #bytes = 0;
  #emptySpaces = 0;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#entries.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param entry of a `seq` higher than all before */
  add(entry: Entry): void {
    const space = this.#spaceOf(entry.exchange.namespace);
    if (space.entries.length === 0) this.#emptySpaces -= 1;
    space.entries.push(entry);
    this.#entries.push(entry);
    this.changed(entry);
  }

  /** The entry's exchange is another than before. */
  changed(entry: Entry): void {
    const bytes = approximateBytes(entry.exchange);
    this.#bytes += bytes - entry.bytes;
    entry.bytes = bytes;
    if (isLost(entry.exchange)) this.#spaceOf(entry.exchange.namespace).lostMs = entry.endedMs;
    this.#evict();
  }

  find(seq: number): Entry | null {
    // Numbers follow one another, unless a namespace was cleared.
    const guess = this.#entries.at(Math.max(seq - (this.#entries.at(0)?.exchange.seq ?? 0), 0));
    const entry = guess?.exchange.seq === seq ? guess : this.#entries.at(indexAfter(this.#entries, seq - 1));
    return entry?.exchange.seq === seq ? entry : null;
  }

  /** In order of `seq`, later ones than `sinceSeq` only. */
  visit(namespace: string, sinceSeq: number, use: (exchange: Exchange) => void): void {
    const entries = namespace === ALL_NAMESPACES ? this.#entries : this.#spaces.get(namespace)?.entries;
    if (entries === undefined) return;
    for (let index = indexAfter(entries, sinceSeq); index < entries.length; index += 1) {
      const entry = entries.at(index);
      if (entry !== undefined) use(entry.exchange);
    }
  }

  /** The newest first, if one came that a transport may send again and that ended since then; else null. */
  aroundLoss(namespace: string, sinceMs: number): Iterable<Entry> | null {
    const space = this.#spaces.get(namespace);
    return space === undefined || space.lostMs < sinceMs ? null : newestOf(space.entries);
  }

  /** Exchanges that had to make room since the namespace was last cleared. */
  evicted(namespace: string): number {
    if (namespace !== ALL_NAMESPACES) return this.#spaces.get(namespace)?.evicted ?? 0;
    let sum = 0;
    for (const { evicted } of this.#spaces.values()) sum += evicted;
    return sum;
  }

  clear(namespace: string): void {
    const isAll = namespace === ALL_NAMESPACES;
    this.#entries.keep(({ exchange, bytes }) => {
      const isKept = !isAll && exchange.namespace !== namespace;
      if (!isKept) this.#bytes -= bytes;
      return isKept;
    });
    for (const name of isAll ? [...this.#spaces.keys()] : [namespace]) this.#drop(name);
  }

  #evict(): void {
    const { maxEntries, maxBytes } = this.#bounds;
    while (this.#entries.length > maxEntries || this.#bytes > maxBytes) {
      const entry = this.#entries.shift();
      if (entry !== undefined) this.#evicted(entry);
    }
  }

  #evicted({ exchange, bytes }: Entry): void {
    this.#bytes -= bytes;
    const space = this.#spaceOf(exchange.namespace);
    // The oldest of all is the oldest of its namespace.
    space.entries.shift();
    space.evicted += 1;
    if (space.entries.length === 0) this.#emptied();
  }

  #spaceOf(namespace: string): Space {
    const known = this.#spaces.get(namespace);
    if (known !== undefined) return known;
    const space: Space = { entries: new Fifo(), evicted: 0, lostMs: -Infinity };
    this.#spaces.set(namespace, space);
    this.#emptySpaces += 1;
    return space;
  }

  /** Keys come and go without end in mode `open`: their counts must not pile up. */
  #emptied(): void {
    this.#emptySpaces += 1;
    if (this.#emptySpaces <= MAX_EMPTY_SPACES) return;
    for (const [namespace, { entries }] of this.#spaces) if (entries.length === 0) this.#drop(namespace);
  }

  #drop(namespace: string): void {
    if (this.#spaces.get(namespace)?.entries.length === 0) this.#emptySpaces -= 1;
    this.#spaces.delete(namespace);
  }
}

function* newestOf(entries: Fifo<Entry>): Generator<Entry> {
  for (let index = 1; index <= Math.min(LOOK_BACK, entries.length); index += 1) {
    const entry = entries.at(-index);
    if (entry !== undefined) yield entry;
  }
}

function indexAfter(entries: Fifo<Entry>, seq: number): number {
  return entries.firstIndex((entry) => entry.exchange.seq > seq);
}
