// core/clock.test.ts: scheduled work is done at its time and in its order, or dropped, whatever happens to the clock.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Clocks, type DelayedWork } from '../../src/core/clock.ts';
import { SteadyClock } from '../../src/core/steady-clock.ts';
import { eventually } from '../helpers/app.ts';

const START = Date.parse('2026-03-01T09:30:00.000Z');

let machineMs = START;
const machine = (): SteadyClock =>
  new SteadyClock(
    () => machineMs,
    () => machineMs,
  );
let clocks = new Clocks(machine());
let log: string[] = [];

beforeEach(() => {
  machineMs = START;
  clocks = new Clocks(machine());
  log = [];
});
afterEach(() => clocks.close());

/** Notes when it was done, or that it was dropped. */
function work(
  namespace: string,
  name: string,
  doing: () => Promise<boolean> = async () => true,
): DelayedWork {
  return {
    run: async () => {
      log.push(`${name} at ${clocks.now(namespace) - START}`);
      return doing();
    },
    drop: async () => {
      await Promise.resolve();
      log.push(`${name} dropped`);
    },
  };
}

/** Work that lasts until it is told to end. */
function slow(namespace: string, name: string): { work: DelayedWork; end: () => void } {
  let end = (): void => undefined;
  const ended = new Promise<boolean>((resolve) => {
    end = () => resolve(true);
  });
  return { work: work(namespace, name, () => ended), end: () => end() };
}

