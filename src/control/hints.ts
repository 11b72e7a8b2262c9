// control/hints.ts: explains in sentences why nothing matched, for failed verifications and for waits that timed out (behaviour
// §11).
//
// Promises: about other namespaces, a hint gives only counts: for `public` ("your client sent no key") and, where every key is
// accepted (rule K2), for all other namespaces together. No hint reveals another namespace's key, upload or chunk. Nothing is
// computed before a failure.
// Must not know: HTTP.
import { ALL_NAMESPACES, PUBLIC_NAMESPACE } from '../core/namespace.ts';
import { type RuleBook } from '../faults/rule-book.ts';
import type { RuleTrace } from '../faults/rule-set.ts';
import { conditionsOf, whyNone, type Condition, type OnRecord } from '../journal/absence.ts';
import type { Exchange } from '../journal/exchange.ts';
import type { Journal } from '../journal/journal.ts';
import { testOf, type JournalMatcher } from '../journal/matcher.ts';
import { boundsOf, type Failure, type UnfiredRule } from '../journal/verify.ts';
import { conditionsOfRule, whyNotFired } from './rule-hints.ts';

export interface HintsOptions {
  readonly rules: RuleBook;
  /** Null: the journal is off. */
  readonly journal: Journal | null;
  /** Whether every key is accepted (rule K2). */
  readonly isOpen: boolean;
}

/** The error codes of requests that were refused by their key. Their bodies were not read, so their chunks are unknown. */
const NOT_LET_IN = ['api_key_missing', 'api_key_invalid'];

export class Hints {
  readonly #options: HintsOptions;

  constructor(options: HintsOptions) {
    this.#options = options;
  }

  /** Explains a failed check of a verification. Empty: nothing can be said beyond the failure itself. */
  ofFailure(namespace: string, failure: Failure): string[] {
    if (failure.kind === 'unfiredRule') return this.#ofUnfired(namespace, failure.expected);
    if (failure.kind === 'sequence') return this.#ofStep(namespace, failure.expected);
    if (failure.kind === 'never') return [];
    const { expected, actual } = failure;
    return actual.count < boundsOf(expected).min ? this.ofMatcher(namespace, expected.match) : [];
  }

  /** Explains why too few exchanges match. */
  ofMatcher(namespace: string, matcher: JournalMatcher): string[] {
    const { ruleId } = matcher;
    if (ruleId !== undefined && ruleId !== '*') {
      const hints = this.ofRule(namespace, ruleId);
      if (hints.length > 0) return hints;
    }
    const conditions = conditionsOf(matcher);
    const none = whyNone(conditions, this.#onRecord(namespace));
    return [none, ...this.#elsewhere(namespace, conditions)].filter((hint) => hint !== null);
  }

  /** Explains why a rule has not fired, or has not fired again. */
  ofRule(namespace: string, id: string): string[] {
    const { rules } = this.#options;
    const own = rules.trace(namespace, id);
    const trace = own ?? (namespace === ALL_NAMESPACES ? null : rules.trace(ALL_NAMESPACES, id));
    if (trace !== null) return this.#ofTrace(namespace, { ...trace, isOfAll: own === null });
    if (namespace === ALL_NAMESPACES) return []; // The rule may be armed in any namespace.
    return [`rule ${id} is not armed any more: it was removed, or the rules were replaced or reset`];
  }

  #ofStep(
    namespace: string,
    { match, afterSeq }: { readonly match: JournalMatcher; readonly afterSeq: number },
  ): string[] {
    const count = this.#options.journal?.count(namespace, match) ?? 0;
    if (count === 0) return this.ofMatcher(namespace, match);
    return [`such exchanges are on record (${count}), but none that began after #${afterSeq}`];
  }

  #ofUnfired(namespace: string, { ruleId, namespace: whose = namespace }: UnfiredRule): string[] {
    const trace = this.#unfired(whose, ruleId);
    return trace === null ? [] : this.#ofTrace(whose, trace);
  }

  /** Rule ids are unique only within a namespace, so this finds the rule with this id that has not fired. */
  #unfired(namespace: string, id: string): (RuleTrace & { isOfAll: boolean }) | null {
    const { rules } = this.#options;
    const own = rules.trace(namespace, id);
    if (own?.fired === 0) return { ...own, isOfAll: namespace === ALL_NAMESPACES };
    const common = rules.trace(ALL_NAMESPACES, id);
    return common === null ? null : { ...common, isOfAll: true };
  }

  /** A rule for all namespaces has already seen the exchanges of other namespaces. */
  #ofTrace(namespace: string, trace: RuleTrace & { readonly isOfAll?: boolean }): string[] {
    const hints = whyNotFired(trace, this.#onRecord(namespace));
    const isElsewhere = trace.isOfAll !== true && trace.fired === 0 && trace.masked === 0;
    return isElsewhere ? [...hints, ...this.#elsewhere(namespace, conditionsOfRule(trace.rule))] : hints;
  }

  #onRecord(namespace: string): OnRecord {
    const { journal } = this.#options;
    if (journal === null) return { exchanges: [], evicted: 0, whose: ': this server keeps no journal' };
    const whose = namespace === ALL_NAMESPACES ? '' : wordOf(namespace);
    const { exchanges, evicted } = journal.find(namespace);
    return { exchanges, evicted, whose };
  }

  #elsewhere(namespace: string, conditions: readonly Condition[]): string[] {
    const { journal, isOpen } = this.#options;
    if (journal === null || namespace === ALL_NAMESPACES) return [];
    const counts = journal.countElsewhere(namespace, testIn(conditions));
    const inPublic = counts.get(PUBLIC_NAMESPACE) ?? 0;
    const others = [...counts.values()].reduce((sum, count) => sum + count, 0) - inPublic;
    const hints: string[] = [];
    if (inPublic > 0)
      hints.push(
        `your client sent no key${isOpen ? '' : ', or none that is known here'}: ${inPublic} such ${nounOf(inPublic)} in public`,
      );
    if (isOpen && others > 0)
      hints.push(
        namespace === PUBLIC_NAMESPACE
          ? `your client sent a key, and this asks without one: ${others} such ${nounOf(others)} under keys`
          : `your client sent another key: ${others} such ${nounOf(others)} under other keys`,
      );
    return hints;
  }
}

/** Tests all conditions. For exchanges that were refused by their key, only the conditions that can be known are tested. */
function testIn(conditions: readonly Condition[]): (exchange: Exchange) => boolean {
  const operation = conditions.find(({ field }) => field === 'operation');
  const isOfOperation = operation?.fits ?? testOf({});
  return (exchange) =>
    conditions.every(({ fits }) => fits(exchange)) ||
    (NOT_LET_IN.includes(exchange.response?.errorCode ?? '') && isOfOperation(exchange));
}

function wordOf(namespace: string): string {
  return namespace === PUBLIC_NAMESPACE ? ' without a key' : ' for this key';
}

function nounOf(count: number): string {
  return count === 1 ? 'exchange' : 'exchanges';
}
