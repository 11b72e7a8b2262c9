// attempts.test.ts: attempts are counted as long as they can matter, and no longer.
import { describe, expect, it } from 'vitest';
import { Attempts } from '../../src/faults/attempts.ts';

describe('attempts', () => {
  it('count from 1, for each subject by itself', () => {
    const attempts = new Attempts(10);
    expect(['a', 'a', 'b', 'a', 'b'].map((subject) => attempts.count(subject))).toEqual([1, 2, 1, 3, 2]);
  });

  it('of a subject are remembered over at least as many others as there may be', () => {
    const attempts = new Attempts(100);
    attempts.count('first');
    for (let n = 0; n < 99; n += 1) attempts.count(`other-${n}`);
    expect(attempts.count('first')).toBe(2);
    for (let n = 0; n < 99; n += 1) attempts.count(`more-${n}`);
    expect(attempts.count('first'), 'counting renews it').toBe(3);
  });

  it('of a subject that was not seen for long are forgotten: memory is bounded', () => {
    const attempts = new Attempts(100);
    attempts.count('first');
    for (let n = 0; n < 200; n += 1) attempts.count(`other-${n}`);
    expect(attempts.count('first')).toBe(1);
  });
});
