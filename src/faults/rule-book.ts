// faults/rule-book.ts: the rules, attempts and random sequences of every namespace.
//
// Promises: an exchange asks its own namespace's rules first, then those armed for all (`*`); attempts are counted per
// operation, upload and chunk; with a seed every namespace draws a sequence of its own, the same in every run.
// Must not know: HTTP, how a fault is carried out.
import { Attempts } from './attempts.ts';
import { RuleSet, type Claim, type ExchangeFacts, type RuleView } from './rule-set.ts';
import type { Rule } from './rules.ts';
import { createSequence } from './seeded.ts';

/** Rules armed here are met by every namespace. */
export const EVERYBODY = '*';
/** Uploads and chunks whose attempts are remembered, in one namespace. */
const MAX_ATTEMPTS = 100_000;

const NO_SETS: readonly { rules: RuleSet; now: number }[] = [];
const NO_MARKS: readonly number[] = [];

interface Page {
  readonly rules: RuleSet;
  readonly attempts: Attempts;
  draw: () => number;
}

export class RuleBook {
  readonly #seed: string | null;
  readonly #now: (namespace: string) => number;
  readonly #pages = new Map<string, Page>();

  /** @param seed null: nothing is to be repeatable */
  constructor(seed: string | null, now: (namespace: string) => number) {
    this.#seed = seed;
    this.#now = now;
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

  /** The next number in [0, 1) of the namespace's sequence. */
  draw(namespace: string): number {
    return this.#page(namespace).draw();
  }

  /** Counts this attempt and says which one it is. */
  attempt(namespace: string, subject: string): number {
    return this.#page(namespace).attempts.count(subject);
  }

  /** Whether the exchange must be understood before it can be known which rule it meets. */
  needsIdentity(namespace: string, operation: string): boolean {
    return this.#sets(namespace).some(({ rules, now }) => rules.needsIdentity(operation, now));
  }

  claim(namespace: string, facts: ExchangeFacts): Claim | null {
    for (const { rules, now } of this.#sets(namespace)) {
      const claim = rules.claim(facts, () => this.draw(namespace), now);
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
    if (namespace === EVERYBODY) this.#pages.clear();
    else this.#pages.delete(namespace);
  }

  /** Those that have rules: most exchanges of most servers meet none. */
  #sets(namespace: string): readonly { rules: RuleSet; now: number }[] {
    const own = this.#pages.get(namespace);
    const everybody = this.#pages.get(EVERYBODY);
    const isOwn = own !== undefined && !own.rules.isEmpty;
    const isEverybody = everybody !== undefined && !everybody.rules.isEmpty;
    if (!isOwn && !isEverybody) return NO_SETS;
    const sets = isOwn ? [{ rules: own.rules, now: this.#now(namespace) }] : [];
    return isEverybody ? [...sets, { rules: everybody.rules, now: this.#now(EVERYBODY) }] : sets;
  }

  #page(namespace: string): Page {
    const known = this.#pages.get(namespace);
    if (known !== undefined) return known;
    const draw = this.#seed === null ? Math.random : createSequence(`${this.#seed}/rules/${namespace}`);
    const page = { rules: new RuleSet(), attempts: new Attempts(MAX_ATTEMPTS), draw };
    this.#pages.set(namespace, page);
    return page;
  }
}
