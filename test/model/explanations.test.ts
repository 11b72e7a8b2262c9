// Histories written by hand: those that explanations.ts must accept, and those that it must refuse. A checker that explains
// everything would let every defect of the server pass.
import { describe, expect, it } from 'vitest';
import { Explanations, type Seen } from './explanations.ts';
import { TTL_MS, type ChunkOrder, type Op } from './oracle.ts';

const CHUNK = { kind: 'chunk', index: 0, total: 2, content: 'abc' } as const;
const OTHER = { ...CHUNK, content: 'xyz' } as const;
const STATUS = { kind: 'status' } as const;
const FINALISE = { kind: 'finalise', type: 'videos', title: 'one' } as const;
const RECEIVED = ok('received 0');
const CONFLICT: Seen = { status: 409, text: 'chunk_conflict {"chunkIndex":0,"storedBytes":3}', entry: null };

function ok(text: string): Seen {
  return { status: 200, text, entry: null };
}

function made(status: number, entry: string): Seen {
  return { status, text: 'videos one', entry };
}

class History extends Explanations {
  #lastId = 0;

  constructor(order: ChunkOrder = 'sequential') {
    super(order);
  }

  sent(op: Op, options = {}): number {
    this.#lastId += 1;
    this.invoked({ id: this.#lastId, op }, options);
    return this.#lastId;
  }

  /** One after the other. */
  told(...exchanges: readonly [Op, Seen][]): this {
    for (const [op, seen] of exchanges) this.answered(this.sent(op), seen);
    return this;
  }
}

describe('two requests that overlap', () => {
  it.each([
    ['stored and in conflict', RECEIVED, CONFLICT],
    ['in conflict and stored', CONFLICT, RECEIVED],
  ])('with other bytes of a chunk are %s, in either order of the answers', (_name, one, other) => {
    const history = new History();
    const ids = [history.sent(CHUNK), history.sent(OTHER)] as const;
    history.answered(ids[1], other);
    history.answered(ids[0], one);
    expect(history.states).toHaveLength(1);
  });

  it('with other bytes of a chunk are never both stored, or both in conflict', () => {
    for (const seen of [RECEIVED, CONFLICT]) {
      const history = new History();
      const ids = [history.sent(CHUNK), history.sent(OTHER)] as const;
      history.answered(ids[0], seen);
      expect(() => history.answered(ids[1], seen)).toThrow('was answered');
    }
  });

  it('are a finalise twice: one entry, made by one of them', () => {
    const whole: [Op, Seen] = [{ ...CHUNK, total: 1 }, ok('completed')];
    const twice = (one: Seen, other: Seen): void => {
      const history = new History().told(whole);
      const ids = [history.sent(FINALISE), history.sent(FINALISE)] as const;
      history.answered(ids[0], one);
      history.answered(ids[1], other);
    };
    twice(made(200, 'e'), made(201, 'e'));
    expect(() => twice(made(201, 'e'), made(201, 'e'))).toThrow('was answered');
    expect(() => twice(made(201, 'e'), made(200, 'f'))).toThrow('was answered');
  });
});

describe('a lost answer', () => {
  it('is of something stored or not, and what the next status says is so from then on', () => {
    const history = new History();
    history.sent(CHUNK);
    history.restarted(true);
    expect(history.states).toHaveLength(2);
    history.told([STATUS, ok('[true,3]')]);
    expect(history.states).toHaveLength(1);
    expect(() => history.told([STATUS, ok('[false,0]')])).toThrow('was answered');
  });

  it('of a body that was cut off is of nothing', () => {
    const history = new History();
    history.vanished(history.sent(CHUNK, { isWhole: false }));
    expect(() => history.told([STATUS, ok('[true,3]')])).toThrow('was answered');
  });

  it('after the commit is of something stored', () => {
    const history = new History();
    history.unheard(history.sent(CHUNK));
    expect(() => history.told([STATUS, ok('[false,0]')])).toThrow('was answered');
  });
});

describe('expiry', () => {
  const later: [Op, Seen] = [{ kind: 'advance', ms: TTL_MS }, ok('')];

  it('comes with time, and not before', () => {
    new History().told([CHUNK, RECEIVED], later, [STATUS, ok('[false,0]')]);
    const history = new History().told([CHUNK, RECEIVED], [{ kind: 'advance', ms: TTL_MS - 1 }, ok('')]);
    expect(() => history.told([STATUS, ok('[false,0]')])).toThrow('was answered');
    expect(() => new History().told([CHUNK, RECEIVED], later, [STATUS, ok('[true,3]')])).toThrow(
      'was answered',
    );
  });

  it('does not come while a request is known to be in flight', () => {
    const history = new History().told([CHUNK, RECEIVED]);
    history.held(history.sent({ ...CHUNK, index: 1 }, { isWhole: false }));
    history.told(later, [STATUS, ok('[true,3]')]);
    expect(() => history.told([STATUS, ok('[false,0]')])).toThrow('was answered');
  });
});
