// soak/upload.ts: one upload as its client knows it: what was acknowledged, what may be stored, and therefore what the server may
// report about it.
//
// Promises: pure. A server's report is a loss, bytes from nowhere, or right. An upload may be gone only when its time is over. If
// an answer never came, its chunk may be stored or not: both are right.
// Must not know: HTTP, who sends, time (it is told).
import { crc32 } from 'node:zlib';
import { chunkBytes } from './content.ts';

export interface Told {
  readonly exists: boolean;
  readonly currentSize: number;
}

/** A chunk as the admin plane shows it. */
export interface StoredChunk {
  readonly index: number;
  readonly bytes: number;
  readonly crc32: string;
}

export interface UploadPlan {
  readonly seed: number;
  readonly fileId: string;
  /** Null: sent without a key, into the namespace `public`. */
  readonly key: string | null;
  readonly sizes: readonly number[];
  readonly ttlMs: number;
  /** Rules may remove it at any time. Then it may be gone, but it must never have wrong bytes. */
  readonly isForgettable: boolean;
}

/** What was known when a question was asked. The answer is compared with that, not with what came later. */
export interface Knowledge {
  readonly least: number;
  readonly acknowledged: ReadonlySet<number>;
  readonly generation: number;
}

export type Verdict =
  | { readonly kind: 'right' | 'gone' }
  | { readonly kind: 'wrong'; readonly problem: string };

const RIGHT: Verdict = { kind: 'right' };

export class Upload {
  readonly plan: UploadPlan;
  /** `sums[n]`: bytes of the first n chunks. */
  readonly #sums: readonly number[];
  readonly #acknowledged = new Set<number>();
  readonly #unsure = new Set<number>();
  /** For each chunk, the time when it was first sent. It was not stored before. */
  readonly #sentAtMs = new Map<number, number>();
  #told = 0;
  #storedAtMs = 0;
  #finalisedAtMs: number | null = null;
  #generation = 0;
  completedBy: number | null = null;
  mediaId: string | null = null;

  constructor(plan: UploadPlan) {
    this.plan = plan;
    let sum = 0;
    this.#sums = [0, ...plan.sizes.map((bytes) => (sum += bytes))];
  }

  get totalChunks(): number {
    return this.plan.sizes.length;
  }

  get bytes(): number {
    return this.#sums[this.totalChunks] ?? 0;
  }

  /** True: it was never gone. */
  get isFirstLife(): boolean {
    return this.#generation === 0;
  }

  get isWhole(): boolean {
    return this.#acknowledged.size === this.totalChunks;
  }

