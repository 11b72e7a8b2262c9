// helpers/faked-awake.ts: `awake.ts` as one `setTimeout` by the global of each moment, so that vitest's fake timers reach it:
//
//   vi.mock('../../src/core/awake.ts', async () => (await import('../helpers/faked-awake.ts')).FAKED);
import type * as awake from '../../src/core/awake.ts';

export const FAKED: Pick<typeof awake, 'awakeMs' | 'startTimeout'> = {
  awakeMs: () => performance.now(),
  startTimeout(ms, work) {
    const timer = setTimeout(work, ms);
    return { stop: () => clearTimeout(timer) };
  },
};
