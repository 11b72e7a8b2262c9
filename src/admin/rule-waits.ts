// admin/rule-waits.ts: waiting until a rule has fired so often, instead of looking again and again (behaviour §9).
//
// Promises: it ends in the very turn in which the rule fires, before anything of its fault can be seen, at its time-out, or when its
// signal aborts, and leaves nothing behind.
// Must not know: HTTP, what rules do.
import { z } from 'zod';
import { startTimeout } from '../awake.ts';
import { invalidFields } from '../errors.ts';
import type { RuleBook } from '../faults/rule-book.ts';

export interface RuleWait {
  /** How often the rule has to have fired, in all. */
  readonly count: number;
  readonly timeoutMs: number;
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

/** Resolves when `isOver` says so after the rule fired, at the time-out, or when the signal aborts. */
export function ruleFires(
  rules: RuleBook,
  { namespace, id }: { readonly namespace: string; readonly id: string },
  {
    isOver,
    timeoutMs,
    signal,
  }: { isOver: () => boolean; timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      timer.stop();
      signal?.removeEventListener('abort', settle);
      unwatch();
      resolve();
    };
    const timer = startTimeout(timeoutMs, settle);
    const unwatch = rules.rulesOf(namespace).watch(id, () => {
      if (isOver()) settle();
    });
    signal?.addEventListener('abort', settle);
    if (isOver() || signal?.aborted === true) settle();
  });
}
