import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { lockFolder, type FolderLock, type LockOptions } from '../../../src/storage/disk/folder-lock.ts';
import { FolderInUse } from '../../../src/storage/disk/lock-file.ts';

vi.mock(
  '../../../src/core/machine-time.ts',
  async () => (await import('../../helpers/faked-machine-time.ts')).FAKED,
);

const LOCK_MODULE = new URL('../../../dist/storage/disk/folder-lock.js', import.meta.url).href;

/** The tests wait for events. An event that has not come after this time has failed to come. */
const PATIENCE = { timeout: 60_000, interval: 20 };
const isLinux = process.platform === 'linux';

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

/**
 * Heartbeats of a tenth of a second, and short time-outs to match: a lock that does not move is recognised in a third of a second.
 */
const times = { beatMs: 40, lockStillMs: 300, namelessMs: 60, lookMs: 20 };

async function lock(options: LockOptions = {}): Promise<FolderLock> {
  const got = await lockFolder(folder, { times, ...options });
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
  readonly boot: string;
  readonly pidNamespace: string;
  readonly file: string;
}

async function holder(): Promise<HolderFacts> {
  return JSON.parse(await readFile(lockPath(), 'utf8')) as HolderFacts;
}

const here = {
  host: hostname(),
  boot: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim(),
  pidNamespace: await readlink('/proc/self/ns/pid').catch(() => ''),
};
/** A place where no process can be looked up from here. */
const elsewhere = { host: 'another-machine', boot: 'another-boot', pidNamespace: 'pid:[1]' };
const LEFT_SINCE = '2020-01-02T03:04:05.678Z';

/** Leaves the lock of a holder that never released it. */
async function leaveLock(facts: Partial<HolderFacts>, path = lockPath()): Promise<void> {
  await writeFile(path, '');
  const { dev, ino } = await stat(path);
  const left = { pid: 1, token: 'left-behind', since: LEFT_SINCE, startTicks: '0', ...here };
  await writeFile(path, JSON.stringify({ ...left, file: `${dev}:${ino}`, ...facts }));
}

async function setTouched(ms: number): Promise<void> {
  await utimes(lockPath(), ms / 1_000, ms / 1_000);
}

