// faults/rule-book.ts: the rules, attempts and random sequences of every namespace.
//
// Promises: an exchange asks its own namespace's rules first, then those armed for all (`*`); attempts are counted per
// operation, upload and chunk; with a seed every namespace draws a sequence of its own, the same in every run.
// Must not know: HTTP, how a fault is carried out.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import { Attempts } from './attempts.ts';
import type { Claim } from './rule-armed.ts';
import type { ExchangeFacts } from './rule-fits.ts';
import { RuleSet, type RuleState, type RuleTrace, type RuleView } from './rule-set.ts';
import type { Rule } from './rules.ts';
import { createSequence } from './seeded.ts';

/** Uploads and chunks whose attempts are remembered, of all namespaces together. */
const MAX_ATTEMPTS = 100_000;
/** Namespaces that are remembered beside those that have rules. */
const MAX_PAGES = 10_000;

const NO_SETS: readonly { rules: RuleSet; now: number }[] = [];
const NO_MARKS: readonly number[] = [];

interface Page {
  readonly rules: RuleSet;
  /** Another one after a reset: the attempts of before are not those of now. */
  readonly number: number;
  draw: () => number;
}

export class RuleBook {
  readonly #seed: string | null;
  readonly #now: (namespace: string) => number;
  readonly #pages = new Map<string, Page>();
  /** Of all namespaces: one that fills it takes no more memory than many that do. */
  readonly #attempts = new Attempts(MAX_ATTEMPTS);
  #lastNumber = 0;
  /** Of some namespace nobody knows any more which rules it had. */
  #hasForgotten = false;

  readonly #onChange: (namespace: string) => void;

  /** @param seed null: nothing is to be repeatable. @param onChange as a RuleSet's */
  constructor(
    seed: string | null,
    now: (namespace: string) => number,
    onChange: (namespace: string) => void = () => undefined,
  ) {
    this.#onChange = onChange;
    this.#seed = seed;
    this.#now = now;
  }

  /** Those that have rules, `*` among them. */
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

  /** Whether a rule with this id was ever armed for the namespace, for everybody, or, asked of all (`*`), for anybody. */
  wasArmed(namespace: string, id: string): boolean {
    const pages = namespace === ALL_NAMESPACES ? [...this.#pages.keys()] : [namespace, ALL_NAMESPACES];
    return this.#hasForgotten || pages.some((name) => this.#pages.get(name)?.rules.wasArmed(id) === true);
  }

  /** The next number in [0, 1) of the namespace's sequence. */
  draw(namespace: string): number {
    return this.#page(namespace).draw();
  }

  /** Counts this attempt and says which one it is. */
  attempt(namespace: string, subject: string): number {
    return this.#attempts.count(`${this.#page(namespace).number} ${subject}`);
  }

  /** The one that was counted last; 0: none. */
  lastAttempt(namespace: string, subject: string): number {
    return this.#attempts.last(`${this.#page(namespace).number} ${subject}`);
  }

  /** That attempt was made of it, of another process. */
  rememberAttempt(namespace: string, subject: string, attempt: number): void {
    this.#attempts.set(`${this.#page(namespace).number} ${subject}`, attempt);
  }

  /** To outlive the process. */
  states(namespace: string): RuleState[] {
    return this.#pages.get(namespace)?.rules.states() ?? [];
  }

  /** Whether the exchange must be understood before it can be known which rule it meets. */
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

  /** Whether some rule could hit a transport's replay once more. */
  canRepeat(namespace: string, operation: string): boolean {
    return this.#sets(namespace).some(({ rules, now }) => rules.canRepeat(operation, now));
  }

  /** As a RuleSet's: what a transport sends again meets the rule that its original met, and no other. */
  claimAgain(namespace: string, id: string): Claim | null {
    for (const { rules, now } of this.#sets(namespace)) {
      const claim = rules.claimAgain(id, now);
      if (claim !== null) return claim;
    }
    return null;
  }

  /** The bytes of a file at which some live rule of this operation breaks. */
  marks(namespace: string, operation: string): readonly number[] {
    const sets = this.#sets(namespace);
    if (sets.length === 0) return NO_MARKS;
    return sets
      .flatMap(({ rules, now }) => rules.live(operation, now))
      .flatMap(({ fault: { phase } }) =>
        phase.name === 'body' && phase.atByte !== undefined ? [phase.atByte] : [],
      );
  }

  /** As if the namespace were new: rules, attempts and sequence. */
  reset(namespace: string): void {
    const gone = namespace === ALL_NAMESPACES ? [...this.#pages.keys()] : [namespace];
    const sets = gone.map((name) => this.#pages.get(name)?.rules);
    for (const name of gone) this.#pages.delete(name);
    // Now that they are gone: whoever waits for one of their rules looks for it.
    for (const rules of sets) rules?.clear();
    for (const name of gone) this.#onChange(name);
  }

  /** Those that have rules: most exchanges of most servers meet none. */
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

  /** Keys come and go without end in mode `open`: what is known of them must not pile up. */
  #forgetUnarmed(): void {
    this.#hasForgotten = true;
    for (const [namespace, { rules }] of this.#pages) if (rules.isEmpty) this.#pages.delete(namespace);
  }
}
