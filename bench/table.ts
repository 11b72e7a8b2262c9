// bench/table.ts: formats figures as a table that can be read on a terminal and pasted into a page.
//
// Promises: with more than one run, each cell is the median of its figure. "-" means that the figure does not apply.
import { median, type Figure, type Figures } from './figures.ts';

export interface Row {
  readonly name: string;
  readonly runs: readonly Figures[];
}

interface Column {
  readonly title: string;
  readonly figure: Figure;
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
  { title: 'client CPU ms/req', figure: 'clientCpuMsPerRequest', digits: 3 },
  { title: 'peak RSS MiB', figure: 'peakRssMib', digits: 0 },
  { title: 'others %', figure: 'othersCpuPercent', digits: 0 },
];

export function tableOf(rows: readonly Row[]): string {
  const cells = [
    ['scenario', ...COLUMNS.map(({ title }) => title), 'errors'],
    ...rows.map(({ name, runs }) => [
      name,
      ...COLUMNS.map((column) => shown(median(runs.map((run) => run[column.figure])), column.digits)),
      String(runs.reduce((sum, { errors }) => sum + errors, 0)),
    ]),
  ];
  return markdownTable(cells);
}

/** The first row is the head. Every column except the first is aligned right. */
export function markdownTable(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, index) => (index === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head = [], ...body] = cells;
  return [line(head), rule, ...body.map(line)].join('\n');
}

function shown(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits);
}
