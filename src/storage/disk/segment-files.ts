// storage/disk/segment-files.ts: the files of segments as they lie in a folder: which there are, how long they are, what is in them.
//
// Must not know: what the bytes are, which of them count.
import { createReadStream, open } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { Extent } from '../../uploads/ports.ts';
import { opening } from './descriptors.ts';
import { entriesOf, statIfThere, type ReportSkipped } from './paths.ts';
import { readdir } from './files.ts';
import { isAbsent, nameIfOfOneFile } from '../../core/system-errors.ts';

const openFd = promisify(open);

const READ_BYTES = 256 * 1024;

export async function* readExtent(path: string, { segment, offset, bytes }: Extent): AsyncIterable<Buffer> {
  let read = 0;
  for await (const buffer of pieces(path, offset, offset + bytes - 1)) {
    read += buffer.length;
    yield buffer;
  }
  if (read < bytes) throw new Error(`segment ${segment} ends ${bytes - read} bytes early`);
}

/** @throws Error also when there is no such segment: of the one that is read it is missing, whatever the rest of the disk does */
async function* pieces(path: string, start: number, end: number): AsyncIterable<Buffer> {
  try {
    const fd = await opening(() => openFd(path, 'r')); // Here, not by the stream: it would not try again.
    // `end` is counted in.
    for await (const piece of createReadStream(path, { fd, start, end, highWaterMark: READ_BYTES }))
      yield piece as Buffer;
  } catch (cause) {
    throw isAbsent(cause) ? new Error(`segment ${basename(path)} is not there`, { cause }) : cause;
  }
}

/** Names of segments, as uploads/chunk-table.ts makes them. What else lies beside them is nobody's, and is left alone. */
const SEGMENT = /^(main|c\d+)$/;

export async function segmentsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isAbsent(error)) return [];
    throw error;
  });
  return names.filter((name) => SEGMENT.test(name));
}

export async function sizesOf(folder: string, segments: ReadonlySet<string>): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const segment of segments) {
    // A removal that failed is over for its caller while others of its files are still going.
    const found = await statIfThere(join(folder, segment));
    if (found?.isFile() === true) sizes.set(segment, found.size);
  }
  return sizes;
}

/** What cannot be read is reported, and counts as nothing: a quota or a metric without it is better than none (rule D5). */
export async function folderBytes(path: string, report: ReportSkipped): Promise<number> {
  let bytes = 0;
  try {
    for await (const entry of entriesOf(path)) {
      const entryPath = join(path, basename(entry.name));
      if (entry.isDirectory()) bytes += await folderBytes(entryPath, report);
      else bytes += (await lstat(entryPath).catch(() => ({ size: 0 }))).size; // Gone meanwhile: no bytes.
    }
  } catch (error) {
    const name = nameIfOfOneFile(error);
    if (name === null) throw error;
    report(path, `its bytes cannot be counted (${name})`);
  }
  return bytes;
}
