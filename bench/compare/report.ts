// bench/compare/report.ts: writes the results of `bench:peers` as a page and as tables for a terminal.
//
// Promises: pure. The report has every goal, including goals that were missed or not measured. Conditions and method come before
// the figures.
import { conditionLines, type Conditions } from '../conditions.ts';
import { median, type Figure, type Figures } from '../figures.ts';
import { markdownTable, tableOf } from '../table.ts';
import type { Bound, Verdict } from './goals.ts';
import type { Outcome } from './run.ts';

export interface Report {
  readonly conditions: Conditions;
  readonly method: string;
  readonly verdicts: readonly Verdict[];
  readonly outcome: Outcome;
}

/**
 * The data of the page and the chart: one line for each cell with the medians of its runs. Each goal also has its least and most
 * value.
 */
export function jsonOf({ conditions, method, verdicts, outcome }: Report): string {
  const { measured, problems, absences } = outcome;
  const cells = [...measured.cells].map(([name, runs]) => [name, mediansOf(runs)] as const);
  const specials = [...measured.specials].map(([name, values]) => [name, rounded(median(values))] as const);
  const parts = {
    conditions: JSON.stringify(conditions),
    method: JSON.stringify(method),
    verdicts: block(
      '[]',
      verdicts.map((verdict) => JSON.stringify(verdict)),
    ),
    cells: block('{}', cells.map(entryOf)),
    specials: block('{}', specials.map(entryOf)),
    problems: JSON.stringify(problems),
    absences: JSON.stringify(absences),
  };
  const lines = Object.entries(parts).map(([name, text]) => `"${name}": ${text}`);
  return `{\n${lines.join(',\n')}\n}\n`;
}

function block(brackets: '[]' | '{}', lines: readonly string[]): string {
  const [open, close] = brackets;
  return lines.length === 0 ? brackets : `${open}\n  ${lines.join(',\n  ')}\n${close}`;
}

function entryOf([name, value]: readonly [string, unknown]): string {
  return `${JSON.stringify(name)}: ${JSON.stringify(value)}`;
}

function mediansOf(runs: readonly Figures[]): object {
  const figures = (Object.keys(runs[0] ?? {}) as (keyof Figures)[]).filter(isFigure);
  const medians = figures.map((figure) => [figure, rounded(median(runs.map((run) => run[figure])))]);
  const errors = runs.reduce((sum, run) => sum + run.errors, 0);
  return { ...Object.fromEntries(medians), errors, runs: runs.length };
}

function isFigure(name: keyof Figures): name is Figure {
  return name !== 'problem';
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4));
}

const SIGNS: Readonly<Record<Bound['kind'], string>> = { 'at-least': '≥', 'at-most': '≤', above: '>' };

export function goalTable(verdicts: readonly Verdict[]): string {
  const head = ['measure', 'goal', 'wanted', 'measured', 'least … most', 'reached'];
  const rows = verdicts.map((verdict) => [
    verdict.measure,
    verdict.goal,
    boundText(verdict),
    valueText(verdict.median, verdict.unit),
    verdict.median === null
      ? '-'
      : `${digits(verdict.least ?? 0, verdict.unit)} … ${digits(verdict.most ?? 0, verdict.unit)}`,
    reachedText(verdict),
  ]);
  return markdownTable([head, ...rows]);
}

export function pageOf({ conditions, method, verdicts, outcome }: Report, chart: string): string {
  const rows = [...outcome.measured.cells].map(([name, runs]) => ({ name, runs }));
  const said = [...outcome.absences, ...outcome.problems];
  return `# Ours and its peers, ${conditions.date}

\`\`\`
${[...conditionLines(conditions), `method      ${method}`].join('\n')}
\`\`\`

## Goals

${goalTable(verdicts)}

## Everything measured
${chart === '' ? '' : `\n![MiB/s and CPU seconds per GiB](${chart})\n`}
${rows.length === 0 ? 'No cells.' : tableOf(rows)}

${said.length === 0 ? 'Nothing was refused, and of every load one upload was compared byte by byte with what was sent.' : said.map((each) => `- ${each}`).join('\n')}
`;
}

function boundText({ bound, unit }: Verdict): string {
  return bound === null ? '-' : `${SIGNS[bound.kind]} ${valueText(bound.value, unit)}`;
}

function valueText(value: number | null, unit: string): string {
  return value === null ? '-' : `${digits(value, unit)}${unit === '×' ? ' ×' : unit}`;
}

function digits(value: number, unit: string): string {
  return unit === '×' ? value.toFixed(2) : value.toFixed(0);
}

function reachedText({ isReached, bound }: Verdict): string {
  if (bound === null) return '-';
  return isReached === null ? 'not measured' : isReached ? 'yes' : 'NO';
}
