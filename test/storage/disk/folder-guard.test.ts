import { mkdtemp, open, readFile, rename, rm, stat, utimes, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError, InDoubt } from '../../../src/core/errors.ts';
import { FolderGuard } from '../../../src/storage/disk/folder-guard.ts';
import { fileIdOf, thisProcess } from '../../../src/storage/disk/lock-holder.ts';
import { LOCK_TIMES } from '../../../src/storage/disk/lock-watch.ts';
import { asRefusal } from '../../../src/core/system-errors.ts';

let parent: string;
let folder: string;
let path: string;
let guard: FolderGuard;
let nowMs: number;
let told: string[];

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'xenonflare-mock-guard-'));
  folder = join(parent, 'data');
  path = join(folder, 'lock');
  await mkdir(folder);
  await writeFile(path, '');
  const fileId = fileIdOf(await stat(path));
  await writeFile(path, JSON.stringify(thisProcess('ours', fileId)));
  nowMs = 1_000;
  told = [];
  const tell = (what: string) => (message: string) => void told.push(`${what}: ${message}`);
  guard = new FolderGuard(
    { folder, path, handle: await open(path, 'r'), fileId, token: 'ours' },
    {
      times: LOCK_TIMES,
      now: () => nowMs,
      onTrouble: tell('trouble'),
      onRecovered: tell('recovered'),
      onLost: tell('lost'),
    },
  );
});
afterEach(async () => {
  await guard.stop();
  await rm(parent, { recursive: true, force: true });
});

/** Another starter took over: its file is at the path of ours. */
async function takeOver(): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify({ ...thisProcess('theirs', ''), pid: 77, host: 'other' }));
  await rename(`${path}.new`, path);
}

const systemError = (code: string): Error => Object.assign(new Error(code), { code });

describe('the lease', () => {
  it('lets work begin without a look for 2 ms, and not after', async () => {
    await takeOver();
    nowMs += 1;
    guard.assertWritable();
    nowMs += 1;
    expect(() => guard.assertWritable()).toThrow(AppError);
  });

  it('does not acknowledge anything without a look, however young the lease is', async () => {
    await takeOver();
    nowMs += 1;
    expect(() => guard.confirm()).toThrow(AppError);
  });

  it('of a holder that was stopped for minutes is over when it goes on (D3)', async () => {
    guard.assertWritable();
    guard.confirm();
    await takeOver();
    nowMs += 180_000;
    expect(guard.writeRefusal()?.code).toBe('storage_unavailable');
    expect(guard.readRefusal()?.code).toBe('storage_unavailable');
  });

  it('that another has is lost for ever, and told once', async () => {
    await takeOver();
    guard.look();
    await rm(path);
    guard.look();
    expect(guard.isLost).toBe(true);
    expect(told).toEqual([
      expect.stringMatching(/^lost: the data folder .*data was taken over by process 77 on other at .*ends$/),
    ]);
  });
});

describe('a folder that is not where it was', () => {
  it('is told once, and refused until it is back', async () => {
    await rename(folder, `${folder}-away`);
    for (let i = 0; i < 3; i += 1) guard.look();
    expect(told).toEqual([expect.stringMatching(/^trouble: .*is gone.*put it back as it was, or restart/)]);
    expect(guard.readRefusal()?.code).toBe('storage_unavailable');
    await rename(`${folder}-away`, folder);
    guard.look();
    expect(guard.writeRefusal()).toBeNull();
    expect(told).toEqual([told[0], expect.stringMatching(/^recovered: /)]);
    expect(guard.isLost).toBe(false);
  });

  it('is not there again when an empty one is made in its place', async () => {
    await rm(folder, { recursive: true });
    await mkdir(folder);
    guard.look();
    expect(guard.writeRefusal()?.code).toBe('storage_unavailable');
  });

  it('is not there again when a copy of it is put in its place: open files are those of the original', async () => {
    const text = await readFile(path);
    await rename(folder, `${folder}-away`);
    await mkdir(folder);
    await writeFile(path, text);
    guard.look();
    expect(guard.writeRefusal()?.code).toBe('storage_unavailable');
    expect(told).toEqual([expect.stringContaining('is another one than this server opened')]);
    expect(guard.isLost).toBe(false);
  });

  it('lies in something that is no folder any more: the same, with what the system says', async () => {
    await rm(folder, { recursive: true });
    await writeFile(folder, '');
    guard.look();
    expect(told).toEqual([expect.stringMatching(/^trouble: .*(is gone|cannot be reached \(ENOTDIR)/)]);
  });
});

describe('a failed system call', () => {
  it('is a refusal when the folder is gone, and what it was when the folder is there', async () => {
    for (const code of ['ENOENT', 'ENOTDIR', 'EIO']) {
      const error = systemError(code);
      expect(guard.explain(error)).toBe(error);
    }
    const told507 = asRefusal(systemError('ENOSPC'));
    await rm(folder, { recursive: true });
    expect(guard.explain(told507)).toBe(told507);
    for (const code of ['ENOENT', 'ENOTDIR', 'EIO'])
      expect(guard.explain(asRefusal(systemError(code)))).toMatchObject({ code: 'storage_unavailable' });
  });

  it('that left in doubt what is stored still says so', async () => {
    await rm(folder, { recursive: true });
    const doubt = Object.assign(new InDoubt('internal_error', 'who knows'), { cause: systemError('EIO') });
    expect(guard.explain(doubt)).toBe(doubt);
    expect(told).toHaveLength(1);
  });

  it('of a read-only filesystem refuses writes, not reads, until the lock can be touched again (D6)', async () => {
    expect(guard.explain(asRefusal(systemError('EROFS')))).toMatchObject({ code: 'storage_unavailable' });
    expect(guard.writeRefusal()?.code).toBe('storage_unavailable');
    expect(guard.readRefusal()).toBeNull();
    expect(told).toEqual([expect.stringMatching(/^trouble: .*is read-only; make it writable/)]);
    await guard.beat();
    expect(guard.writeRefusal()).toBeNull();
  });
});

it('a beat touches the lock wherever the folder is, and never to the same time', async () => {
  const seen = new Set<number>();
  const away = join(parent, 'away');
  await rename(folder, away);
  const ahead = Date.now() / 1_000 + 3_600;
  await utimes(join(away, 'lock'), ahead, ahead);
  for (let i = 0; i < 5; i += 1) {
    await guard.beat();
    seen.add((await stat(join(away, 'lock'))).mtimeMs);
  }
  expect(seen.size).toBe(5);
});
