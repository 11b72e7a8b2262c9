// journal/matcher.ts: journal matchers (behaviour §11): which exchanges fit, and how far an exchange is from fitting.
//
// A matcher is valid if and only if it is an object of the fields below. An exchange fits when it has the value of every
// given field. The text `"*"` stands for any value that is present: `{"ruleId":"*"}` means every exchange that a rule
// touched. `{}` fits every exchange. `sinceSeq` means exchanges with a higher `seq`. A value that no exchange can have is
// refused.
import { z } from 'zod';
import { ERRORS, type ErrorCode } from '../core/errors.ts';
import { OPERATION_NAMES } from '../contract/operations.ts';
import { parseOrRefuse, refusalOf } from '../core/problems.ts';
import { OUTCOMES, type Exchange } from './exchange.ts';

const textSchema = z.string().min(1).max(512);
const countSchema = z.int().min(0);
const ANY = '*';

/** The operation of a request without a route. */
const NO_OPERATION = 'unknown';
const ERROR_CODES = Object.keys(ERRORS) as ErrorCode[];
/** Rule C4. */
const MAX_CHUNK_INDEX = 999_999;
/** Interim answers such as 100 are not recorded. */
const MIN_STATUS = 200;

/** Refuses a value that no exchange can have, because it would make every "never" true. */
function oneOf<T extends string>(values: readonly T[]): z.ZodType<T> {
  const error = `there is no such value; expected one of: ${values.join(', ')}`;
  return z.enum(values, { error });
}

export const matcherSchema = z.strictObject({
  operation: oneOf([...OPERATION_NAMES, NO_OPERATION, ANY]).optional(),
  fileId: textSchema.optional(),
  chunkIndex: countSchema.max(MAX_CHUNK_INDEX).optional(),
  attempt: z.int().min(1).optional(),
  status: z.int().min(MIN_STATUS).max(599).optional(),
  errorCode: oneOf([...ERROR_CODES, ANY]).optional(),
  outcome: oneOf(OUTCOMES).optional(),
  ruleId: textSchema.optional(),
  sinceSeq: countSchema.optional(),
});

export type JournalMatcher = Readonly<z.infer<typeof matcherSchema>>;

/** A field in which an exchange does not fit the matcher. */
export interface Difference {
  readonly field: string;
  readonly expected: string | number;
  /** Null: the exchange has no such value, or it is not known. */
  readonly actual: string | number | null;
}

export type MatcherField = keyof JournalMatcher;
type Field = Exclude<MatcherField, 'sinceSeq'>;

const VALUES: { readonly [F in Field]: (exchange: Exchange) => string | number | null } = {
  operation: (exchange) => exchange.operation,
  fileId: (exchange) => exchange.upload?.fileId ?? null,
  chunkIndex: (exchange) => exchange.upload?.chunkIndex ?? null,
  attempt: (exchange) => exchange.upload?.attempt ?? null,
  status: (exchange) => exchange.response?.status ?? null,
  errorCode: (exchange) => exchange.response?.errorCode ?? null,
  outcome: (exchange) => exchange.outcome,
  ruleId: (exchange) => exchange.fault?.ruleId ?? null,
};

const FIELDS = matcherSchema.keyof().exclude(['sinceSeq']).options;

/** @throws AppError `invalid_matcher` naming each bad place */
export function parseMatcher(value: unknown): JournalMatcher {
  return parseOrRefuse(matcherSchema, value, 'invalid_matcher');
}

/** A matcher and its place in the request. */
export interface PlacedMatcher {
  readonly path: readonly PropertyKey[];
  readonly matcher: JournalMatcher;
}

/**
 * Refuses ids of rules that were never armed: a typing mistake in such an id would make every "never" true.
 * @throws AppError `invalid_matcher` naming each place
 */
export function refuseUnknownRules(
  placed: readonly PlacedMatcher[],
  wasArmed: (ruleId: string) => boolean,
): void {
  const problems = placed.flatMap(({ path, matcher: { ruleId } }) => {
    if (ruleId === undefined || ruleId === ANY || wasArmed(ruleId)) return [];
    const message = `no rule ${JSON.stringify(ruleId)} was ever armed for this key; GET /__admin/rules lists the armed rules`;
    return [{ path: [...path, 'ruleId'], message }];
  });
  if (problems.length > 0) throw refusalOf('invalid_matcher', problems);
}

/** The exchange's value of the field; null: none, or not known. */
export function valueOf(exchange: Exchange, field: MatcherField): string | number | null {
  return field === 'sinceSeq' ? exchange.seq : VALUES[field](exchange);
}

export function matches(exchange: Exchange, matcher: JournalMatcher): boolean {
  return testOf(matcher)(exchange);
}

/** `matches` for many exchanges: the matcher is prepared once. */
export function testOf(matcher: JournalMatcher): (exchange: Exchange) => boolean {
  const { sinceSeq = 0 } = matcher;
  const conditions = FIELDS.flatMap((field) => {
    const wanted = matcher[field];
    return wanted === undefined ? [] : [{ valueOf: VALUES[field], wanted }];
  });
  return (exchange) => {
    if (exchange.seq <= sinceSeq) return false;
    for (const { valueOf, wanted } of conditions) if (!fits(wanted, valueOf(exchange))) return false;
    return true;
  };
}

/** Every field in which the exchange does not fit; empty if it fits. */
export function distance(exchange: Exchange, matcher: JournalMatcher): Difference[] {
  const differences: Difference[] = [];
  for (const field of FIELDS) {
    const expected = matcher[field];
    if (expected === undefined) continue;
    const actual = VALUES[field](exchange);
    if (!fits(expected, actual)) differences.push({ field, expected, actual });
  }
  const { sinceSeq } = matcher;
  if (sinceSeq !== undefined && exchange.seq <= sinceSeq) {
    differences.push({ field: 'sinceSeq', expected: sinceSeq, actual: exchange.seq });
  }
  return differences;
}

export function fits(wanted: string | number, actual: string | number | null): boolean {
  return wanted === ANY ? actual !== null : wanted === actual;
}

/** In words: `operation uploadChunk, chunkIndex 2`. */
export function describeMatcher(matcher: JournalMatcher): string {
  const given = Object.entries(matcher).filter(([, value]) => value !== undefined);
  return given.length === 0 ? 'any exchange' : given.map(([field, value]) => `${field} ${value}`).join(', ');
}
