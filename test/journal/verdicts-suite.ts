// verdicts-suite.ts: random exchanges of one upload that overlap, stall, are reset, cut and replayed. They are recorded as the
// server does it. Every verdict on them is compared with an oracle that knows when each exchange truly began, stored, was reported
// and ended.
//
// The oracle is not a second journal: it has its own clock, knows what had to make room, and looks at all pairs. Where the rule
// (behaviour §11) permits both verdicts, as for an answer that overlapped a later report, the oracle says nothing.
import { describe, expect, it } from 'vitest';
import { parseRules } from '../../src/faults/rules.ts';
import type { Claim } from '../../src/faults/rule-armed.ts';
import { RuleSet } from '../../src/faults/rule-set.ts';
import type { Exchange } from '../../src/journal/exchange.ts';
import type { Journal } from '../../src/journal/journal.ts';
import { matches, type JournalMatcher } from '../../src/journal/matcher.ts';
import { parseVerify, verify, type Verdict } from '../../src/journal/verify.ts';
import { diceOf, SEED, type Dice } from '../helpers/seed.ts';
import { chunk, draft, openJournal, statusQuery } from './drafts.ts';

const CHUNKS = 4;
const BYTES = 100;
const NEVER = Number.POSITIVE_INFINITY;

/** The truth of one exchange. Times are of the oracle's clock. */
interface Fact {
  readonly index: number | null;
  readonly beganAt: number;
  readonly begun: number;
  /** Null: not recorded. */
  seq: number | null;
  overAt: number;
  hasStored: boolean;
  /** The client had a 2xx whole. */
  isRead: boolean;
  /** What a status said; -1: there is no such upload. */
  size: number | null;
  /** It takes back, read or not. */
  takesBack: boolean;
  life: number;
  claim: Claim | null;
}

type Fate = 'whole' | 'slow' | 'reset' | 'stall' | 'cut' | 'left in the answer';

const FATES: readonly Fate[] = [
  'whole',
  'whole',
  'whole',
  'whole',
  'slow',
  'reset',
  'stall',
  'cut',
  'left in the answer',
];

class World {
  readonly journal: Journal;
  readonly rules = new RuleSet();
  readonly firedRules = new Set<string>();
  readonly facts: Fact[] = [];
  /** Every exchange that was ever recorded, as it truly ended. */
  readonly all = new Map<number, Exchange>();
  readonly #dice: Dice;
  readonly #unread: Fact[] = [];
  /** What ends an exchange that is under way. */
  readonly #open: (() => void)[] = [];
  #stored = 0;
  #life = 1;
  #now = 0;

  constructor(dice: Dice, maxEntries: number) {
    this.#dice = dice;
    this.journal = openJournal({ maxEntries });
    const rules = Array.from({ length: 3 }, (_, at) => ({
      id: `r${at}`,
      match: { operation: 'uploadChunk', chunkIndex: dice.between(0, CHUNKS) },
      when: dice.chance(0.3) ? { skip: dice.between(0, 3) } : {},
      fault: 'reset@post-commit',
      times: dice.between(1, 3),
    }));
    this.rules.add(
      parseRules(rules, () => 'unused'),
      0,
    );
  }

  get lives(): number {
    return this.#life;
  }

