// faults/rule-book.ts: the rules, attempts and random sequences of all namespaces.
//
// Promises: an exchange asks first the rules of its own namespace, then the rules for all namespaces (`*`). Attempts are
// counted per operation, upload and chunk. With a seed every namespace draws its own sequence, the same in every run.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { Attempts } from './attempts.ts';
import type { Claim } from './rule-armed.ts';
import type { ExchangeFacts } from './rule-fits.ts';
import { RuleSet, type RuleState, type RuleTrace, type RuleView } from './rule-set.ts';
import type { Rule } from './rules.ts';
import { createSequence } from './seeded.ts';

/** How many uploads and chunks keep their count of attempts, over all namespaces. */
const MAX_ATTEMPTS = 100_000;
/** How many namespaces without rules are remembered. */
const MAX_PAGES = 10_000;

const NO_SETS: readonly { rules: RuleSet; now: number }[] = [];
const NO_MARKS: readonly number[] = [];

interface Page {
  readonly rules: RuleSet;
  /** Changes with a reset, because earlier attempts do not count after it. */
  readonly number: number;
  draw: () => number;
}

export class RuleBook {
  readonly #seed: string | null;
  readonly #now: (namespace: string) => number;
  readonly #pages = new Map<string, Page>();
  /** Shared by all namespaces, so that the bound on memory does not depend on their number. */
  readonly #attempts = new Attempts(MAX_ATTEMPTS);
  #lastNumber = 0;
  /** The rules of some namespace were forgotten, so it is unknown which rules it ever had. */
  #hasForgotten = false;

  readonly #onChange: (namespace: string) => void;

  /** @param seed null: nothing needs to be repeatable. @param onChange as in RuleSet */
  constructor(
    seed: string | null,
    now: (namespace: string) => number,
    onChange: (namespace: string) => void = () => undefined,
  ) {
    this.#onChange = onChange;
    this.#seed = seed;
    this.#now = now;
  }

