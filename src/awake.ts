// awake.ts: time-outs of others, measured in the time in which this process was awake and could have heard them.
//
// A process that was stopped (SIGSTOP, a suspended machine, a loop that was blocked for long) wakes up with all its timers due
// and what its clients sent meanwhile unread: it must not tell them that they were silent. So a ticker looks how late it
// is called, and what is beyond LATE_MS does not count; and before a time-out acts, what has arrived is read once.
//
// Promises: `awakeMs` never goes back, and never counts more than LATE_MS of one absence. The ticker runs only while
// somebody waits, and keeps no process alive.
// Must not know: who waits for what.
import {
  clearInterval,
  clearTimeout,
  monotonicMs,
  setImmediate,
  setInterval,
  setTimeout,
} from './machine-time.ts';
import { MAX_STEP_MS, type Timer } from './timers.ts';

const TICK_MS = 100;
/** A ticker that is called later than this was not late because of some work: nothing else ran either. */
const LATE_MS = 250;

/** The deciding, apart from clocks and timers. All times are of one monotonic clock. */
export class AwakeTime {
  #seenMs: number;
  #asleepMs = 0;

  constructor(nowMs: number) {
    this.#seenMs = nowMs;
  }

  /** Milliseconds awake since some instant. To be called as often as one likes, in between ticks. */
  at(nowMs: number): number {
    const lateMs = nowMs - this.#seenMs - LATE_MS;
    if (lateMs > 0) {
      this.#asleepMs += lateMs;
      this.#seenMs = nowMs;
    }
    return nowMs - this.#asleepMs;
  }

  /** The ticker was called. */
  tick(nowMs: number): void {
    this.at(nowMs);
    this.#seenMs = nowMs;
  }

  /** The ticker begins, or begins again: nobody looked since, and nothing is known of that time. */
  begin(nowMs: number): void {
    this.#seenMs = nowMs;
  }
}

const awake = new AwakeTime(monotonicMs());
let waiting = 0;
let ticker: NodeJS.Timeout | null = null;

/** Milliseconds awake since some instant. Meaningful while a time-out runs, or somebody keeps it. */
export function awakeMs(): number {
  return awake.at(monotonicMs());
}

function beginWaiting(): void {
  waiting += 1;
  if (ticker !== null) return;
  awake.begin(monotonicMs());
  ticker = setInterval(onTick, TICK_MS).unref();
}

/** Keeps `awakeMs` true without a time-out. @returns ends it; to be called once */
export function keepAwakeTime(): () => void {
  beginWaiting();
  return () => void (waiting -= 1);
}

/** It ends by itself, one tick after the last one who waits: to begin and end it for each request would cost more. */
function onTick(): void {
  awake.tick(monotonicMs());
  if (waiting > 0 || ticker === null) return;
  clearInterval(ticker);
  ticker = null;
}

/**
 * Does `work` once `ms` milliseconds awake have passed; `Infinity`: never.
 * @param since the awake time from which they count, asked anew each time they seem to have passed: it moves on with what is heard
 */
export function startTimeout(ms: number, work: () => void, since?: () => number): Timer {
  beginWaiting();
  const begunMs = awakeMs();
  const leftMs = (): number => ms - (awakeMs() - (since?.() ?? begunMs));
  let isOver = false;
  const stop = (): void => {
    if (isOver) return;
    isOver = true;
    waiting -= 1;
    clearTimeout(timer);
  };
  const decide = (): void => {
    if (isOver) return;
    const left = leftMs();
    if (left > 0) {
      timer = arm(left);
      return;
    }
    stop();
    work();
  };
  // What came while we could not look is read between the two.
  const onStep = (): void => (leftMs() > 0 ? decide() : void setImmediate(decide));
  const arm = (left: number): NodeJS.Timeout => setTimeout(onStep, Math.min(Math.max(left, 1), MAX_STEP_MS));
  let timer = arm(ms);
  return { stop };
}
