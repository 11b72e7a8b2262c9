// journal/acknowledged.ts: finds chunks that were sent again after the client was told that they are stored (behaviour §11).
//
// A request with a chunk is reported if and only if all of this holds:
//   - It began after an answer that acknowledges the chunk had been *sent whole*: a 2xx for the chunk, or a status whose
//     `currentSize` covers it.
//   - The server stored nothing new of the request.
//   - Nothing that the client may have been told before the request began takes this answer back. A status with a smaller
//     size does, a refusal that says that chunks are missing, and an upload that was forgotten or begun again.
// Order is decided by the counts `begun` and `endedAfter`, not by a clock. In doubt the chunk counts as not acknowledged:
// requests that overlap the answer, or that were recorded late, are not reported.
//
// The place of a chunk is known from its commit, or, for a chunk beyond a gap, when the place of the chunk before it is known.
// The place stays the same while the upload lives, so a commit that is recorded late still explains earlier answers.
// Promises: only reads the exchanges; takes linear time where exchanges do not overlap.
import type { Exchange } from './exchange.ts';

/** Faults that make a 2xx unreadable for the client. */
const BROKEN_ANSWERS = ['truncate', 'empty', 'garbage'];

/** Refusals that tell the client to send chunks again that may have been acknowledged. */
const TAKEN_BACK = ['chunk_out_of_order', 'upload_incomplete', 'upload_not_found'];

/** @param exchanges in order of `seq`, which is taken as the order in which their bytes were stored */
export function acknowledgedResent(exchanges: readonly Exchange[]): Exchange[] {
  const uploads = new Map<string, UploadStory>();
  const stories = exchanges.map((exchange) => {
    const name = uploadOf(exchange);
    if (name === null) return null;
    const known = uploads.get(name);
    const story = known ?? new UploadStory();
    if (known === undefined) uploads.set(name, story);
    story.learn(exchange);
    return story;
  });
  for (const story of uploads.values()) story.isWhole();
  return exchanges.filter((exchange, index) => stories[index]?.isResent(exchange) === true);
}

/** From the request's head to the end of the exchange, as counts of begun requests. */
interface Span {
  readonly begun: number;
  readonly ended: number;
}

interface KnownChunk {
  readonly bytes: number;
  /** End of the chunk in the content; null: unknown. */
  end: number | null;
  /** `begun` of the exchange that made the chunk's place known. */
  placedBy: number;
}

interface Told extends Span {
  readonly currentSize: number;
  readonly life: Life;
  /** The latest end among this status and all that began before it. */
  lastEnded: number;
}

/** All that the exchanges tell about one upload. */
class UploadStory {
  #life = new Life();
  readonly #placed = new Set<number>();
  /** By chunk: the 2xx answers that were sent whole. */
  readonly #answered = new Map<number, Span[]>();
  readonly #statuses: Told[] = [];
  /** Events that take back every answer, except those that begin after the event's end. */
  readonly #doubts: Span[] = [];

  learn(exchange: Exchange): void {
    const span = spanOf(exchange);
    if (exchange.fault?.effect === 'forget') {
      this.#doubts.push(span);
      this.#life = new Life();
      return;
    }
    const index = chunkOf(exchange);
    const { committed } = exchange;
    if (index !== null && committed !== null) this.#stored(span, index, committed);
    if (isTakingBack(exchange)) this.#doubts.push(span);
    else if (isReadable(exchange)) this.#acknowledged(exchange, index);
  }

  /** To be called once, after the last exchange and before the first question. */
  isWhole(): void {
    this.#doubts.sort(byBegun);
    this.#statuses.sort(byBegun);
    let last = 0;
    for (const status of this.#statuses) {
      last = Math.max(last, status.ended);
      status.lastEnded = last;
    }
    let until = 0;
    for (const [at, doubt] of this.#doubts.entries()) {
      until = Math.max(until, doubt.ended);
      this.#doubts[at] = { begun: doubt.begun, ended: until };
    }
  }

