// faults/crash.ts: whether rules of a server may kill its process (the effect `crash`, behaviour §10).
import type { Config } from '../config/config.ts';

/** Kills the process at once. */
export type Crash = () => never;

interface Crashing {
  readonly config: Pick<Config, 'allowCrash'>;
  /** Absent: the process does not belong to the server. */
  readonly crash?: Crash | undefined;
}

/** Why no rule may kill the process; null: rules may. */
export function crashRefusalOf({ config, crash }: Crashing): string | null {
  if (crash === undefined)
    return 'crash kills the process of the server, which is your own process here; use the command with --allow-crash';
  return config.allowCrash ? null : 'crash kills the process of the server: start it with --allow-crash';
}
