// core/awake.ts: time-outs that count only the time in which this process was awake and could have received data.
//
// A process can be stopped: by SIGSTOP, by a suspended machine, by a long block of the event loop. When it continues, all its
// timers are due, and the data that clients sent in the meantime is unread. Such a client was not silent and must not be told
// that it was. Therefore a ticker measures how late it is called, and a delay beyond LATE_MS does not count. Before a
// time-out acts, the loop reads once what has arrived.
//
// Promises: `awakeMs` never goes back, and it never counts more than LATE_MS of one absence. The ticker runs only while
// a time-out or `keepAwakeTime` needs it, and it keeps no process alive.
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
/** A tick that is later than this means that the whole process stood still, not that some work took long. */
const LATE_MS = 250;

/** The calculation alone, without clocks and timers. All times come from one monotonic clock. */
export class AwakeTime {
  #seenMs: number;
  #asleepMs = 0;

  constructor(nowMs: number) {
    this.#seenMs = nowMs;
  }

  /** Milliseconds awake since an arbitrary start. May be called at any time between ticks. */
  at(nowMs: number): number {
    const lateMs = nowMs - this.#seenMs - LATE_MS;
    if (lateMs > 0) {
      this.#asleepMs += lateMs;
      this.#seenMs = nowMs;
    }
    return nowMs - this.#asleepMs;
  }

  /** To be called at each tick. */
  tick(nowMs: number): void {
    this.at(nowMs);
    this.#seenMs = nowMs;
  }

  /** The ticker starts, or starts again. The time before this call was not observed and is not judged. */
  begin(nowMs: number): void {
    this.#seenMs = nowMs;
  }
}

const awake = new AwakeTime(monotonicMs());
let waiting = 0;
let ticker: NodeJS.Timeout | null = null;

/** Milliseconds awake since an arbitrary start. Valid only while a time-out runs or after `keepAwakeTime`. */
export function awakeMs(): number {
  return awake.at(monotonicMs());
}

function beginWaiting(): void {
  waiting += 1;
  if (ticker !== null) return;
  awake.begin(monotonicMs());
  ticker = setInterval(onTick, TICK_MS).unref();
}

/** Keeps `awakeMs` valid without a time-out. @returns a function that ends this; call it once */
export function keepAwakeTime(): () => void {
  beginWaiting();
  return () => void (waiting -= 1);
}

/** The ticker stops itself, one tick after the last time-out ended: to start and stop it for each request costs more. */
function onTick(): void {
  awake.tick(monotonicMs());
  if (waiting > 0 || ticker === null) return;
  clearInterval(ticker);
  ticker = null;
}

/**
 * Does `work` once `ms` milliseconds awake have passed. `Infinity` means never.
 * @param since gives the awake time from which `ms` counts. It is asked again at each check, so the start can move on when
 * data arrives.
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
  // setImmediate lets the loop read what arrived while the process stood still, before the time-out is decided.
  const onStep = (): void => (leftMs() > 0 ? decide() : void setImmediate(decide));
  const arm = (left: number): NodeJS.Timeout => setTimeout(onStep, Math.min(Math.max(left, 1), MAX_STEP_MS));
  let timer = arm(ms);
  return { stop };
}
