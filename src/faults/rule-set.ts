// faults/rule-set.ts: the armed rules of one namespace, and how often each has fired.
//
// Promises: an exchange meets only the first rule that fits it. A rule fires at most `times` times, even when exchanges
// interleave: a claim takes one time at once, `fired` uses it up, `release` gives it back (test: rule-set.test.ts).
// An exchange counts as a match when no earlier rule has claimed it and it fits `match` and `attempt` while the rule is live,
// that is, neither used up nor expired. `nth` and `skip` count matches; a released match stays counted.
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
  /** Null: no limit. */
  readonly remaining: number | null;
  /** The rule cannot fire again: all its times are used, or its `ttlMs` is over. */
  readonly exhausted: boolean;
  readonly lastFiredSeq: number | null;
  readonly explain: string;
  /** The fields of the rule as it was given. */
  readonly [field: string]: unknown;
}

/** The history of a rule: why it has fired or has not fired. */
export interface RuleTrace {
  readonly rule: Rule;
  readonly matched: number;
  readonly fired: number;
  /** Exchanges that claimed the rule and have not yet reached its place. */
  readonly reserved: number;
  /** Exchanges that claimed the rule and ended before its place. */
  readonly released: number;
  /** Exchanges that fit the rule but were claimed by an earlier rule. `maskedBy` is the last of those rules. */
  readonly masked: number;
  readonly maskedBy: string | null;
  /** Its `ttlMs` is over. */
  readonly isExpired: boolean;
}

/** How many ids of armed rules are remembered. Beyond this number any id counts as known. */
const MAX_KNOWN_IDS = 10_000;

/** A rule and its counters, which outlive the process. */
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

  /** @param onChange called when the rules or their counters must be saved again */
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

  /** Continues the counters of an earlier process. @param rule the rule of this state */
  restore(rule: Rule, { expiresAt, matched, fired, lastFiredSeq }: RuleState): void {
    const counts = { matched, fired, lastFiredSeq, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY };
    this.#armed.push({ ...arm(rule, 0), ...counts });
    this.#knownIds.add(rule.id);
  }

  /**
   * Appends all rules or none.
   * @throws AppError `invalid_rule` when an id is armed already, or there are too many rules
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

  /** All counters start again, even those of rules that were armed before. @throws AppError `invalid_rule` */
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

  /** False: no rule has this id. Open claims on the rule stay valid. */
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

  /** Calls the watcher when the rule fires or is removed. A new rule with the same id is watched on. @returns ends the watch */
  watch(id: string, watcher: () => void): () => void {
    const watchers = (): Set<() => void> | undefined =>
      this.#armed.find(({ rule }) => rule.id === id)?.watchers;
    watchers()?.add(watcher);
    return () => void watchers()?.delete(watcher);
  }

  /** Null: no rule has this id. */
  trace(id: string, now: number): RuleTrace | null {
    const armed = this.#armed.find(({ rule }) => rule.id === id);
    return armed === undefined ? null : { ...armed, isExpired: now >= armed.expiresAt };
  }

  /** Whether a rule with this id was armed since the namespace was last reset. */
  wasArmed(id: string): boolean {
    return this.#knownIds.has(id) || this.#knownIds.size >= MAX_KNOWN_IDS;
  }

  /** The rules that can still fire in this operation, or hit a replay again, in order. */
  live(operation: string, now: number): Rule[] {
    return this.#armed
      .filter((armed) => isLive(armed, operation, now) || repeatsIn(armed, operation, now))
      .map(({ rule }) => rule);
  }

  canRepeat(operation: string, now: number): boolean {
    return this.#armed.some((armed) => repeatsIn(armed, operation, now));
  }

  /** Hits a transport's replay of an exchange that this rule hit, without counting. Null: the replay is counted as usual. */
  claimAgain(id: string, now: number): Claim | null {
    const armed = this.#armed.find(({ rule }) => rule.id === id);
    return armed !== undefined && canRepeat(armed, now) ? takeAgain(armed) : null;
  }

  /**
   * Whether the upload, the chunk or the attempt can decide which rule an exchange of this operation meets. An exchange
   * claims only once. False: it can claim before its body is read. True: it must read the form's fields first, whatever the
   * phase of that rule, because the rule may come before one with phase `headers`. A rule that ignores replays also needs this:
   * a replay is recognised by its upload and chunk.
   */
  needsIdentity(operation: string, now: number): boolean {
    return this.live(operation, now).some(
      ({ match, when, ignoreReplays }) =>
        ignoreReplays || match.fileId !== null || match.chunkIndex !== null || when.attempt !== null,
    );
  }

  /** Claims the rule of this exchange. `draw` gives the next number in [0, 1) of the namespace's sequence. */
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

  /** An earlier rule has claimed this exchange; the fitting rules behind it, from index `from` on, count it as masked. */
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
