// core/awake.test.ts: only the time in which this process could have received something counts as silence of others.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AwakeTime, awakeMs, startTimeout } from '../../src/core/awake.ts';
import { FAKEABLE } from '../helpers/faked-machine-time.ts';

vi.mock(
  '../../src/core/machine-time.ts',
  async () => (await import('../helpers/faked-machine-time.ts')).FAKED,
);

describe('time awake', () => {
  it('passes as the clock does while the ticker is called in time', () => {
    const awake = new AwakeTime(1_000);
    for (const now of [1_100, 1_200, 1_330, 1_570]) {
      expect(awake.at(now)).toBe(now);
      awake.tick(now);
    }
  });

  it('counts no more than 250 ms of an absence, whoever notices it first', () => {
    for (const isTicked of [false, true]) {
      const awake = new AwakeTime(0);
      awake.tick(100);
      if (isTicked) awake.tick(70_100);
      expect(awake.at(70_100)).toBe(350);
      expect(awake.at(70_200)).toBe(450);
      awake.tick(70_200);
      expect(awake.at(70_300)).toBe(550);
    }
  });

  it('never goes back, wherever one looks', () => {
    const awake = new AwakeTime(0);
    let last = 0;
    for (let now = 0; now < 5_000; now += 7) {
      const at = awake.at(now);
      expect(at).toBeGreaterThanOrEqual(last);
      last = at;
      if (now % 11 === 0 && (now < 1_000 || now > 3_000)) awake.tick(now);
    }
  });
});

describe('a time-out', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: [...FAKEABLE] }));
  afterEach(async () => {
    await vi.advanceTimersByTimeAsync(200); // The ticker ends.
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it('comes after its time, and counts anew from what was heard', async () => {
    const work = vi.fn();
    let heardMs = awakeMs();
    startTimeout(1_000, work, () => heardMs);
    await vi.advanceTimersByTimeAsync(900);
    heardMs = awakeMs();
    await vi.advanceTimersByTimeAsync(990);
    expect(work).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(20);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('longer than a timer of Node can wait is as long as it says', async () => {
    const work = vi.fn();
    const far = startTimeout(2 ** 31, work);
    const never = startTimeout(Infinity, work);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(work).not.toHaveBeenCalled();
    far.stop();
    far.stop();
    never.stop();
  });

  it('that was due while the process slept lets what came meanwhile be read first', async () => {
    const work = vi.fn();
    let heardMs = awakeMs();
    startTimeout(200, work, () => heardMs);
    await vi.advanceTimersByTimeAsync(199);
    setImmediate(() => (heardMs = awakeMs())); // As the poll of the loop does between its timers and its immediates.
    await vi.advanceTimersByTimeAsync(1);
    expect(work).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(250);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('that is stopped in the very turn in which it is due does not come', async () => {
    const work = vi.fn();
    const timer = startTimeout(100, work);
    await vi.advanceTimersByTimeAsync(99);
    setTimeout(() => timer.stop(), 1);
    await vi.advanceTimersByTimeAsync(500);
    expect(work).not.toHaveBeenCalled();
  });
});
