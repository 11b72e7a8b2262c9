// A file that cannot be closed, as on a network filesystem that writes only then: the code that relies on the write is told (rules
// C3, D1).
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DiskBytes } from '../../../src/storage/disk/bytes.ts';
import type { Durability } from '../../../src/storage/disk/paths.ts';
import type { StorageKey } from '../../../src/uploads/ports.ts';

const system = vi.hoisted(() => ({
  /** With what the next close ends. */
  nextClose: null as Error | null,
  /** When it ends. */
  closeEnds: (end: () => void): void => end(),
}));
vi.mock('node:fs', async (load) => {
  const real = await load<typeof import('node:fs')>();
  const close = (fd: number, done: (error: Error | null) => void): void => {
    const failure = system.nextClose;
    system.nextClose = null;
    // It is closed, whatever the system reports.
    real.close(fd, (error) => system.closeEnds(() => done(failure ?? error)));
  };
  return { ...real, close };
});

let folder: string;
let noted: unknown[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-close-'));
  noted = [];
  system.nextClose = null;
  system.closeEnds = (end) => end();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const NO_ROOM = Object.assign(new Error('ENOSPC: close'), { code: 'ENOSPC', syscall: 'close' });
const placeOf = (name: string): StorageKey => ({
  kind: 'uploads',
  namespace: 'public',
  name: name.repeat(40),
});
const [ours, other] = [placeOf('a'), placeOf('b')];

/** Keeps one file open. */
async function openBytes(durability: Durability): Promise<DiskBytes> {
  const notes = {
    onCloseError: (error: unknown) => void noted.push(error),
    onCopied: () => undefined,
    onSkipped: () => undefined,
  };
  const bytes = new DiskBytes({
    root: join(folder, 'bytes'),
    spoolRoot: join(folder, 'spool'),
    durability,
    maxOpenFiles: 1,
    notes,
  });
  await bytes.start();
  return bytes;
}

const write = (bytes: DiskBytes, place: StorageKey, offset = 0): Promise<void> =>
  bytes.write(place, { segment: 'main', offset }, [Buffer.from('some bytes')]);

/** Its file is closed to make room, and the system reports that it could not be written. */
async function closeFailing(bytes: DiskBytes): Promise<void> {
  system.nextClose = NO_ROOM;
  await write(bytes, other);
  await vi.waitFor(() => expect(noted).toEqual([NO_ROOM]));
}

describe.each<Durability>(['fsync', 'none'])(
  'with %s, a file that is closed to make room, and fails,',
  (durability) => {
    it('is not relied on, and told once: what is written again is', async () => {
      const bytes = await openBytes(durability);
      await write(bytes, ours);
      await closeFailing(bytes);
      await write(bytes, ours, 10);
      await expect(bytes.sync(ours, 'main')).rejects.toBe(NO_ROOM);
      await write(bytes, ours);
      await bytes.sync(ours, 'main');
      await bytes.close();
    });

    it('is relied on when all of what may be lost was written anew: a chunk that is sent again', async () => {
      const bytes = await openBytes(durability);
      await write(bytes, ours);
      await bytes.sync(ours, 'main');
      await write(bytes, ours, 10);
      await closeFailing(bytes);
      await write(bytes, ours, 10);
      await bytes.sync(ours, 'main');
      await bytes.close();
    });

    it('is not relied on while it is still being closed', async () => {
      const bytes = await openBytes(durability);
      await write(bytes, ours);
      system.nextClose = NO_ROOM;
      const held: (() => void)[] = [];
      let isHeld = true;
      system.closeEnds = (end) => void (isHeld ? held.push(end) : end());
      await write(bytes, other);
      const syncing = bytes.sync(ours, 'main');
      isHeld = false;
      for (const end of held) end();
      await expect(syncing).rejects.toBe(NO_ROOM);
      await bytes.close();
    });

    it('is noted, and no more, when what counts of it was synced before', async () => {
      const bytes = await openBytes(durability);
      await write(bytes, ours);
      await bytes.sync(ours, 'main');
      await closeFailing(bytes);
      await bytes.sync(ours, 'main');
      await bytes.close();
    });

    it.each([
      ['cut', (bytes: DiskBytes) => bytes.truncate(ours, 'main', 3)],
      ['removed', (bytes: DiskBytes) => bytes.truncate(ours, 'main', 0)],
      ['given up', (bytes: DiskBytes) => bytes.release(ours)],
    ])('is forgotten when what was written is %s', async (_how, end) => {
      const bytes = await openBytes(durability);
      await write(bytes, ours);
      await closeFailing(bytes);
      await end(bytes);
      await write(bytes, ours);
      await bytes.sync(ours, 'main');
      await bytes.close();
    });

    it('becomes nobody’s segment', async () => {
      const bytes = await openBytes(durability);
      const spool = await bytes.spool();
      await spool.append([Buffer.from('some bytes')]);
      await closeFailing(bytes);
      await expect(bytes.adopt(spool, ours, 'c0')).rejects.toBe(NO_ROOM);
      await spool.discard();
      await bytes.close();
    });
  },
);
