// journal/near-misses.ts: for a matcher that found too few exchanges, the exchanges that nearly fit and why they do not.
import { summarize, type Exchange } from './exchange.ts';
import { distance, type Difference, type JournalMatcher } from './matcher.ts';

export interface NearMiss {
  readonly seq: number;
  /** Empty: the exchange fits, but should not. */
  readonly differs: readonly Difference[];
  readonly exchange: string;
}

export const MAX_NEAR_MISSES = 5;

export function nearMiss(exchange: Exchange, differs: readonly Difference[] = []): NearMiss {
  return { seq: exchange.seq, differs, exchange: summarize(exchange) };
}

/**
 * The exchanges with the fewest differences, the latest first among equals. Exchanges that fit are left out.
 * @param extra further reasons why an exchange does not fit
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
