// integrity/verified-reader.ts: stored bytes, read and held against the CRC-32s that are on record of them (rule D5).
//
// Promises: of a chunk that is not what was stored, its last byte is never handed on: whoever has read to the end has right bytes.
// A chunk that is cut or not there is refused before the first byte, also to whoever asks for a part of it. Damage is said only of
// what is still there when it was found: a content can be moved into its entry, removed or begun anew while it is read, and then it
// is read on at its new place, or it is gone. The last byte is never handed on unless the content is still the one that was begun: two
// lives of an upload are never one content. Memory does not grow with the content.
// Must not know: HTTP, how contents are found.
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

/** How often a content may be somewhere else than where it was a moment ago: once, into its entry. */
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
      // Before it is handed on: it has the last byte of what is damaged.
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