  step(): void {
    this.#now += 1;
    const throwOf = this.#dice.between(1, 100);
    if (throwOf <= 35) this.#begin();
    else if (throwOf <= 75) this.#answer();
    else if (throwOf <= 97) this.#end();
    else if (this.#dice.chance(0.2)) this.#lose();
  }

  /** Everything that is in progress ends. */
  finish(): void {
    while (this.#unread.length > 0) this.#answer();
    while (this.#open.length > 0) this.#end();
  }

  #begin(): void {
    const index = this.#dice.chance(0.25)
      ? null
      : this.#dice.between(0, Math.min(this.#stored + 1, CHUNKS - 1));
    const fact: Fact = {
      index,
      beganAt: this.#now,
      begun: this.facts.length + 1,
      seq: null,
      overAt: NEVER,
      hasStored: false,
      isRead: false,
      size: null,
      takesBack: false,
      life: this.#life,
      claim: null,
    };
    if (index !== null)
      fact.claim = this.rules.claim({ operation: 'uploadChunk', chunkIndex: index }, () => 0, 0);
    this.facts.push(fact);
    this.#unread.push(fact);
  }

  /** The request has come whole, or ends before. */
  #answer(): void {
    const fact = this.#taken(this.#unread);
    if (fact === null) return;
    this.#now += 1;
    if (this.#dice.chance(0.12)) this.#isAborted(fact);
    else if (fact.index === null) this.#tellsStatus(fact);
    else this.#takesChunk(fact, fact.index);
  }

  #isAborted(fact: Fact): void {
    fact.claim?.release();
    const outcome = 'client-aborted';
    this.#record(fact, { ...this.#subject(fact), committed: null, told: null, response: null, outcome });
    this.#over(fact);
  }

  #tellsStatus(fact: Fact): void {
    const exists = this.#stored > 0;
    // Sometimes it is the status before the last chunk (`stale-status`): the client takes it for the truth.
    const isStale = this.#stored > 1 && this.#dice.chance(0.15);
    const currentSize = (isStale ? this.#stored - 1 : this.#stored) * BYTES;
    fact.size = exists ? currentSize : -1;
    fact.takesBack = !exists;
    fact.life = this.#life;
    const told = { exists, currentSize };
    this.#goesOn(fact, { ...this.#subject(fact), committed: null, told }, this.#dice.pick(FATES));
  }

  #takesChunk(fact: Fact, index: number): void {
    fact.life = this.#life;
    if (index > this.#stored) {
      fact.claim?.release();
      fact.takesBack = true;
      const response = { status: 409, errorCode: 'chunk_out_of_order', bytes: 90 };
      this.#record(fact, { ...this.#subject(fact), committed: null, response, outcome: 'refused' });
      this.#over(fact);
      return;
    }
    fact.hasStored = index === this.#stored;
    if (fact.hasStored) this.#stored += 1;
    const committed = fact.hasStored ? { offset: index * BYTES, bytes: BYTES } : null;
    const isFaulty = fact.claim !== null;
    this.#goesOn(fact, { ...this.#subject(fact), committed }, isFaulty ? 'reset' : this.#dice.pick(FATES));
  }

  #goesOn(fact: Fact, what: ReturnType<typeof draft>, fate: Fate): void {
    const { claim } = fact;
    claim?.fired();
    if (claim !== null) this.firedRules.add(claim.rule.id);
    const ruleId = claim?.rule.id ?? 'of-nobody';
    const fault = (phase: string, effect: string) => ({ ruleId, phase, effect });
    if (fate === 'reset') {
      this.#record(fact, {
        ...what,
        response: null,
        outcome: 'fault-reset',
        fault: fault('post-commit', 'reset'),
      });
      this.#over(fact);
    } else if (fate === 'stall') {
      // It is noticed when the client leaves, which may be long after.
      this.#open.push(() => {
        this.#record(fact, {
          ...what,
          response: null,
          outcome: 'client-aborted',
          fault: fault('post-commit', 'stall'),
        });
        this.#over(fact);
      });
    } else if (fate === 'cut') {
      this.#record(fact, { ...what, outcome: 'fault-closed', fault: fault('response', 'truncate') });
      this.#over(fact);
    } else {
      this.#record(fact, what);
      const end = (): void => this.#over(fact, fate !== 'left in the answer');
      if (fate === 'whole') end();
      else this.#open.push(end);
    }
  }

  /** An exchange that is under way is over. */
  #end(): void {
    this.#now += 1;
    this.#taken(this.#open)?.();
  }

  /** The upload is deleted by somebody else: nobody is told. */
  #lose(): void {
    this.#stored = 0;
    this.#life += 1;
  }

  #subject({ index, begun }: Fact): ReturnType<typeof draft> {
    const own = index === null ? statusQuery() : chunk(index);
    return { ...own, begun, endedAfter: null };
  }

  #record(fact: Fact, what: ReturnType<typeof draft>): void {
    const exchange = this.journal.append(what);
    fact.seq = exchange.seq;
    this.all.set(exchange.seq, exchange);
  }

  #over(fact: Fact, isWhole = true): void {
    const recorded = this.all.get(fact.seq ?? 0);
    if (recorded === undefined) throw new Error('over before it was recorded');
    const timing = { firstByteMs: 1, bodyMs: 1, totalMs: 1 };
    this.journal.ended(recorded.seq, { isWhole, timing, endedAfter: this.facts.length });
    const isAnswered = recorded.outcome === 'answered';
    if (isAnswered && !isWhole) this.all.set(recorded.seq, { ...recorded, outcome: 'client-aborted' });
    fact.overAt = this.#now;
    fact.isRead = isAnswered && isWhole;
  }

  #taken<T>(items: T[]): T | null {
    return items.length === 0 ? null : (items.splice(this.#dice.between(0, items.length - 1), 1)[0] ?? null);
  }
}