  get missing(): number[] {
    return this.plan.sizes.map((_, index) => index).filter((index) => !this.#acknowledged.has(index));
  }

  get acknowledged(): readonly number[] {
    return [...this.#acknowledged];
  }

  /** Chunks from the first on that are acknowledged, without a gap. */
  get prefix(): number {
    return prefixOf(this.totalChunks, (index) => this.#acknowledged.has(index));
  }

  /** Like `prefix`, with the chunks that may be stored. */
  get reach(): number {
    return prefixOf(this.totalChunks, (index) => this.#acknowledged.has(index) || this.#unsure.has(index));
  }

  /** How many chunks so many bytes are; null: it is none of the boundaries. */
  chunksIn(currentSize: number): number | null {
    const at = this.#sums.indexOf(currentSize);
    return at === -1 ? null : at;
  }

  bytesOf(index: number): Buffer {
    const { seed, fileId, sizes } = this.plan;
    return chunkBytes({ seed, fileId, index }, sizes[index] ?? 0);
  }

  /** The whole body is about to be sent, or may have been sent: from now on the chunk may be stored. */
  sent(index: number, nowMs: number): void {
    if (!this.#acknowledged.has(index)) this.#unsure.add(index);
    if (!this.#sentAtMs.has(index)) this.#sentAtMs.set(index, nowMs);
  }

  acknowledge(index: number): void {
    this.#acknowledged.add(index);
    this.#unsure.delete(index);
    this.#touch(this.#sentAtMs.get(index) ?? 0);
  }

  /** It is about to be finalised. If there are several attempts, the first may have succeeded. */
  finalising(nowMs: number): void {
    this.#finalisedAtMs ??= nowMs;
  }

  finalised(mediaId: string): void {
    this.mediaId = mediaId;
    this.#touch(this.#finalisedAtMs ?? 0);
  }

  /** Something of it was stored at this time, and not before. */
  #touch(begunAtMs: number): void {
    this.#storedAtMs = Math.max(this.#storedAtMs, begunAtMs);
  }

  /** It is known to be gone, or is about to be removed. Reports about it do not count from here on. */
  retire(): void {
    this.#generation += 1;
    // A chunk that was on its way, or that a rule commits late, can still arrive.
    for (const index of this.#acknowledged) this.#unsure.add(index);
    this.#acknowledged.clear();
    this.#sentAtMs.clear();
    this.#finalisedAtMs = null;
    this.#told = 0;
    this.#storedAtMs = 0;
    this.completedBy = null;
    this.mediaId = null;
  }

  mayBeGone(nowMs: number): boolean {
    return this.plan.isForgettable || nowMs >= this.#storedAtMs + this.plan.ttlMs;
  }

  know(): Knowledge {
    const least = Math.max(this.#sums[this.prefix] ?? 0, this.#told);
    return { least, acknowledged: new Set(this.#acknowledged), generation: this.#generation };
  }

  /** Null: what is known belongs to an earlier life of this upload, and says nothing. */
  judgeStatus(told: Told, known: Knowledge, nowMs: number): Verdict | null {
    if (known.generation !== this.#generation) return null;
    const isLess = told.currentSize < known.least || (!told.exists && known.acknowledged.size > 0);
    if (isLess && this.mayBeGone(nowMs)) return { kind: 'gone' };
    if (isLess) return this.#wrong(`has ${sizeText(told)}; ${known.least} were acknowledged: bytes are lost`);
    const most = this.#sums[this.reach] ?? 0;
    if (this.chunksIn(told.currentSize) === null)
      return this.#wrong(`has ${sizeText(told)}, which is not where one of its chunks ends`);
    if (told.currentSize > most)
      return this.#wrong(`has ${sizeText(told)}; no more than ${most} were ever sent`);
    this.#told = Math.max(this.#told, told.currentSize);
    return RIGHT;
  }

  judgeChunks(stored: readonly StoredChunk[], known: Knowledge, nowMs: number): Verdict | null {
    if (known.generation !== this.#generation) return null;
    const indices = new Set(stored.map(({ index }) => index));
    const lost = [...known.acknowledged].filter((index) => !indices.has(index));
    if (lost.length > 0 && this.mayBeGone(nowMs)) return { kind: 'gone' };
    if (lost.length > 0) return this.#wrong(`lost chunk ${lost.join(', ')}, which had been acknowledged`);
    for (const chunk of stored) {
      const problem = this.#problemOf(chunk);
      if (problem !== null) return this.#wrong(problem);
    }
    return RIGHT;
  }

  #problemOf({ index, bytes, crc32: crc }: StoredChunk): string | null {
    if (!this.#acknowledged.has(index) && !this.#unsure.has(index))
      return `has chunk ${index}, which was never sent whole`;
    const sent = this.bytesOf(index);
    const expected = crc32(sent).toString(16).padStart(8, '0');
    if (bytes === sent.length && crc === expected) return null;
    return `has chunk ${index} with ${bytes} bytes and CRC-32 ${crc}; sent were ${sent.length} and ${expected}: wrong bytes`;
  }

  #wrong(problem: string): Verdict {
    return { kind: 'wrong', problem: `upload ${this.plan.fileId} ${problem}` };
  }
}

function prefixOf(total: number, has: (index: number) => boolean): number {
  let count = 0;
  while (count < total && has(count)) count += 1;
  return count;
}

function sizeText({ exists, currentSize }: Told): string {
  return exists ? `${currentSize} bytes` : 'gone';
}
