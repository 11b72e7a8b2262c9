// The owner of a data folder became silent, another process took the folder over, and the old owner continues with what it had
// begun (rule D3). The old owner here is the worst possible one: a storage that looks at no lock at all.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DiskBytes } from '../../../src/storage/disk/bytes.ts';
import { openDiskStorage } from '../../../src/storage/disk/disk-storage.ts';
import { DiskLedgers } from '../../../src/storage/disk/ledger.ts';
import { findParts, renameParts } from '../../../src/storage/disk/parts.ts';
import type { Ledger, OpenedLedger, Storage } from '../../../src/uploads/ports.ts';
import { disk } from '../../helpers/failing-fs.ts';
import { place, textOf } from '../../helpers/storage-suite.ts';

vi.mock('node:fs', async (importOriginal) =>
  (await import('../../helpers/failing-fs.ts')).failingFs(await importOriginal()),
);
vi.mock('node:fs/promises', async (importOriginal) =>
  (await import('../../helpers/failing-fs.ts')).failingPromises(await importOriginal()),
);

const times = { beatMs: 40, lockStillMs: 300, namelessMs: 60, lookMs: 20 };
const ignore = (): void => undefined;

let folder: string;
let storage: Storage | null;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-parts-'));
  storage = null;
});
afterEach(async () => {
  await Promise.all(openLedgers.splice(0).map((ledger) => ledger.close()));
  await storage?.close();
  await rm(folder, { recursive: true, force: true });
});

async function open(): Promise<Storage> {
  storage = await openDiskStorage(folder, 'fsync', {
    times,
    onCloseError: ignore,
    onCopied: ignore,
    onSkipped: ignore,
  });
  return storage;
}

async function reopen(): Promise<Storage> {
  await storage?.close();
  return open();
}

/** A lock whose holder cannot be looked up, and does not move. */
async function leaveLock(facts: object = {}): Promise<void> {
  const holder = { pid: 4_194_000, host: 'elsewhere', token: 'old', since: '2020-01-02T03:04:05.678Z' };
  await writeFile(
    join(folder, 'lock'),
    JSON.stringify({ ...holder, boot: 'b', pidNamespace: 'p', ...facts }),
  );
}

/** What the old owner is working on. */
async function oldOwner(): Promise<{ ledgers: DiskLedgers; bytes: DiskBytes }> {
  const notes = { onCloseError: ignore, onCopied: ignore, onSkipped: ignore };
  const ledgers = new DiskLedgers(join(folder, 'ledgers'), 'fsync', notes);
  const bytes = new DiskBytes({
    root: join(folder, 'bytes'),
    spoolRoot: join(folder, 'spool'),
    durability: 'fsync',
    maxOpenFiles: 8,
    notes,
  });
  await bytes.start();
  return { ledgers, bytes };
}

const openLedgers: Ledger[] = [];

/** It is closed after the test. */
function kept<T extends Ledger>(ledger: T): T {
  openLedgers.push(ledger);
  return ledger;
}

async function opened(of: Storage): Promise<OpenedLedger> {
  const found = await of.ledgers.open(place());
  if (found === null) throw new Error('there is no such ledger');
  kept(found.ledger);
  return found;
}

async function recordsOf(of: Storage, what = place()): Promise<readonly object[] | null> {
  const found = await of.ledgers.open(what);
  await found?.ledger.close();
  return found?.records ?? null;
}

const partsIn = async (): Promise<string[]> =>
  (await readdir(folder)).filter((name) => /^(ledgers|bytes|spool)/.test(name)).toSorted();

async function taken(): Promise<{ old: Ledger; heir: OpenedLedger; of: Storage }> {
  const { ledgers } = await oldOwner();
  const old = kept(await ledgers.create(place(), [{ n: 1 }]));
  await leaveLock();
  const of = await open();
  return { old, heir: await opened(of), of };
}

