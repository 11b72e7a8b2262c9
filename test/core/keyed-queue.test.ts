// core/keyed-queue.test.ts: work under one name, one piece after the other.
import { describe, expect, it } from 'vitest';
import { KeyedQueue, SerialQueue } from '../../src/core/keyed-queue.ts';

describe('work under one name', () => {
  it('begins when what was asked for before it has ended, failed or not, and each caller is told of its own', async () => {
    const queue = new KeyedQueue();
    const seen: string[] = [];
    const work =
      (name: string, isFailing = false) =>
      async (): Promise<string> => {
        seen.push(`${name} begins`);
        await new Promise(setImmediate);
        seen.push(`${name} ends`);
        if (isFailing) throw new Error(name);
        return name;
      };
    const all = [queue.run('a', work('1', true)), queue.run('a', work('2')), queue.run('a', work('3'))];
    const told = await Promise.allSettled(all);
    expect(seen).toEqual(['1 begins', '1 ends', '2 begins', '2 ends', '3 begins', '3 ends']);
    expect(told.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  });

  it('does not wait for work under another name', async () => {
    const queue = new KeyedQueue();
    let goOn: () => void = () => undefined;
    const held = queue.run('a', () => new Promise<void>((resolve) => (goOn = resolve)));
    expect(await queue.run('b', () => Promise.resolve('done'))).toBe('done');
    goOn();
    await held;
  });

  it('leaves nothing of its name behind', async () => {
    const queue = new KeyedQueue();
    const running = queue.run('a', () => Promise.resolve());
    expect([...queue.names]).toEqual(['a']);
    await running;
    await new Promise(setImmediate);
    expect([...queue.names]).toEqual([]);
  });
});

describe('work of one queue', () => {
  it('begins at once when nothing runs, and else when what runs has ended, failed or not', async () => {
    const queue = new SerialQueue();
    const seen: string[] = [];
    const work = (name: string, error?: Error) => async (): Promise<void> => {
      seen.push(name);
      await new Promise(setImmediate);
      if (error !== undefined) throw error;
    };
    const all = [queue.run(work('1', new Error('of 1'))), queue.run(work('2'))];
    expect([seen, queue.isIdle]).toEqual([['1'], false]);
    const told = await Promise.allSettled(all);
    expect([seen, told.map(({ status }) => status)]).toEqual([
      ['1', '2'],
      ['rejected', 'fulfilled'],
    ]);
    await Promise.resolve();
    expect(queue.isIdle).toBe(true);
    const third = queue.run(work('3'));
    expect(seen).toEqual(['1', '2', '3']);
    await third;
  });

  it('that could not even begin is not waited for', async () => {
    const queue = new SerialQueue();
    const broken = (): Promise<never> => {
      throw new Error('at once');
    };
    expect(() => queue.run(broken)).toThrow('at once');
    expect(await queue.run(() => Promise.resolve('next'))).toBe('next');
  });
});

it('work under a name begins after its caller has noted that he asked', async () => {
  const queue = new KeyedQueue();
  let isNoted = false;
  const asked = queue.run('a', () => Promise.resolve(isNoted));
  isNoted = true;
  expect(await asked).toBe(true);
});
