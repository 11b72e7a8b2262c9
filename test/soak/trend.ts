// soak/trend.ts: does a figure of one process rise without an end?
//
// Promises: pure. The first third is warming up and counts for nothing. Of the rest, both have to be so: the median of
// the last third lies above that of the second by more than what is tolerated, and within the last third it still rises,
// by Theil and Sen's slope (the median of all pairs' slopes), by more than half of that. So noise, a single peak, and a step
// after which all is quiet are no rise. What is too short is said to be so, and never called flat.
import { median } from '../../bench/figures.ts';

export interface Point {
  readonly seconds: number;
  readonly value: number;
}

export interface TrendBounds {
  /** In the figure's own unit: so much more in the last third than in the second is still no rise. */
  readonly tolerance: number;
  readonly leastSeconds: number;
  readonly leastPoints: number;
}

export type Trend =
  | { readonly kind: 'too short'; readonly reason: string }
  | { readonly kind: 'flat' | 'rising'; readonly grown: number; readonly still: number };

export function trendOf(points: readonly Point[], bounds: TrendBounds): Trend {
  const [begin, end] = [points[0]?.seconds ?? 0, points.at(-1)?.seconds ?? 0];
  const seconds = end - begin;
  if (seconds < bounds.leastSeconds || points.length < bounds.leastPoints) {
    const needed = `${bounds.leastSeconds} s and ${bounds.leastPoints} samples are needed`;
    return {
      kind: 'too short',
      reason: `too short to judge: ${Math.round(seconds)} s, ${points.length} samples; ${needed}`,
    };
  }
  const third = (from: number, to: number): Point[] =>
    points.filter((point) => {
      const share = (point.seconds - begin) / seconds;
      return share >= from / 3 && share <= to / 3;
    });
  const last = third(2, 3);
  const grown = medianOf(last) - medianOf(third(1, 2));
  const still = slopeOf(last) * (seconds / 3);
  const isRising = grown > bounds.tolerance && still > bounds.tolerance / 2;
  return { kind: isRising ? 'rising' : 'flat', grown, still };
}

function medianOf(points: readonly Point[]): number {
  return median(points.map(({ value }) => value)) ?? 0;
}

/** Theil and Sen's, per second. */
function slopeOf(points: readonly Point[]): number {
  const slopes = points.flatMap((one, index) =>
    points
      .slice(index + 1)
      .filter((other) => other.seconds > one.seconds)
      .map((other) => (other.value - one.value) / (other.seconds - one.seconds)),
  );
  return median(slopes) ?? 0;
}
