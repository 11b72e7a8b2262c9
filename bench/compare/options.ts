// bench/compare/options.ts: reads the command line of `npm run bench:peers`.
//
// Promises: an argument that is not understood causes an Error that names it.
import { parseArgs } from 'node:util';
import { GOAL_NAMES, type GoalName } from './goals.ts';
import { inRepository } from '../root.ts';
import { FULL, QUICK, type Scale } from './scale.ts';

export interface PeersOptions {
  readonly goals: readonly GoalName[];
  readonly runs: number;
  readonly scale: Scale;
  /** Whether the run has only some goals or a smaller scale. Such results are kept apart from publishable results. */
  readonly isPartial: boolean;
  readonly outFolder: string;
}

const RESULTS = inRepository('bench/results/');
const DEFAULT_RUNS = '5';

export const USAGE = `Usage: npm run bench:peers -- [--runs N] [--only goal…] [--quick] [--out FOLDER]

  --runs N       how often everything is measured, in turn; medians count [${DEFAULT_RUNS}]
  --only GOAL    one goal, again for more: ${GOAL_NAMES.join(', ')}. Default: all.
  --quick        one run of a few seconds each: does it work at all?
  --out FOLDER   where <date>.json, .md and .svg go [bench/results]; <date>-partial.… with --quick or --only`;

/** Null: the usage text was asked for. @throws Error */
export function readPeersOptions(argv: readonly string[]): PeersOptions | null {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      runs: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      quick: { type: 'boolean', default: false },
      out: { type: 'string', default: RESULTS },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  // `--only floor nginx` is understood as well as `--only floor --only nginx`.
  const asked = [...values.only, ...positionals].flatMap((names) => names.split(','));
  if (asked.length > 0 && values.only.length === 0)
    throw new Error(`got ${JSON.stringify(asked[0])}; name goals with --only`);
  return {
    goals: asked.length === 0 ? GOAL_NAMES : asked.map(asGoal),
    runs: readRuns(values.runs ?? (values.quick ? '1' : DEFAULT_RUNS)),
    scale: values.quick ? QUICK : FULL,
    isPartial: values.quick || asked.length > 0,
    outFolder: values.out,
  };
}

function readRuns(text: string): number {
  const runs = Number(text);
  if (Number.isSafeInteger(runs) && runs > 0) return runs;
  throw new Error(`--runs: got ${JSON.stringify(text)}, expected a whole number above 0`);
}

function asGoal(text: string): GoalName {
  const goal = GOAL_NAMES.find((name) => name === text);
  if (goal !== undefined) return goal;
  throw new Error(`--only: got ${JSON.stringify(text)}, expected one of ${GOAL_NAMES.join(', ')}`);
}
