// journal/verify.ts: compares the recorded exchanges with what a test expects (`POST verify`, behaviour §11).
//
// A request is valid if and only if it is an object of these fields:
//   `expect`        a list of `{match, count}` or `{match, atLeast, atMost}`; without a number: at least once
//   `sequence`      matchers for requests that began in this order, with any other requests between them
//   `never`         matchers, or names of NEVER_EVENTS
//   `unfiredRules`  false: allows rules that never fired. Otherwise an armed rule that never fired fails every verification
//                   (behaviour §9), because such a test would pass although its fault never happened.
import { z } from 'zod';
import { acknowledgedResent } from './acknowledged.ts';
import type { Exchange } from './exchange.ts';
import {
  matcherSchema,
  matches,
  testOf,
  type Difference,
  type JournalMatcher,
  type PlacedMatcher,
} from './matcher.ts';
import { MAX_NEAR_MISSES, nearestTo, nearMiss, type NearMiss } from './near-misses.ts';
import { parseOrRefuse } from '../core/problems.ts';

const NEVER_EVENTS = ['acknowledged chunk re-sent'] as const;

type NeverEvent = (typeof NEVER_EVENTS)[number];

const countSchema = z.int().min(0);

const expectationSchema = z
  .strictObject({
    match: matcherSchema,
    count: countSchema.optional(),
    atLeast: countSchema.optional(),
    atMost: countSchema.optional(),
  })
  .refine(({ count, atLeast, atMost }) => count === undefined || (atLeast ?? atMost) === undefined, {
    message: 'give count, or atLeast and atMost, not both',
  })
  .refine(({ atLeast = 0, atMost = Infinity }) => atLeast <= atMost, {
    message: 'atLeast is more than atMost',
  });

const neverSchema = z.union([z.enum(NEVER_EVENTS), matcherSchema], {
  error: `expected a matcher or one of: ${NEVER_EVENTS.join(', ')}`,
});

/** More checks in one request would keep the server from its uploads for too long. */
const MAX_CHECKS = 100;

const requestSchema = z.strictObject({
  expect: z.array(expectationSchema).max(MAX_CHECKS).default([]),
  sequence: z.array(matcherSchema).max(MAX_CHECKS).default([]),
  never: z.array(neverSchema).max(MAX_CHECKS).default([]),
  unfiredRules: z.boolean().default(true),
});

export type VerifyRequest = Readonly<z.infer<typeof requestSchema>>;
type Expectation = Readonly<z.infer<typeof expectationSchema>>;

/** An armed rule that has not fired. */
export interface UnfiredRule {
  readonly ruleId: string;
  /** The rule's namespace, when all namespaces are verified. */
  readonly namespace?: string;
  /** One sentence that says what the rule waits for. */
  readonly explain?: string;
  /** Those of its conditions that a journal matcher can express. */
  readonly match?: JournalMatcher;
}

interface Undecided {
  /** Exchanges that could decide the check were evicted, so it is neither passed nor failed. */
  readonly inconclusive?: true;
  /** Why no exchange fits, if that is known. */
  readonly hints?: readonly string[];
}

export type Failure = (
  | {
      readonly kind: 'expect';
      readonly pointer: string;
      readonly expected: Expectation;
      readonly actual: { readonly count: number; readonly seqs: readonly number[] };
      readonly nearMisses: readonly NearMiss[];
    }
  | {
      readonly kind: 'sequence';
      /** The first step that was not met. */
      readonly pointer: string;
      readonly expected: { readonly match: JournalMatcher; readonly afterSeq: number };
      /** The exchanges that met the steps before. */
      readonly actual: { readonly seqs: readonly number[] };
      readonly nearMisses: readonly NearMiss[];
    }
  | {
      readonly kind: 'never';
      readonly pointer: string;
      readonly expected: { readonly never: JournalMatcher | NeverEvent };
      readonly actual: { readonly count: number; readonly seqs: readonly number[] };
      /** The exchanges that should not exist. */
      readonly nearMisses: readonly NearMiss[];
    }
  | {
      readonly kind: 'unfiredRule';
      readonly pointer: string;
      readonly expected: UnfiredRule;
      readonly actual: { readonly fired: 0 };
      readonly nearMisses: readonly NearMiss[];
    }
) &
  Undecided;

