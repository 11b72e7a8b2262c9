// storage/disk/file-writes.test.ts: all bytes are written, however few the kernel takes at a time, and a slow disk delays no other
// request.
import fs from 'node:fs';
import { mkdtemp, open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { monotonicMs } from '../../../src/core/machine-time.ts';
import { FileWrites } from '../../../src/storage/disk/file-writes.ts';

vi.mock('../../../src/core/machine-time.ts', async (original) => {
  const real = await original<typeof import('../../../src/core/machine-time.ts')>();
  return { ...real, monotonicMs: vi.fn(real.monotonicMs) };
});

/** What the kernel is made to do, and which way each write took. */
const kernel = vi.hoisted(() => ({ takes: Number.POSITIVE_INFINITY, ways: [] as string[] }));

vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  const first = (buffers: readonly Buffer[]): Buffer =>
    (buffers[0] ?? Buffer.alloc(0)).subarray(0, kernel.takes);
  const way = (name: string): number => kernel.ways.push(name);
  type Done = (error: Error | null, written: number) => void;
  return {
    ...real,
    writeSync: (fd: number, ...[bytes, , , at]: [Buffer, number, number, number]) => {
      way('here');
      return real.writeSync(fd, bytes, 0, Math.min(bytes.length, kernel.takes), at);
    },
    writevSync: (fd: number, buffers: readonly Buffer[], at: number) => {
      way('here');
      return kernel.takes < Infinity
        ? real.writeSync(fd, first(buffers), 0, first(buffers).length, at)
        : real.writevSync(fd, buffers, at);
    },
    write: (fd: number, ...[bytes, , , at, done]: [Buffer, number, number, number, Done]) => {
      way('thread');
      real.write(fd, bytes, 0, Math.min(bytes.length, kernel.takes), at, done);
    },
    writev: (fd: number, ...[buffers, at, done]: [readonly Buffer[], number, Done]) => {
      way('thread');
      real.writev(fd, kernel.takes < Infinity ? [first(buffers)] : buffers, at, done);
    },
  };
});

const KIB = 1024;
let folder: string;
let file: FileHandle;

beforeEach(async () => {
  Object.assign(kernel, { takes: Number.POSITIVE_INFINITY, ways: [] });
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-writes-'));
  file = await open(join(folder, 'file'), 'w+');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await file.close();
  await rm(folder, { recursive: true });
});

const BUFFERS = ['one', 'two and more', '', 'three'].map((text) => Buffer.from(text));

describe('a write', () => {
  it.each([
    ['here', 0, Number.POSITIVE_INFINITY],
    ['here', 0, 2],
    ['thread', 4096 * KIB, Number.POSITIVE_INFINITY],
    ['thread', 4096 * KIB, 40 * KIB],
  ])('is whole and at its place, %s with %i bytes more, %d at a time', async (...[, more, takes]) => {
    kernel.takes = takes;
    const buffers = [...BUFFERS, Buffer.alloc(more, 'x')].filter(({ length }) => length > 0);
    await new FileWrites().all(file.fd, buffers, 5);
    const stored = await readFile(join(folder, 'file'));
    // By `equals`: a matcher that could show the difference looks at each of the bytes for some microseconds.
    expect(stored.equals(Buffer.concat([Buffer.alloc(5), ...buffers]))).toBe(true);
  });

  it('of a batch is done at once, a longer one by another thread', async () => {
    const writes = new FileWrites();
    for (const bytes of [10, 4096 * KIB, 4096 * KIB + 1]) await writes.all(file.fd, [Buffer.alloc(bytes)], 0);
    expect(kernel.ways).toEqual(['here', 'here', 'thread']);
  });

  it('that was slow sends the next ones to other threads, for a second', async () => {
    const writes = new FileWrites();
    const now = vi.mocked(monotonicMs);
    const writeAt = async (beganMs: number, endedMs: number): Promise<void> => {
      now.mockReturnValueOnce(beganMs).mockReturnValueOnce(endedMs).mockReturnValue(endedMs);
      await writes.all(file.fd, [Buffer.from('bytes')], 0);
      now.mockReset();
    };
    for (const [beganMs, endedMs] of [
      [0, 1],
      [10, 30],
      [31, 32],
      [1_029, 1_030],
      [1_031, 1_032],
    ] as const)
      await writeAt(beganMs, endedMs);
    expect(kernel.ways).toEqual(['here', 'here', 'thread', 'thread', 'here']);
  });

  it('that fails says so, either way', async () => {
    const readOnly = await open(join(folder, 'file'), 'r');
    for (const bytes of [10, 600 * KIB])
      await expect(new FileWrites().all(readOnly.fd, [Buffer.alloc(bytes)], 0)).rejects.toThrow('EBADF');
    await readOnly.close();
  });
});
