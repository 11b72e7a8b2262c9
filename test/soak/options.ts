// soak/options.ts: the options of `npm run soak`.
//
// Promises: an option that is not understood gives an Error that names it and says what was expected.
import { parseArgs } from 'node:util';
import { oneOf, positive } from '../../bench/flags.ts';
import type { Durability } from '../../bench/server.ts';

export type ChunkOrder = 'sequential' | 'any';

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly durability: Durability;
  /** The chunk order of the server that is restarted; the other server has the other order. */
  readonly chunkOrder: ChunkOrder;
  /** Seconds from one restart to the next, on average. */
  readonly restartSeconds: number;
  /** The folder for soak-<date>.json, .svg and .md. */
  readonly outFolder: string;
  readonly hasChart: boolean;
  /** The command under test: a file that Node runs. Null: this repository's own. */
  readonly command: string | null;
}

const DEFAULT_MINUTES = '10';
const DEFAULT_RESTART_SECONDS = '20';
const DEFAULT_FOLDER = '.soak';
const MAX_SEED = 0xffffffff;

export const USAGE = `Usage: npm run soak -- [--minutes N] [--seed N] [--durability fsync|none] [--chunk-order sequential|any]
                      [--restart-every SECONDS] [--out FOLDER] [--no-chart] [--command FILE]

Clients of every temperament against two real servers, with faults, aborts and restarts; every byte is verified.

  --minutes N              how long, 0.2 for a try [${DEFAULT_MINUTES}]
  --seed N                 the same decisions again [drawn, and printed]
  --durability MODE        of both servers: fsync or none [fsync]
  --chunk-order ORDER      of the server that is restarted: sequential or any; the steady one has the other [sequential]
  --restart-every SECONDS  from one restart to the next, on average [${DEFAULT_RESTART_SECONDS}]
  --out FOLDER             where soak-<date>.json, .svg and .md go [${DEFAULT_FOLDER}]
  --no-chart               draw none: nothing is installed for it
  --command FILE           another server than this repository's: a file that Node runs with the same flags

Exit code 1 when a byte was lost or wrong, an answer was none of those documented for what was sent, a server died by itself,
or memory, descriptors or files rise without an end. Ctrl-C ends it, with the report so far.`;

/** Null: only the usage is wanted. @param drawSeed the seed when none is given. @throws Error */
export function readSoakOptions(argv: readonly string[], drawSeed: () => number): SoakOptions | null {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string', default: DEFAULT_MINUTES },
      seed: { type: 'string' },
      durability: { type: 'string', default: 'fsync' },
      'chunk-order': { type: 'string', default: 'sequential' },
      'restart-every': { type: 'string', default: DEFAULT_RESTART_SECONDS },
      out: { type: 'string', default: DEFAULT_FOLDER },
      'no-chart': { type: 'boolean', default: false },
      command: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  return {
    minutes: positive('--minutes', values.minutes),
    seed: values.seed === undefined ? drawSeed() : asSeed(values.seed),
    durability: oneOf('--durability', values.durability, ['fsync', 'none']),
    chunkOrder: oneOf('--chunk-order', values['chunk-order'], ['sequential', 'any']),
    restartSeconds: positive('--restart-every', values['restart-every']),
    outFolder: values.out,
    hasChart: !values['no-chart'],
    command: values.command ?? null,
  };
}

function asSeed(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= MAX_SEED) return value;
  throw new Error(`--seed: got ${JSON.stringify(text)}, expected a whole number from 0 to ${MAX_SEED}`);
}