describe('a clock that is moved', () => {
  it('stops at what is due, in order of time, and time has passed before it is done', async () => {
    await clocks.change('ns', { mode: 'frozen' });
    for (const at of [30, 10, 20, 41]) clocks.schedule('ns', START + at, work('ns', `due ${at}`));
    const moved = async (): Promise<void> => {
      log.push(`moved to ${clocks.now('ns') - START}`);
    };
    expect(await clocks.change('ns', { advanceMs: 40 }, moved)).toBe(3);
    expect(log).toEqual([
      'moved to 10',
      'due 10 at 10',
      'moved to 20',
      'due 20 at 20',
      'moved to 30',
      'due 30 at 30',
      'moved to 40',
    ]);
    expect(clocks.view('ns')).toMatchObject({ mode: 'frozen', now: new Date(START + 40).toISOString() });
  });

  it('counts what came to something', async () => {
    await clocks.change('ns', { mode: 'frozen' });
    clocks.schedule(
      'ns',
      START + 1,
      work('ns', 'in vain', async () => false),
    );
    clocks.schedule('ns', START + 2, work('ns', 'done'));
    expect(await clocks.change('ns', { advanceMs: 5 })).toBe(1);
    expect(log).toEqual(['in vain at 1', 'done at 2']);
  });

  it('runs on from where it was set, however long the work on the way took', async () => {
    const took = work('ns', 'due', async () => {
      machineMs += 70;
      return true;
    });
    await clocks.change('ns', { mode: 'frozen' });
    clocks.schedule('ns', START + 10, took);
    await clocks.change('ns', { mode: 'offset', advanceMs: 100 });
    expect(log).toEqual(['due at 10']);
    expect(clocks.now('ns') - START).toBe(170);
    expect(clocks.view('ns').mode).toBe('offset');
  });

  it('twice at the same time goes ahead twice', async () => {
    await clocks.change('ns', { mode: 'frozen' });
    clocks.schedule('ns', START + 150, work('ns', 'due'));
    const counts = await Promise.all([1, 2].map(() => clocks.change('ns', { advanceMs: 100 })));
    expect([counts, log, clocks.now('ns') - START]).toEqual([[0, 1], ['due at 150'], 200]);
  });

  it('is not moved back by what is overdue', async () => {
    await clocks.change('ns', { mode: 'frozen' });
    clocks.schedule('ns', START - 10, work('ns', 'overdue'));
    await clocks.change('ns', { now: START - 5 });
    expect([log, clocks.now('ns') - START]).toEqual([['overdue at 0'], -5]);
  });

  it('and is the machine’s again does what has become due by that', async () => {
    await clocks.change('ns', { mode: 'frozen' });
    clocks.schedule('ns', START + 10, work('ns', 'due'));
    machineMs = START + 50;
    await clocks.change('ns', { mode: 'real' });
    expect([log, clocks.view('ns').mode, clocks.now('ns') - START]).toEqual([['due at 10'], 'real', 50]);
  });

  it('of everybody is that of those who have none of their own', async () => {
    await clocks.change('*', { mode: 'frozen' });
    await clocks.change('own', { mode: 'frozen' });
    for (const name of ['one', 'own', 'two'])
      for (const at of [10, 20]) clocks.schedule(name, START + at, work(name, `${name} ${at}`));
    expect(await clocks.change('*', { advanceMs: 15 })).toBe(2);
    expect(log).toEqual(['one 10 at 10', 'two 10 at 10']);
    expect(clocks.now('own')).toBe(START);
  });

  it('waits for what is being done, whoever began it, of everybody, too', async () => {
    const { work: held, end } = slow('ns', 'slow');
    clocks.schedule('ns', START, held);
    await eventually(
      () => log.length,
      (count) => count === 1,
    );
    let changed = 0;
    const changing = ['ns', '*'].map(async (namespace) => {
      await clocks.change(namespace, { mode: 'frozen' });
      changed += 1;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(changed).toBe(0);
    end();
    await Promise.all(changing);
  });

  it('stands where it was to stand although time could not pass', async () => {
    await clocks.change('ns', { mode: 'frozen' });
    clocks.schedule('ns', START + 10, work('ns', 'due'));
    const failing = clocks.change('ns', { advanceMs: 100 }, () => Promise.reject(new Error('no disk')));
    await expect(failing).rejects.toThrow('no disk');
    expect(clocks.now('ns') - START).toBe(100);
    expect(await clocks.change('ns', {})).toBe(1);
  });
});

describe('what is dropped', () => {
  it('is dropped when a reset resolves, and is not done; others go on', async () => {
    for (const name of ['one', 'two']) {
      await clocks.change(name, { mode: 'frozen' });
      clocks.schedule(name, START + 10, work(name, name));
    }
    await clocks.reset('one');
    expect(log).toEqual(['one dropped']);
    expect([clocks.view('one').mode, clocks.view('two').mode]).toEqual(['real', 'frozen']);
    await clocks.change('one', { advanceMs: 20 });
    await clocks.change('two', { advanceMs: 20 });
    expect(log).toEqual(['one dropped', 'two at 10']);
  });

  it('by `drop` leaves the clock as it is', async () => {
    await clocks.change('ns', { mode: 'frozen' });
    clocks.schedule('ns', START + 10, work('ns', 'due'));
    await clocks.drop('ns');
    expect([log, clocks.view('ns').mode]).toEqual([['due dropped'], 'frozen']);
  });

  it('by a reset of everybody is that of everybody, also of who has a clock of their own', async () => {
    await clocks.change('one', { mode: 'frozen' });
    for (const name of ['one', 'two']) clocks.schedule(name, START + 10, work(name, name));
    await clocks.change('*', { mode: 'frozen' });
    await clocks.reset('*');
    expect(log.toSorted()).toEqual(['one dropped', 'two dropped']);
    for (const name of ['one', 'two', '*']) expect(clocks.view(name).mode).toBe('real');
  });

  it('by `close` goes when what is being done has ended; what comes later is dropped at once', async () => {
    const { work: held, end } = slow('ns', 'slow');
    clocks.schedule('ns', START, held);
    clocks.schedule('ns', START + 10, work('ns', 'due'));
    await eventually(
      () => log.length,
      (count) => count === 1,
    );
    let isClosed = false;
    const closing = clocks.close().then(() => (isClosed = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    end();
    await closing;
    expect(log).toEqual(['slow at 0', 'due dropped']);
    clocks.schedule('ns', START, work('ns', 'too late'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.at(-1)).toBe('too late dropped');
  });
});

describe('a jump of the machine’s date', () => {
  let date = START;
  let monotonicMs = 0;
  const pass = (ms: number): void => {
    date += ms;
    monotonicMs += ms;
  };
  beforeEach(() => {
    date = START;
    monotonicMs = 0;
    clocks = new Clocks(
      new SteadyClock(
        () => date,
        () => monotonicMs,
      ),
    );
  });

  it('back by hours is not followed: time goes on, and what is due in a moment is due in a moment', () => {
    pass(1_000);
    date -= 5 * 3600_000;
    expect(clocks.now('a') - START).toBe(1_000);
    pass(250);
    expect(clocks.now('a') - START).toBe(1_250);
    date += 5 * 3600_000;
    expect(clocks.now('a') - START).toBe(1_250);
  });

  it('forward is followed, and ages nothing', () => {
    pass(1_000);
    const at = clocks.now('a');
    pass(10);
    date += 30 * 3600_000;
    expect(clocks.now('a') - at).toBe(30 * 3600_000 + 10);
    expect(clocks.ageOf('a', at)).toBe(10);
    pass(500);
    expect([clocks.ageOf('a', at), clocks.ageOf('a', clocks.now('a'))]).toEqual([510, 0]);
  });

  it('of milliseconds is none', () => {
    for (let i = 0; i < 100; i += 1) {
      pass(1_000);
      date += 3;
      clocks.now('a');
    }
    expect(clocks.ageOf('a', START)).toBe(100_300);
  });

  it('does not take away from what a test has the clock advance by', async () => {
    const at = clocks.now('a');
    await clocks.change('a', { advanceMs: 86_400_000 });
    expect(clocks.ageOf('a', at)).toBe(86_400_000);
  });
});
