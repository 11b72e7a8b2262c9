// soak/samples.ts: reads every second or two what a server holds: memory, descriptors, files, journal.
//
// Promises: a figure that cannot be read at this moment, or on this system, is null and never a guess. Samples of different
// processes are kept apart, because a process gives back what it took when it ends.
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

/** A shorter run has fewer than six samples in a third, and things that live as long as an upload may not be gone yet. */
const LENGTH = { leastSeconds: 90, leastPoints: 18 };

/**
 * The tolerance is the largest difference that a quiet server's figures showed between two thirds of ten minutes: see
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

/** It uses find(1): a data folder has thousands of folders, and reading them one by one would take longer than a sample may. */
async function filesIn(folder: string): Promise<number | null> {
  // find ends with 1 when something is removed meanwhile; its count is still right.
  const { stdout } = await run('find', [folder, '-type', 'f']).catch(
    (error: Partial<{ stdout: string }>) => error,
  );
  return stdout === undefined ? null : stdout.split('\n').length - 1;
}

/** A trend for each figure of each process. A restart begins a new series. */
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
