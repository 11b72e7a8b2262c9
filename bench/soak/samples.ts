// bench/soak/samples.ts: what a server holds, looked at every second or two: memory, descriptors, files, journal.
//
// Promises: a figure that cannot be read at this moment, or not on this system, is null, never a guess. Samples of different
// processes are told apart: what one took is given back at its end.
import { readdir } from 'node:fs/promises';
import { residentBytesOf } from '../proc.ts';
import { trendOf, type Point, type Trend, type TrendBounds } from './trend.ts';

export interface Sample {
  readonly server: string;
  readonly life: number;
  readonly seconds: number;
  readonly rssMib: number | null;
  readonly descriptors: number | null;
  readonly files: number | null;
  readonly journal: number | null;
}

export type FigureName = 'rssMib' | 'descriptors' | 'files' | 'journal';

export interface FigureSpec {
  readonly title: string;
  readonly bounds: TrendBounds;
}

/** Below that there are fewer than ten samples in a third, and what lives as long as an upload may has not gone yet. */
const LENGTH = { leastSeconds: 90, leastPoints: 40 };

/**
 * What is tolerated is what a quiet server's figures were seen to differ by between two thirds of ten minutes: see
 * bench/README.md.
 */
export const FIGURES: Readonly<{ [Name in FigureName]: FigureSpec }> = {
  rssMib: { title: 'resident memory, MiB', bounds: { ...LENGTH, tolerance: 24 } },
  descriptors: { title: 'descriptors', bounds: { ...LENGTH, tolerance: 20 } },
  files: { title: 'files in the data folder', bounds: { ...LENGTH, tolerance: 60 } },
  journal: { title: 'journal entries', bounds: { ...LENGTH, tolerance: 50 } },
};

export const FIGURE_NAMES = Object.keys(FIGURES) as FigureName[];

export interface JudgedTrend {
  readonly server: string;
  readonly life: number;
  readonly figure: FigureName;
  readonly trend: Trend;
}

/** Null: gone meanwhile. */
export async function measure(
  pid: number,
  folder: string,
): Promise<Pick<Sample, 'rssMib' | 'descriptors' | 'files'>> {
  const [rss, descriptors, files] = await Promise.all([
    residentBytesOf(pid).catch(() => null),
    countIn(`/proc/${pid}/fd`, false),
    countIn(folder, true),
  ]);
  return { rssMib: rss === null ? null : rss / 1024 ** 2, descriptors, files };
}

async function countIn(folder: string, isDeep: boolean): Promise<number | null> {
  const entries = await readdir(folder, { recursive: isDeep, withFileTypes: true }).catch(() => null);
  if (entries === null) return null;
  return isDeep ? entries.filter((entry) => entry.isFile()).length : entries.length;
}

/** A trend for each figure of each process: restarts part the series. */
export function judgeTrends(samples: readonly Sample[]): JudgedTrend[] {
  const lives = new Map(samples.map(({ server, life }) => [`${server} ${life}`, { server, life }]));
  return [...lives.values()].flatMap(({ server, life }) => {
    const own = samples.filter((sample) => sample.server === server && sample.life === life);
    return FIGURE_NAMES.map((figure) => {
      const { bounds } = FIGURES[figure];
      return { server, life, figure, trend: trendOf(pointsOf(own, figure), bounds) };
    });
  });
}

function pointsOf(samples: readonly Sample[], figure: FigureName): Point[] {
  return samples.flatMap((sample) => {
    const value = sample[figure];
    return value === null ? [] : [{ seconds: sample.seconds, value }];
  });
}
