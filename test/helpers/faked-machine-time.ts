// helpers/faked-machine-time.ts: replaces `machine-time.ts` by globals that are looked up at each call, so that the fake timers of
// vitest reach it:
//
//   vi.mock('../../src/core/machine-time.ts', async () => (await import('../helpers/faked-machine-time.ts')).FAKED);
import type * as machineTime from '../../src/core/machine-time.ts';

/** Each global is looked up at each call, because the test may have replaced it. */
export const FAKED: typeof machineTime = {
  setTimeout: Object.assign((work: () => void, ms?: number) => setTimeout(work, ms), {
    __promisify__: setTimeout.__promisify__,
  }),
  clearTimeout: (timer) => clearTimeout(timer),
  setInterval: (work: () => void, ms?: number) => setInterval(work, ms),
  clearInterval: (timer) => clearInterval(timer),
  setImmediate: Object.assign((work: () => void) => setImmediate(work), {
    __promisify__: setImmediate.__promisify__,
  }),
  clearImmediate: (immediate) => clearImmediate(immediate),
  nextTick: (work, ...given) => process.nextTick(work, ...given),
  queueMicrotask: (work) => queueMicrotask(work),
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** What `vi.useFakeTimers` must replace, so that all of these are faked. */
export const FAKEABLE = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'performance',
  'Date',
] as const;
