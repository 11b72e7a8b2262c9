// journal/near-misses.ts: the exchanges that come nearest to a matcher that found too few, and why they do not fit.
//
// Must not know: what is being verified.
import { summarize, type Exchange } from './exchange.ts';
import { distance, type Difference, type JournalMatcher } from './matcher.ts';

export interface NearMiss {
  readonly seq: number;
  /** Empty: it fits, and should not. */
  readonly differs: readonly Difference[];
  readonly exchange: string;
}

export const MAX_NEAR_MISSES = 5;

export function nearMiss(exchange: Exchange, differs: readonly Difference[] = []): NearMiss {
  return { seq: exchange.seq, differs, exchange: summarize(exchange) };
}

/**
 * Those with the fewest differences, of equal ones the latest; those that fit are not among them.
 * @param extra what else keeps an exchange from being the one
 */
export function nearestTo(
  matcher: JournalMatcher,
  exchanges: readonly Exchange[],
  extra: (exchange: Exchange) => readonly Difference[] = () => [],
): NearMiss[] {
  return exchanges
    .map((exchange) => ({ exchange, differs: [...distance(exchange, matcher), ...extra(exchange)] }))
    .filter(({ differs }) => differs.length > 0)
    .toSorted(
      (left, right) => left.differs.length - right.differs.length || right.exchange.seq - left.exchange.seq,
    )
    .slice(0, MAX_NEAR_MISSES)
    .map(({ exchange, differs }) => nearMiss(exchange, differs));
}
