// core/tick-queue.test.ts: deferred work is done once, in order, and soon.
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { TickQueue } from '../../src/core/tick-queue.ts';

describe('work that is put off', () => {
  it('is done in order before the next turn begins, without anybody asking', async () => {
    const batch = new TickQueue('records');
    const done: number[] = [];
    for (const n of [1, 2, 3]) batch.later(() => done.push(n));
    expect(done).toEqual([]);
    await setImmediate();
    expect(done).toEqual([1, 2, 3]);
    batch.later(() => done.push(4));
    await setImmediate();
    expect(done).toEqual([1, 2, 3, 4]);
  });

  it('is done at once when somebody looks, and only once', async () => {
    const batch = new TickQueue('records');
    const done: number[] = [];
    batch.later(() => done.push(1));
    batch.flush();
    expect(done).toEqual([1]);
    batch.flush();
    await setImmediate();
    expect(done).toEqual([1]);
  });

  it('may put off more work; looking itself, it finds what was done before it', () => {
    const batch = new TickQueue('records');
    const done: number[] = [];
    batch.later(() => {
      done.push(1);
      batch.later(() => done.push(3));
      batch.flush();
      expect(done).toEqual([1]);
    });
    batch.later(() => done.push(2));
    batch.flush();
    expect(done).toEqual([1, 2, 3]);
  });

  it('is done at the end of the turn when work before it breaks, and so is what comes later', async () => {
    const batch = new TickQueue('records');
    const done: number[] = [];
    batch.later(() => {
      throw new Error('broken');
    });
    batch.later(() => done.push(2));
    expect(() => batch.flush()).toThrow('broken');
    batch.later(() => done.push(3));
    await setImmediate();
    expect(done).toEqual([2, 3]);
  });

  it('is done also where a test has stopped the time: a server in its process must go on answering', async () => {
    vi.useFakeTimers();
    try {
      const batch = new TickQueue('answers');
      const done: number[] = [];
      batch.later(() => done.push(1));
      await setImmediate();
      expect(done).toEqual([1]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('is done by rank, whoever was first: answers, then records, then the log, with what they bring about in between', async () => {
    const [log, records, answers] = [
      new TickQueue('log'),
      new TickQueue('records'),
      new TickQueue('answers'),
    ];
    const done: string[] = [];
    log.later(() => done.push('line 1'));
    records.later(() => done.push('record'));
    answers.later(() => {
      done.push('answer');
      process.nextTick(() => {
        done.push('finish');
        log.later(() => done.push('line 2'));
      });
    });
    await setImmediate();
    expect(done).toEqual(['answer', 'finish', 'record', 'line 1', 'line 2']);
  });
});
