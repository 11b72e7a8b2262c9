// helpers/fifos.ts: named pipes. A read hangs when nobody writes to the pipe, and a write hangs when nobody reads from it.
//
// Promises: after each test the pipes are closed and removed, and nothing in this process waits on them.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEachTest } from './after-each-test.ts';

const PATIENCE_MS = 60_000;
const POLL_MS = 20;

const descriptors = new Set<number>();
const folders = new Set<string>();

afterEachTest(async () => {
  descriptors.forEach(close);
  await Promise.all([...folders].map((folder) => rm(folder, { recursive: true })));
  folders.clear();
});

/** Makes a pipe at the path, or in a new folder. */
export async function makeFifo(path?: string): Promise<string> {
  if (path !== undefined) {
    execFileSync('mkfifo', [path]);
    return path;
  }
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-fifo-'));
  folders.add(folder);
  return makeFifo(join(folder, 'fifo'));
}

export function close(fd: number): void {
  descriptors.delete(fd);
  closeSync(fd);
}

/** A pipe with both of its ends open here. Give `writer` to a process and close it. */
export async function openPipe(): Promise<{ reader: number; writer: number }> {
  const path = await makeFifo();
  const reader = keep(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  return { reader, writer: keep(openSync(path, constants.O_WRONLY)) };
}

/** Reads on from a pipe until the text is what is wanted. */
export async function readUntil(reader: number, isWanted: (text: string) => boolean): Promise<string> {
  const block = Buffer.alloc(65_536);
  let bytes = Buffer.alloc(0);
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end;) {
    const read = readNow(reader, block);
    if (read === 0) {
      if (isWanted(bytes.toString())) return bytes.toString();
      await delay(POLL_MS);
    }
    bytes = Buffer.concat([bytes, block.subarray(0, read)]);
  }
  throw new Error(`what was wanted did not come; ${bytes.length} bytes came`);
}

function readNow(reader: number, block: Buffer): number {
  try {
    return readSync(reader, block);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0; // The pipe is empty at this moment.
    throw error;
  }
}

/** Resolves when some process hangs while it reads the pipe. */
export async function someoneReads(path: string): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await delay(POLL_MS)) {
    try {
      // The writer stays open, so the reader continues to hang: now in reading, before in opening.
      keep(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error; // ENXIO: no reader yet.
    }
  }
  throw new Error(`nobody reads ${path}`);
}

function keep(fd: number): number {
  descriptors.add(fd);
  return fd;
}
