// storage/disk/file-writes.ts: writes bytes to a position of a file, in the cheapest way.
//
// A write ends in the page cache. A direct call takes less time than to hand the write to another thread and to be woken at its
// end (figures: bench/README.md). So a batch is written directly. A longer write goes to the thread pool. After a slow write,
// every write goes there for a while: a kernel may delay a writer that fills memory faster than the disk can take it, and this
// must not delay every other request.
//
// Promises: when a write resolves, all its bytes are written, and the caller may use the buffers again.
// It does not know when the file is synced.
import { write, writeSync, writev, writevSync } from 'node:fs';
import { monotonicMs } from '../../core/machine-time.ts';

/** A batch of a body is shorter (http/connection/body-feed.ts). Longer writes are worth the cost of a thread. */
const MAX_DIRECT_BYTES = 4 * 1024 * 1024;
const SLOW_MS = 8;
const PATIENCE_MS = 1_000;

export class FileWrites {
  /** Until this time, all writes go to the thread pool. */
  #threadedUntil = 0;

  /** @throws the error of write(2). Some of the bytes may then be in the file */
  async all(fd: number, buffers: readonly Buffer[], position: number): Promise<void> {
    let rest = buffers;
    let at = position;
    while (rest.length > 0) {
      const written = await this.#some(fd, rest, at);
      at += written;
      rest = dropBytes(rest, written);
    }
  }

  /** The number of bytes that one call wrote. The kernel may write fewer than it is given. */
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

/**
 * The callback function is wrapped here, because `fs.promises` costs about twice as much. While the disk is slow, this runs
 * once per batch.
 */
function writeByThread(fd: number, buffers: readonly Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, written: number): void => (error ? reject(error) : resolve(written));
    const [first] = buffers;
    if (buffers.length === 1 && first !== undefined) write(fd, first, 0, first.length, position, done);
    else writev(fd, buffers, position, done);
  });
}

/** The buffers without their first `count` bytes. */
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
