// soak/report.ts: the results of a soak, as a page and as lines on a terminal.
//
// Promises: pure. Problems come first. A trend that could not be judged is reported as such.
import { conditionLines, type Conditions } from '../../bench/conditions.ts';
import { median } from '../../bench/figures.ts';
import { markdownTable } from '../../bench/table.ts';
import type { SoakOptions } from './options.ts';
import type { Counts } from './record.ts';
import { FIGURE_NAMES, FIGURES, type FigureName, type JudgedTrend, type Sample } from './samples.ts';

export type Tally = Readonly<Partial<{ [what: string]: number }>>;

export interface SoakReport {
  readonly conditions: Conditions;
  readonly options: SoakOptions;
  readonly seconds: number;
  readonly counts: Counts;
  /** For each server: how often each signal ended it. */
  readonly restarts: Readonly<Partial<{ [server: string]: Tally }>>;
  readonly answers: Tally;
  readonly faults: Tally;
  readonly trends: readonly JudgedTrend[];
  readonly problems: readonly string[];
  readonly samples: readonly Sample[];
}

const MIB = 1024 ** 2;

export function pageOf(report: SoakReport, chart: string | null): string {
  const { conditions, options, problems } = report;
  return `# A soak, ${conditions.date}

\`\`\`
${[...conditionLines(conditions), `soak        ${asked(options)}`].join('\n')}
\`\`\`

${problems.length === 0 ? 'No problem was found.' : `${problems.length} problems:\n\n${problems.map((each) => `- ${each}`).join('\n')}`}

${summaryLines(report)
  .map((line) => `- ${line}`)
  .join('\n')}
${chart === null ? '' : `\n![What each process holds](${chart})\n`}
## Trends

${trendTable(report.trends)}

## Per minute

${minuteTable(report.samples)}

## Answers

${tallyTable('answer', report.answers)}

## Faults that acted

${tallyTable('effect', report.faults)}
`;
}

export function summaryLines({ seconds, counts, restarts, answers, faults, problems }: SoakReport): string[] {
  const ended = Object.entries(restarts).map(
    ([server, tally = {}]) =>
      `${server}: ${Object.entries(tally)
        .map(([signal, times]) => `${times} × ${signal}`)
        .join(', ')}`,
  );
  return [
    `${(seconds / 60).toFixed(1)} minutes, ${counts.requests} requests, ${sumOf(faults)} faults acted`,
    `${counts.completed} uploads finalised and read back; ${Math.round(counts.bytesSent / MIB)} MiB of chunks acknowledged, ${Math.round(counts.bytesVerified / MIB)} MiB of entries verified`,
    `${counts.expired} uploads expired, ${counts.forgotten} were taken away by a rule`,
    `restarts: ${ended.join('; ')}; ${counts.audits} audits of ${counts.uploadsAudited} uploads; ${counts.repairs} unfinished writes dropped`,
    `answers: ${Object.entries(answers)
      .map(([what, times]) => `${what}: ${times}`)
      .join(', ')}`,
    `problems: ${problems.length}`,
  ];
}

/** For each figure, the processes that lived long enough; the others are listed in one line. */
export function trendTable(trends: readonly JudgedTrend[]): string {
  const judged = trends.filter(({ trend }) => trend.kind !== 'too short');
  const head = ['process', 'figure', 'trend', 'last third − second', 'rise within the last', 'tolerated'];
  const rows = judged.map(({ server, life, figure, trend }) => [
    `${server} ${life}`,
    FIGURES[figure].title,
    trend.kind,
    ...(trend.kind === 'too short' ? ['-', '-'] : [trend.grown.toFixed(1), trend.still.toFixed(1)]),
    String(FIGURES[figure].bounds.tolerance),
  ]);
  const short = new Set(
    trends.filter(({ trend }) => trend.kind === 'too short').map(({ server, life }) => `${server} ${life}`),
  );
  const table = rows.length === 0 ? 'No process lived long enough.' : markdownTable([head, ...rows]);
  return short.size === 0 ? table : `${table}\n\nToo short to judge: ${[...short].join(', ')}.`;
}

export function risingSentences(trends: readonly JudgedTrend[]): string[] {
  return trends.flatMap(({ server, life, figure, trend }) => {
    if (trend.kind !== 'rising') return [];
    const { title, bounds } = FIGURES[figure];
    return [
      `server ${server}, process ${life}: ${title} rise without an end: by ${trend.grown.toFixed(1)} from the second third to the last, and by ${trend.still.toFixed(1)} within it; ${bounds.tolerance} is tolerated`,
    ];
  });
}

function minuteTable(samples: readonly Sample[]): string {
  const minutes = [...new Set(samples.map(({ seconds }) => Math.floor(seconds / 60)))];
  const servers = [...new Set(samples.map(({ server }) => server))];
  const head = [
    'minute',
    ...servers.flatMap((server) => FIGURE_NAMES.map((figure) => `${server}: ${FIGURES[figure].title}`)),
  ];
  const rows = minutes.map((minute) => [
    String(minute + 1),
    ...servers.flatMap((server) => {
      const own = samples.filter((one) => one.server === server && Math.floor(one.seconds / 60) === minute);
      return FIGURE_NAMES.map((figure) => shownMedian(own, figure));
    }),
  ]);
  return markdownTable([head, ...rows]);
}

function shownMedian(samples: readonly Sample[], figure: FigureName): string {
  const value = median(samples.map((sample) => sample[figure]).filter((each) => each !== null));
  return value === null ? '-' : value.toFixed(0);
}

function tallyTable(title: string, tally: Tally): string {
  const rows = Object.entries(tally).map(([what, times]) => [what, String(times)]);
  return rows.length === 0 ? 'None.' : markdownTable([[title, 'times'], ...rows]);
}

function sumOf(tally: Tally): number {
  return Object.values(tally).reduce<number>((sum, times = 0) => sum + times, 0);
}

function asked({ minutes, seed, durability, chunkOrder, restartSeconds }: SoakOptions): string {
  return `${minutes} minutes, seed ${seed}, durability ${durability}, chunk order ${chunkOrder} on the server that is restarted every ${restartSeconds} s`;
}
