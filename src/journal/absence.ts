// journal/absence.ts: why no exchange on record meets all of some conditions: the first of them that leaves none, and what there
// was instead.
//
// Promises: says what is on record and never what came: what is in flight, or had to make room, may have come.
// Must not know: rules, namespaces, who asks.
import { matcherSchema, testOf, valueOf, type JournalMatcher, type MatcherField } from './matcher.ts';
import type { Exchange } from './exchange.ts';

/** What is asked of one field. */
export interface Condition {
  readonly field: MatcherField;
  /** For a person. */
  readonly wanted: string;
  readonly fits: (exchange: Exchange) => boolean;
}

/** What can be looked at. */
export interface OnRecord {
  /** In order of `seq`. */
  readonly exchanges: readonly Exchange[];
  /** Exchanges that had to make room. */
  readonly evicted: number;
  /** Whose they are: ` for this key`, or nothing. */
  readonly whose: string;
}

/** So many values are named of what there was instead. */
const MAX_NAMED = 5;

const NOUNS: Partial<Record<MatcherField, string>> = { chunkIndex: 'chunk', errorCode: 'error code' };

/** In the order in which a person would look: which operation, which upload, which chunk, which attempt, what came of it. */
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

/** Null: there is one that meets them all. */
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
