// integrity/stored-content.ts: the description of one stored content, its possible damage, and the message of that damage. Pure.
import { damage, type AppError } from '../core/errors.ts';
import { hex32 } from '../core/hex32.ts';
import type { Extent, StorageKey } from '../uploads/ports.ts';
import { ContentSums, type Run } from './content-sums.ts';

/** The bytes of an upload or of an entry: their places and their recorded CRC-32s. */
export interface StoredContent {
  readonly place: StorageKey;
  readonly extents: readonly Extent[];
  readonly bytes: number;
  /** Changes when the content is deleted and started again. Stays the same when it grows or moves into its entry. */
  readonly life: string;
  /** The bytes up to the first gap. Chunks after a gap have no place in the content yet. */
  readonly currentSize: number;
  /** Null if none are recorded: an earlier version made the entry. */
  readonly sums: ContentSums | null;
}

/** Called again when a read fails, because a content can be moved, removed or started again during a read. Rejects if the content is gone. */
export type FindContent = () => Promise<StoredContent>;

/** A part of a content, in bytes. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/** `missing`: its file is not there; `cut`: the file is too short; `unreadable`: the system refuses it. */
export type DamageProblem = 'crc32' | 'missing' | 'cut' | 'unreadable';

export interface DamagedChunk {
  readonly index: number;
  /** Where several chunks have one CRC-32 on record, or lie in one damaged stretch: the last of them. */
  readonly lastIndex?: number;
  /** Its place in the content; null beyond a gap. */
  readonly offset: number | null;
  readonly bytes: number;
  readonly problem: DamageProblem;
  /** Eight hexadecimal digits; null: none is on record. */
  readonly expectedCrc32: string | null;
  readonly actualCrc32?: string;
}

export interface FoundDamage {
  readonly run: Run;
  readonly problem: DamageProblem;
  readonly actual?: number;
}

/** More chunks in a list would not help a reader. */
export const MAX_LISTED_CHUNKS = 100;

/** Without recorded CRC-32s, the whole content is one run. */
export function runsOf({ sums, bytes }: StoredContent): ContentSums {
  return sums ?? ContentSums.ofChunks([{ index: 0, bytes, crc32: 0 }], 1);
}

/** True if the recorded CRC-32s of the range are the same in both. */
export function isSamePart(then: StoredContent, now: StoredContent, range: ByteRange): boolean {
  if (then.life !== now.life) return false;
  const [before, after] = [runsOf(then), runsOf(now)];
  const end = range.start + range.length;
  for (let row = before.rowAt(range.start); ; row += 1) {
    const run = before.run(row);
    if (run === undefined || run.start >= end) return true;
    if (!isSameRun(run, after)) return false;
  }
}

export function isSameRun(run: Run, runs: ContentSums): boolean {
  const same = runs.run(runs.rowFrom(run.start));
  return same?.start === run.start && same.bytes === run.bytes && same.crc32 === run.crc32;
}

export function damagedChunk(content: StoredContent, { run, problem, actual }: FoundDamage): DamagedChunk {
  const { first, last, start, bytes, crc32 } = run;
  return {
    index: first,
    ...(last > first && { lastIndex: last }),
    offset: start < content.currentSize || bytes === 0 ? start : null,
    bytes,
    problem,
    expectedCrc32: content.sums === null ? null : hex32(crc32),
    ...(actual !== undefined && { actualCrc32: hex32(actual) }),
  };
}

const PROBLEMS: Readonly<Record<DamageProblem, string>> = {
  crc32: 'has another CRC-32 than is on record',
  missing: 'is not there',
  cut: 'is not whole',
  unreadable: 'cannot be read',
};

/** @param chunks at least one */
export function contentDamage(place: StorageKey, chunks: readonly DamagedChunk[]): AppError {
  const [chunk] = chunks;
  const { index = 0, problem = 'crc32' } = chunk ?? {};
  const others = chunks.length > 1 ? ` (and ${chunks.length - 1} more)` : '';
  return damage(
    place,
    `what is stored of chunk ${index}${others} ${PROBLEMS[problem]}; it is not passed on: restore the data folder from a backup, ` +
      'or delete the upload and send it again',
    { chunks: chunks.slice(0, MAX_LISTED_CHUNKS) },
  );
}

interface AbsentRange {
  readonly start: number;
  readonly end: number;
  readonly problem: 'missing' | 'cut';
}

/**
 * What of the content the segments are too short for.
 * @param start where in the content the first of the extents begins
 */
export function absentRanges(
  extents: readonly Extent[],
  sizes: ReadonlyMap<string, number>,
  start = 0,
): AbsentRange[] {
  const absent: AbsentRange[] = [];
  let at = start;
  for (const { segment, offset, bytes } of extents) {
    const size = sizes.get(segment);
    const there = Math.min(Math.max((size ?? 0) - offset, 0), bytes);
    if (there < bytes)
      absent.push({ start: at + there, end: at + bytes, problem: size === undefined ? 'missing' : 'cut' });
    at += bytes;
  }
  return absent;
}

/** The runs that lie in an absent range, or reach into one, in order. */
export function absentRuns(content: StoredContent, absent: readonly AbsentRange[]): FoundDamage[] {
  const runs = runsOf(content);
  const found = new Map<number, FoundDamage>();
  for (const { start, end, problem } of absent) {
    for (let row = runs.rowAt(start); ; row += 1) {
      const run = runs.run(row);
      if (run === undefined || run.start >= end) break;
      if (run.start + run.bytes > start && !found.has(row)) found.set(row, { run, problem });
    }
  }
  return [...found].toSorted(([a], [b]) => a - b).map(([, one]) => one);
}

/** The range made wider, so that it begins and ends where runs do. */
export function wholeRuns(content: StoredContent, { start, length }: ByteRange): ByteRange {
  const runs = runsOf(content);
  const first = runs.run(runs.rowAt(start));
  const last = runs.run(runs.rowAt(start + length - 1));
  const from = first?.start ?? start;
  return { start: from, length: Math.max((last?.start ?? start) + (last?.bytes ?? length), start) - from };
}
