// helpers/faked-machine-time.ts: `machine-time.ts` by the globals of each moment, so that vitest's fake timers reach it:
//
//   vi.mock('../../src/machine-time.ts', async () => (await import('../helpers/faked-machine-time.ts')).FAKED);
import type * as machineTime from '../../src/machine-time.ts';

/** Called by their names: what stands for them is looked up at each call. */
export const FAKED: typeof machineTime = {
  setTimeout: Object.assign((...given: Parameters<typeof setTimeout>) => setTimeout(...given), {
    __promisify__: setTimeout.__promisify__,
  }),
  clearTimeout: (timer) => clearTimeout(timer),
  setInterval: (...given: Parameters<typeof setInterval>) => setInterval(...given),
  clearInterval: (timer) => clearInterval(timer),
  setImmediate: Object.assign((...given: Parameters<typeof setImmediate>) => setImmediate(...given), {
    __promisify__: setImmediate.__promisify__,
  }),
  clearImmediate: (immediate) => clearImmediate(immediate),
  nextTick: (work, ...given) => process.nextTick(work, ...given),
  queueMicrotask: (work) => queueMicrotask(work),
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};

/** What `vi.useFakeTimers` has to be told to replace, for all of it. */
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
