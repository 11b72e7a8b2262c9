// helpers/faked-machine-time.ts: `machine-time.ts` by the globals of each moment, so that vitest's fake timers reach it:
//
//   vi.mock('../../src/core/machine-time.ts', async () => (await import('../helpers/faked-machine-time.ts')).FAKED);
import type * as machineTime from '../../src/core/machine-time.ts';

/** Called by their names: what stands for them is looked up at each call. */
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
