// Every call of the storage that needs a descriptor is repeated when there was none (rule D8). fs-walk.test.ts tests the calls of
// requests; these tests cover the rarer ways.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { disk } from '../../helpers/failing-fs.ts';
import { entriesOf } from '../../../src/storage/disk/paths.ts';
import * as files from '../../../src/storage/disk/files.ts';
import { moveByCopy } from '../../../src/storage/disk/layered-move.ts';
import { LedgerUndos } from '../../../src/storage/disk/ledger-undos.ts';
import { readExtent, segmentsIn } from '../../../src/storage/disk/segment-files.ts';

vi.mock('node:fs', async (load) =>
  (await import('../../helpers/failing-fs.ts')).failingFs(await load<typeof import('node:fs')>()),
);
vi.mock('node:fs/promises', async (load) =>
  (await import('../../helpers/failing-fs.ts')).failingPromises(
    await load<typeof import('node:fs/promises')>(),
  ),
);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-fds-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const path = (name: string): string => join(folder, name);

/** Calls that a process without a descriptor cannot make. The system reports EMFILE for no other call. */
const TAKES_ONE = /^(open|opendir|readdir|readFile|writeFile|copyFile|truncate|rm) /;

/** Runs it once for each of its calls; that call finds no descriptor. Returns how many calls needed one. */
async function withEachRefused(
  prepare: () => Promise<unknown>,
  work: () => Promise<void>,
  check = (): Promise<void> => Promise.resolve(),
): Promise<number> {
  await prepare();
  const calls = await disk.counting(work);
  let took = 0;
  for (let call = 1; call <= calls; call += 1) {
    await prepare();
    const failure = { call, times: 1, code: 'EMFILE', isAfter: false };
    const error = await disk.failing(failure, work).catch((caught: unknown) => caught);
    const [refused] = disk.failedCalls();
    if (refused === undefined || !TAKES_ONE.test(refused)) continue;
    expect(error, refused).toBeUndefined();
    await check();
    took += 1;
  }
  return took;
}

async function textOf(pieces: AsyncIterable<Buffer>): Promise<string> {
  let text = '';
  for await (const piece of pieces) text += String(piece);
  return text;
}

describe('where there was no descriptor, and one is free again,', () => {
  it('a segment is read', async () => {
    const prepare = (): Promise<void> => writeFile(path('main'), 'abcdef');
    const took = await withEachRefused(prepare, async () => {
      expect(await textOf(readExtent(path('main'), { segment: 'main', offset: 1, bytes: 4 }))).toBe('bcde');
    });
    expect(took).toBe(1);
  });

  it('folders are listed', async () => {
    const prepare = (): Promise<void> => writeFile(path('main'), '');
    const took = await withEachRefused(prepare, async () => {
      expect(await segmentsIn(folder)).toEqual(['main']);
      for await (const { name } of entriesOf(folder)) expect(name).toBe('main');
    });
    expect(took).toBe(2);
  });

  it('a folder is moved by copying it', async () => {
    const [source, target, aside] = [path('source'), path('target'), path('aside')];
    const prepare = async (): Promise<void> => {
      await rm(target, { recursive: true, force: true });
      await mkdir(source, { recursive: true });
      await writeFile(join(source, 'main'), 'bytes');
    };
    const move = async (): Promise<void> => {
      expect(await moveByCopy({ source, target, aside, durability: 'fsync' })).toBe(true);
    };
    const took = await withEachRefused(prepare, move, async () => {
      expect(await readdir(folder)).toEqual(['target']);
      expect(await readdir(target)).toEqual(['main']);
      expect(await readFile(join(target, 'main'), 'utf8')).toBe('bytes');
    });
    expect(took).toBeGreaterThan(8);
  });

  it('a ledger is cut to what counts', async () => {
    const prepare = (): Promise<void> => writeFile(path('a.log'), 'counts, does not');
    const took = await withEachRefused(prepare, async () => {
      const undos = new LedgerUndos('fsync');
      undos.remember(path('a.log'), 6);
      await undos.finishUndo(path('a.log'));
      expect((await stat(path('a.log'))).size).toBe(6);
    });
    expect(took).toBe(1);
  });

  it('a file is written, read, cut and removed', async () => {
    const took = await withEachRefused(
      () => rm(path('a'), { force: true }),
      async () => {
        await files.writeFile(path('a'), 'abc');
        await files.truncate(path('a'), 2);
        expect(await files.readText(path('a'))).toBe('ab');
        await files.rm(path('a'), {});
      },
    );
    expect(took).toBe(4);
  });
});
