// integrity/verified-reader.ts: reads stored bytes and compares them with their recorded CRC-32s (rule D5).
//
// Promises: the last byte of a damaged chunk is never passed on, so a caller that has read to the end has the right bytes. If the file of a
// chunk is too short or missing, the read fails before its first byte, also for a part of the content. A content can be moved into its
// entry, removed or started again during a read. So damage is reported only if the content is still at its place; a moved content is read
// on at its new place. The last byte is passed on only if the content was not started again, so that one read never mixes two contents.
// Memory does not grow with the content.
import { isDamage, uploadChanged } from '../core/errors.ts';
import { sliceExtents } from '../storage/extents.ts';
import type { Bytes } from '../uploads/ports.ts';
import type { DamageBook } from './damage-book.ts';
import {
  absentRanges,
  absentRuns,
  contentDamage,
  damagedChunk,
  isSamePart,
  isSameRun,
  runsOf,
  wholeRuns,
  type ByteRange,
  type FindContent,
  type FoundDamage,
  type StoredContent,
} from './stored-content.ts';
import { SumCheck } from './sum-check.ts';

/** A content can move once during a read: into its entry. */
const MAX_MOVES = 3;

export class VerifiedReader {
  readonly #bytes: Pick<Bytes, 'read' | 'sizes'>;
  readonly #damages: DamageBook;

  constructor(bytes: Pick<Bytes, 'read' | 'sizes'>, damages: DamageBook) {
    this.#bytes = bytes;
    this.#damages = damages;
  }

  /**
   * The content, or the part of it that `range` names.
   * @param first what `find` resolved to, if the caller has it
   * @throws AppError `upload_damaged`; `upload_not_found`, when it was begun anew meanwhile; what `find` throws
   */
  async *read(find: FindContent, range?: ByteRange, first?: StoredContent): AsyncIterable<Buffer> {
    const content = first ?? (await find());
    const { start, length } = range ?? { start: 0, length: content.bytes };
    const end = Math.min(start + length, content.bytes);
    const part = { start, length: end - start };
    let at = start;
    for await (const piece of this.#read(content, find, part)) {
      at += piece.length;
      if (at >= end && !isSamePart(content, await find(), part)) throw uploadChanged();
      yield piece;
    }
  }

  /** From wherever the content is meanwhile. */
  async *#read(first: StoredContent, find: FindContent, part: ByteRange): AsyncIterable<Buffer> {
    let content = first;
    const end = part.start + part.length;
    const check = content.sums === null ? null : new SumCheck(content.sums, part.start);
    let at = part.start;
    for (let moves = 0; at < end; moves += 1) {
      try {
        for await (const piece of this.#pieces(content, { start: at, length: end - at }, check)) {
          at += piece.length;
          yield piece;
        }
      } catch (error) {
        content = await this.#movedOrThrow(error, { content, find, at, moves });
      }
    }
  }

  /** @throws Found; the error of the storage */
  async *#pieces(content: StoredContent, range: ByteRange, check: SumCheck | null): AsyncIterable<Buffer> {
    await this.#refuseAbsent(content, range);
    let left = range.length;
    for await (const piece of this.#bytes.read(content.place, content.extents, range)) {
      const wrong = check?.push(piece) ?? [];
      // This check must come before the piece is passed on, because the piece has the last byte of the damaged chunk.
      if (wrong.length > 0) throw new Found(wrong.map((one) => ({ ...one, problem: 'crc32' })));
      left -= piece.length;
      yield piece;
    }
    if (left > 0) throw new Error(`the bytes of ${content.place.name} end early`);
  }

  /** @throws Found */
  async #refuseAbsent(content: StoredContent, range: ByteRange): Promise<void> {
    const whole = wholeRuns(content, range);
    const extents = sliceExtents(content.extents, whole);
    const sizes = await this.#bytes.sizes(
      content.place,
      extents.map(({ segment }) => segment),
    );
    const absent = absentRuns(content, absentRanges(extents, sizes, whole.start));
    if (absent.length > 0) throw new Found(absent);
  }

  /** Where the content is by now. @throws AppError `upload_damaged` when it is where it was; what `find` throws when it is gone */
  async #movedOrThrow(
    error: unknown,
    { content, find, at, moves }: { content: StoredContent; find: FindContent; at: number; moves: number },
  ): Promise<StoredContent> {
    const now = await find();
    const damages = error instanceof Found ? error.damages : [];
    if (!isSameLife(content, now, damages)) throw uploadChanged();
    const isMoved = keyOf(now) !== keyOf(content) && moves < MAX_MOVES;
    const isOfBytes = damages.some(({ problem }) => problem === 'crc32');
    if (isMoved && !isOfBytes) return now;
    if (damages.length > 0) throw this.#met(now, damages);
    if (isDamage(error)) throw this.#met(now, [{ run: runAt(now, at), problem: 'unreadable' }]);
    if (moves === 0) return now; // It may have gone since it was looked at: looking once more says so.
    throw error;
  }

  #met(content: StoredContent, damages: readonly FoundDamage[]): Error {
    const error = contentDamage(
      content.place,
      damages.map((one) => damagedChunk(content, one)),
    );
    this.#damages.met(error);
    return error;
  }
}

/** What was found, before it is known whether it still is so. */
class Found extends Error {
  readonly damages: readonly FoundDamage[];

  constructor(damages: readonly FoundDamage[]) {
    super('damage');
    this.damages = damages;
  }
}

function isSameLife(then: StoredContent, now: StoredContent, damages: readonly FoundDamage[]): boolean {
  return then.life === now.life && damages.every(({ run }) => isSameRun(run, runsOf(now)));
}

function runAt(content: StoredContent, at: number): FoundDamage['run'] {
  const runs = runsOf(content);
  const run = runs.run(runs.rowAt(at));
  return run ?? { first: 0, last: 0, start: 0, bytes: content.bytes, crc32: 0 };
}

function keyOf({ place: { kind, namespace, name } }: StoredContent): string {
  return `${kind}/${namespace}/${name}`;
}
