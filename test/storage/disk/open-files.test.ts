import { readSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OpenFiles } from '../../../src/storage/disk/open-files.ts';

let folder: string;
let files: OpenFiles;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-files-'));
  files = new OpenFiles(3, (error) => expect.fail(String(error)));
});
afterEach(async () => {
  await files.closeAll();
  await rm(folder, { recursive: true, force: true });
});

const path = (name: string): string => join(folder, name);
const touch = (name: string): Promise<number> =>
  files.use(path(name), { create: true, from: 0 }, (fd) => Promise.resolve(writeSync(fd, name, 0)));

/** Names of the files in the folder that this process has open. */
async function openNames(): Promise<string[]> {
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  return links
    .filter((link) => link.startsWith(`${folder}/`))
    .map((link) => link.slice(folder.length + 1))
    .toSorted();
}

/** Holds a file in use until it is let go. */
function hold(name: string): { fd: Promise<number>; letGo: () => Promise<void> } {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  let resolveFd: (fd: number) => void = () => undefined;
  const fd = new Promise<number>((resolve) => (resolveFd = resolve));
  const using = files.use(path(name), { create: true, from: 0 }, (opened) => {
    resolveFd(opened);
    return ended;
  });
  const letGo = async (): Promise<void> => {
    end();
    await using;
  };
  return { fd, letGo };
}

it('a file is opened once for all of its uses', async () => {
  const seen = new Set<number>();
  for (let i = 0; i < 5; i += 1) {
    await files.use(path('a'), { create: i === 0, from: 0 }, (fd) => Promise.resolve(seen.add(fd)));
  }
  expect(seen.size).toBe(1);
  expect(files.has(path('a'))).toBe(true);
});

it('uses at the same time share one descriptor', async () => {
  await writeFile(path('a'), 'content');
  const reads = Array.from({ length: 10 }, (_, i) =>
    files.use(path('a'), { create: false, from: 0 }, (fd) => {
      const buffer = Buffer.alloc(1);
      readSync(fd, buffer, 0, 1, i % 7);
      return Promise.resolve([fd, buffer.toString()] as const);
    }),
  );
  const results = await Promise.all(reads);
  expect(new Set(results.map(([fd]) => fd)).size).toBe(1);
  expect(results.map(([, text]) => text).join('')).toBe('contentcon');
});

it('a file that is not there is refused, and can be made afterwards', async () => {
  await expect(
    files.use(path('a'), { create: false, from: 0 }, () => Promise.resolve()),
  ).rejects.toMatchObject({
    code: 'ENOENT',
  });
  await touch('a');
  expect(await readFile(path('a'), 'utf8')).toBe('a');
});

it('a file that is to be new is refused when it is there, and is not changed', async () => {
  await writeFile(path('a'), 'old');
  await expect(touch('a')).rejects.toMatchObject({ code: 'EEXIST' });
  expect(await readFile(path('a'), 'utf8')).toBe('old');
});

it('an error of the work is passed on and the file can be used and closed afterwards', async () => {
  await expect(
    files.use(path('a'), { create: true, from: 0 }, () => Promise.reject(new Error('broke'))),
  ).rejects.toThrow('broke');
  await files.use(path('a'), { create: false, from: 0 }, () => Promise.resolve());
  await files.close(path('a'));
});

describe.runIf(process.platform === 'linux')('descriptors', () => {
  it('are at most so many, and those unused for longest go first', async () => {
    for (const name of ['a', 'b', 'c']) await touch(name);
    await files.use(path('a'), { create: false, from: 0 }, () => Promise.resolve());
    await touch('d');
    await expect.poll(openNames).toEqual(['a', 'c', 'd']);
    await touch('e');
    await expect.poll(openNames).toEqual(['a', 'd', 'e']);
  });

  it('in use are kept beyond the limit, and closed by a later one when they are free', async () => {
    const held = ['a', 'b', 'c', 'd', 'e'].map(hold);
    await Promise.all(held.map(({ fd }) => fd));
    expect(await openNames()).toEqual(['a', 'b', 'c', 'd', 'e']);
    for (const { letGo } of held) await letGo();
    await touch('f');
    await expect.poll(openNames).toHaveLength(3);
  });

  it('in use are not closed under their user: closing waits', async () => {
    const { fd, letGo } = hold('a');
    const opened = await fd;
    let isClosed = false;
    const closing = files.close(path('a')).then(() => (isClosed = true));
    await new Promise(setImmediate);
    expect(isClosed).toBe(false);
    expect(writeSync(opened, 'still open', 0)).toBe(10);
    await letGo();
    await closing;
    expect(await openNames()).toEqual([]);
  });

  it('of a file that is being closed are not given out again', async () => {
    const { fd, letGo } = hold('a');
    const first = await fd;
    const closing = files.close(path('a'));
    const second = await files.use(path('a'), { create: false, from: 0 }, (other) => Promise.resolve(other));
    expect(second).not.toBe(first);
    await letGo();
    await closing;
    expect(await openNames()).toEqual(['a']);
  });

  it('of a folder are closed with it, those of a folder with a longer name are not', async () => {
    for (const name of ['p1', 'p11']) await mkdir(path(name));
    for (const name of ['p1/a', 'p1/b', 'p11/a']) await touch(name);
    await files.closeFolder(path('p1'));
    expect(await openNames()).toEqual(['p11/a']);
  });

  it('are all closed by closeAll, and closing what is not open is no error', async () => {
    for (const name of ['a', 'b']) await touch(name);
    await files.closeAll();
    await files.closeAll();
    await files.close(path('a'));
    expect(await openNames()).toEqual([]);
  });
});