/** The client was told of the chunk by it. */
function acknowledges(fact: Fact, index: number): boolean {
  if (!fact.isRead) return false;
  return fact.index === null
    ? (fact.size ?? -1) >= (index + 1) * BYTES
    : fact.index === index && !fact.takesBack;
}

function takesBack(fact: Fact, index: number): boolean {
  return fact.takesBack || (fact.size !== null && fact.size < (index + 1) * BYTES);
}

/** Guilty, innocent, or what the rule leaves open. */
function judge(accused: Fact, facts: readonly Fact[], lives: number): 'guilty' | 'innocent' | 'either' {
  const { index, beganAt, hasStored, seq } = accused;
  if (index === null || hasStored || seq === null) return 'innocent';
  const told = facts.filter((fact) => fact !== accused && fact.overAt < beganAt && acknowledges(fact, index));
  const before = facts.filter((fact) => fact !== accused && fact.seq !== null && fact.beganAt < beganAt);
  const standing = told.filter(
    (ack) =>
      !before.some(
        (fact) =>
          fact.beganAt > ack.overAt &&
          fact.overAt < beganAt &&
          (((fact.isRead || fact.takesBack) && takesBack(fact, index)) ||
            (fact.hasStored && fact.life > ack.life)),
      ),
  );
  if (standing.length === 0) return 'innocent';
  // Where chunks lie is known when each commit is on record, which of one that stalls is late.
  const isPlaced = facts.every((fact) => !fact.hasStored || fact.seq !== null);
  const isCertain = told.some((ack) =>
    before.every((fact) => !takesBack(fact, index) || fact.overAt < ack.beganAt),
  );
  return isCertain && isPlaced && lives === 1 ? 'guilty' : 'either';
}

interface Tally {
  guilty: number;
  innocent: number;
  /** Left by the rule to either side. */
  either: number;
  inconclusive: number;
  passed: number;
  failed: number;
}

export function verdictsHold(worlds: number): void {
  describe('whatever overlapped, stalled, was reset or sent again', () => {
    it(`every verdict is what truly was, in ${worlds} worlds (seed ${SEED}) (§11.10)`, () => {
      const tally: Tally = { guilty: 0, innocent: 0, either: 0, inconclusive: 0, passed: 0, failed: 0 };
      for (let world = 0; world < worlds; world += 1) playAndJudge(SEED + world, tally);
      // Otherwise the test would pass whatever the verdicts are.
      expect(Math.min(...Object.values(tally)), JSON.stringify(tally)).toBeGreaterThan(0);
    });
  });
}

function playAndJudge(seed: number, tally: Tally): void {
  const dice = diceOf(seed);
  const world = new World(dice, dice.chance(0.5) ? 10_000 : dice.between(3, 20));
  const steps = dice.between(20, 80);
  for (let step = 0; step < steps; step += 1) {
    world.step();
    if (step % 20 === 19) checkAll(world, { dice, tally, seed });
  }
  world.finish();
  checkAll(world, { dice, tally, seed });
}

interface Looking {
  readonly dice: Dice;
  readonly tally: Tally;
  readonly seed: number;
}

function checkAll(world: World, looking: Looking): void {
  checkAcknowledged(world, looking);
  checkRules(world, looking);
  for (let check = 0; check < 6; check += 1) checkMatchers(world, looking);
}

function verdictOf({ journal, rules }: World, json: object): Verdict {
  const unfiredRules = rules.list(0).filter(({ fired }) => fired === 0);
  return verify(parseVerify(json), {
    exchanges: journal.find('ns_a').exchanges,
    unfiredRules: unfiredRules.map(({ id }) => ({ ruleId: id })),
    evicted: (since) => journal.evicted('ns_a', since),
  });
}

/** Replaces `expect` for checks that run tens of thousands of times. */
function must(isSo: boolean, seed: number, ...what: unknown[]): void {
  if (!isSo) throw new Error(`TEST_SEED=${seed}: ${what.map((one) => JSON.stringify(one)).join(' ')}`);
}

