// model/commands.ts: what can happen in a sequence. fast-check generates these commands and shrinks them.
//
// A command chooses its target when it runs: the next chunk, a stored chunk, or a chunk beyond a gap, of the upload as it is then.
// So a command still makes sense when shrinking has removed the commands before it.
// Must not know: what the command results in.
// Must not know: what comes of it.
import fc from 'fast-check';
import { prefixOf, TTL_MS, type Op } from './oracle.ts';
import type { File } from './records.ts';
import { LATE_MS, type Fault, type Request, type Sequence } from './sequence.ts';
import type { Ending } from './world.ts';

const MAX_CHUNKS = 4;
const MAX_FLIGHTS = 4;

type Aim = { readonly to: 'next' | 'stored' | 'ahead'; readonly by: number };

interface ChunkItem {
  readonly kind: 'chunk';
  readonly file: number;
  readonly aim: Aim;
  /** The total of an upload that this command begins; otherwise the known total, unless `isOtherTotal`. */
  readonly total: number;
  readonly isOtherTotal: boolean;
  readonly variant: number;
  readonly isFileFirst: boolean;
  readonly fault: Fault | undefined;
}

interface OpItem {
  readonly kind: 'op';
  readonly file: number;
  readonly op: Op;
  readonly fault: Fault | undefined;
}

interface FlightItem {
  readonly kind: 'goOn' | 'cut';
  readonly flight: number;
}

type Item = ChunkItem | OpItem | FlightItem;

/** Every content of a chunk shows its place. Variant 0 is what a client should send. */
function contentOf({ key, fileId }: File, index: number, variant: number): string {
  const base = `<${key.at(-1)}${fileId}${index}>`.padEnd(8 + index * 3, '.');
  return [base, base.toUpperCase(), `${base}, and more`, base.slice(0, 5), ''][variant] ?? base;
}

export function contentsOf(file: File, total: number): string[] {
  return Array.from({ length: total }, (_, index) => contentOf(file, index, 0));
}

const fileIndex = fc.oneof(
  { arbitrary: fc.constant(0), weight: 8 },
  { arbitrary: fc.constantFrom(1, 2), weight: 2 },
);

/** Now and then, and of these one. */
function rarely(faults: readonly Fault[]): fc.Arbitrary<Fault | undefined> {
  return fc.option(fc.constantFrom(...faults), { freq: 4, nil: undefined });
}

const BEFORE: Fault[] = ['reset@headers', 'close@headers', 'status@headers:503'].map((fault) => ({
  fault,
  effect: 'none',
}));
const AFTER: Fault[] = [
  ...['close@pre-commit', 'reset@pre-commit', 'status@pre-commit:503,retryAfter=1'].map((fault): Fault => ({
    fault,
    effect: 'none',
  })),
  ...['close@post-commit', 'reset@post-commit', 'status@post-commit:502'].map((fault): Fault => ({
    fault,
    effect: 'done',
  })),
  { fault: `late-commit:${LATE_MS}`, effect: 'late' },
];
const ANSWER: Fault = { fault: 'truncate@response', effect: 'unheard' };

const chunkItem: fc.Arbitrary<ChunkItem> = fc.record({
  kind: fc.constant('chunk'),
  file: fileIndex,
  aim: fc.record({
    to: fc.constantFrom('next', 'next', 'next', 'next', 'stored', 'ahead'),
    by: fc.nat(MAX_CHUNKS - 1),
  }),
  total: fc.integer({ min: 1, max: MAX_CHUNKS }),
  isOtherTotal: fc.nat(15).map((n) => n === 15),
  variant: fc.oneof(
    { arbitrary: fc.constant(0), weight: 8 },
    { arbitrary: fc.integer({ min: 1, max: 4 }), weight: 2 },
  ),
  isFileFirst: fc.boolean(),
  fault: rarely([
    ...BEFORE,
    ...AFTER,
    ANSWER,
    { fault: 'reset@body:1', effect: 'none' },
    { fault: 'stall@post-commit', effect: 'stalled' },
  ]),
});

const statusItem = fc.record({
  kind: fc.constant('op'),
  file: fileIndex,
  op: fc.constant({ kind: 'status' }),
  fault: rarely([...BEFORE, ANSWER]),
});

const finaliseItem = fc.record({
  kind: fc.constant('op'),
  file: fileIndex,
  op: fc.record({
    kind: fc.constant('finalise'),
    type: fc.constantFrom('videos', 'videos', 'videos', 'images'),
    title: fc.constantFrom('one', 'one', 'one', 'two'),
  }),
  fault: rarely([...BEFORE, ...AFTER, ANSWER]),
});

const removeItem = fc.record({
  kind: fc.constant('op'),
  file: fileIndex,
  op: fc.constant({ kind: 'remove' }),
  fault: fc.constant(undefined),
});

const advanceItem = fc.record({
  kind: fc.constant('op'),
  file: fileIndex,
  op: fc.record({
    kind: fc.constant('advance'),
    ms: fc.constantFrom(1, LATE_MS, TTL_MS / 2, TTL_MS - 1, TTL_MS, TTL_MS),
  }),
  fault: fc.constant(undefined),
});

const flightItem = fc.record({
  kind: fc.constantFrom('goOn', 'goOn', 'cut'),
  flight: fc.nat(MAX_FLIGHTS - 1),
});

