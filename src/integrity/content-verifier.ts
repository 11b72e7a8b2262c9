// integrity/content-verifier.ts: reads all of a content and says what of it is not what was stored (rule D5).
//
// Promises: what is damaged keeps nothing else from being looked at. Damage is said only of what was found twice, at one place: a
// content can be moved into its entry, removed or begun anew while it is read. Memory does not grow with the content.
// Must not know: whose content it is, who asks.
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
  /** Nothing is damaged. Bytes without a CRC-32 on record are there, and that is all that is known of them. */
  readonly ok: boolean;
  /** That were read. */
  readonly bytes: number;
  /** That were read and have no CRC-32 on record: of an entry that an earlier version made. */
  readonly uncheckedBytes: number;
  /** How many were held against their CRC-32. */
  readonly chunks: number;
  /** The first hundred of them. */
  readonly damaged: readonly DamagedChunk[];
  /** How many there are. */
  readonly damagedTotal: number;
}

/** The reader was told to stop. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** Is told of bytes as they are read; what it waits for holds up the reading. @throws Stopped to end it */
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
      // Gone since its size was asked for, or refused by the system: the rest of the stretch is looked at without it.
      const at = stretch.start + scan.bytes - before;
      if (!isOfContent(error) || !scan.addAt(at, isDamage(error) ? 'unreadable' : 'missing')) throw error;
      await this.#read(scan, { start: scan.endOfRunAt(at), end: stretch.end }, onRead);
    }
    scan.chunks += check?.checkedRuns ?? 0;
  }
}

/** A refusal other than damage is about the whole storage, and an abort is the caller's. */
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

  /** False: what is at this place is known to be damaged already. */
  addAt(at: number, problem: FoundDamage['problem']): boolean {
    const runs = runsOf(this.content);
    const run = runs.run(runs.rowAt(at));
    if (run === undefined || this.#found.has(run.start)) return false;
    this.add({ run, problem });
    return true;
  }

  /** The next bytes from here on that are not known to be damaged, up to what is. Null: there are none. */
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
