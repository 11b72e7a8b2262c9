// journal/acknowledged.ts: chunks that were sent although the client had been told that they are stored (behaviour §11).
//
// A request with a chunk is accused if and only if it began after an answer that says so had been *sent whole* (a 2xx for
// the chunk, or a status whose `currentSize` covers it), the server stored nothing of it, and nothing that the client may
// have been told before the request began takes that answer back: a status that has less, a refusal that says that chunks
// are missing, an upload that was forgotten or begun anew. What overlaps is told by counts (`begun`, `endedAfter`) and not by a
// clock. When in doubt, the chunk was not acknowledged: whatever overlapped, or was noticed late, is innocent.
//
// Where a chunk lies is known from its commit; of one beyond a gap, as soon as the chunk before it lies somewhere. It stays there for
// the life of the upload, so that a commit that was put on record late explains answers that were put there before it.
// Promises: a pure look at the exchanges; linear where they come one after the other.
// Must not know: what is made of it.
import type { Exchange } from './exchange.ts';

/** Faults whose 2xx the client cannot read. */
const BROKEN_ANSWERS = ['truncate', 'empty', 'garbage'];

/** Refusals that tell the client to send again what it may have been told is there. */
const TAKEN_BACK = ['chunk_out_of_order', 'upload_incomplete', 'upload_not_found'];

/** @param exchanges in order of `seq`: in this order what they stored is taken to have been stored */
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

/** From the reading of a head to the end of the exchange, in counts of begun requests. */
interface Span {
  readonly begun: number;
  readonly ended: number;
}

interface KnownChunk {
  readonly bytes: number;
  /** Where it ends in the content; null: not known. */
  end: number | null;
  /** `begun` of the exchange that gave it its place. */
  placedBy: number;
}

interface Told extends Span {
  readonly currentSize: number;
  readonly life: Life;
  /** The last end of this status and of those that began before it. */
  lastEnded: number;
}

/** What the exchanges say of one upload. */
class UploadStory {
  #life = new Life();
  readonly #placed = new Set<number>();
  /** By chunk: 2xx that were sent whole. */
  readonly #answered = new Map<number, Span[]>();
  readonly #statuses: Told[] = [];
  /** What takes back every answer that does not begin behind its end. */
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

  /** All of it is known. To be called once, before anything is asked. */
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
    // Where it lies is not on record: any status may have told that it is not there.
    if (!this.#placed.has(index))
      return toldBy > Math.max(doubtUntil, lastBefore(this.#statuses, begun)?.lastEnded ?? 0);
    return this.#isTold(index, begun, { toldBy, doubtUntil });
  }

  /** The statuses before the request, the latest first: those that cover the chunk speak for, those that have less against. */
  #isTold(index: number, begun: number, known: { toldBy: number; doubtUntil: number }): boolean {
    let { toldBy, doubtUntil } = known;
    for (let at = countBefore(this.#statuses, begun) - 1; at >= 0; at -= 1) {
      const status = this.#statuses[at];
      if (status === undefined) break;
      // What began before it changes nothing any more: it is taken back, or ended too soon to take anything back.
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
      // Answers of the upload before; the exchange's own, and those of requests behind it, are of this one.
      this.#doubts.push({ begun: span.begun, ended: span.begun - 1 });
    }
    this.#placed.add(index);
    this.#life.store(index, { offset, bytes }, span.begun);
  }
}

/** An upload from its first chunk until it is gone: where its chunks lie does not change. */
class Life {
  readonly #chunks = new Map<number, KnownChunk>();
  /** Where chunks end, with `begun` of the first exchange by which that is known. */
  readonly #ends = new Map<number, number>();
  #last = { index: -1, end: 0 };

  /** What a status says of a chunk. A size at which no chunk ends is of an upload that we do not know, or not all of. */
  wordOf({ currentSize, ended }: Told, index: number): 'stored' | 'less' | null {
    const chunk = this.#chunks.get(index);
    if (chunk === undefined || chunk.end === null || chunk.placedBy > ended) return null;
    if (chunk.end > currentSize) return 'less';
    return (this.#ends.get(currentSize) ?? Infinity) <= ended ? 'stored' : null;
  }

  store(index: number, { offset, bytes }: NonNullable<Exchange['committed']>, begun: number): void {
    this.#chunks.set(index, { bytes, end: null, placedBy: begun });
    let start = offset ?? this.#chunks.get(index - 1)?.end ?? null;
    // Those that waited behind the gap lie somewhere now, too.
    for (let at = index; start !== null; at += 1) start = this.#place(begun, at, start);
  }

  /** The upload was begun once more: this chunk was there, or another where it lies now. */
  isAnew(index: number, offset: number | null, bytes: number): boolean {
    if (this.#chunks.has(index)) return true;
    const isBehindAll = index > this.#last.index && (offset ?? this.#last.end) >= this.#last.end;
    if (offset === null || isBehindAll) return false;
    return [...this.#chunks].some(([other, chunk]) => {
      if (chunk.end === null) return false;
      return other < index ? chunk.end > offset : chunk.end - chunk.bytes < offset + bytes;
    });
  }

  /** Where the next one begins; null: there is no next one that waits for it. */
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

/** How many of them, which are in order, began before. */
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

/** Null: it ended before saying which. */
function uploadOf({ namespace, upload }: Exchange): string | null {
  return upload === null || upload.fileId === null ? null : `${namespace} ${upload.fileId}`;
}

/** Null: it sent no chunk, or it ended before saying which. */
function chunkOf({ operation, upload }: Exchange): number | null {
  return operation === 'uploadChunk' && upload !== null ? upload.chunkIndex : null;
}

/** Whether or not the client could read it. */
function isTakingBack({ told, response }: Exchange): boolean {
  return told?.exists === false || TAKEN_BACK.includes(response?.errorCode ?? '');
}

/** The client has the answer, and it is no refusal. */
function isReadable({ outcome, response, fault }: Exchange): boolean {
  if (outcome !== 'answered' || response === null || isBroken(fault)) return false;
  return response.status >= 200 && response.status < 300;
}

function isBroken(fault: Exchange['fault']): boolean {
  return fault !== null && BROKEN_ANSWERS.includes(fault.effect);
}
