// model/explanations.ts: keeps every way in which the observed answers of one upload can have come about. If no way is left, the
// server is wrong.
//
// Requests that overlap may take effect in any order, each at one moment between the sending of the request and the arrival of its
// answer (linearizability). A way is one such order so far: the state of the oracle, and the answers of the requests that have
// taken effect but are not answered yet. A way lets a request take effect only when an answer needs that, because nothing is lost
// by deciding later.
// Where a client cannot know what happened, there are several ways: whether a request whose answer was lost stored something;
// whether an upload that was due expired while a request may have been in flight. The next answer decides between them, and the
// decision stays.
// that was due expired while a request may have been in flight. The next answer decides, and stays decided.
// Must not know: HTTP, how requests are sent.
import {
  expired,
  isDue,
  NOTHING,
  step,
  type Answer,
  type Asked,
  type ChunkOrder,
  type Op,
  type State,
} from './oracle.ts';

/** An answer as it came. */
export interface Seen {
  readonly status: number;
  readonly text: string;
  /** The id of the entry that the answer names. */
  readonly entry: string | null;
}

interface Way {
  readonly state: State;
  readonly done: ReadonlyMap<number, Answer>;
  /** The ids of entries, by the requests that made them. */
  readonly ids: ReadonlyMap<number, string>;
}

interface Pending extends Asked {
  /** All of the request has been sent, so the server can do more than refuse it. */
  isWhole: boolean;
  /** The server certainly has the upload in hand: it cannot expire meanwhile. */
  isHeld: boolean;
  /** The request has taken effect and has been judged; only its connection is still open. */
  isSpent: boolean;
  /** Another request for the same chunk, or the removal of the upload, overlaps. This request may have to give way (C12). */
  hasRival: boolean;
}

export class Explanations {
  readonly #order: ChunkOrder;
  readonly #pending = new Map<number, Pending>();
  #ways: Way[] = [{ state: NOTHING, done: new Map(), ids: new Map() }];

  constructor(order: ChunkOrder) {
    this.#order = order;
  }

  /** The possible ways at this moment, the likeliest first. */
  get states(): State[] {
    return this.#ways.map(({ state }) => state);
  }

  get isQuiet(): boolean {
    return this.#pending.size === 0;
  }

  /** Call this before the first byte of the request is sent. */
  invoked(asked: Asked, { isWhole = true }: { isWhole?: boolean } = {}): void {
    // No other request has the upload in hand, so an upload that is due is gone before this request sees it (C15).
    if (this.isQuiet) this.#ways = unique(this.#ways.map((way) => ({ ...way, state: expired(way.state) })));
    const rivals = [...this.#pending.values()].filter(
      ({ op, isSpent }) => !isSpent && areRivals(op, asked.op),
    );
    for (const rival of rivals) Object.assign(rival, { hasRival: true, isHeld: false });
    const hasRival = rivals.length > 0;
    this.#pending.set(asked.id, { ...asked, isWhole, isHeld: false, isSpent: false, hasRival });
  }

  /** Call this before the last byte of the request is sent. */
  completed(id: number): void {
    this.#one(id).isWhole = true;
  }

  /** The server is known to have the upload in hand for this request. */
  held(id: number): void {
    const one = this.#one(id);
    one.isHeld = !one.hasRival;
  }

