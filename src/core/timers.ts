// core/timers.ts: work that waits for some time, however long.
//
// Node's own timers cannot wait longer than MAX_STEP_MS: of a longer time they make 1 ms. These wait in steps.
// Promises: the work is done once, not before its time, unless it was stopped; `Infinity` never comes.
// Must not know: what the work is. Time-outs of others are awake.ts's.
import { clearTimeout, monotonicMs, setTimeout } from './machine-time.ts';

/** Node cannot wait longer. */
export const MAX_STEP_MS = 2 ** 31 - 1;

export interface Timer {
  /** The work is not done any more. May be called at any time. */
  stop(): void;
}

export interface TimerOptions {
  /** Keeps the process alive while it waits. */
  readonly isKeepingAlive: boolean;
}

/** Does `work` after `ms` milliseconds. */
export function startTimer(
  ms: number,
  work: () => void,
  { isKeepingAlive }: TimerOptions = { isKeepingAlive: true },
): Timer {
  const dueMs = monotonicMs() + ms;
  const arm = (leftMs: number): NodeJS.Timeout => {
    const step = setTimeout(onStep, Math.min(Math.max(leftMs, 0), MAX_STEP_MS));
    return isKeepingAlive ? step : step.unref();
  };
  const onStep = (): void => {
    const leftMs = dueMs - monotonicMs();
    if (leftMs > 0) timer = arm(leftMs);
    else work();
  };
  let timer = arm(ms);
  return { stop: () => clearTimeout(timer) };
}

/** Resolves when `work` has, or after `ms` milliseconds. Rejects as it does. */
export async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: Timer | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = startTimer(ms, resolve);
  });
  await Promise.race([work, patience]).finally(() => timer?.stop());
}
