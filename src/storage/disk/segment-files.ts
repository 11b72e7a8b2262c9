// storage/disk/segment-files.ts: lists, measures and reads the files of segments in a folder.
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

/**
 * @throws Error also when the segment does not exist: the bytes of the upload are then missing, whatever the state of the disk
 */
async function* pieces(path: string, start: number, end: number): AsyncIterable<Buffer> {
  try {
    // Opened here and not by the stream, because the stream would not try again when no descriptor is left.
    const fd = await opening(() => openFd(path, 'r'));
    // `end` is inclusive.
    for await (const piece of createReadStream(path, { fd, start, end, highWaterMark: READ_BYTES }))
      yield piece as Buffer;
  } catch (cause) {
    throw isAbsent(cause) ? new Error(`segment ${basename(path)} is not there`, { cause }) : cause;
  }
}

/** The names of segments, as uploads/chunk-table.ts makes them. Other files in the folder belong to nobody and are left alone. */
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
    // A removal that failed for its caller may still be removing other files, so a file can disappear here.
    const found = await statIfThere(join(folder, segment));
    if (found?.isFile() === true) sizes.set(segment, found.size);
  }
  return sizes;
}

/** A file that cannot be read is reported and counts as 0 bytes: a quota or metric without it is better than none (rule D5). */
export async function folderBytes(path: string, report: ReportSkipped): Promise<number> {
  let bytes = 0;
  try {
    for await (const entry of entriesOf(path)) {
      const entryPath = join(path, basename(entry.name));
      if (entry.isDirectory()) bytes += await folderBytes(entryPath, report);
      else bytes += (await lstat(entryPath).catch(() => ({ size: 0 }))).size; // An entry that is gone meanwhile has no bytes.
    }
  } catch (error) {
    const name = nameIfOfOneFile(error);
    if (name === null) throw error;
    report(path, `its bytes cannot be counted (${name})`);
  }
  return bytes;
}
