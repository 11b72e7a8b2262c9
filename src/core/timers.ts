// core/timers.ts: work that waits for a time of any length.
//
// Node's timers cannot wait longer than MAX_STEP_MS; they turn a longer time into 1 ms. These timers wait in steps.
// Promises: the work is done once, never early, unless the timer is stopped. `Infinity` means never.
// Time-outs for clients belong in awake.ts.
import { clearTimeout, monotonicMs, setTimeout } from './machine-time.ts';

/** The longest time that a timer of Node can wait. */
export const MAX_STEP_MS = 2 ** 31 - 1;

export interface Timer {
  /** Cancels the work. May be called at any time. */
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

/** Resolves when `work` does, or after `ms` milliseconds. Rejects when `work` rejects. */
export async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: Timer | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = startTimer(ms, resolve);
  });
  await Promise.race([work, patience]).finally(() => timer?.stop());
}
