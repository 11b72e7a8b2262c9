import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { FolderInUse, lockFolder, type FolderLock } from '../../src/storage/folder-lock.ts';

vi.mock('../../src/machine-time.ts', async () => (await import('../helpers/faked-machine-time.ts')).FAKED);

const LOCK_MODULE = new URL('../../dist/storage/folder-lock.js', import.meta.url).href;

let folder: string;
const held: FolderLock[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-lock-'));
});
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(held.splice(0).map((lock) => lock.release()));
  await rm(folder, { recursive: true, force: true });
});

async function lock(): Promise<FolderLock> {
  const got = await lockFolder(folder);
  held.push(got);
  return got;
}

const lockPath = (): string => join(folder, 'lock');

interface HolderFacts {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
  readonly since: string;
  readonly startTicks: string;
}

async function holder(): Promise<HolderFacts> {
  return JSON.parse(await readFile(lockPath(), 'utf8')) as HolderFacts;
}

/** Leaves the lock of a holder that never released it. */
async function leaveLock(facts: Partial<HolderFacts>, ageMs = 0, path = lockPath()): Promise<void> {
  const since = '2020-01-02T03:04:05.678Z';
  const left = { pid: 1, host: hostname(), token: 'left-behind', since, startTicks: '0', ...facts };
  await writeFile(path, JSON.stringify(left));
  const touched = new Date(Date.now() - ageMs);
  await utimes(path, touched, touched);
}

