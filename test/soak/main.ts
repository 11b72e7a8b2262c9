// soak/main.ts: `npm run soak`: clients that behave well and badly, against two real servers, with faults, aborts and restarts;
// every byte is verified. bench/README.md describes the method and how to read the results.
//
// Promises: the seed is printed first. The exit code is 1, with a sentence for each problem, or 2 when the soak could not run.
// Ctrl-C ends it with the report so far; a second Ctrl-C ends it at once.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { conditionLines, readConditions } from '../../bench/conditions.ts';
import { drawSvg, installPeers } from '../../bench/drawing.ts';
import { ownCommand } from '../../bench/own-command.ts';
import { chartOf } from './chart.ts';
import { readSoakOptions, USAGE, type SoakOptions } from './options.ts';
import { pageOf, risingSentences, summaryLines, trendTable, type SoakReport } from './report.ts';
import { soak } from './run.ts';
import { judgeTrends } from './samples.ts';

async function main(options: SoakOptions): Promise<boolean> {
  const stop = new AbortController();
  process.once('SIGINT', () => {
    say('ending, with the report so far; once more to end at once');
    stop.abort();
    process.once('SIGINT', () => process.exit(130));
  });
  process.once('SIGTERM', () => stop.abort());
  say(`seed ${options.seed} (--seed ${options.seed} decides the same again)`);
  const conditions = await readConditions(options.durability);
  say(conditionLines(conditions).join('\n'));
  const folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-soak-'));
  try {
    const command = options.command ?? ownCommand();
    const { record, samples, servers } = await soak(options, { command, folder, say, stop: stop.signal });
    const trends = judgeTrends(samples);
    const restarts = Object.fromEntries(servers.map(({ name, ends }) => [name, ends]));
    const { seconds, counts, answers, faults } = record;
    const problems = [...record.problems, ...risingSentences(trends)];
    const report = {
      conditions,
      options,
      seconds,
      counts,
      restarts,
      answers,
      faults,
      trends,
      problems,
      samples,
    };
    say(['', ...summaryLines(report), '', trendTable(trends), '', ...problems].join('\n'));
    await save(report);
    return problems.length === 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function save(report: SoakReport): Promise<void> {
  const { conditions, options } = report;
  const folder = resolve(options.outFolder);
  const base = join(folder, `soak-${conditions.date}`);
  await mkdir(folder, { recursive: true });
  await writeFile(`${base}.json`, `${JSON.stringify(report, null, 1)}\n`);
  const chart = draw(report);
  if (chart !== null) await writeFile(`${base}.svg`, chart);
  await writeFile(`${base}.md`, pageOf(report, chart === null ? null : `soak-${conditions.date}.svg`));
  say(`Written: ${base}.json, .md${chart === null ? '' : ', .svg'}`);
}

/** Null: no picture is wanted, or none can be made here, which is reported. The findings do not depend on the picture. */
function draw({ conditions, options, samples }: SoakReport): string | null {
  if (!options.hasChart || samples.length === 0) return null;
  try {
    installPeers();
    return drawSvg(
      chartOf(
        samples,
        `${conditions.cpu}, ${conditions.cores} cores, Node ${conditions.node}; seed ${options.seed}`,
      ),
    );
  } catch (error) {
    say(`no chart: ${(error as Error).message}`);
    return null;
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

try {
  const options = readSoakOptions(process.argv.slice(2), () => Date.now() % 1_000_000_000);
  if (options === null) say(USAGE);
  else if (!(await main(options))) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`soak: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