describe('the parts of a data folder', () => {
  it('have no number, however often it is opened after an end that was seen', async () => {
    await open();
    await (await reopen()).close();
    await leaveLock({ pid: 4_194_001, ...(await here()) });
    await open();
    expect(await partsIn()).toEqual(['spool']);
    expect((await findParts(folder)).number).toBe(0);
  });

  it('get the next number when the lock of an owner whose end nobody saw is taken over, and keep it (D3)', async () => {
    const { ledgers } = await oldOwner();
    await (await ledgers.create(place(), [{ n: 1 }])).close();
    await leaveLock();
    await open();
    expect(await partsIn()).toEqual(['bytes.1', 'ledgers.1', 'spool.1']);
    await reopen();
    expect(await partsIn()).toEqual(['bytes.1', 'ledgers.1', 'spool.1']);
    await storage?.close();
    await leaveLock();
    await open();
    expect(await partsIn()).toEqual(['bytes.2', 'ledgers.2', 'spool.2']);
    expect(await recordsOf(await reopen())).toEqual([{ n: 1 }]);
  });

  it('get it also when who took over died before it came to it', async () => {
    await leaveLock({ followsUnseen: true, pid: 4_194_001, ...(await here()) });
    await open();
    expect(await partsIn()).toEqual(['bytes.1', 'ledgers.1', 'spool.1']);
  });

  it.each(['rename', 'mkdir'])('get it by the next start when a %s of this one failed', async (call) => {
    await mkdir(join(folder, 'ledgers'));
    await mkdir(join(folder, 'bytes'));
    await leaveLock();
    const only = new RegExp(`^${call} .*(bytes|spool[.])`);
    const failure = { call: 1, times: 1, code: 'EIO', isAfter: false, only };
    await expect(disk.failing(failure, open)).rejects.toThrow('EIO');
    await open();
    const [bytes, ledgers, spool] = await partsIn();
    expect(ledgers).toMatch(/^ledgers\.[12]$/);
    expect([bytes, spool]).toEqual([
      ledgers?.replace('ledgers', 'bytes'),
      ledgers?.replace('ledgers', 'spool'),
    ]);
  });

  it('of which one was renamed meanwhile by the one who was stopped at it are found all the same', async () => {
    await mkdir(join(folder, 'bytes.1'));
    await mkdir(join(folder, 'ledgers'));
    await writeFile(join(folder, 'ledgers', 'a'), '');
    const { number } = await renameParts(folder, 'fsync');
    expect(number).toBe(2);
    expect(await partsIn()).toEqual(['bytes.2', 'ledgers.2', 'spool.2']);
    expect(await readdir(join(folder, 'ledgers.2'))).toEqual(['a']);
  });

  it.each(['EXDEV', 'EBUSY'])('stay where they are when they cannot be renamed (%s)', async (code) => {
    const { ledgers } = await oldOwner();
    await (await ledgers.create(place(), [{ n: 1 }])).close();
    await leaveLock();
    const failure = { call: 1, times: 9, code, isAfter: false, only: /^rename .*(bytes|ledgers)$/ };
    const of = await disk.failing(failure, open);
    expect(await recordsOf(of)).toEqual([{ n: 1 }]);
    expect(await partsIn()).toEqual(['bytes.1', 'ledgers', 'spool.1']);
  });
});

