// faults/rule-set.ts: the armed rules of one namespace and how often each has fired.
//
// Promises: the first rule in order that fits an exchange is its only one. A rule fires at most `times` times, however
// exchanges interleave: a claim takes one of its times at once, `fired` uses it up, `release` gives it back (test: rule-set.test.ts).
// What counts as a match: the exchange reached this rule, nothing before it having claimed it, and fits `match` and `attempt`
// while the rule is live: neither used up nor expired. `nth` and `skip` count matches; a released one is not taken back.
// Must not know: a clock or randomness of its own, HTTP, how a fault is carried out.
import type { Fault } from './effects.ts';
import { explain } from './explain.ts';
import { refusalOf } from '../problems.ts';
import { MAX_RULES, type Rule, type Span } from './rules.ts';

/** What is known of an exchange when it asks for its rule. */
export interface ExchangeFacts {
  readonly operation: string;
  readonly fileId?: string | undefined;
  readonly chunkIndex?: number | undefined;
  readonly totalChunks?: number | undefined;
  /** Of the same operation on the same upload and chunk, counted from 1. */
  readonly attempt?: number | undefined;
  readonly mediaType?: 'video' | 'image' | undefined;
}

/** One of the rule's times, taken by one exchange, to be ended by `fired` or `release`. */
export interface Claim {
  readonly rule: Rule;
  readonly fault: Fault;
  /** The fault's point was reached. May be called again when the exchange's number is known. */
  fired(seq?: number): void;
  /** The exchange ended before the fault's point. Does nothing after `fired`. */
  release(): void;
}

export interface RuleView {
  readonly id: string;
  readonly matched: number;
  readonly fired: number;
  /** Null: always. */
  readonly remaining: number | null;
  /** Cannot fire again: all its times are used, or its `ttlMs` is over. */
  readonly exhausted: boolean;
  readonly lastFiredSeq: number | null;
  readonly explain: string;
  /** The rule as it was given. */
  readonly [field: string]: unknown;
}

interface Armed {
  readonly rule: Rule;
  readonly expiresAt: number;
  matched: number;
  fired: number;
  reserved: number;
  lastFiredSeq: number | null;
  /** Told when it fires. */
  readonly watchers: Set<() => void>;
}

/** So many ids are remembered of rules that were armed once; beyond, any id may have been one. */
const MAX_KNOWN_IDS = 10_000;

export class RuleSet {
  #armed: Armed[] = [];
  readonly #knownIds = new Set<string>();

  get isEmpty(): boolean {
    return this.#armed.length === 0;
  }