function checkAcknowledged(world: World, { tally, seed }: Looking): void {
  const { facts, lives, journal } = world;
  const verdict = verdictOf(world, { never: ['acknowledged chunk re-sent'], unfiredRules: false });
  const accused = !verdict.pass && 'seqs' in verdict.actual ? verdict.actual.seqs : [];
  const isWhole = journal.evicted('ns_a') === 0;
  const isOpen = !verdict.pass && verdict.inconclusive === true;
  must(isOpen === !isWhole, seed, 'inconclusive', verdict);
  must(verdict.pass === (isWhole && accused.length === 0), seed, 'passed', verdict);
  for (const fact of facts.filter(({ seq }) => seq !== null)) {
    const word = judge(fact, facts, lives);
    tally[word] += 1;
    const isWrong = word === (accused.includes(fact.seq ?? 0) ? 'innocent' : 'guilty');
    must(!(isWhole && isWrong), seed, `is ${word}`, fact.seq, facts);
  }
}

/** A rule that truly never fired is named, and no other rule, whatever made room. */
function checkRules(world: World, { seed }: Looking): void {
  const verdict = verdictOf(world, {});
  const failures = verdict.pass ? [] : verdict.failures;
  const named = failures.map(({ expected }) => ('ruleId' in expected ? expected.ruleId : ''));
  const unfired = ['r0', 'r1', 'r2'].filter((id) => !world.firedRules.has(id));
  must(named.join() === unfired.join(), seed, 'rules that never fired', { named, unfired });
}

function checkMatchers(world: World, { dice, tally, seed }: Looking): void {
  const { json, isSo } = dice.pick([countCheck, sequenceCheck, neverCheck])([...world.all.values()], dice);
  const verdict = verdictOf(world, { ...json, unfiredRules: false });
  const isWhole = world.journal.evicted('ns_a') === 0;
  const isOpen = !verdict.pass && verdict.inconclusive === true;
  if (isOpen) tally.inconclusive += 1;
  else if (verdict.pass) tally.passed += 1;
  else tally.failed += 1;
  must(!(isOpen && isWhole), seed, 'can be decided', json);
  must(isOpen || verdict.pass === isSo, seed, 'is otherwise', json, verdict);
}

interface Check {
  readonly json: object;
  /** Of everything that ever was on record. */
  readonly isSo: boolean;
}

function matcherBy(dice: Dice): JournalMatcher {
  return dice.pick<JournalMatcher>([
    { chunkIndex: dice.between(0, CHUNKS - 1) },
    { operation: 'getUploadStatus' },
    { outcome: dice.pick(['answered', 'fault-reset', 'client-aborted'] as const) },
    { chunkIndex: dice.between(0, CHUNKS - 1), status: 200 },
    { errorCode: 'chunk_out_of_order' },
    {},
  ]);
}

function countCheck(all: readonly Exchange[], dice: Dice): Check {
  const match = matcherBy(dice);
  const count = all.filter((exchange) => matches(exchange, match)).length;
  const near = Math.max(0, count + dice.between(-2, 2));
  const [least, most] = [Math.max(0, near - dice.between(0, 2)), near + dice.between(0, 2)];
  return dice.pick<Check>([
    { json: { expect: [{ match, count: near }] }, isSo: count === near },
    { json: { expect: [{ match, atLeast: least }] }, isSo: count >= least },
    { json: { expect: [{ match, atMost: most }] }, isSo: count <= most },
    { json: { expect: [{ match, atLeast: least, atMost: most }] }, isSo: count >= least && count <= most },
    { json: { expect: [{ match }] }, isSo: count > 0 },
  ]);
}

function neverCheck(all: readonly Exchange[], dice: Dice): Check {
  const match = matcherBy(dice);
  return { json: { never: [match] }, isSo: !all.some((exchange) => matches(exchange, match)) };
}

/** By the true beginnings: whether there are exchanges, each begun after the one before, that meet the steps. */
function sequenceCheck(all: readonly Exchange[], dice: Dice): Check {
  const sequence = Array.from({ length: dice.between(1, 4) }, () => matcherBy(dice));
  const canFollow = (step: number, after: number): boolean => {
    const matcher = sequence[step];
    if (matcher === undefined) return true;
    const begins = all.filter((one) => one.begun > after && matches(one, matcher)).map(({ begun }) => begun);
    return begins.length > 0 && canFollow(step + 1, Math.min(...begins));
  };
  return { json: { sequence }, isSo: canFollow(0, 0) };
}