/** The pid of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('what a starter leaves that is killed', () => {
  it('goes with the next start, and what one that lives may be writing stays', async () => {
    const hour = 3_600_000;
    await leaveLock({ pid: await deadPid(), token: 'dead' }, 0, `${lockPath()}.dead`);
    await leaveLock({ pid: await deadPid(), token: 'dead' }, 0, `${lockPath()}.after-dead`);
    await writeFile(`${lockPath()}.torn`, '');
    await utimes(`${lockPath()}.torn`, new Date(Date.now() - hour), new Date(Date.now() - hour));
    await leaveLock({ host: 'elsewhere', token: 'alive' }, 0, `${lockPath()}.alive`);
    await writeFile(`${lockPath()}.begun`, '');
    await lock();
    expect((await readdir(folder)).toSorted()).toEqual(['lock', 'lock.alive', 'lock.begun']);
  });
});

describe('a locked folder', () => {
  it('is refused to a second opener, with the holder, the folder and what to do', async () => {
    await lock();
    const { since } = await holder();
    const refusal = await lockFolder(folder).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(FolderInUse);
    const { message } = refusal as FolderInUse;
    expect(message).toContain(`the data folder ${folder} is in use`);
    expect(message).toContain(`process ${process.pid} on ${hostname()} since ${since}`);
    expect(message).toContain('--data-dir');
  });

  it('keeps its lock when a second opener was refused', async () => {
    await lock();
    const before = await holder();
    await expect(lockFolder(folder)).rejects.toThrow('in use');
    expect(await holder()).toEqual(before);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('is free after its release, of which nothing stays', async () => {
    await (await lockFolder(folder)).release();
    expect(await readdir(folder)).toEqual([]);
    await lock();
    expect((await holder()).pid).toBe(process.pid);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('is not freed by a holder that lost it', async () => {
    const lost = await lockFolder(folder);
    await leaveLock({ token: 'of-another' });
    await lost.release();
    expect((await holder()).token).toBe('of-another');
  });

  it('is touched as long as it is held, so that another machine sees that its holder is alive', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    await lock();
    const longAgo = new Date(Date.now() - 60_000);
    await utimes(lockPath(), longAgo, longAgo);
    vi.advanceTimersByTime(5_000);
    await vi.waitFor(async () =>
      expect((await stat(lockPath())).mtimeMs).toBeGreaterThan(Date.now() - 10_000),
    );
  });
});

describe('the lock of a dead holder is taken over', () => {
  it('when its process is gone, however short ago it was touched', async () => {
    await leaveLock({ pid: await deadPid() });
    await lock();
    expect((await holder()).pid).toBe(process.pid);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it.runIf(process.platform === 'linux')('when its pid was given to another process', async () => {
    await leaveLock({ pid: process.pid, startTicks: '1' });
    await lock();
    expect((await holder()).startTicks).not.toBe('1');
  });

  it('when it was another machine that stopped touching it', async () => {
    await leaveLock({ host: 'another-machine' }, 25_000);
    await lock();
    expect((await holder()).host).toBe(hostname());
  });

  it('when the file names nobody', async () => {
    for (const text of ['', '{"pid":', 'hello']) {
      await writeFile(lockPath(), text);
      const got = await lockFolder(folder);
      expect((await holder()).pid).toBe(process.pid);
      await got.release();
    }
  });

  it('when a starter died while it was taking it over', async () => {
    const dead = await deadPid();
    await leaveLock({ pid: dead, token: 'first' });
    await leaveLock({ pid: dead, token: 'second' }, 0, `${lockPath()}.after-first`);
    await leaveLock({ pid: dead, token: 'third' }, 0, `${lockPath()}.after-first.after-second`);
    await lock();
    expect((await holder()).pid).toBe(process.pid);
    expect(await readdir(folder)).toEqual(['lock']);
  });
});

describe('the lock of a living holder is not taken over', () => {
  it('when it is a process of somebody else', async () => {
    const ticks = await startTicksOf(1);
    await leaveLock({ pid: 1, startTicks: ticks }, 60_000);
    await expect(lockFolder(folder)).rejects.toThrow('process 1 on');
  });

  it('when it is another machine that touched it just now', async () => {
    await leaveLock({ host: 'another-machine', pid: await deadPid() }, 5_000);
    await expect(lockFolder(folder)).rejects.toThrow('on another-machine since 2020-01-02T03:04:05.678Z');
  });

  it('when another starter is taking it over right now: that one is named', async () => {
    await leaveLock({ pid: await deadPid(), token: 'dead' });
    const heir = { pid: process.pid, startTicks: await startTicksOf(process.pid), since: 'just now' };
    await leaveLock(heir, 0, `${lockPath()}.after-dead`);
    await expect(lockFolder(folder)).rejects.toThrow(
      `process ${process.pid} on ${hostname()} since just now`,
    );
    expect((await holder()).token).toBe('dead');
  });
});

async function startTicksOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

describe('of many starters one wins, and the others name a holder', () => {
  const ROUNDS = 40;
  const beginnings: [string, () => Promise<void>][] = [
    ['in a free folder', () => Promise.resolve()],
    ['after a dead holder', async () => leaveLock({ pid: await deadPid() })],
    ['after an unreadable lock', () => writeFile(lockPath(), '')],
  ];

  it.each(beginnings)('in one process, %s', async (_where, begin) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      await begin();
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)));
      const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      const lost = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
      expect(won).toHaveLength(1);
      for (const message of lost) expect(message).toContain(`in use by process ${process.pid}`);
      await won[0]?.release();
      expect(await readdir(folder)).toEqual([]);
    }
  });

  it.each(beginnings)('in several processes, %s', async (_where, begin) => {
    const starters = Array.from({ length: 4 }, () => startStarter());
    try {
      for (let round = 0; round < ROUNDS; round += 1) {
        await begin();
        const answers = await Promise.all(starters.map((starter) => starter.say('lock')));
        expect(
          answers.filter((answer) => answer === 'won'),
          answers.join('\n'),
        ).toHaveLength(1);
        const pids = starters.map(({ pid }) => `process ${pid} `);
        const losers = answers.filter((answer) => answer !== 'won');
        for (const answer of losers)
          expect(
            pids.some((pid) => answer.includes(pid)),
            answer,
          ).toBe(true);
        await Promise.all(starters.map((starter) => starter.say('release')));
      }
    } finally {
      for (const starter of starters) starter.end();
    }
  });

  interface Starter {
    readonly pid: number;
    say(word: 'lock' | 'release'): Promise<string>;
    end(): void;
  }

  /** A process that locks and releases the folder when it is told to, and says how it went. */
  function startStarter(): Starter {
    const script = `
      import { createInterface } from 'node:readline';
      import { lockFolder } from ${JSON.stringify(LOCK_MODULE)};
      let held = null;
      for await (const word of createInterface({ input: process.stdin })) {
        if (word === 'release') { await held?.release(); held = null; console.log('released'); continue; }
        held = await lockFolder(${JSON.stringify(folder)}).catch((error) => (console.log(error.message), null));
        if (held !== null) console.log('won');
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      pid: child.pid ?? 0,
      async say(word) {
        child.stdin.write(`${word}\n`);
        return String((await lines.next()).value);
      },
      end: () => child.stdin.end(),
    };
  }
});