  isResent(exchange: Exchange): boolean {
    const index = chunkOf(exchange);
    if (index === null || exchange.committed !== null) return false;
    const { begun } = exchange;
    const doubtUntil = lastBefore(this.#doubts, begun)?.ended ?? 0;
    const answers = this.#answered.get(index)?.filter(({ ended }) => ended < begun) ?? [];
    const toldBy = answers.reduce((latest, answer) => Math.max(latest, answer.begun), 0);
    // The chunk's place is not on record, so any status may have told the client that the chunk is missing.
    if (!this.#placed.has(index))
      return toldBy > Math.max(doubtUntil, lastBefore(this.#statuses, begun)?.lastEnded ?? 0);
    return this.#isTold(index, begun, { toldBy, doubtUntil });
  }

  /** Reads statuses before the request, latest first. A status that covers the chunk acknowledges it, a smaller one denies it. */
  #isTold(index: number, begun: number, known: { toldBy: number; doubtUntil: number }): boolean {
    let { toldBy, doubtUntil } = known;
    for (let at = countBefore(this.#statuses, begun) - 1; at >= 0; at -= 1) {
      const status = this.#statuses[at];
      if (status === undefined) break;
      // Earlier statuses change nothing any more: they are taken back themselves, or ended too early to take anything back.
      if (doubtUntil >= Math.max(status.begun, toldBy)) return false;
      if (toldBy > status.lastEnded) break;
      const word = status.life.wordOf(status, index);
      if (word === 'less') doubtUntil = Math.max(doubtUntil, status.ended);
      else if (word === 'stored' && status.ended < begun) toldBy = Math.max(toldBy, status.begun);
    }
    return toldBy > doubtUntil;
  }

  #acknowledged(exchange: Exchange, index: number | null): void {
    const span = spanOf(exchange);
    if (index !== null) {
      const answers = this.#answered.get(index) ?? [];
      answers.push(span);
      this.#answered.set(index, answers);
    }
    if (exchange.told === null) return;
    const { currentSize } = exchange.told;
    this.#statuses.push({ ...span, currentSize, life: this.#life, lastEnded: 0 });
  }

  #stored(span: Span, index: number, { offset, bytes }: NonNullable<Exchange['committed']>): void {
    if (this.#life.isAnew(index, offset, bytes)) {
      this.#life = new Life();
      // Answers about the earlier upload are void. The exchange's own answer and all later ones are about the new upload.
      this.#doubts.push({ begun: span.begun, ended: span.begun - 1 });
    }
    this.#placed.add(index);
    this.#life.store(index, { offset, bytes }, span.begun);
  }
}

/** An upload from its first chunk to its end. During this time its chunks keep their places. */
class Life {
  readonly #chunks = new Map<number, KnownChunk>();
  /** Ends of chunks, each with `begun` of the first exchange that makes it known. */
  readonly #ends = new Map<number, number>();
  #last = { index: -1, end: 0 };

  /** What a status says about a chunk. A size at which no known chunk ends belongs to an upload that is not wholly on record. */
  wordOf({ currentSize, ended }: Told, index: number): 'stored' | 'less' | null {
    const chunk = this.#chunks.get(index);
    if (chunk === undefined || chunk.end === null || chunk.placedBy > ended) return null;
    if (chunk.end > currentSize) return 'less';
    return (this.#ends.get(currentSize) ?? Infinity) <= ended ? 'stored' : null;
  }

  store(index: number, { offset, bytes }: NonNullable<Exchange['committed']>, begun: number): void {
    this.#chunks.set(index, { bytes, end: null, placedBy: begun });
    let start = offset ?? this.#chunks.get(index - 1)?.end ?? null;
    // Chunks that waited behind the gap now get their places, too.
    for (let at = index; start !== null; at += 1) start = this.#place(begun, at, start);
  }

  /** Whether the upload was begun again: this chunk existed before, or another chunk had this place. */
  isAnew(index: number, offset: number | null, bytes: number): boolean {
    if (this.#chunks.has(index)) return true;
    const isBehindAll = index > this.#last.index && (offset ?? this.#last.end) >= this.#last.end;
    if (offset === null || isBehindAll) return false;
    return [...this.#chunks].some(([other, chunk]) => {
      if (chunk.end === null) return false;
      return other < index ? chunk.end > offset : chunk.end - chunk.bytes < offset + bytes;
    });
  }

  /** Returns the start of the next chunk; null when no next chunk waits for it. */
  #place(begun: number, index: number, start: number): number | null {
    const chunk = this.#chunks.get(index);
    if (chunk === undefined || chunk.end !== null) return null;
    const end = start + chunk.bytes;
    chunk.end = end;
    chunk.placedBy = begun;
    if (!this.#ends.has(end)) this.#ends.set(end, begun);
    if (index > this.#last.index) this.#last = { index, end };
    return end;
  }
}

function spanOf({ begun, endedAfter }: Exchange): Span {
  return { begun, ended: endedAfter ?? Infinity };
}

function byBegun(left: Span, right: Span): number {
  return left.begun - right.begun;
}

/** How many of the ordered spans began before `begun`. */
function countBefore(spans: readonly Span[], begun: number): number {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((spans[middle]?.begun ?? Infinity) < begun) low = middle + 1;
    else high = middle;
  }
  return low;
}

function lastBefore<T extends Span>(spans: readonly T[], begun: number): T | undefined {
  return spans[countBefore(spans, begun) - 1];
}

/** Null: the exchange ended before it named an upload. */
function uploadOf({ namespace, upload }: Exchange): string | null {
  return upload === null || upload.fileId === null ? null : `${namespace} ${upload.fileId}`;
}

/** Null: the exchange sent no chunk, or ended before it named one. */
function chunkOf({ operation, upload }: Exchange): number | null {
  return operation === 'uploadChunk' && upload !== null ? upload.chunkIndex : null;
}

/** Whether the answer takes an acknowledgement back, even if the client could not read it. */
function isTakingBack({ told, response }: Exchange): boolean {
  return told?.exists === false || TAKEN_BACK.includes(response?.errorCode ?? '');
}

/** The client has the answer, and the answer is not a refusal. */
function isReadable({ outcome, response, fault }: Exchange): boolean {
  if (outcome !== 'answered' || response === null || isBroken(fault)) return false;
  return response.status >= 200 && response.status < 300;
}

function isBroken(fault: Exchange['fault']): boolean {
  return fault !== null && BROKEN_ANSWERS.includes(fault.effect);
}
