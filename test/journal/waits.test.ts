// waits.test.ts: a wait ends with the exchange that it waits for, and leaves nothing behind however it ends.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { parseWait, Waits, type WaitRequest, type WaitResult } from '../../src/journal/waits.ts';
import { chunk, draft, exchange, lostAnswer, openJournal } from './drafts.ts';

vi.mock('../../src/core/awake.ts', async () => (await import('../helpers/faked-awake.ts')).FAKED);

afterEach(() => {
  vi.useRealTimers();
});

function seqsOf(result: WaitResult): number[] {
  return (result.timedOut ? result.seen : result.exchanges).map(({ seq }) => seq);
}

describe('a wait in the journal', () => {
  it('ends at once when what it waits for is on record', async () => {
    const journal = openJournal();
    journal.append(chunk(1));
    const result = await journal.wait('ns_a', { chunkIndex: 1 }, { timeoutMs: 0 });
    expect([result.timedOut, seqsOf(result)]).toEqual([false, [1]]);
  });

  it('ends inside the append that brings the last one it needs', async () => {
    const journal = openJournal();
    journal.append(chunk(1));
    const order: string[] = [];
    const waiting = journal.wait('ns_a', { chunkIndex: 1 }, { count: 2 });
    const noted = waiting.then(() => order.push('wait'));
    journal.append(chunk(2));
    journal.append(chunk(1, { namespace: 'ns_b' }));
    await Promise.resolve();
    expect(order).toEqual([]);
    journal.append(chunk(1));
    // What follows an append in the same turn comes first, what follows in a later one does not.
    setImmediate(() => order.push('next turn'));
    await noted;
    const result = await waiting;
    expect(order).toEqual(['wait']);
    expect([result.timedOut, seqsOf(result)]).toEqual([false, [1, 4]]);
  });

  it('of all namespaces sees every one', async () => {
    const journal = openJournal();
    const waiting = journal.wait('*', { chunkIndex: 1 }, { count: 2 });
    journal.append(chunk(1));
    journal.append(chunk(1, { namespace: 'ns_b' }));
    expect(seqsOf(await waiting)).toEqual([1, 2]);
  });

  it('ends with an exchange that only fits once it is amended', async () => {
    const journal = openJournal();
    const waiting = journal.wait('ns_a', { outcome: 'client-aborted' });
    const { seq } = journal.append(draft());
    journal.amend(seq, { outcome: 'client-aborted' });
    expect(await waiting).toMatchObject({ timedOut: false, exchanges: [{ seq, outcome: 'client-aborted' }] });
  });

  it('does not count one that no longer fits, nor those of a namespace that was cleared', async () => {
    vi.useFakeTimers();
    const journal = openJournal();
    const waiting = journal.wait('ns_a', { outcome: 'answered' }, { count: 2, timeoutMs: 1000 });
    const everywhere = journal.wait('*', { outcome: 'answered' }, { count: 5, timeoutMs: 1000 });
    const elsewhere = journal.wait('ns_b', {}, { count: 2, timeoutMs: 1000 });
    journal.append(draft());
    const { seq } = journal.append({ ...lostAnswer(), outcome: 'client-aborted' });
    journal.append(draft({ namespace: 'ns_b' }));
    journal.clear('ns_a');
    expect(journal.amend(seq, { outcome: 'answered' })).toBeNull();
    const later = journal.append(draft());
    journal.amend(later.seq, { outcome: 'client-aborted' });
    await vi.advanceTimersByTimeAsync(1000);
    expect(await waiting).toEqual({ timedOut: true, seen: [] });
    expect(seqsOf(await everywhere)).toEqual([3]);
    expect(seqsOf(await elsewhere)).toEqual([3]);
  });

  it('forgets everything when all namespaces are cleared', async () => {
    const journal = openJournal();
    const waiting = journal.wait('ns_a', {}, { count: 2 });
    journal.append(draft());
    journal.clear('*');
    journal.append(draft());
    journal.close();
    expect(await waiting).toMatchObject({ timedOut: true, seen: [{ seq: 2 }] });
  });

  it('ends at its time-out with what it saw, in order', async () => {
    vi.useFakeTimers();
    const journal = openJournal();
    const waiting = journal.wait('ns_a', { outcome: 'answered' }, { count: 3, timeoutMs: 250 });
    const first = journal.append({ ...draft(), outcome: 'refused' });
    journal.append(draft());
    journal.amend(first.seq, { outcome: 'answered' });
    await vi.advanceTimersByTimeAsync(249);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    const result = await waiting;
    expect([result.timedOut, seqsOf(result)]).toEqual([true, [1, 2]]);
  });
});

describe('Waits', () => {
  const open = (waits: Waits, changes: Partial<WaitRequest> = {}): Promise<WaitResult> =>
    waits.add({ namespace: 'ns_a', matcher: {}, stored: [], ...changes });

  it('a wait whose caller leaves ends and is gone, with its timer and its listener', async () => {
    vi.useFakeTimers();
    const waits = new Waits(10);
    const { signal, abort } = abortable();
    const waiting = open(waits, { signal, stored: [exchange(1)], count: 2 });
    expect([waits.size, vi.getTimerCount()]).toEqual([1, 1]);
    abort();
    expect(await waiting).toMatchObject({ timedOut: true, seen: [{ seq: 1 }] });
    expect([waits.size, vi.getTimerCount()]).toEqual([0, 0]);
    abort();
    expect(await open(waits, { signal })).toEqual({ timedOut: true, seen: [] });
  });

  it('one wait that ends leaves its neighbours alone', async () => {
    const waits = new Waits(10);
    const [first, second] = [open(waits), open(waits, { count: 2 })];
    waits.offer(exchange(1));
    expect(seqsOf(await first)).toEqual([1]);
    expect(waits.size).toBe(1);
    waits.close();
    expect(seqsOf(await second)).toEqual([1]);
    expect(waits.size).toBe(0);
    waits.offer(exchange(2));
  });

  it('there are never more than allowed', async () => {
    const waits = new Waits(2);
    const waiting = [open(waits), open(waits)];
    await expect(open(waits)).rejects.toThrow(AppError);
    await expect(open(waits)).rejects.toMatchObject({ code: 'invalid_matcher' });
    // Those that need not wait are no burden.
    await expect(open(waits, { stored: [exchange(1)] })).resolves.toMatchObject({ timedOut: false });
    waits.close();
    await Promise.all(waiting);
    expect(waits.size).toBe(0);
  });
});

function abortable(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

describe('parseWait', () => {
  it('takes the matcher with count and timeoutMs beside its fields', () => {
    expect(parseWait({ chunkIndex: 1, count: 2, timeoutMs: 100 })).toEqual({
      matcher: { chunkIndex: 1 },
      count: 2,
      timeoutMs: 100,
    });
    expect(parseWait({})).toEqual({ matcher: {}, count: 1, timeoutMs: 30_000 });
  });

  it.each([{ count: 0 }, { timeoutMs: -1 }, { timeoutMs: 600_001 }, { timeout: 1 }, { outcome: 'no' }])(
    '%j is refused',
    (value) => {
      expect(() => parseWait(value)).toThrow(AppError);
    },
  );
});
