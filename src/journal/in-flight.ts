// journal/in-flight.ts: exchanges that have not ended: their progress, the matcher for queries, and a line for a person
// (behaviour §9).
//
// A matcher for exchanges in flight is a journal matcher (matcher.ts) without the fields that exist only at the end:
// `status`, `errorCode`, `outcome`, `sinceSeq`. Here `ruleId` means the rule that holds the exchange.
import { problemsOf, refusalOf } from '../core/problems.ts';
import { describeRequest, type Body, type Exchange } from './exchange.ts';
import { fits, matcherSchema, type JournalMatcher } from './matcher.ts';

type Known = Pick<
  Exchange,
  | 'begun'
  | 'namespace'
  | 'at'
  | 'requestId'
  | 'connection'
  | 'operation'
  | 'method'
  | 'path'
  /** As far as the request has named it. */
  | 'upload'
>;

export interface ExchangeInFlight extends Known {
  /** The number on record, once the answer has begun. Null: not on record yet. */
  readonly seq: number | null;
  /** As received so far. */
  readonly body: Omit<Body, 'parts'>;
  /** Milliseconds since the request's head was read, by a clock that never jumps. */
  readonly elapsedMs: number;
  /** The rule that holds the exchange now. `sinceMs`: for how many milliseconds. */
  readonly heldBy: {
    readonly ruleId: string;
    readonly phase: string;
    readonly effect: string;
    readonly atByte?: number;
    readonly sinceMs: number;
  } | null;
}

const FIELDS = ['operation', 'fileId', 'chunkIndex', 'attempt', 'ruleId'] as const;
type Field = (typeof FIELDS)[number];

export type InFlightMatcher = Pick<JournalMatcher, Field>;

const inFlightSchema = matcherSchema.pick({
  operation: true,
  fileId: true,
  chunkIndex: true,
  attempt: true,
  ruleId: true,
});

const NO_SUCH_FIELD = `exchanges in flight do not have this field; expected some of: ${FIELDS.join(', ')}`;

const VALUES: { readonly [F in Field]: (exchange: ExchangeInFlight) => string | number | null } = {
  operation: ({ operation }) => operation,
  fileId: ({ upload }) => upload?.fileId ?? null,
  chunkIndex: ({ upload }) => upload?.chunkIndex ?? null,
  attempt: ({ upload }) => upload?.attempt ?? null,
  ruleId: ({ heldBy }) => heldBy?.ruleId ?? null,
};

/** @throws AppError `invalid_matcher` naming each bad place */
export function parseInFlightMatcher(value: unknown): InFlightMatcher {
  const result = inFlightSchema.safeParse(value);
  if (result.success) return result.data;
  throw refusalOf('invalid_matcher', problemsOf(result.error.issues, NO_SUCH_FIELD));
}

export function matchesInFlight(exchange: ExchangeInFlight, matcher: InFlightMatcher): boolean {
  return FIELDS.every((field) => {
    const wanted = matcher[field];
    return wanted === undefined || fits(wanted, VALUES[field](exchange));
  });
}

/** One line for a person. `~7` is the seventh request that began; `#7` is exchange number 7 of the journal. */
export function summarizeInFlight(exchange: ExchangeInFlight): string {
  const { begun, body, elapsedMs, heldBy } = exchange;
  const { receivedBytes, declaredBytes } = body;
  const bytes =
    declaredBytes === null ? `${receivedBytes} bytes` : `${receivedBytes} of ${declaredBytes} bytes`;
  const held =
    heldBy === null ? '' : `, held by rule ${heldBy.ruleId} (${placeOf(heldBy)}) for ${heldBy.sinceMs} ms`;
  return `~${begun} ${describeRequest(exchange)}: ${bytes} after ${elapsedMs} ms${held}`;
}

function placeOf({ effect, phase, atByte }: NonNullable<ExchangeInFlight['heldBy']>): string {
  return `${effect}@${phase}${atByte === undefined ? '' : `:${atByte}`}`;
}