  /**
   * Appends, all or none.
   * @throws AppError `invalid_rule` for an id that is armed already, or too many rules
   */
  add(rules: readonly Rule[], now: number): void {
    const taken = new Set(this.#armed.map(({ rule }) => rule.id));
    const problems = rules.flatMap(({ id }, at) => {
      const isTaken = taken.has(id);
      taken.add(id);
      return isTaken
        ? [{ path: [at, 'id'], message: `a rule with the id ${JSON.stringify(id)} is armed already` }]
        : [];
    });
    const count = this.#armed.length + rules.length;
    if (count > MAX_RULES)
      problems.push({ path: [], message: `would be ${count} rules; at most ${MAX_RULES}` });
    if (problems.length > 0) throw refusalOf('invalid_rule', problems);
    this.#armed.push(...rules.map((rule) => arm(rule, now)));
    for (const { id } of rules) if (this.#knownIds.size < MAX_KNOWN_IDS) this.#knownIds.add(id);
  }

  /** Every counter starts anew, also of a rule that was there before. @throws AppError `invalid_rule` */
  replace(rules: readonly Rule[], now: number): void {
    const before = this.#armed;
    this.#armed = [];
    try {
      this.add(rules, now);
    } catch (error) {
      this.#armed = before;
      throw error;
    }
  }

  /** False: there is none with this id. Claims that are out stay good. */
  remove(id: string): boolean {
    const left = this.#armed.filter(({ rule }) => rule.id !== id);
    const isFound = left.length < this.#armed.length;
    this.#armed = left;
    return isFound;
  }

  clear(): void {
    this.#armed = [];
  }

  list(now: number): RuleView[] {
    return this.#armed.map((armed) => viewOf(armed, now));
  }

  get(id: string, now: number): RuleView | null {
    const armed = this.#armed.find(({ rule }) => rule.id === id);
    return armed === undefined ? null : viewOf(armed, now);
  }

  /** @returns ends it; what is told is that the rule fired */
  watch(id: string, watcher: () => void): () => void {
    const watchers = this.#armed.find(({ rule }) => rule.id === id)?.watchers;
    watchers?.add(watcher);
    return () => void watchers?.delete(watcher);
  }

  /** Whether a rule with this id is armed or was, since the namespace was last reset. */
  wasArmed(id: string): boolean {
    return this.#knownIds.has(id) || this.#knownIds.size >= MAX_KNOWN_IDS;
  }

  /** The rules that could still fire in this operation, in order. */
  live(operation: string, now: number): Rule[] {
    return this.#armed.filter((armed) => isLive(armed, operation, now)).map(({ rule }) => rule);
  }

  /**
   * Whether the upload, the chunk or the attempt can decide which rule an exchange of this operation meets. An exchange
   * claims once: false, and it can before its body is read; true, and it has to read the form's fields first, whatever
   * the phase of the rule that depends on them, because it may stand before one of phase `headers`.
   */
  needsIdentity(operation: string, now: number): boolean {
    return this.live(operation, now).some(
      ({ match, when }) => match.fileId !== null || match.chunkIndex !== null || when.attempt !== null,
    );
  }

  /** The rule of this exchange. `draw` gives the next number in [0, 1) of the namespace's sequence. */
  claim(facts: ExchangeFacts, draw: () => number, now: number): Claim | null {
    for (const armed of this.#armed) {
      if (!isLive(armed, facts.operation, now) || !isMatch(armed.rule, facts)) continue;
      armed.matched += 1;
      if (isDue(armed, draw)) return take(armed);
    }
    return null;
  }
}

function arm(rule: Rule, now: number): Armed {
  const expiresAt = rule.ttlMs === null ? Number.POSITIVE_INFINITY : now + rule.ttlMs;
  return { rule, expiresAt, matched: 0, fired: 0, reserved: 0, lastFiredSeq: null, watchers: new Set() };
}

function isExhausted({ rule, fired, expiresAt }: Armed, now: number): boolean {
  return fired >= rule.times || now >= expiresAt;
}

function isLive(armed: Armed, operation: string, now: number): boolean {
  return armed.rule.operations.some((name) => name === operation) && !isExhausted(armed, now);
}

function isMatch({ match, when }: Rule, facts: ExchangeFacts): boolean {
  return (
    (match.fileId === null || (facts.fileId !== undefined && fitsGlob(match.fileId, facts.fileId))) &&
    (match.chunkIndex === null || fitsChunk(match.chunkIndex, facts)) &&
    (match.mediaType === null || match.mediaType === facts.mediaType) &&
    isWithin(when.attempt, facts.attempt)
  );
}

function fitsChunk(wanted: Span | 'last', { chunkIndex, totalChunks }: ExchangeFacts): boolean {
  if (wanted !== 'last') return isWithin([wanted], chunkIndex);
  return chunkIndex !== undefined && totalChunks !== undefined && chunkIndex === totalChunks - 1;
}

function isWithin(spans: readonly Span[] | null, count: number | undefined): boolean {
  if (spans === null) return true;
  return count !== undefined && spans.some(({ from, to }) => from <= count && count <= to);
}

/** Piece by piece instead of as a regular expression, which many stars would make slow. */
function fitsGlob(pattern: string, text: string): boolean {
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  if (tail === undefined) return text === pattern;
  const end = text.length - tail.length;
  if (end < head.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  let from = head.length;
  return pieces.every((piece) => {
    const at = text.indexOf(piece, from);
    from = at + piece.length;
    return at !== -1 && from <= end;
  });
}

/** The draw comes last: an exchange that could not fire anyway does not move the sequence. */
function isDue({ rule: { when, times }, matched, fired, reserved }: Armed, draw: () => number): boolean {
  if (matched <= when.skip || !isWithin(when.nth, matched)) return false;
  return fired + reserved < times && (when.probability === 1 || draw() < when.probability);
}

function take(armed: Armed): Claim {
  let state: 'reserved' | 'fired' | 'released' = 'reserved';
  armed.reserved += 1;
  const end = (next: 'fired' | 'released'): void => {
    if (state !== 'reserved') return;
    state = next;
    armed.reserved -= 1;
    if (next !== 'fired') return;
    armed.fired += 1;
    for (const watcher of armed.watchers) watcher();
  };
  return {
    rule: armed.rule,
    fault: armed.rule.fault,
    fired: (seq) => {
      end('fired');
      if (state === 'fired' && seq !== undefined) armed.lastFiredSeq = seq;
    },
    release: () => end('released'),
  };
}

function viewOf(armed: Armed, now: number): RuleView {
  const { rule, matched, fired, lastFiredSeq } = armed;
  return {
    ...rule.given,
    id: rule.id,
    matched,
    fired,
    remaining: Number.isFinite(rule.times) ? rule.times - fired : null,
    exhausted: isExhausted(armed, now),
    lastFiredSeq,
    explain: explain(rule),
  };
}
