// bench/compare/goals.ts: the goals of the server, and how far it reaches them.
//
// Promises: pure. A ratio is computed within each run, in which both sides were measured one after the other; the median of
// these ratios counts. A goal whose figures are missing or come from a failed measurement is neither reached nor missed.
// Must not know: how anything is measured.
import { median, type Figure, type Figures } from '../figures.ts';
import type { CellName } from './cells.ts';

/** The figures besides the cells, one for each run. The file that measures a figure explains it. */
export type SpecialName =
  | 'crc32-cpu-per-gib'
  | 'chunk-cost-late-to-early'
  | 'chunk-cost-many-to-few'
  | 'first-chunk-cost-many-to-few'
  | 'start-ms-many'
  | 'start-ms-few'
  | 'rss-growth-fields-first'
  | 'rss-growth-file-first'
  | 'last-chunk-to-median'
  | 'finalise-ms';

export type GoalName =
  | 'floor'
  | 'nginx'
  | 'fastify-multipart'
  | 'raw-peers'
  | 'file-first'
  | 'fsync'
  | 'machinery'
  | 'chunk-rate'
  | 'status'
  | 'growth'
  | 'stored'
  | 'rss'
  | 'large-file'
  | 'others';

/** All measured values, one for each run. */
export interface Measured {
  readonly cells: ReadonlyMap<CellName, readonly Figures[]>;
  readonly specials: ReadonlyMap<SpecialName, readonly number[]>;
}

export interface Bound {
  readonly kind: 'at-least' | 'at-most' | 'above';
  readonly value: number;
}

export interface Goal {
  readonly name: GoalName;
  /** What is measured, for people. */
  readonly measure: string;
  /** Null: the value is shown, but there is no goal. */
  readonly bound: Bound | null;
  readonly unit: string;
  /** The cells from which the value is computed. */
  readonly cells: readonly CellName[];
  readonly specials: readonly SpecialName[];
  /** One value for each run; null: unknown. */
  readonly values: (measured: Measured) => readonly (number | null)[];
}

export interface Verdict {
  readonly goal: GoalName;
  readonly measure: string;
  readonly bound: Bound | null;
  readonly unit: string;
  readonly median: number | null;
  readonly least: number | null;
  readonly most: number | null;
  readonly runs: number;
  /** Null: the value was not measured, or there is no bound. */
  readonly isReached: boolean | null;
}

const atLeast = (value: number): Bound => ({ kind: 'at-least', value });
const atMost = (value: number): Bound => ({ kind: 'at-most', value });
const above = (value: number): Bound => ({ kind: 'above', value });

export function verdictOn(goal: Goal, measured: Measured): Verdict {
  const values = goal.values(measured);
  const known = values.filter((value) => value !== null).filter(Number.isFinite);
  const middle = known.length === values.length ? median(known) : null;
  return {
    goal: goal.name,
    measure: goal.measure,
    bound: goal.bound,
    unit: goal.unit,
    median: middle,
    least: middle === null ? null : Math.min(...known),
    most: middle === null ? null : Math.max(...known),
    runs: values.length,
    isReached: middle === null || goal.bound === null ? null : isWithin(middle, goal.bound),
  };
}

function isWithin(value: number, bound: Bound): boolean {
  if (bound.kind === 'at-most') return value <= bound.value;
  return bound.kind === 'above' ? value > bound.value : value >= bound.value;
}

/** One figure for each run; null: the run failed. Empty: the cell was never measured. */
function figuresIn(measured: Measured, cell: CellName, figure: Figure): readonly (number | null)[] {
  return (measured.cells.get(cell) ?? []).map((run) => (run.errors > 0 ? null : run[figure]));
}

function zip(
  ones: readonly (number | null)[],
  others: readonly (number | null)[],
  combine: (one: number, other: number) => number,
): (number | null)[] {
  const length = ones.length === 0 || others.length === 0 ? 0 : Math.max(ones.length, others.length);
  return Array.from({ length }, (_, run) => {
    const one = ones[run] ?? null;
    const other = others[run] ?? null;
    return one === null || other === null ? null : combine(one, other);
  });
}

interface Comparison {
  readonly name: GoalName;
  readonly measure: string;
  readonly figure: Figure;
  readonly bound: Bound | null;
}

/** The figure of one cell divided by the figure of the other cell. */
function ratio(of: Comparison, one: CellName, other: CellName): Goal {
  return {
    ...of,
    unit: '×',
    cells: [one, other],
    specials: [],
    values: (measured) =>
      zip(figuresIn(measured, one, of.figure), figuresIn(measured, other, of.figure), (a, b) => a / b),
  };
}

