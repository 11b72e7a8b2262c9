// integrity/content-verifier.ts: reads a whole content and lists the chunks that differ from what was stored (rule D5).
//
// Promises: a damaged chunk does not stop the check of the others. Damage is reported only if two readings found it at the same place,
// because a content can be moved into its entry, removed or started again during a reading. Memory does not grow with the content.
import { AppError, isDamage } from '../core/errors.ts';
import type { Bytes } from '../uploads/ports.ts';
import type { DamageBook } from './damage-book.ts';
import {
  absentRanges,
  absentRuns,
  contentDamage,
  damagedChunk,
  MAX_LISTED_CHUNKS,
  runsOf,
  type DamagedChunk,
  type FindContent,
  type FoundDamage,
  type StoredContent,
} from './stored-content.ts';
import { SumCheck } from './sum-check.ts';

export interface Verified {
  /** True if nothing is damaged. Bytes without a recorded CRC-32 are only known to exist. */
  readonly ok: boolean;
  /** The number of bytes that were read. */
  readonly bytes: number;
  /** The number of these bytes without a recorded CRC-32. An earlier version made such entries. */
  readonly uncheckedBytes: number;
  /** The number of chunks that were compared with their CRC-32. */
  readonly chunks: number;
  /** The first hundred damaged chunks. */
  readonly damaged: readonly DamagedChunk[];
  /** The number of damaged chunks. */
  readonly damagedTotal: number;
}

/** The reader was told to stop. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** Called with the number of bytes after each read. The next read waits for its promise. @throws Stopped to end the reading */
export type OnRead = (bytes: number) => Promise<void> | undefined;

const GO_ON: OnRead = () => undefined;

export class ContentVerifier {
  readonly #bytes: Pick<Bytes, 'read' | 'sizes'>;
  readonly #damages: DamageBook;

  constructor(bytes: Pick<Bytes, 'read' | 'sizes'>, damages: DamageBook) {
    this.#bytes = bytes;
    this.#damages = damages;
  }

  /** @throws what `find` throws; the error of a disk that cannot be read at all; what `onRead` rejects with */
  async verify(find: FindContent, onRead = GO_ON): Promise<Verified> {
    let before: Scan | null = null;
    for (;;) {
      const content = await find();
      const scan = new Scan(content);
      await this.#scan(scan, onRead);
      if (scan.found.length === 0) {
        this.#damages.forget(content.place);
        return scan.result();
      }
      if (before !== null && isSame(before, scan)) {
        const result = scan.result();
        this.#damages.met(contentDamage(content.place, result.damaged));
        return result;
      }
      before = scan;
    }
  }

  async #scan(scan: Scan, onRead: OnRead): Promise<void> {
    const { content } = scan;
    try {
      const sizes = await this.#bytes.sizes(content.place);
      for (const damage of absentRuns(content, absentRanges(content.extents, sizes))) scan.add(damage);
    } catch (error) {
      if (!isDamage(error)) throw error;
      scan.addAll('unreadable');
    }
    for (let stretch = scan.next(0); stretch !== null; stretch = scan.next(stretch.end))
      await this.#read(scan, stretch, onRead);
  }

  async #read(scan: Scan, stretch: Stretch, onRead: OnRead): Promise<void> {
    const { place, extents, sums } = scan.content;
    const check = sums === null ? null : new SumCheck(sums, stretch.start);
    const range = { start: stretch.start, length: stretch.end - stretch.start };
    if (range.length <= 0) return;
    const before = scan.bytes;
    try {
      for await (const piece of this.#bytes.read(place, extents, range)) {
        scan.passes(piece, check);
        await onRead(piece.length);
      }
    } catch (error) {
      // The file is gone since its size was read, or the system refuses it. The rest of the stretch is checked without this run.
      const at = stretch.start + scan.bytes - before;
      if (!isOfContent(error) || !scan.addAt(at, isDamage(error) ? 'unreadable' : 'missing')) throw error;
      await this.#read(scan, { start: scan.endOfRunAt(at), end: stretch.end }, onRead);
    }
    scan.chunks += check?.checkedRuns ?? 0;
  }
}

/** False for an error of the whole storage (an AppError other than damage), and for a stop by the caller. */
function isOfContent(error: unknown): boolean {
  return isDamage(error) || !(error instanceof AppError || error instanceof Stopped);
}

interface Stretch {
  readonly start: number;
  readonly end: number;
}

/** One reading of a content. */
class Scan {
  readonly content: StoredContent;
  bytes = 0;
  chunks = 0;
  /** By the start of the run. */
  readonly #found = new Map<number, FoundDamage>();

  constructor(content: StoredContent) {
    this.content = content;
  }

  passes(piece: Buffer, check: SumCheck | null): void {
    for (const wrong of check?.push(piece) ?? []) this.add({ ...wrong, problem: 'crc32' });
    this.bytes += piece.length;
  }

  /** Where the run that has this place ends. */
  endOfRunAt(at: number): number {
    const runs = runsOf(this.content);
    const run = runs.run(runs.rowAt(at));
    return run === undefined ? this.content.bytes : run.start + run.bytes;
  }

  get found(): FoundDamage[] {
    return [...this.#found.values()].toSorted((a, b) => a.run.start - b.run.start);
  }

  add(damage: FoundDamage): void {
    this.#found.set(damage.run.start, damage);
  }

  addAll(problem: FoundDamage['problem']): void {
    const runs = runsOf(this.content);
    for (let row = 0; row < runs.count; row += 1) {
      const run = runs.run(row);
      if (run !== undefined) this.add({ run, problem });
    }
  }

  /** Returns false if the run at this place is already known to be damaged. */
  addAt(at: number, problem: FoundDamage['problem']): boolean {
    const runs = runsOf(this.content);
    const run = runs.run(runs.rowAt(at));
    if (run === undefined || this.#found.has(run.start)) return false;
    this.add({ run, problem });
    return true;
  }

  /** The next stretch from this place on without known damage. Null if there is none. */
  next(from: number): Stretch | null {
    let start = from;
    for (const { run } of this.found) {
      const end = run.start + run.bytes;
      if (end <= start) continue;
      if (run.start > start) return { start, end: run.start };
      start = end;
    }
    return start < this.content.bytes ? { start, end: this.content.bytes } : null;
  }

  result(): Verified {
    const { found, content, bytes } = this;
    const damaged = found.slice(0, MAX_LISTED_CHUNKS).map((one) => damagedChunk(content, one));
    const uncheckedBytes = content.sums === null ? bytes : 0;
    const { chunks } = this;
    return { ok: found.length === 0, bytes, uncheckedBytes, chunks, damaged, damagedTotal: found.length };
  }
}

function isSame(before: Scan, now: Scan): boolean {
  const [a, b] = [before, now].map(({ content: { place }, found }) =>
    [place.kind, place.namespace, place.name, ...found.map(({ run }) => run.start)].join(' '),
  );
  return a === b;
}
