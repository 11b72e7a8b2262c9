// bench/options.ts: reads the command line of `npm run bench`.
//
// Promises: an argument that is not understood causes an Error that names it.
import { parseArgs } from 'node:util';
import { oneOf, positive } from './flags.ts';
import { scenariosNamed, SMOKE_NAMES, type Scenario } from './scenarios.ts';
import type { Durability } from './server.ts';

export interface BenchOptions {
  readonly scenarios: readonly Scenario[];
  /** The maximum duration of the load in each scenario. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** The maximum number of bytes sent in each scenario. This much disk space is needed. */
  readonly maxBytes: number;
  readonly runs: number;
  readonly durability: Durability;
  readonly jsonFile: string | null;
}

const MIB = 1024 ** 2;
const FULL = { seconds: 5, warmUpSeconds: 1.5, maxBytes: 2048 * MIB };
const SMOKE = { seconds: 0.8, warmUpSeconds: 0.2, maxBytes: 128 * MIB };

export const USAGE = `Usage: npm run bench -- [scenario…] [--seconds N] [--runs N] [--durability fsync|none] [--json FILE] [--smoke]

  scenario          a scenario's name, or how it begins: fields-first-8m, status. Default: all.
  --seconds N       load in each scenario, at most [${FULL.seconds}]
  --runs N          how often everything is measured; the table shows medians [1]
  --durability M    fsync or none [fsync]
  --json FILE       every figure of every run
  --smoke           a few scenarios, a second each: does it work at all?`;

/** Null: the usage text was asked for. @throws Error */
export function readOptions(argv: readonly string[]): BenchOptions | null {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      seconds: { type: 'string' },
      runs: { type: 'string', default: '1' },
      durability: { type: 'string', default: 'fsync' },
      json: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const limits = values.smoke ? SMOKE : FULL;
  const asked = values.smoke && positionals.length === 0 ? SMOKE_NAMES : positionals;
  return {
    ...limits,
    scenarios: scenariosNamed(asked),
    seconds: positive('--seconds', values.seconds ?? String(limits.seconds)),
    runs: Math.ceil(positive('--runs', values.runs)),
    durability: oneOf('--durability', values.durability, ['fsync', 'none']),
    jsonFile: values.json ?? null,
  };
}
