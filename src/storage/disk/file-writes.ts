// storage/disk/file-writes.ts: bytes into a file, at a position, in the way that costs least.
//
// A write ends in the page cache: doing it here takes less than handing it to another thread and being woken at its end
// (bench/README.md has the figures). So batches are written at once. What is longer goes to the thread pool, and so does
// everything for a while after a write was slow: a kernel that holds up who dirties memory faster than the disk takes it
// must not hold up every other request.
//
// Promises: all bytes are written when it resolves; the buffers are the caller's again.
// Must not know: which file, what is in it, when it is synced.
import { write, writeSync, writev, writevSync } from 'node:fs';
import { monotonicMs } from '../../core/machine-time.ts';

/** A batch of a body is shorter (http/connection/body-feed.ts). Longer ones are worth a thread. */
const MAX_DIRECT_BYTES = 4 * 1024 * 1024;
const SLOW_MS = 8;
const PATIENCE_MS = 1_000;

export class FileWrites {
  /** Until then no write is done here. */
  #threadedUntil = 0;

  /** @throws the error of write(2), after which some of the bytes may be in the file */
  async all(fd: number, buffers: readonly Buffer[], position: number): Promise<void> {
    let rest = buffers;
    let at = position;
    while (rest.length > 0) {
      const written = await this.#some(fd, rest, at);
      at += written;
      rest = dropBytes(rest, written);
    }
  }

  /** What one call writes: the kernel may take less than it is given. */
  #some(fd: number, buffers: readonly Buffer[], position: number): number | Promise<number> {
    const startedAt = monotonicMs();
    if (startedAt < this.#threadedUntil || !isShort(buffers)) return writeByThread(fd, buffers, position);
    const written = writeHere(fd, buffers, position);
    const endedAt = monotonicMs();
    if (endedAt - startedAt > SLOW_MS) this.#threadedUntil = endedAt + PATIENCE_MS;
    return written;
  }
}

function isShort(buffers: readonly Buffer[]): boolean {
  let bytes = 0;
  for (const { length } of buffers) bytes += length;
  return bytes <= MAX_DIRECT_BYTES;
}

function writeHere(fd: number, buffers: readonly Buffer[], position: number): number {
  const [first] = buffers;
  return buffers.length === 1 && first !== undefined
    ? writeSync(fd, first, 0, first.length, position)
    : writevSync(fd, buffers, position);
}

/** By hand: the promise of `fs.promises` costs about twice as much, and while the disk is slow this runs once for each batch. */
function writeByThread(fd: number, buffers: readonly Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, written: number): void => (error ? reject(error) : resolve(written));
    const [first] = buffers;
    if (buffers.length === 1 && first !== undefined) write(fd, first, 0, first.length, position, done);
    else writev(fd, buffers, position, done);
  });
}

/** What is left after a write of `count` bytes. */
function dropBytes(buffers: readonly Buffer[], count: number): readonly Buffer[] {
  let skip = count;
  for (let i = 0; i < buffers.length; i += 1) {
    const buffer = buffers[i];
    if (buffer === undefined) break;
    if (skip < buffer.length) return [buffer.subarray(skip), ...buffers.slice(i + 1)];
    skip -= buffer.length;
  }
  return [];
}