/** The pid of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('what a starter leaves that is killed', () => {
  it('goes with the next start: at once, or when it is sure that nobody is at it', async () => {
    await leaveLock({ pid: await deadPid(), token: 'dead' }, `${lockPath()}.dead`);
    await leaveLock({ pid: await deadPid(), token: 'dead' }, `${lockPath()}.after-dead`);
    await writeFile(`${lockPath()}.torn`, '');
    await leaveLock({ ...elsewhere, token: 'far' }, `${lockPath()}.far`);
    await lock();
    expect((await readdir(folder)).toSorted()).toEqual(['lock', 'lock.far', 'lock.torn']);
    await vi.waitFor(async () => expect(await readdir(folder)).toEqual(['lock']), PATIENCE);
  });
});

describe('a locked folder', () => {
  it('is refused to a second opener at once, with the holder, the folder and what to do (D3)', async () => {
    await lock();
    const { since } = await holder();
    const waits: string[] = [];
    const refusal = await lock({ onWait: (message) => waits.push(message) }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(FolderInUse);
    const { message } = refusal as FolderInUse;
    expect(message).toContain(`the data folder ${folder} is in use`);
    expect(message).toContain(`process ${process.pid} on ${hostname()} since ${since}`);
    expect(message).toContain('--data-dir');
    expect(waits).toEqual([]);
  });

  it('keeps its lock when a second opener was refused', async () => {
    await lock();
    const before = await holder();
    await expect(lock()).rejects.toThrow('in use');
    expect(await holder()).toEqual(before);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('is free after its release, of which nothing stays', async () => {
    await (await lockFolder(folder, { times })).release();
    expect(await readdir(folder)).toEqual([]);
    await lock();
    expect((await holder()).pid).toBe(process.pid);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it('is not freed by a holder that lost it', async () => {
    const lost = await lockFolder(folder, { times });
    await rm(lockPath());
    await leaveLock({ token: 'of-another' });
    await lost.release();
    expect((await holder()).token).toBe('of-another');
  });

  it('is not freed by whom it was copied from', async () => {
    const copied = await lockFolder(folder, { times });
    const text = await readFile(lockPath());
    await rename(lockPath(), `${folder}-away`);
    await writeFile(lockPath(), text);
    await copied.release();
    expect(await readFile(lockPath())).toEqual(text);
    await rm(`${folder}-away`);
  });

  it('moves as long as it is held, also under a clock that stands still', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    await lock();
    const seen = new Set<number>();
    await vi.waitFor(async () => {
      seen.add((await stat(lockPath())).mtimeMs);
      expect(seen.size).toBeGreaterThan(3);
    }, PATIENCE);
  });
});

describe('the lock of a dead holder is taken over', () => {
  it.runIf(isLinux)('at once when its process is gone, whenever it was touched (D3)', async () => {
    await leaveLock({ pid: await deadPid() });
    await setTouched(Date.now() + 5 * 3_600_000);
    await lock({ waitMs: 0 });
    expect((await holder()).pid).toBe(process.pid);
    expect(await readdir(folder)).toEqual(['lock']);
  });

  it.runIf(isLinux)('at once when its pid was given to another process', async () => {
    await leaveLock({ pid: process.pid, startTicks: '1' });
    await lock({ waitMs: 0 });
    expect((await holder()).startTicks).not.toBe('1');
  });

  it.runIf(isLinux)('at once when nothing of it is left but its place in its parent’s list', async () => {
    const zombie = await startZombie();
    try {
      await leaveLock({ pid: zombie.pid, startTicks: await startTicksOf(zombie.pid) });
      await lock({ waitMs: 0 });
      expect((await holder()).pid).toBe(process.pid);
    } finally {
      await zombie.end();
    }
  });

  it.each([
    ['on another machine', elsewhere],
    ['before a reboot', { boot: 'the-boot-before' }],
    ['in another pid namespace', { pidNamespace: 'pid:[1]' }],
    ['of a version that said less', { boot: '', pidNamespace: '', file: '' }],
  ])('%s, when its lock does not move, whatever time is on it (D3)', async (_where, facts) => {
    for (const aheadMs of [-3_600_000, 5 * 3_600_000]) {
      await leaveLock({ pid: process.pid, startTicks: await startTicksOf(process.pid), ...facts });
      await setTouched(Date.now() + aheadMs);
      const waits: string[] = [];
      const beganAt = performance.now();
      const got = await lockFolder(folder, { times, onWait: (message) => waits.push(message) });
      expect(performance.now() - beganAt).toBeGreaterThanOrEqual(times.lockStillMs);
      expect((await holder()).token).not.toBe('left-behind');
      expect(waits).toHaveLength(1);
      expect(waits[0]).toMatch(
        /was locked by process \d+ on .* since 2020.*taken over when it does not move for 0\.3 s/,
      );
      await got.release();
    }
  });

  it.runIf(isLinux)('when the folder is a copy and its holder goes on with the original', async () => {
    const original = await lock();
    const copy = await mkdtemp(join(tmpdir(), 'xenonflare-mock-lock-'));
    try {
      await copyFile(lockPath(), join(copy, 'lock'));
      const got = await lockFolder(copy, { times });
      held.push(got);
      got.guard.confirm();
      original.guard.confirm();
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });

  it('when the file names nobody: after a moment, in which somebody may be writing it', async () => {
    for (const text of ['', '{"pid":', 'hello', '{}', 'null', '[1]', '{"pid":"1","token":5}']) {
      await writeFile(lockPath(), text);
      const refusal = await lock({ waitMs: 0 }).catch((error: unknown) => error);
      expect(String(refusal)).toMatch(/has a lock that names nobody.*--wait-for-lock 1s/);
      expect(String(refusal)).not.toContain('undefined');
      const got = await lockFolder(folder, { times });
      expect((await holder()).pid).toBe(process.pid);
      await got.release();
    }
  });

  it.runIf(isLinux)('when a starter died while it was taking it over', async () => {
    const dead = await deadPid();
    await leaveLock({ pid: dead, token: 'first' });
    await leaveLock({ pid: dead, token: 'second' }, `${lockPath()}.after-first`);
    await leaveLock({ pid: dead, token: 'third' }, `${lockPath()}.after-first.after-second`);
    await lock({ waitMs: 0 });
    expect((await holder()).pid).toBe(process.pid);
    expect(await readdir(folder)).toEqual(['lock']);
  });
});

describe('the lock of a living holder is not taken over', () => {
  it.runIf(isLinux)('when it is a process of somebody else', async () => {
    const ticks = await startTicksOf(1);
    await leaveLock({ pid: 1, startTicks: ticks });
    await setTouched(Date.now() - 3_600_000);
    await expect(lock()).rejects.toThrow('in use by process 1 on');
  });

  it.each([0, -3_600_000, 3_600_000])(
    'when it moves, and the clock that moves it is %i ms apart (D3)',
    async (apartMs) => {
      // This pid belongs to no process here; where it was given, it belongs to one.
      await leaveLock({ ...elsewhere, pid: await deadPid() });
      await setTouched(Date.now() + apartMs);
      const beat = setInterval(() => void setTouched(Date.now() + apartMs), times.beatMs);
      try {
        await expect(lock()).rejects.toThrow(`in use by process`);
        await expect(lock()).rejects.toThrow(`on another-machine since ${LEFT_SINCE}`);
      } finally {
        clearInterval(beat);
      }
      expect((await holder()).token).toBe('left-behind');
    },
  );

  it('before it was watched for long enough: the message says for how long to wait', async () => {
    await leaveLock(elsewhere);
    await expect(lock({ waitMs: 100 })).rejects.toThrow(
      /too short to tell.*Start with --wait-for-lock 1s or more/,
    );
    expect((await holder()).token).toBe('left-behind');
  });

  it.runIf(isLinux)('when another starter is taking it over right now: that one is named', async () => {
    await leaveLock({ pid: await deadPid(), token: 'dead' });
    const heir = { pid: process.pid, startTicks: await startTicksOf(process.pid), since: 'just now' };
    await leaveLock(heir, `${lockPath()}.after-dead`);
    await expect(lock()).rejects.toThrow(`process ${process.pid} on ${hostname()} since just now`);
    expect((await holder()).token).toBe('dead');
  });

  it('when nobody can read who it is: that is said', async () => {
    await mkdir(lockPath());
    await expect(lock()).rejects.toThrow(
      /lock, which says who uses the data folder, cannot be read \(EISDIR\)/,
    );
  });
});

/** A process that has ended, but whose parent has not asked how. */
async function startZombie(): Promise<{ pid: number; end(): Promise<unknown> }> {
  // It ends when its parent has become a program that asks for no children.
  const script = '( until grep -q sleep /proc/$$/comm; do :; done ) & echo $!; exec sleep 60';
  const parent = spawn('sh', ['-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  await vi.waitFor(
    async () => expect(await readFile(`/proc/${pid}/stat`, 'utf8')).toContain(') Z '),
    PATIENCE,
  );
  return {
    pid,
    end() {
      parent.kill();
      return once(parent, 'exit');
    },
  };
}

async function startTicksOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

describe('of many starters one wins, and the others name a holder', () => {
  const ROUNDS = 12;
  const beginnings: [string, () => Promise<void>][] = [
    ['in a free folder', () => Promise.resolve()],
    ['after a dead holder', async () => leaveLock({ pid: await deadPid() })],
    ['after an unreadable lock', () => writeFile(lockPath(), '')],
  ];

  it.each(beginnings)('in one process, %s', async (_where, begin) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      await begin();
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, () => lockFolder(folder, { times })),
      );
      const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      const lost = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
      expect(won).toHaveLength(1);
      for (const message of lost) expect(message).toContain(`in use by process ${process.pid}`);
      await won[0]?.release();
      expect(await readdir(folder)).toEqual([]);
    }
  });

  it.each(beginnings)('in several processes, %s (D3)', async (_where, begin) => {
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
        held = await lockFolder(${JSON.stringify(folder)}, ${JSON.stringify({ times })}).catch((error) => (console.log(error.message), null));
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
