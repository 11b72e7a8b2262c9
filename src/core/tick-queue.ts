// core/tick-queue.ts: work that is collected and done together at the end of the event loop's turn.
//
// This saves time in two ways. Code that runs once per request finds the processor's caches cold; the same code run for many
// requests in a row takes a fraction of the time. And each answer that is sent alone wakes its client up, which costs the
// sender as much as all other work here (figures in bench/README.md). Answers come first, because clients wait for them.
// Records and the log follow; `flush` does them earlier when a reader needs them.
//
// Promises: all work is done in order, one piece at a time, before the next turn begins or before `flush` returns.
// Work that throws does not keep the work behind it from being done.
import { setImmediate } from './machine-time.ts';

/** Kinds of work, in the order in which they are done at the end of a turn. */
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
   * Does all waiting work now, including work that is added meanwhile. Does nothing when such work calls it, because the
   * work behind must find the caller's work completed.
   * @throws what the work throws; the remaining work is then done at the end of the turn
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

/** Per rank: the queues with work, and whether the end of the turn is scheduled. */
const ends: Readonly<Record<Rank, End>> = { answers: newEnd(), records: newEnd(), log: newEnd() };

/** Each rank has its own end of turn: callbacks of Node, such as `finish` of an answer, run before the next rank. */
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
    for (const batch of batches) flushAtEndOfTurn(batch); // An earlier queue threw.
  }
}

interface End {
  readonly due: Set<TickQueue>;
  isComing: boolean;
}

function newEnd(): End {
  return { due: new Set(), isComing: false };
}
