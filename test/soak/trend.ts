// soak/trend.ts: decides whether a figure of one process rises without end.
//
// Promises: pure. The first third is a warm-up and does not count. A rise needs two things: the median of the last third exceeds
// the median of the second third by more than the tolerance; and within the last third the figure still rises by more than half of
// the tolerance, by the slope of Theil and Sen (the median of the slopes of all pairs). So noise, a single peak, and one step
// followed by quiet are not a rise. A series that is too short is reported as such, and never called flat.
import { median } from '../../bench/figures.ts';

export interface Point {
  readonly seconds: number;
  readonly value: number;
}

export interface TrendBounds {
  /** In the figure's own unit: the difference between the last and the second third that is still no rise. */
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

/** The slope of Theil and Sen, per second. */
function slopeOf(points: readonly Point[]): number {
  const slopes = points.flatMap((one, index) =>
    points
      .slice(index + 1)
      .filter((other) => other.seconds > one.seconds)
      .map((other) => (other.value - one.value) / (other.seconds - one.seconds)),
  );
  return median(slopes) ?? 0;
}