const item = fc.oneof(
  { arbitrary: chunkItem, weight: 12 },
  { arbitrary: finaliseItem, weight: 4 },
  { arbitrary: statusItem, weight: 3 },
  { arbitrary: flightItem, weight: 3 },
  { arbitrary: advanceItem, weight: 1 },
  { arbitrary: removeItem, weight: 1 },
) as fc.Arbitrary<Item>;

/** fast-check's model is the sequence itself, on which its commands run. */
type Command = fc.AsyncCommand<Sequence, Sequence>;

class Together implements Command {
  readonly items: readonly Item[];

  constructor(items: readonly Item[]) {
    this.items = items;
  }

  check(): boolean {
    return true;
  }

  async run(sequence: Sequence): Promise<void> {
    const flights = [...sequence.flights];
    const goingOn = [];
    for (const one of this.items) {
      if (!('flight' in one)) continue;
      const [flight] = flights.splice(one.flight % Math.max(flights.length, 1), 1);
      if (flight !== undefined && one.kind === 'cut') sequence.cut(flight);
      else if (flight !== undefined) goingOn.push(flight);
    }
    await sequence.together(requestsOf(sequence, this.items), goingOn);
  }

  toString(): string {
    return `together ${JSON.stringify(this.items)}`;
  }
}

class Begin implements Command {
  readonly item: ChunkItem;
  readonly share: number;
  readonly isWatched: boolean;

  constructor(chunk: ChunkItem, share: number, isWatched: boolean) {
    this.item = chunk;
    this.share = share;
    this.isWatched = isWatched;
  }

  check(sequence: Readonly<Sequence>): boolean {
    return sequence.flights.length < MAX_FLIGHTS;
  }

  async run(sequence: Sequence): Promise<void> {
    for (const request of requestsOf(sequence, [this.item])) await sequence.begin(request, this);
  }

  toString(): string {
    return `begin ${this.share} ${this.isWatched ? 'watched ' : ''}of ${JSON.stringify(this.item)}`;
  }
}

class Restart implements Command {
  readonly ending: Ending;
  readonly items: readonly Item[];

  constructor(ending: Ending, items: readonly Item[]) {
    this.ending = ending;
    this.items = items;
  }

  check(): boolean {
    return true;
  }

  async run(sequence: Sequence): Promise<void> {
    // Otherwise it could not be told what the fault lost and what the restart lost. The restart also sets a moved clock anew.
    const requests = requestsOf(sequence, this.items).filter(({ op }) => op.kind !== 'advance');
    await sequence.restart(
      this.ending,
      requests.map((request) => ({ ...request, fault: undefined })),
    );
  }

  toString(): string {
    return `restart ${this.ending} ${JSON.stringify(this.items)}`;
  }
}

function requestsOf(sequence: Sequence, items: readonly Item[]): Request[] {
  return items.flatMap((one): Request[] => {
    if ('flight' in one) return [];
    const file = sequence.files[one.file];
    if (file === undefined) return [];
    if (one.kind === 'chunk') return [chunkRequest(file, { ...one, fault: withoutLate(one.fault, items) })];
    if (one.op.kind === 'advance' && !sequence.canAdvance(file, items.length === 1)) return [];
    return [{ file, op: one.op, fault: withoutLate(one.fault, items) }];
  });
}

/** If the clock were moved at the same time, it could not be told when the late answer is due. */
function withoutLate(fault: Fault | undefined, items: readonly Item[]): Fault | undefined {
  const isMoved = items.some((one) => one.kind === 'op' && one.op.kind === 'advance');
  return isMoved && fault?.effect === 'late' ? undefined : fault;
}

function chunkRequest(
  file: File,
  { aim, isOtherTotal, variant, isFileFirst, fault, ...item }: ChunkItem,
): Request {
  const upload = file.explanations.states[0]?.upload ?? null;
  const known = upload?.total ?? item.total;
  const total = isOtherTotal ? (known % MAX_CHUNKS) + 1 : known;
  const next = prefixOf(upload).length;
  const index = { next, stored: aim.by % Math.max(next, 1), ahead: next + aim.by }[aim.to] % total;
  const op: Op = { kind: 'chunk', index, total, content: contentOf(file, index, variant) };
  return { file, op, isFileFirst, fault };
}

/** @param restartWeight of 100 */
export function commands(restartWeight: number): fc.Arbitrary<Iterable<Command>> {
  const together = fc.array(item, { minLength: 1, maxLength: 4 }).map((items) => new Together(items));
  const begin = fc
    .tuple(chunkItem, fc.double({ min: 0.2, max: 0.99, noNaN: true }), fc.boolean())
    .map(([chunk, share, isWatched]) => new Begin({ ...chunk, fault: undefined }, share, isWatched));
  const restart = fc
    .tuple(fc.constantFrom<Ending>('drained', 'closed', 'killed', 'killed'), fc.array(item, { maxLength: 2 }))
    .map(([ending, items]) => new Restart(ending, items));
  return fc.commands(
    [
      fc.oneof(
        { arbitrary: together, weight: 75 },
        { arbitrary: begin, weight: 25 },
        { arbitrary: restart, weight: restartWeight },
      ) as fc.Arbitrary<Command>,
    ],
    { maxCommands: 8, size: '+1' },
  );
}
