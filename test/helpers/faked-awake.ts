// helpers/faked-awake.ts: replaces `awake.ts` by a single `setTimeout`, looked up as a global at each call, so that the fake timers
// of vitest reach it:
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
