// journal/acknowledged.ts: chunks that were sent although the client had been told that they are stored.
//
// A chunk is acknowledged if and only if a request with it was answered 2xx, or a status query with a `currentSize` that
// it lies below, and nothing that came later takes that back: a status that has less, a refusal that says that chunks are
// missing, or its being stored once more. A chunk that the server stored anew is never accused: the first one was lost
// (forgotten, expired, deleted), so that the client was right to send it. When in doubt, it was not acknowledged.
//
// Where a chunk lies is known from its commit; of one beyond a gap, as soon as the chunk before it lies somewhere.
// Promises: a pure look at the exchanges.
// Must not know: what is made of it.
import type { Exchange } from './exchange.ts';

/** Faults whose 2xx the client cannot read. */
const BROKEN_ANSWERS = ['truncate', 'empty', 'garbage'];

/** Refusals that tell the client to send again what it may have been told is there. */
const TAKEN_BACK = ['chunk_out_of_order', 'upload_incomplete', 'upload_not_found'];

/** @param exchanges in order of `seq`: what counts as "before" is the order of the answers */
export function acknowledgedResent(exchanges: readonly Exchange[]): Exchange[] {
  const uploads = new Map<string, KnownUpload>();
  const resent: Exchange[] = [];
  for (const exchange of exchanges) {
    const name = uploadOf(exchange);
    if (name === null) continue;
    if (exchange.fault?.effect === 'forget') {
      uploads.delete(name);
      continue;
    }
    const upload = uploads.get(name) ?? new KnownUpload();
    uploads.set(name, upload);
    if (upload.isResent(exchange)) resent.push(exchange);
    upload.learn(exchange);
  }
  return resent;
}

interface KnownChunk {
  /** Null: its commit is not on record. */
  readonly bytes: number | null;
  /** Where it ends in the content; null: not known. */
  end: number | null;
  /** The exchange since which that is known. */
  endSeq: number;
  /** The last exchange that was answered 2xx; 0: none. */
  answeredSeq: number;
}

/** What the exchanges so far say of one upload. */
class KnownUpload {
  readonly #chunks = new Map<number, KnownChunk>();
  readonly #ends = new Set<number>();
  #last = { index: -1, end: 0 };
  #told = { seq: 0, currentSize: 0, isUnderstood: false };
  #takenBackSeq = 0;

  isResent(exchange: Exchange): boolean {
    const index = chunkOf(exchange);
    return index !== null && exchange.committed === null && this.#isAcknowledged(index);
  }

  learn(exchange: Exchange): void {
    const { seq, committed } = exchange;
    const index = chunkOf(exchange);
    if (index !== null && committed !== null) this.#stored(seq, index, committed);
    if (isTakingBack(exchange)) this.#takenBackSeq = seq;
    else if (isReadable(exchange)) this.#acknowledged(exchange, index);
  }

  #acknowledged({ seq, told }: Exchange, index: number | null): void {
    if (index !== null) this.#answered(seq, index);
    if (told === null) return;
    // A size at which no chunk ends that is on record is of an upload that we do not know, or not all of.
    const { currentSize } = told;
    this.#told = { seq, currentSize, isUnderstood: this.#ends.has(currentSize) };
  }

  #isAcknowledged(index: number): boolean {
    const chunk = this.#chunks.get(index);
    if (chunk === undefined) return false;
    const { end, endSeq, answeredSeq } = chunk;
    const { seq, currentSize, isUnderstood } = this.#told;
    if (end !== null && seq > this.#takenBackSeq) {
      if (end <= currentSize && isUnderstood && endSeq < seq) return true;
      if (end > currentSize && answeredSeq < seq) return false;
    }
    return answeredSeq > this.#takenBackSeq;
  }

  #answered(seq: number, index: number): void {
    const chunk = this.#chunks.get(index) ?? { bytes: null, end: null, endSeq: 0, answeredSeq: 0 };
    chunk.answeredSeq = seq;
    this.#chunks.set(index, chunk);
  }

  #stored(seq: number, index: number, { offset, bytes }: NonNullable<Exchange['committed']>): void {
    if (this.#isAnew(index, offset, bytes)) this.#forget();
    this.#chunks.set(index, { bytes, end: null, endSeq: 0, answeredSeq: 0 });
    let start = offset ?? this.#chunks.get(index - 1)?.end ?? null;
    // Those that waited behind the gap lie somewhere now, too.
    for (let at = index; start !== null; at += 1) start = this.#place(seq, at, start);
  }

  /** Where the next one begins; null: there is no next one that waits for it. */
  #place(seq: number, index: number, start: number): number | null {
    const chunk = this.#chunks.get(index);
    if (chunk === undefined || chunk.bytes === null || chunk.end !== null) return null;
    const end = start + chunk.bytes;
    Object.assign(chunk, { end, endSeq: seq });
    this.#ends.add(end);
    if (index > this.#last.index) this.#last = { index, end };
    return end;
  }

  /** The upload was begun once more: this chunk was there, or another where it lies now. */
  #isAnew(index: number, offset: number | null, bytes: number): boolean {
    if (this.#chunks.has(index)) return true;
    const isBehindAll = index > this.#last.index && (offset ?? this.#last.end) >= this.#last.end;
    if (offset === null || isBehindAll) return false;
    return [...this.#chunks].some(([other, chunk]) => {
      if (chunk.end === null || chunk.bytes === null) return false;
      return other < index ? chunk.end > offset : chunk.end - chunk.bytes < offset + bytes;
    });
  }

  #forget(): void {
    this.#chunks.clear();
    this.#ends.clear();
    this.#last = { index: -1, end: 0 };
    this.#told = { seq: 0, currentSize: 0, isUnderstood: false };
  }
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