/** With several failures, `expected`, `actual` and `nearMisses` are those of the first one (behaviour §9). */
export type Verdict =
  | { readonly pass: true }
  | ({
      readonly pass: false;
      readonly failures: readonly Failure[];
      /** No check failed for certain: each failed check depends on exchanges that were evicted. */
      readonly inconclusive?: true;
      /** The number of those exchanges. */
      readonly evicted?: number;
    } & Pick<Failure, 'expected' | 'actual' | 'nearMisses' | 'hints'>);

/** The facts on which a verdict is based. */
export interface Evidence {
  /** In order of `seq`. */
  readonly exchanges: readonly Exchange[];
  readonly unfiredRules: readonly UnfiredRule[];
  /** How many exchanges after `sinceSeq` may be missing. */
  readonly evicted: (sinceSeq: number) => number;
}

/** @throws AppError `invalid_matcher` naming each bad place */
export function parseVerify(value: unknown): VerifyRequest {
  return parseOrRefuse(requestSchema, value, 'invalid_matcher');
}

/**
 * A check whose result could be changed by evicted exchanges is inconclusive.
 * @param hint explains why a failed check found nothing
 */
export function verify(
  request: VerifyRequest,
  evidence: Evidence,
  hint: (failure: Failure) => readonly string[] = () => [],
): Verdict {
  const failures = failuresOf(request, evidence).map((failure) => {
    const hints = hint(failure);
    return hints.length === 0 ? failure : { ...failure, hints };
  });
  const certain = failures.filter(({ inconclusive }) => inconclusive !== true);
  const [first] = certain.length > 0 ? certain : failures;
  if (first === undefined) return { pass: true };
  const { expected, actual, nearMisses, hints } = first;
  const evicted = evidence.evicted(0);
  return {
    pass: false,
    ...(certain.length === 0 && { inconclusive: true }),
    ...(evicted > 0 && { evicted }),
    failures,
    expected,
    actual,
    nearMisses,
    ...(hints !== undefined && { hints }),
  };
}

function failuresOf(request: VerifyRequest, evidence: Evidence): Failure[] {
  const { exchanges, unfiredRules } = evidence;
  return [
    ...request.expect.map((expectation, index) => checkCount(expectation, index, evidence)),
    checkSequence(request.sequence, evidence),
    ...request.never.map((unwanted, index) => checkNever(unwanted, index, evidence)),
    ...(request.unfiredRules ? unfiredRules.map((rule) => unfired(rule, exchanges)) : []),
  ].filter((failure) => failure !== null);
}

/** Every matcher of the request, with its place. */
export function matchersOf(request: VerifyRequest): PlacedMatcher[] {
  const never = request.never.map((unwanted, index) => ({ path: ['never', index], matcher: unwanted }));
  return [
    ...request.expect.map(({ match: matcher }, index) => ({ path: ['expect', index, 'match'], matcher })),
    ...request.sequence.map((matcher, index) => ({ path: ['sequence', index], matcher })),
    ...never.flatMap(({ path, matcher }) => (typeof matcher === 'string' ? [] : [{ path, matcher }])),
  ];
}

export function boundsOf({ count, atLeast, atMost }: Omit<Expectation, 'match'>): {
  min: number;
  max: number;
} {
  if (count !== undefined) return { min: count, max: count };
  // `atMost` alone does not demand any exchange.
  return { min: atLeast ?? (atMost === undefined ? 1 : 0), max: atMost ?? Infinity };
}

