// control/restore.ts: restores the state of earlier processes from a journal file: exchanges, rules with their counters, and
// attempts.
//
// Promises: a rule that was armed over the admin plane is armed again. A rule of `--rules` continues its counts if it has not
// changed. A rule that can no longer be armed is logged and left out.
// Must not know: the format of the file.
import { ALL_NAMESPACES } from '../core/namespace.ts';
import type { Logger } from 'pino';
import { attemptSubject } from '../exchange/attempt-subject.ts';
import { AppError } from '../core/errors.ts';
import { type RuleBook } from '../faults/rule-book.ts';
import type { RuleState } from '../faults/rule-set.ts';
import { parseRules, type Rule } from '../faults/rules.ts';
import type { Journal } from '../journal/journal.ts';
import type { Past } from '../journal/journal-lines.ts';

interface Restoring {
  readonly past: Past;
  readonly rules: RuleBook;
  readonly journal: Journal;
  /** The rules of `--rules`. They replace the rules of `--rules` in the journal file. */
  readonly armed: readonly Rule[];
  readonly crashRefusal: string | null;
  readonly logger: Logger;
}

/** A rule in the journal file. `isOfFile`: the rule came from `--rules`. */
export type KeptRule = RuleState & { readonly isOfFile: boolean };

export function restore(restoring: Restoring): void {
  const { past, journal } = restoring;
  journal.restore(past);
  restoreRulesOfFile(restoring);
  for (const [namespace, states] of past.rules)
    for (const state of states as readonly KeptRule[])
      if (!state.isOfFile) restoreRule(namespace, state, restoring);
  restoreAttempts(restoring);
}

function restoreRulesOfFile({ past, rules, armed }: Restoring): void {
  const kept = (past.rules.get(ALL_NAMESPACES) ?? []) as readonly KeptRule[];
  for (const rule of armed) {
    const state = kept.find(({ isOfFile, given }) => isOfFile && isSame(given, rule.given));
    if (state === undefined) rules.add(ALL_NAMESPACES, [rule]);
    else rules.rulesOf(ALL_NAMESPACES).restore(rule, state);
  }
}

function restoreRule(namespace: string, state: KeptRule, { rules, crashRefusal, logger }: Restoring): void {
  const rule = ruleOf(state, crashRefusal, logger);
  if (rule === null || rules.get(namespace, rule.id) !== null) return;
  rules.rulesOf(namespace).restore(rule, state);
}

function restoreAttempts({ past, rules }: Restoring): void {
  for (const { namespace, operation, upload, path } of past.exchanges) {
    if (upload === null || upload.attempt === null) continue;
    rules.rememberAttempt(namespace, attemptSubject(operation, upload, path), upload.attempt);
  }
}

function isSame(one: Rule['given'], other: Rule['given']): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function ruleOf({ given }: KeptRule, crashRefusal: string | null, logger: Logger): Rule | null {
  try {
    return parseRules(given, () => 'rule', { crashRefusal })[0] ?? null;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    logger.warn(
      { ruleId: given['id'], reason: error.message },
      'a rule of the journal file cannot be armed again',
    );
    return null;
  }
}