  /** @throws Error when nothing explains the answer */
  answered(id: number, seen: Seen): void {
    const isSuperseded = seen.text.startsWith('chunk_superseded') && this.#one(id).hasRival;
    if (isSuperseded) return this.vanished(id);
    this.#keep(
      id,
      this.#until(id).flatMap((way) => agreeing(way, id, seen)),
      JSON.stringify(seen),
    );
    this.#pending.delete(id);
  }

  /** The request has ended and did nothing. */
  vanished(id: number): void {
    this.#keep(
      id,
      this.#ways.filter(({ done }) => !done.has(id)),
      'nothing, as it must not have had an effect',
    );
    this.#pending.delete(id);
  }

  /** The request has ended and did what was asked, unless it was refused with this status. */
  unheard(id: number, status?: number): void {
    this.spent(id, status);
    this.#pending.delete(id);
  }

  /** Like `unheard`, but the connection is still open, and the server has the upload in hand. */
  spent(id: number, status?: number): void {
    const isFit = (answer: Answer | undefined): boolean =>
      status === undefined ? Number(answer?.status) < 300 : answer?.status === status;
    this.#keep(
      id,
      this.#until(id).filter(({ done }) => isFit(done.get(id))),
      'nothing, as its answer was lost',
    );
    Object.assign(this.#one(id), { isSpent: true, isHeld: true });
  }

  /** The connection of a spent request is gone. */
  released(id: number): void {
    this.#pending.delete(id);
  }

  /** The request was answered as a failure and will be done `ms` later. */
  postponed(id: number, ms: number): void {
    this.#keep(
      id,
      this.#ways.filter(({ done }) => !done.has(id)),
      'that it comes late',
    );
    const { op } = this.#one(id);
    this.#pending.delete(id);
    this.#ways = this.#ways.map((way) => {
      const { state } = way;
      return {
        ...way,
        state: { ...state, late: [...state.late, { at: state.now + ms, asked: { id, op } }] },
      };
    });
  }

  /** The process ended and another one began: some of what was in flight is done. @param isRemembered it is on disk */
  restarted(isRemembered: boolean): void {
    for (const { id, isWhole, isSpent } of this.#pending.values()) {
      if (isSpent) this.#pending.delete(id);
      else if (!isWhole) this.vanished(id);
      else {
        this.#ways = unique([...this.#ways, ...this.#until(id)].map((way) => without(way, id)));
        this.#pending.delete(id);
      }
    }
    this.#ways = unique(this.#ways.map((way) => afterRestart(way, isRemembered)));
  }

  #one(id: number): Pending {
    const one = this.#pending.get(id);
    if (one === undefined) throw new Error(`request ${id} is not in flight`);
    return one;
  }

  #keep(id: number, ways: readonly Way[], seen: string): void {
    if (ways.length > 0) {
      this.#ways = unique(ways.map((way) => without(way, id)));
      return;
    }
    const { op } = this.#one(id);
    const possible = this.#until(id).map(({ done }) => JSON.stringify(done.get(id)));
    throw new Error(
      `request ${id} ${JSON.stringify(op)} was answered\n  ${seen}\npossible were\n  ${[...new Set(possible)].join('\n  ')}\n` +
        `in the states\n  ${this.states.map((state) => JSON.stringify(state)).join('\n  ')}\n` +
        `in flight: ${JSON.stringify([...this.#pending.values()])}`,
    );
  }

  /** Every way in which this request has taken effect and no other request after it. */
  #until(id: number): Way[] {
    const reached = new Map(this.#ways.map((way) => [keyOf(way), way]));
    const found: Way[] = [];
    // A loop over a Map also visits the items that are added during the loop.
    for (const way of reached.values()) {
      if (way.done.has(id)) found.push(way);
      else for (const next of this.#nextOf(way)) reached.set(keyOf(next), next);
    }
    return found;
  }

  #nextOf(way: Way): Way[] {
    const { state, done } = way;
    const all = [...this.#pending.values()];
    const isSafe = all.some(({ isHeld }) => isHeld);
    const expiry = isDue(state) && !isSafe ? [{ ...way, state: expired(state) }] : [];
    const effects = all
      .filter(({ id, isSpent }) => !isSpent && !done.has(id))
      .map((one) => ({ one, ...step(state, one, this.#order) }))
      .filter(({ one, answer }) => one.isWhole || answer.status >= 400)
      .map(({ one, answer, ...after }) => ({ ...way, ...after, done: new Map([...done, [one.id, answer]]) }));
    return [...expiry, ...effects];
  }
}

function areRivals(one: Op, other: Op): boolean {
  const isRemoval = one.kind === 'remove' || other.kind === 'remove';
  return isRemoval || (one.kind === 'chunk' && other.kind === 'chunk' && one.index === other.index);
}

function agreeing(way: Way, id: number, seen: Seen): Way[] {
  const answer = way.done.get(id);
  if (answer?.status !== seen.status || answer.text !== seen.text) return [];
  if (answer.entry === null || seen.entry === null) return answer.entry === seen.entry ? [way] : [];
  const known = way.ids.get(answer.entry);
  if (known !== undefined) return known === seen.entry ? [way] : [];
  // It has the id of another entry.
  if ([...way.ids.values()].includes(seen.entry)) return [];
  return [{ ...way, ids: new Map([...way.ids, [answer.entry, seen.entry]]) }];
}

function without(way: Way, id: number): Way {
  const done = new Map(way.done);
  done.delete(id);
  return { ...way, done };
}

/** Whoever restarts the server sets the time anew. With a seed, the ids of forgotten entries come again. */
function afterRestart({ state, done, ids }: Way, isRemembered: boolean): Way {
  if (isRemembered) return { done, ids, state: { ...state, late: [], stores: 0 } };
  return { done, ids: new Map(), state: { ...NOTHING, now: state.now } };
}

function unique(ways: readonly Way[]): Way[] {
  return [...new Map(ways.map((way) => [keyOf(way), way])).values()];
}

function keyOf({ state, done, ids }: Way): string {
  return JSON.stringify([
    state,
    [...done].toSorted(([a], [b]) => a - b),
    [...ids].toSorted(([a], [b]) => a - b),
  ]);
}
