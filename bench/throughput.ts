// bench/throughput.ts: `npm run bench` measures how fast the server stores chunks and answers status queries, and the cost.
// bench/README.md describes the method and how to read the results.
//
// Promises: conditions come first. Every figure was measured in this run. Exit code 1 when a request was refused or a checked
// upload holds other bytes than were sent. Runs are interleaved, so that a slow minute of the machine does not hit only one
// scenario.
import { writeFile } from 'node:fs/promises';
import { conditionLines, readConditions } from './conditions.ts';
import type { Figures } from './figures.ts';
import { measure } from './measure.ts';
import { readOptions, USAGE, type BenchOptions } from './options.ts';
import { Client } from './sender/client.ts';
import { tableOf, type Row } from './table.ts';

async function bench(options: BenchOptions): Promise<boolean> {
  const { scenarios, runs, seconds, jsonFile, maxBytes } = options;
  const conditions = await readConditions(options.durability);
  const limit = `at most ${seconds} s and ${maxBytes / 1024 ** 2} MiB each`;
  const method = `${runs === 1 ? '1 run' : `medians of ${runs} runs`}, ${limit}, after a warm-up`;
  console.log([...conditionLines(conditions), `method      ${method}`, ''].join('\n'));
  const rows = scenarios.map((scenario) => ({ name: scenario.name, scenario, runs: [] as Figures[] }));
  const client = new Client();
  try {
    for (let run = 1; run <= runs; run += 1) {
      for (const row of rows) {
        process.stderr.write(`run ${run} of ${runs}: ${row.name}\n`);
        row.runs.push(await measure(row.scenario, client, options));
      }
    }
  } finally {
    await client.close();
  }
  console.log(`\n${tableOf(rows)}`);
  if (jsonFile !== null) await saveJson(jsonFile, { conditions, method, rows });
  return reportProblems(rows);
}

async function saveJson(
  file: string,
  { conditions, method, rows }: { conditions: object; method: string; rows: readonly Row[] },
): Promise<void> {
  const scenarios = rows.map(({ name, runs }) => ({ name, runs }));
  await writeFile(file, `${JSON.stringify({ conditions, method, scenarios }, null, 2)}\n`);
}

/** True if there were no problems. */
function reportProblems(rows: readonly Row[]): boolean {
  const bad = rows.filter(({ runs }) => runs.some(({ errors }) => errors > 0));
  for (const { name, runs } of bad) {
    const first = runs.find(({ problem }) => problem !== null)?.problem ?? 'a connection broke';
    console.log(`\n${name}: not every request was answered as it should be. The first: ${first}`);
  }
  if (bad.length === 0)
    console.log(
      '\nEvery chunk sent was a new one and acknowledged; of each load one upload was read back, where it is kept.',
    );
  return bad.length === 0;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === null) console.log(USAGE);
  else if (!(await bench(options))) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`bench: ${(error as Error).message}\n`);
  process.exitCode = 2;
}