function checkCount(expected: Expectation, index: number, evidence: Evidence): Failure | null {
  const { exchanges } = evidence;
  const { min, max } = boundsOf(expected);
  const found = exchanges.filter(testOf(expected.match));
  // Further exchanges can only help to reach a lower bound, and to break an upper bound.
  const isMissing = evidence.evicted(expected.match.sinceSeq ?? 0) > 0;
  const isOpen = isMissing && found.length <= max && (found.length < min || max !== Infinity);
  if (!isOpen && found.length >= min && found.length <= max) return null;
  return {
    ...(isOpen && { inconclusive: true }),
    kind: 'expect',
    pointer: `/expect/${index}`,
    expected,
    actual: countOf(found),
    nearMisses: found.length < min ? nearestTo(expected.match, exchanges) : unwantedOf(found),
  };
}

/** Ordered by `begun`: an exchange that ends late, such as one that stalled, was not sent late. */
function checkSequence(sequence: readonly JournalMatcher[], evidence: Evidence): Failure | null {
  const { exchanges } = evidence;
  const met: Exchange[] = [];
  for (const exchange of exchanges.toSorted((left, right) => left.begun - right.begun)) {
    const step = sequence[met.length];
    if (step !== undefined && matches(exchange, step)) met.push(exchange);
  }
  const missed = sequence[met.length];
  if (missed === undefined) return null;
  const { seq: afterSeq, begun: afterBegun } = met.at(-1) ?? { seq: 0, begun: 0 };
  const seqs = met.map(({ seq }) => seq);
  const tooEarly = ({ seq, begun }: Exchange) =>
    begun > afterBegun ? [] : [{ field: 'order', expected: `after #${afterSeq}`, actual: seq }];
  const isMissing = sequence.some(({ sinceSeq = 0 }) => evidence.evicted(sinceSeq) > 0);
  return {
    ...(isMissing && { inconclusive: true }),
    kind: 'sequence',
    pointer: `/sequence/${seqs.length}`,
    expected: { match: missed, afterSeq },
    actual: { seqs },
    nearMisses: nearestTo(missed, exchanges, tooEarly),
  };
}

function checkNever(
  unwanted: JournalMatcher | NeverEvent,
  index: number,
  evidence: Evidence,
): Failure | null {
  const { exchanges } = evidence;
  const found =
    typeof unwanted === 'string' ? acknowledgedResent(exchanges) : exchanges.filter(testOf(unwanted));
  const sinceSeq = typeof unwanted === 'string' ? 0 : (unwanted.sinceSeq ?? 0);
  const isMissing = evidence.evicted(sinceSeq) > 0;
  if (found.length === 0 && !isMissing) return null;
  // The evicted exchanges may have taken the acknowledgement back, so the failure is not certain.
  const isOpen = isMissing && (found.length === 0 || typeof unwanted === 'string');
  return {
    ...(isOpen && { inconclusive: true }),
    kind: 'never',
    pointer: `/never/${index}`,
    expected: { never: unwanted },
    actual: countOf(found),
    nearMisses: unwantedOf(found),
  };
}

function unfired(rule: UnfiredRule, exchanges: readonly Exchange[]): Failure {
  const { namespace } = rule;
  const own =
    namespace === undefined ? exchanges : exchanges.filter((exchange) => exchange.namespace === namespace);
  return {
    kind: 'unfiredRule',
    pointer: '/unfiredRules',
    expected: rule,
    actual: { fired: 0 },
    nearMisses: rule.match === undefined ? [] : nearestTo(rule.match, own, (one) => passedBy(rule, one)),
  };
}

/** An exchange that fits but did not meet the rule is the nearest miss. */
function passedBy({ ruleId, match = {} }: UnfiredRule, exchange: Exchange): Difference[] {
  if (!matches(exchange, match)) return [];
  return [{ field: 'ruleId', expected: ruleId, actual: exchange.fault?.ruleId ?? null }];
}

function countOf(found: readonly Exchange[]): { count: number; seqs: number[] } {
  return { count: found.length, seqs: found.map(({ seq }) => seq).slice(0, MAX_CHECKS) };
}

function unwantedOf(found: readonly Exchange[]): NearMiss[] {
  return found.slice(-MAX_NEAR_MISSES).map((exchange) => nearMiss(exchange));
}
