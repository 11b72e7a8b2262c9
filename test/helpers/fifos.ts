// helpers/fifos.ts: named pipes: what is read from one that nobody writes to hangs, and so does what is written to one that
// nobody reads.
//
// Promises: after each test they are closed and gone, and nothing of ours waits in them.
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

/** Makes one at the path, or in a folder of its own. */
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

/** Of a pipe: reads on until what came is what is wanted. */
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
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0; // Nothing is there now.
    throw error;
  }
}

/** Resolves when somebody hangs in reading it. */
export async function someoneReads(path: string): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await delay(POLL_MS)) {
    try {
      // It stays open: the reader hangs on, in reading instead of in opening.
      keep(openSync(path, constants.O_WRONLY | constants.O_NONBLOCK));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error; // Nobody yet.
    }
  }
  throw new Error(`nobody reads ${path}`);
}

function keep(fd: number): number {
  descriptors.add(fd);
  return fd;
}
