// bench/peers.ts: `npm run bench:peers` measures our server and its peers under the same loads, and compares the figures with
// the goals. bench/README.md describes the method and how to read the results.
//
// Promises: conditions come first. Every figure was measured in this run, by one client, with the two sides in turn. Exit code 1
// when any measurement failed; a missed goal is only reported.
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { chartOf } from './compare/chart.ts';
import { GOALS, verdictOn } from './compare/goals.ts';
import { readPeersOptions, USAGE, type PeersOptions } from './compare/options.ts';
import { goalTable, jsonOf, pageOf } from './compare/report.ts';
import { runAll, type Outcome } from './compare/run.ts';
import { QUICK } from './compare/scale.ts';
import { conditionLines, readConditions } from './conditions.ts';
import { drawSvg, installPeers } from './drawing.ts';
import { hasWrk } from './sender/wrk.ts';

const MIB = 1024 ** 2;

async function bench(options: PeersOptions): Promise<boolean> {
  installPeers();
  const goals = GOALS.filter(({ name }) => options.goals.includes(name));
  const conditions = await readConditions('none');
  console.log(
    [...conditionLines(conditions), `method      ${methodOf(options, options.runs)}`, ''].join('\n'),
  );

  const base = join(options.outFolder, `${conditions.date}${options.isPartial ? '-partial' : ''}`);
  await mkdir(options.outFolder, { recursive: true });
  const save = async (outcome: Outcome): Promise<void> => {
    const verdicts = goals.map((goal) => verdictOn(goal, outcome.measured));
    // When the bench is stopped, the written report covers the runs that were finished.
    const done = [...outcome.measured.cells.values()].map((runs) => runs.length);
    const method = methodOf(options, Math.max(1, ...done));
    const report = { conditions, method, verdicts, outcome };
    const chart = drawChart(
      outcome,
      `${conditions.cpu}, ${conditions.cores} cores, Node ${conditions.node}; medians`,
    );
    if (chart !== null) await writeFile(`${base}.svg`, chart);
    await writeFile(`${base}.json`, jsonOf(report));
    const chartName = chart === null ? '' : `${conditions.date}${options.isPartial ? '-partial' : ''}.svg`;
    await writeFile(`${base}.md`, pageOf(report, chartName));
  };
  const outcome = await runAll({ ...options, goals, onStep: sayStep, onRun: save });
  console.log(goalTable(goals.map((goal) => verdictOn(goal, outcome.measured))));
  for (const said of [...outcome.absences, ...outcome.problems]) console.log(`\n${said}`);
  console.log(`\nWritten: ${relative('.', base)}.json, .md, .svg`);
  return outcome.problems.length === 0;
}

function methodOf({ scale }: PeersOptions, runs: number): string {
  const { seconds, warmUpSeconds, maxBytes } = scale.cells;
  return (
    `${runs === 1 ? '1 run' : `medians of ${runs} interleaved runs`} (ratios: of each run's ratio), ` +
    `at most ${seconds} s and ${maxBytes / MIB} MiB after ${warmUpSeconds} s of warm-up; ` +
    `client: the bench's own sender${hasWrk() ? ', wrk for status queries' : ' (no wrk here: for status queries, too)'}` +
    (scale === QUICK ? '; QUICK: everything is smaller and colder than the goals say' : '')
  );
}

function sayStep(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Null: the chart has no data. @throws Error when the chart cannot be drawn */
function drawChart({ measured }: Outcome, subtitle: string): string | null {
  const spec = chartOf(measured.cells, subtitle);
  if (spec === null) return null;
  return drawSvg(spec);
}

try {
  const options = readPeersOptions(process.argv.slice(2));
  if (options === null) console.log(USAGE);
  else if (!(await bench(options))) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`bench:peers: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
