// control/rule-waits.ts: waiting until a rule has fired so often, instead of looking again and again (behaviour §9).
//
// Promises: it ends in the very turn in which the rule fires, before anything of its fault can be seen, at its time-out, or when its
// signal aborts, when the rule is gone or the server ends, and leaves nothing behind. One that ran out says why the rule did not fire.
// Must not know: HTTP, what rules do.
import { z } from 'zod';
import { startTimeout } from '../core/awake.ts';
import { AppError, invalidFields } from '../core/errors.ts';
import type { RuleBook } from '../faults/rule-book.ts';
import type { RuleView } from '../faults/rule-set.ts';
import type { Hints } from './hints.ts';

export interface RuleWait {
  /** How often the rule has to have fired, in all. */
  readonly count: number;
  readonly timeoutMs: number;
  /** Aborted: nobody waits any more. */
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

/** A wait that is over; `reason`: why the rule has not fired so often. */
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

  /** @throws what `find` throws, at the beginning or as soon as the rule is gone */
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

  /** Every wait ends, and says why. */
  close(): void {
    this.#closing.abort();
  }

  /** Resolves when `isOver` says so after the rule fired or went, at the time-out, or when a signal aborts. */
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
    `no rule ${name} is armed for this key${any}; GET /__admin/rules lists those that are`,
  );
}