/** As `ratio` of CPU seconds per GiB, less the measured cost of a CRC-32 over the same bytes in the same run. */
function ratioWithoutCrc(of: Omit<Comparison, 'figure'>, one: CellName, other: CellName): Goal {
  const figure = 'serverCpuSecondsPerGib';
  return {
    ...of,
    unit: '×',
    cells: [one, other],
    specials: ['crc32-cpu-per-gib'],
    values(measured) {
      const crc = measured.specials.get('crc32-cpu-per-gib') ?? [];
      const without = zip(figuresIn(measured, one, figure), crc, (cpu, ofCrc) => cpu - ofCrc);
      return zip(without, figuresIn(measured, other, figure), (a, b) => a / b);
    },
  };
}

function absolute(of: Comparison & { readonly unit: string }, cell: CellName): Goal {
  return {
    ...of,
    cells: [cell],
    specials: [],
    values: (measured) => figuresIn(measured, cell, of.figure),
  };
}

interface Special {
  readonly name: GoalName;
  readonly measure: string;
  readonly bound: Bound | null;
  readonly unit: string;
}

function special(of: Special, value: SpecialName): Goal {
  return {
    ...of,
    cells: [],
    specials: [value],
    values: (measured) => measured.specials.get(value) ?? [],
  };
}

const CPU = 'serverCpuSecondsPerGib';
const MIB = 'mibPerSecond';
const REQUESTS = 'requestsPerSecond';
const CONNECTIONS = [1, 16] as const;

function withConnections(connections: number): string {
  return connections === 1 ? '1 connection' : `${connections} connections`;
}

const floor = CONNECTIONS.flatMap((n) =>
  (['ours', 'ours-no-journal'] as const).flatMap((us): Goal[] => {
    const where = `8 MiB, ${withConnections(n)}, journal ${us === 'ours' ? 'on' : 'off'}`;
    const measure = `server CPU per GiB vs a bare Node pipe: ${where}`;
    return [
      ratio({ name: 'floor', measure, figure: CPU, bound: atMost(1.25) }, `${us}-8m-c${n}`, `pipe-8m-c${n}`),
      ratioWithoutCrc(
        { name: 'floor', measure: `${measure}, without the CRC-32`, bound: atMost(1.15) },
        `${us}-8m-c${n}`,
        `pipe-8m-c${n}`,
      ),
    ];
  }),
);

/**
 * The goal compares with the default buffer, which people use. A large buffer shows what the machine can do, and has no goal.
 */
const nginx = (['nginx', 'nginx-tuned'] as const).flatMap((them) =>
  CONNECTIONS.map((n) =>
    ratio(
      {
        name: 'nginx',
        measure: `throughput vs nginx PUT${them === 'nginx' ? '' : ' with a buffer of 1 MiB'}: 8 MiB, ${withConnections(n)}`,
        figure: MIB,
        bound: them === 'nginx' ? atLeast(0.85) : null,
      },
      `ours-8m-c${n}`,
      `${them}-8m-c${n}`,
    ),
  ),
);

const fastifyMultipart = CONNECTIONS.flatMap((n) =>
  (
    [
      ['8m', '8 MiB', 1.35],
      ['64k', '64 KiB', 3],
    ] as const
  ).map(([size, shown, least]) =>
    ratio(
      {
        name: 'fastify-multipart',
        measure: `throughput vs Fastify + @fastify/multipart: ${shown}, ${withConnections(n)}`,
        figure: MIB,
        bound: atLeast(least),
      },
      `ours-${size}-c${n}`,
      `fastify-multipart-${size}-c${n}`,
    ),
  ),
);

const rawPeers = (['tus', 'uploadx'] as const).flatMap((them) =>
  CONNECTIONS.flatMap((n) =>
    (['1m', '8m', '32m'] as const).map((size) =>
      ratio(
        {
          name: 'raw-peers',
          measure: `throughput vs ${them === 'tus' ? '@tus/server' : '@uploadx/core'}: ${size.slice(0, -1)} MiB, ${withConnections(n)}`,
          figure: MIB,
          bound: above(1),
        },
        `ours-${size}-c${n}`,
        `${them}-${size}-c${n}`,
      ),
    ),
  ),
);

const fileFirst = (
  [
    ['4k', '4 KiB', 16, 0.9],
    ['64k', '64 KiB', 16, 0.9],
    ['1m', '1 MiB', 16, 0.9],
    ['8m', '8 MiB', 1, 0.9],
    ['8m', '8 MiB', 16, 0.9],
    ['64m', '64 MiB', 1, 0.6],
    ['64m', '64 MiB', 16, 0.6],
  ] as const
).map(([size, shown, n, least]) =>
  ratio(
    {
      name: 'file-first',
      measure: `throughput, file first vs fields first: ${shown}, ${withConnections(n)}`,
      figure: MIB,
      bound: atLeast(least),
    },
    `ours-file-first-${size}-c${n}`,
    `ours-${size}-c${n}`,
  ),
);