  /** The namespaces that have rules, including `*`. */
  get namespaces(): string[] {
    return [...this.#pages].filter(([, { rules }]) => !rules.isEmpty).map(([namespace]) => namespace);
  }

  rulesOf(namespace: string): RuleSet {
    return this.#page(namespace).rules;
  }

  add(namespace: string, rules: readonly Rule[]): void {
    this.rulesOf(namespace).add(rules, this.#now(namespace));
  }

  replace(namespace: string, rules: readonly Rule[]): void {
    this.rulesOf(namespace).replace(rules, this.#now(namespace));
  }

  list(namespace: string): RuleView[] {
    return this.rulesOf(namespace).list(this.#now(namespace));
  }

  get(namespace: string, id: string): RuleView | null {
    return this.rulesOf(namespace).get(id, this.#now(namespace));
  }

  trace(namespace: string, id: string): RuleTrace | null {
    return this.rulesOf(namespace).trace(id, this.#now(namespace));
  }

  /** Whether a rule with this id was ever armed for the namespace or for all; for `*`: in any namespace. */
  wasArmed(namespace: string, id: string): boolean {
    const pages = namespace === ALL_NAMESPACES ? [...this.#pages.keys()] : [namespace, ALL_NAMESPACES];
    return this.#hasForgotten || pages.some((name) => this.#pages.get(name)?.rules.wasArmed(id) === true);
  }

  /** The next number in [0, 1) of the namespace's sequence. */
  draw(namespace: string): number {
    return this.#page(namespace).draw();
  }

  /** Counts this attempt and returns its number. */
  attempt(namespace: string, subject: string): number {
    return this.#attempts.count(`${this.#page(namespace).number} ${subject}`);
  }

  /** The number of the last attempt; 0: none. */
  lastAttempt(namespace: string, subject: string): number {
    return this.#attempts.last(`${this.#page(namespace).number} ${subject}`);
  }

  /** Sets the count of an attempt that an earlier process counted. */
  rememberAttempt(namespace: string, subject: string, attempt: number): void {
    this.#attempts.set(`${this.#page(namespace).number} ${subject}`, attempt);
  }

  /** The state that must outlive the process. */
  states(namespace: string): RuleState[] {
    return this.#pages.get(namespace)?.rules.states() ?? [];
  }

  /** Whether the exchange must be identified before its rule is known. */
  needsIdentity(namespace: string, operation: string): boolean {
    return this.#sets(namespace).some(({ rules, now }) => rules.needsIdentity(operation, now));
  }

  claim(namespace: string, facts: ExchangeFacts): Claim | null {
    let claim: Claim | null = null;
    for (const { rules, now } of this.#sets(namespace)) {
      if (claim === null) claim = rules.claim(facts, () => this.draw(namespace), now);
      else rules.mask(facts, { by: claim.rule.id, now });
    }
    return claim;
  }

  /** Whether some rule could hit a transport's replay again. */
  canRepeat(namespace: string, operation: string): boolean {
    return this.#sets(namespace).some(({ rules, now }) => rules.canRepeat(operation, now));
  }

  /** As in RuleSet: a transport's replay meets the rule that the original met, and no other rule. */
  claimAgain(namespace: string, id: string): Claim | null {
    for (const { rules, now } of this.#sets(namespace)) {
      const claim = rules.claimAgain(id, now);
      if (claim !== null) return claim;
    }
    return null;
  }

  /** The bytes of a file at which live rules of this operation act. */
  marks(namespace: string, operation: string): readonly number[] {
    const sets = this.#sets(namespace);
    if (sets.length === 0) return NO_MARKS;
    return sets
      .flatMap(({ rules, now }) => rules.live(operation, now))
      .flatMap(({ fault: { phase } }) =>
        phase.name === 'body' && phase.atByte !== undefined ? [phase.atByte] : [],
      );
  }

  /** Makes the namespace new: removes its rules, attempts and sequence. */
  reset(namespace: string): void {
    const gone = namespace === ALL_NAMESPACES ? [...this.#pages.keys()] : [namespace];
    const sets = gone.map((name) => this.#pages.get(name)?.rules);
    for (const name of gone) this.#pages.delete(name);
    // After the removal, because watchers of these rules look the rules up again.
    for (const rules of sets) rules?.clear();
    for (const name of gone) this.#onChange(name);
  }

  /** Only sets that hold rules: on most servers most exchanges meet none. */
  #sets(namespace: string): readonly { rules: RuleSet; now: number }[] {
    const own = this.#pages.get(namespace);
    const everybody = this.#pages.get(ALL_NAMESPACES);
    const isOwn = own !== undefined && !own.rules.isEmpty;
    const isEverybody = everybody !== undefined && !everybody.rules.isEmpty;
    if (!isOwn && !isEverybody) return NO_SETS;
    const sets = isOwn ? [{ rules: own.rules, now: this.#now(namespace) }] : [];
    return isEverybody ? [...sets, { rules: everybody.rules, now: this.#now(ALL_NAMESPACES) }] : sets;
  }

  #page(namespace: string): Page {
    const known = this.#pages.get(namespace);
    if (known !== undefined) return known;
    const draw = this.#seed === null ? Math.random : createSequence(`${this.#seed}/rules/${namespace}`);
    this.#lastNumber += 1;
    const page = { rules: new RuleSet(() => this.#onChange(namespace)), number: this.#lastNumber, draw };
    if (this.#pages.size >= MAX_PAGES) this.#forgetUnarmed();
    this.#pages.set(namespace, page);
    return page;
  }

  /** In mode `open` new keys come without end, so namespaces without rules must not pile up. */
  #forgetUnarmed(): void {
    this.#hasForgotten = true;
    for (const [namespace, { rules }] of this.#pages) if (rules.isEmpty) this.#pages.delete(namespace);
  }
}
