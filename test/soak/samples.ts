// soak/samples.ts: what a server holds, looked at every second or two: memory, descriptors, files, journal.
//
// Promises: a figure that cannot be read at this moment, or not on this system, is null, never a guess. Samples of different
// processes are told apart: what one took is given back at its end.
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import { residentBytesOf } from '../../bench/proc.ts';
import { trendOf, type Point, type Trend, type TrendBounds } from './trend.ts';

const run = promisify(execFile);

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

/** Below that there are fewer than six samples in a third, and what lives as long as an upload may has not gone yet. */
const LENGTH = { leastSeconds: 90, leastPoints: 18 };

/**
 * What is tolerated is what a quiet server's figures were seen to differ by between two thirds of ten minutes: see
 * bench/README.md.
 */
export const FIGURES: Readonly<{ [Name in FigureName]: FigureSpec }> = {
  rssMib: { title: 'resident memory, MiB', bounds: { ...LENGTH, tolerance: 24 } },
  descriptors: { title: 'descriptors', bounds: { ...LENGTH, tolerance: 40 } },
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

export async function measure(
  pid: number,
  folder: string,
): Promise<Pick<Sample, 'rssMib' | 'descriptors' | 'files'>> {
  const [rss, descriptors, files] = await Promise.all([
    residentBytesOf(pid).catch(() => null),
    readdir(`/proc/${pid}/fd`)
      .then(({ length }) => length)
      .catch(() => null),
    filesIn(folder),
  ]);
  return { rssMib: rss === null ? null : rss / 1024 ** 2, descriptors, files };
}

/** By find(1): a data folder has thousands of folders, and reading them one by one would take longer than a sample may. */
async function filesIn(folder: string): Promise<number | null> {
  // What is removed while it looks makes it end with 1; what it counted is right all the same.
  const { stdout } = await run('find', [folder, '-type', 'f']).catch(
    (error: Partial<{ stdout: string }>) => error,
  );
  return stdout === undefined ? null : stdout.split('\n').length - 1;
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
