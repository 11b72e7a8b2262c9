// faults/rule-set.ts: the armed rules of one namespace and how often each has fired.
//
// Promises: the first rule in order that fits an exchange is its only one. A rule fires at most `times` times, however
// exchanges interleave: a claim takes one of its times at once, `fired` uses it up, `release` gives it back (test: rule-set.test.ts).
// What counts as a match: the exchange reached this rule, nothing before it having claimed it, and fits `match` and `attempt`
// while the rule is live: neither used up nor expired. `nth` and `skip` count matches; a released one is not taken back.
// Must not know: a clock or randomness of its own, HTTP, how a fault is carried out.
import { explain } from './explain.ts';
import { refusalOf } from '../core/problems.ts';
import {
  arm,
  canRepeat,
  isDue,
  isExhausted,
  isLive,
  take,
  takeAgain,
  tellWatchers,
  type Armed,
  type Claim,
} from './rule-armed.ts';
import { fitsRule, type ExchangeFacts } from './rule-fits.ts';
import { MAX_RULES, type Rule } from './rules.ts';

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

/** What came of a rule so far: why it has fired, or has not. */
export interface RuleTrace {
  readonly rule: Rule;
  readonly matched: number;
  readonly fired: number;
  /** Exchanges that it has and whose place is not reached yet. */
  readonly reserved: number;
  /** Exchanges that it had and that ended before its place. */
  readonly released: number;
  /** Exchanges that it fits and that an earlier rule took; `maskedBy`: the last of those rules. */
  readonly masked: number;
  readonly maskedBy: string | null;
  /** Its `ttlMs` is over. */
  readonly isExpired: boolean;
}

/** So many ids are remembered of rules that were armed once; beyond, any id may have been one. */
const MAX_KNOWN_IDS = 10_000;

/** A rule and its counters, to outlive the process. */
export interface RuleState {
  readonly given: Rule['given'];
  /** Null: never. */
  readonly expiresAt: number | null;
  readonly matched: number;
  readonly fired: number;
  readonly lastFiredSeq: number | null;
}

export class RuleSet {
  readonly #onChange: () => void;
  #armed: Armed[] = [];
  readonly #knownIds = new Set<string>();

  /** @param onChange called when another rule or another count is to be remembered */
  constructor(onChange: () => void = () => undefined) {
    this.#onChange = onChange;
  }

  get isEmpty(): boolean {
    return this.#armed.length === 0;
  }

  states(): RuleState[] {
    return this.#armed.map(({ rule: { given }, expiresAt, matched, fired, lastFiredSeq }) => {
      return {
        given,
        expiresAt: Number.isFinite(expiresAt) ? expiresAt : null,
        matched,
        fired,
        lastFiredSeq,
      };
    });
  }

  /** Goes on counting where another process ended. @param rule of these states */
  restore(rule: Rule, { expiresAt, matched, fired, lastFiredSeq }: RuleState): void {
    const counts = { matched, fired, lastFiredSeq, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY };
    this.#armed.push({ ...arm(rule, 0), ...counts });
    this.#knownIds.add(rule.id);
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
    this.#onChange();
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
    for (const old of before) {
      const anew = this.#armed.find(({ rule }) => rule.id === old.rule.id);
      if (anew === undefined) tellWatchers(old);
      else for (const watcher of old.watchers) anew.watchers.add(watcher);
    }
  }

  /** False: there is none with this id. Claims that are out stay good. */
  remove(id: string): boolean {
    const gone = this.#armed.filter(({ rule }) => rule.id === id);
    this.#armed = this.#armed.filter(({ rule }) => rule.id !== id);
    gone.forEach(tellWatchers);
    this.#onChange();
    return gone.length > 0;
  }

  clear(): void {
    this.#armed.splice(0).forEach(tellWatchers);
    this.#onChange();
  }

  list(now: number): RuleView[] {
    return this.#armed.map((armed) => viewOf(armed, now));
  }

  get(id: string, now: number): RuleView | null {
    const armed = this.#armed.find(({ rule }) => rule.id === id);
    return armed === undefined ? null : viewOf(armed, now);
  }

  /** @returns ends it; what is told is that the rule fired, or is gone. One that takes its place by its id is watched on. */
  watch(id: string, watcher: () => void): () => void {
    const watchers = (): Set<() => void> | undefined =>
      this.#armed.find(({ rule }) => rule.id === id)?.watchers;
    watchers()?.add(watcher);
    return () => void watchers()?.delete(watcher);
  }

  /** Null: there is none with this id. */
  trace(id: string, now: number): RuleTrace | null {
    const armed = this.#armed.find(({ rule }) => rule.id === id);
    return armed === undefined ? null : { ...armed, isExpired: now >= armed.expiresAt };
  }

  /** Whether a rule with this id is armed or was, since the namespace was last reset. */
  wasArmed(id: string): boolean {
    return this.#knownIds.has(id) || this.#knownIds.size >= MAX_KNOWN_IDS;
  }

  /** The rules that could still fire in this operation, or hit a replay again, in order. */
  live(operation: string, now: number): Rule[] {
    return this.#armed
      .filter((armed) => isLive(armed, operation, now) || repeatsIn(armed, operation, now))
      .map(({ rule }) => rule);
  }

  canRepeat(operation: string, now: number): boolean {
    return this.#armed.some((armed) => repeatsIn(armed, operation, now));
  }

  /** For a transport's replay of an exchange that this rule hit: hits it again and counts nothing. Null: it is counted as any other. */
  claimAgain(id: string, now: number): Claim | null {
    const armed = this.#armed.find(({ rule }) => rule.id === id);
    return armed !== undefined && canRepeat(armed, now) ? takeAgain(armed) : null;
  }

  /**
   * Whether the upload, the chunk or the attempt can decide which rule an exchange of this operation meets. An exchange
   * claims once: false, and it can before its body is read; true, and it has to read the form's fields first, whatever
   * the phase of the rule that depends on them, because it may stand before one of phase `headers`. So for one that
   * ignores replays: which request is one is known by its upload and chunk.
   */
  needsIdentity(operation: string, now: number): boolean {
    return this.live(operation, now).some(
      ({ match, when, ignoreReplays }) =>
        ignoreReplays || match.fileId !== null || match.chunkIndex !== null || when.attempt !== null,
    );
  }

  /** The rule of this exchange. `draw` gives the next number in [0, 1) of the namespace's sequence. */
  claim(facts: ExchangeFacts, draw: () => number, now: number): Claim | null {
    for (const [at, armed] of this.#armed.entries()) {
      if (!isLive(armed, facts.operation, now) || !fitsRule(armed.rule, facts)) continue;
      armed.matched += 1;
      this.#onChange();
      if (!isDue(armed, draw)) continue;
      this.mask(facts, { by: armed.rule.id, now, from: at + 1 });
      return take(armed, this.#onChange);
    }
    return null;
  }

  /** An earlier rule has this exchange: those behind it, from that place on, never get to see it. */
  mask(facts: ExchangeFacts, { by, now, from = 0 }: { by: string; now: number; from?: number }): void {
    for (let at = from; at < this.#armed.length; at += 1) {
      const armed = this.#armed[at];
      if (armed === undefined || !isLive(armed, facts.operation, now) || !fitsRule(armed.rule, facts))
        continue;
      armed.masked += 1;
      armed.maskedBy = by;
    }
  }
}

function repeatsIn(armed: Armed, operation: string, now: number): boolean {
  return armed.rule.operations.some((name) => name === operation) && canRepeat(armed, now);
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