const machinery = [
  ...(
    [
      ['4k', '4 KiB', 16],
      ['64k', '64 KiB', 16],
      ['8m', '8 MiB', 1],
      ['8m', '8 MiB', 16],
    ] as const
  ).map(([size, shown, n]) =>
    ratio(
      {
        name: 'machinery',
        measure: `throughput, journal on vs off: ${shown}, ${withConnections(n)}`,
        figure: REQUESTS,
        bound: atLeast(0.95),
      },
      `ours-${size}-c${n}`,
      `ours-no-journal-${size}-c${n}`,
    ),
  ),
  ratio(
    {
      name: 'machinery',
      measure: 'status queries, journal on vs off: 16 connections',
      figure: REQUESTS,
      bound: atLeast(0.95),
    },
    'ours-status-c16',
    'ours-no-journal-status-c16',
  ),
];

const status = CONNECTIONS.map((n) =>
  ratio(
    {
      name: 'status',
      measure: `status queries vs a Fastify route with a constant: ${withConnections(n)}`,
      figure: REQUESTS,
      bound: atLeast(0.8),
    },
    `ours-status-c${n}`,
    `constant-status-c${n}`,
  ),
);

/** Other servers, for the table and the chart; they have no goals. */
const others = (['multer', 'formidable', 'pipe', 'same-work'] as const).flatMap((them) =>
  (['64k', '8m'] as const).map((size) =>
    ratio(
      {
        name: 'others',
        measure: `throughput vs ${them}: ${size === '64k' ? '64 KiB' : '8 MiB'}, 16 connections`,
        figure: MIB,
        bound: null,
      },
      `ours-${size}-c16`,
      `${them}-${size}-c16`,
    ),
  ),
);

export const GOALS: readonly Goal[] = [
  ...floor,
  ...nginx,
  ...fastifyMultipart,
  ...rawPeers,
  ...fileFirst,
  ratio(
    {
      name: 'fsync',
      measure: 'throughput, --durability fsync vs none: 8 MiB, 16 connections',
      figure: MIB,
      bound: atLeast(0.75),
    },
    'ours-fsync-8m-c16',
    'ours-8m-c16',
  ),
  ...machinery,
  absolute(
    {
      name: 'chunk-rate',
      measure: 'chunks of 4 KiB, 16 connections',
      figure: REQUESTS,
      unit: '/s',
      bound: atLeast(8_000),
    },
    'ours-4k-c16',
  ),
  ...status,
  special(
    {
      name: 'growth',
      measure: 'CPU per chunk: at the 80,000th chunk of an upload vs at the first of another',
      unit: '×',
      bound: atMost(1.1),
    },
    'chunk-cost-late-to-early',
  ),
  special(
    {
      name: 'stored',
      measure: 'CPU per chunk: 100,000 stored uploads vs 10',
      unit: '×',
      bound: atMost(1.1),
    },
    'chunk-cost-many-to-few',
  ),
  special(
    {
      name: 'stored',
      measure: 'CPU per new upload of one chunk: 100,000 stored uploads vs 10',
      unit: '×',
      bound: atMost(1.1),
    },
    'first-chunk-cost-many-to-few',
  ),
  special(
    { name: 'stored', measure: 'start-up with 100,000 stored uploads', unit: ' ms', bound: atMost(400) },
    'start-ms-many',
  ),
  special(
    { name: 'stored', measure: 'start-up with 10 stored uploads', unit: ' ms', bound: null },
    'start-ms-few',
  ),
  special(
    {
      name: 'rss',
      measure: 'peak RSS beyond idle: 64 × 64 MiB in parallel, fields first',
      unit: ' MiB',
      bound: atMost(64),
    },
    'rss-growth-fields-first',
  ),
  special(
    {
      name: 'rss',
      measure: 'peak RSS beyond idle: 64 × 64 MiB in parallel, file first',
      unit: ' MiB',
      bound: atMost(64),
    },
    'rss-growth-file-first',
  ),
  special(
    {
      name: 'large-file',
      measure: '5 GiB in chunks of 8 MiB: the last answer vs the median one',
      unit: '×',
      bound: atMost(2),
    },
    'last-chunk-to-median',
  ),
  special({ name: 'large-file', measure: '5 GiB: finalise', unit: ' ms', bound: atMost(50) }, 'finalise-ms'),
  ...others,
];

export const GOAL_NAMES: readonly GoalName[] = [...new Set(GOALS.map(({ name }) => name))];
