// control/rule-waits.ts: waits until a rule has fired a given number of times, so that clients need not poll (behaviour §9).
//
// Promises: a wait ends in the turn in which the rule fires, before any effect of the fault can be seen. It also ends at its
// time-out, when its signal aborts, when the rule is removed, and when the server ends. It leaves nothing behind. A wait that
// timed out says why the rule did not fire.
// Must not know: HTTP, what rules do.
import { z } from 'zod';
import { startTimeout } from '../core/awake.ts';
import { AppError, invalidFields } from '../core/errors.ts';
import type { RuleBook } from '../faults/rule-book.ts';
import type { RuleView } from '../faults/rule-set.ts';
import type { Hints } from './hints.ts';

export interface RuleWait {
  /** How many times the rule must have fired in all. */
  readonly count: number;
  readonly timeoutMs: number;
  /** Aborted: the caller no longer waits. */
  readonly signal?: AbortSignal | undefined;
}

const waitSchema = z.strictObject({
  count: z.int().min(1).max(100_000).default(1),
  timeoutMs: z.int().min(0).max(600_000).default(30_000),
});

/** @throws AppError `invalid_request` */
export function parseRuleWait(json: unknown): RuleWait {
  const parsed = waitSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw invalidFields(
    parsed.error.issues.map(({ path, message }) => ({ field: path.join('.') || 'body', message })),
  );
}

/** A finished wait. `reason`: why the rule has not fired the given number of times. */
export interface RuleWaited {
  readonly rule: RuleView;
  readonly reason: string | null;
  readonly hints: readonly string[];
}

/** `find` throws when the rule is not armed. */
interface Awaited {
  readonly namespace: string;
  readonly id: string;
  readonly find: () => RuleView;
}

export class RuleWaits {
  readonly #rules: RuleBook;
  readonly #hints: Hints;
  readonly #closing = new AbortController();

  constructor(rules: RuleBook, hints: Hints) {
    this.#rules = rules;
    this.#hints = hints;
  }

  /** @throws the error of `find`, at the beginning or as soon as the rule is removed */
  async wait(awaited: Awaited, { count, timeoutMs, signal }: RuleWait): Promise<RuleWaited> {
    const { namespace, id, find } = awaited;
    find();
    const isOver = (): boolean => (this.#rules.get(namespace, id)?.fired ?? count) >= count;
    await this.#over(awaited, { isOver, timeoutMs, signal });
    const rule = find();
    if (rule.fired >= count) return { rule, reason: null, hints: [] };
    const sought = `for rule ${id} to fire ${count} times; it fired ${rule.fired} times`;
    const reason = this.#closing.signal.aborted
      ? `the server was closed while somebody waited ${sought}`
      : `waited ${timeoutMs} ms ${sought}`;
    return { rule, reason, hints: this.#hints.ofRule(namespace, id) };
  }

  /** Ends every wait with a reason. */
  close(): void {
    this.#closing.abort();
  }

  /** Resolves when `isOver` is true after the rule fired or was removed, at the time-out, or when a signal aborts. */
  #over(
    { namespace, id }: Awaited,
    { isOver, timeoutMs, signal }: { isOver: () => boolean } & Pick<RuleWait, 'timeoutMs' | 'signal'>,
  ): Promise<void> {
    const signals = [this.#closing.signal, ...(signal === undefined ? [] : [signal])];
    return new Promise((resolve) => {
      const end = (): void => {
        timer.stop();
        for (const one of signals) one.removeEventListener('abort', end);
        unwatch();
        resolve();
      };
      const timer = startTimeout(timeoutMs, end);
      const unwatch = this.#rules.rulesOf(namespace).watch(id, () => {
        if (isOver()) end();
      });
      for (const one of signals) one.addEventListener('abort', end);
      if (isOver() || signals.some(({ aborted }) => aborted)) end();
    });
  }
}

export function noRule(id: string, wasArmed: boolean): AppError {
  const name = JSON.stringify(id.slice(0, 80));
  const any = wasArmed ? ' any more' : '';
  return new AppError(
    'rule_not_found',
    `no rule ${name} is armed for this key${any}; GET /__admin/rules lists the armed rules`,
  );
}
