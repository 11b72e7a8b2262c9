// journal/absence.ts: explains why no exchange on record meets a list of conditions: it names the first condition that leaves
// no exchange, and the values that are on record instead.
//
// Promises: speaks only of what is on record. An exchange in flight, or one that was evicted, may still have met them.
import { matcherSchema, testOf, valueOf, type JournalMatcher, type MatcherField } from './matcher.ts';
import type { Exchange } from './exchange.ts';

/** A condition on one field. */
export interface Condition {
  readonly field: MatcherField;
  /** The wanted value, as a person reads it. */
  readonly wanted: string;
  readonly fits: (exchange: Exchange) => boolean;
}

/** The exchanges that are examined. */
export interface OnRecord {
  /** In order of `seq`. */
  readonly exchanges: readonly Exchange[];
  /** Number of exchanges that were evicted. */
  readonly evicted: number;
  /** The owner in words: ` for this key`, or empty. */
  readonly whose: string;
}

/** At most this many of the values on record are named. */
const MAX_NAMED = 5;

const NOUNS: Partial<Record<MatcherField, string>> = { chunkIndex: 'chunk', errorCode: 'error code' };

/** In the order in which a person would check: operation, upload, chunk, attempt, result. */
export function conditionsOf({ sinceSeq, ...matcher }: JournalMatcher): Condition[] {
  const fields = matcherSchema.keyof().exclude(['sinceSeq']).options;
  const conditions = fields.flatMap((field) => {
    const wanted = matcher[field];
    if (wanted === undefined) return [];
    return [{ field, wanted: String(wanted), fits: testOf({ [field]: wanted }) }];
  });
  if (sinceSeq === undefined || sinceSeq === 0) return conditions;
  const later: Condition = { field: 'sinceSeq', wanted: String(sinceSeq), fits: testOf({ sinceSeq }) };
  return [...conditions, later];
}

/** Null: some exchange meets all conditions. */
export function whyNone(conditions: readonly Condition[], onRecord: OnRecord): string | null {
  const { whose, evicted } = onRecord;
  const gone = evicted === 0 ? '' : `; ${evicted} exchanges before are not on record any more`;
  let left = onRecord.exchanges;
  if (left.length === 0) return `nothing at all is on record${whose}${gone}`;
  const met: string[] = [];
  for (const condition of conditions) {
    const kept = left.filter(condition.fits);
    if (kept.length === 0) return `${missing(condition, met, { ...onRecord, exchanges: left })}${gone}`;
    met.push(`${nounOf(condition)} ${condition.wanted}`);
    left = kept;
  }
  return null;
}

function missing(condition: Condition, met: readonly string[], { exchanges, whose }: OnRecord): string {
  const among = met.length === 0 ? '' : ` with ${met.join(', ')}`;
  if (condition.field === 'sinceSeq')
    return `nothing${among} is on record${whose} after #${condition.wanted}; the last was #${exchanges.at(-1)?.seq}`;
  const noun = nounOf(condition);
  const instead = valuesOf(condition, exchanges);
  const only = instead === '' ? `none has any (of ${exchanges.length})` : `only ${noun} ${instead}`;
  return `no ${noun} ${condition.wanted}${among} is on record${whose}, ${only}`;
}

function valuesOf({ field }: Condition, exchanges: readonly Exchange[]): string {
  const values = exchanges.map((exchange) => valueOf(exchange, field)).filter((value) => value !== null);
  const distinct = [...new Set(values)].toSorted((left, right) => (left < right ? -1 : 1));
  const more = distinct.length > MAX_NAMED ? ` and ${distinct.length - MAX_NAMED} more` : '';
  return `${distinct.slice(0, MAX_NAMED).join(', ')}${more}`;
}

function nounOf({ field }: Condition): string {
  return NOUNS[field] ?? field;
}
