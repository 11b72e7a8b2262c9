// bench/table.ts: figures as a table that can be read on a terminal and pasted into a page.
//
// Promises: with more than one run, each cell is the median of that figure; "-" where it does not apply.
import type { Figures } from './measure.ts';

export interface Row {
  readonly name: string;
  readonly runs: readonly Figures[];
}

type Numeric = { [Key in keyof Figures]: Figures[Key] extends number | null ? Key : never }[keyof Figures];

interface Column {
  readonly title: string;
  readonly figure: Numeric;
  readonly digits: number;
}

const COLUMNS: readonly Column[] = [
  { title: 'req/s', figure: 'requestsPerSecond', digits: 0 },
  { title: 'MiB/s', figure: 'mibPerSecond', digits: 0 },
  { title: 'p50 ms', figure: 'p50Ms', digits: 2 },
  { title: 'p99 ms', figure: 'p99Ms', digits: 2 },
  { title: 'CPU s/GiB', figure: 'serverCpuSecondsPerGib', digits: 2 },
  { title: 'CPU ms/req', figure: 'serverCpuMsPerRequest', digits: 3 },
  { title: 'client CPU s/GiB', figure: 'clientCpuSecondsPerGib', digits: 2 },
  { title: 'peak RSS MiB', figure: 'peakRssMib', digits: 0 },
  { title: 'others %', figure: 'othersCpuPercent', digits: 0 },
];

export function tableOf(rows: readonly Row[]): string {
  const cells = [
    ['scenario', ...COLUMNS.map(({ title }) => title), 'errors'],
    ...rows.map(({ name, runs }) => [
      name,
      ...COLUMNS.map((column) => shown(medianOf(runs, column.figure), column.digits)),
      String(runs.reduce((sum, { errors }) => sum + errors, 0)),
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, index) => (index === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head = [], ...body] = cells;
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** Null when a run has no such figure. */
function medianOf(runs: readonly Figures[], figure: Numeric): number | null {
  const values = runs.map((run) => run[figure]);
  const known = values.filter((value) => value !== null).toSorted((a, b) => a - b);
  if (known.length === 0 || known.length < values.length) return null;
  const middle = (known.length - 1) / 2;
  return ((known[Math.floor(middle)] ?? 0) + (known[Math.ceil(middle)] ?? 0)) / 2;
}

function shown(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits);
}
