// core/tick-queue.ts: work that can wait until the end of the turn, done together.
//
// What runs once for each request finds nothing of itself in the processor's caches; run for many requests in a row, the
// same code takes a fraction of the time. And a client that is sent one answer at a time is woken up for each, which costs the
// sender as much as all else here (bench/README.md has the figures). So what is ready is put off until the turn of the event
// loop ends: first the answers, which somebody waits for, then what nobody does, unless somebody looks.
//
// Promises: everything is done, in order and one at a time, before the next turn begins, or before `flush` returns.
// Work that throws keeps nothing behind it from being done.
// Must not know: what the work is.
import { setImmediate } from './machine-time.ts';

/** What is done at the end of a turn, in this order, of all batches together. */
const RANKS = ['answers', 'records', 'log'] as const;
export type Rank = (typeof RANKS)[number];

export class TickQueue {
  readonly rank: Rank;
  #waiting: (() => void)[] = [];
  #done = 0;
  #isFlushing = false;

  constructor(rank: Rank) {
    this.rank = rank;
  }

  later(work: () => void): void {
    if (this.#waiting.length === 0) flushAtEndOfTurn(this);
    this.#waiting.push(work);
  }

  /**
   * Does now what was put off, and what is put off meanwhile. Does nothing when it is called by such work: what comes
   * behind it must find it done.
   * @throws what the work throws; the rest is done at the end of the turn then
   */
  flush(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    try {
      for (let work = this.#waiting[this.#done]; work !== undefined; work = this.#waiting[this.#done]) {
        this.#done += 1;
        work();
      }
    } finally {
      this.#isFlushing = false;
      this.#waiting = this.#waiting.slice(this.#done);
      this.#done = 0;
      if (this.#waiting.length > 0) flushAtEndOfTurn(this);
    }
  }
}

/** Those with work, and whether their end of the turn is on its way. */
const ends: Readonly<Record<Rank, End>> = { answers: newEnd(), records: newEnd(), log: newEnd() };

/** Each rank has an end of its own: what Node puts off (`finish` of an answer) comes before the end of the next. */
function flushAtEndOfTurn(batch: TickQueue): void {
  const own = ends[batch.rank];
  own.due.add(batch);
  if (own.isComing) return;
  for (const rank of RANKS) {
    if (ends[rank].isComing) continue;
    ends[rank].isComing = true;
    setImmediate(endTurn, rank);
  }
}

function endTurn(rank: Rank): void {
  const end = ends[rank];
  const batches = [...end.due];
  end.due.clear();
  end.isComing = false;
  try {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) batch.flush();
  } finally {
    for (const batch of batches) flushAtEndOfTurn(batch); // One before them threw.
  }
}

interface End {
  readonly due: Set<TickQueue>;
  isComing: boolean;
}

function newEnd(): End {
  return { due: new Set(), isComing: false };
}