describe('a ledger of an owner whose end nobody saw', () => {
  it('is another file from the first line on that is added to it (D3)', async () => {
    const { old, heir, of } = await taken();
    await heir.ledger.append([{ n: 'heir' }]);
    await old.append([{ n: 'old' }]);
    await heir.ledger.append([{ n: 3 }]);
    expect(await recordsOf(of)).toEqual([{ n: 1 }, { n: 'heir' }, { n: 3 }]);
    expect(await recordsOf(await reopen())).toEqual([{ n: 1 }, { n: 'heir' }, { n: 3 }]);
  });

  it('is one from `takeOver` on: what comes later does not count', async () => {
    const { old, heir, of } = await taken();
    await heir.takeOver?.();
    await old.append([{ n: 'old' }]);
    expect(await recordsOf(of)).toEqual([{ n: 1 }]);
    expect((await opened(of)).takeOver).toBeDefined(); // The old owner may still have some of its segments open.
  });

  it('is one without the record that is revoked', async () => {
    const { ledgers } = await oldOwner();
    const old = kept(await ledgers.create(place(), [{ n: 1 }]));
    await old.append([{ n: 2 }]);
    await leaveLock();
    const { ledger } = await opened(await open());
    await ledger.revoke();
    await ledger.append([{ n: 3 }]);
    expect(await recordsOf(await reopen())).toEqual([{ n: 1 }, { n: 3 }]);
  });

  it('is copied once, and keeps the time of its last line', async () => {
    const { of, heir } = await taken();
    const before = await first(of);
    await heir.takeOver?.();
    expect((await first(of)).modifiedAt).toBeCloseTo(before.modifiedAt, -1);
    const again = await opened(of);
    const calls = await disk.counting(async () => again.takeOver?.());
    expect(calls).toBe(0);
  });

  it('is read without a copy while there is no room for one, and is as it was when it is refused', async () => {
    const { heir, of } = await taken();
    const full = { call: 1, times: 99, code: 'ENOSPC', isAfter: false, only: /^open .*spool[.]1/ };
    await disk.failing(full, async () => {
      await heir.takeOver?.();
      await expect(heir.ledger.append([{ n: 2 }])).rejects.toThrow('full');
    });
    expect(await recordsOf(of)).toEqual([{ n: 1 }]);
    await heir.ledger.append([{ n: 2 }]);
    expect(await recordsOf(await reopen())).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8, 9])(
    'loses nothing and gains nothing when call %i of an append fails, and can be appended to again',
    async (call) => {
      const { heir } = await taken();
      const failure = { call, times: 1, code: 'EIO', isAfter: false };
      const told = await disk
        .failing(failure, () => heir.ledger.append([{ n: 2 }]))
        .then(
          () => 'stored',
          () => 'refused',
        );
      const after = await opened(await reopen());
      expect(after.records).toEqual(told === 'stored' ? [{ n: 1 }, { n: 2 }] : [{ n: 1 }]);
      await after.ledger.append([{ n: 3 }]);
      expect((await recordsOf(await reopen()))?.at(-1)).toEqual({ n: 3 });
    },
  );

  it('that the new owner made is its own', async () => {
    const { of } = await taken();
    await (await of.ledgers.create(place('b2'), [{ n: 1 }])).close();
    const own = await of.ledgers.open(place('b2'));
    expect(own?.records).toEqual([{ n: 1 }]);
    expect(own?.takeOver).toBeUndefined();
    await own?.ledger.close();
  });
});

describe('calls of the old owner that name a path', () => {
  it('find nothing of the new one (D3)', async () => {
    const { ledgers, bytes } = await oldOwner();
    await (await ledgers.create(place(), [{ n: 1 }])).close();
    await bytes.write(place(), { segment: 'main', offset: 0 }, [Buffer.from('one')]);
    await bytes.sync(place(), 'main');
    const spool = await bytes.spool();
    await spool.append([Buffer.from('OLD')]);
    await leaveLock();
    const of = await open();
    await of.bytes.write(place(), { segment: 'c1', offset: 0 }, [Buffer.from('two')]);
    await expect(bytes.adopt(spool, place(), 'c1')).rejects.toThrow('ENOENT');
    await bytes.truncate(place(), 'c1', 0);
    await expect(bytes.truncate(place(), 'main', 1)).rejects.toThrow('ENOENT');
    await bytes.remove(place());
    await ledgers.remove(place());
    await ledgers.tidy();
    expect(await recordsOf(of)).toEqual([{ n: 1 }]);
    const extents = [
      { segment: 'main', offset: 0, bytes: 3 },
      { segment: 'c1', offset: 0, bytes: 3 },
    ];
    expect(await textOf(of.bytes.read(place(), extents))).toBe('onetwo');
    await bytes.close();
  });
});

async function first(of: Storage): Promise<{ modifiedAt: number }> {
  for await (const found of of.ledgers.list('uploads')) return found;
  throw new Error('there is none');
}

/** A place where the pids of this machine can be looked up. */
async function here(): Promise<object> {
  await open();
  const { boot, pidNamespace } = JSON.parse(await readFile(join(folder, 'lock'), 'utf8')) as Record<
    string,
    string
  >;
  await storage?.close();
  storage = null;
  return { boot, pidNamespace };
}
