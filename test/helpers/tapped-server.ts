// helpers/tapped-server.ts: a server in its own process, with fs-tap.mjs between it and the disk.
import { join } from 'node:path';
import { startProcess, type ServerProcess } from './process.ts';

const TAP = new URL('fs-tap.mjs', import.meta.url).href;

export interface Tap {
  /** The folder that the tap watches. */
  readonly root: string;
  /** The file that the tap writes. It lies outside of `root`. */
  readonly trace: string;
  /** The value of FS_TAP_DIE: counted from the start of the process. */
  readonly dieAt?: string;
}

function tapEnvironment({ root, trace, dieAt }: Tap): NodeJS.ProcessEnv {
  const die = dieAt === undefined ? {} : { FS_TAP_DIE: dieAt };
  return { NODE_OPTIONS: `--import=${TAP}`, FS_TAP_ROOT: root, FS_TAP_TRACE: trace, ...die };
}

/** The data folder is `<root>/data`. */
export function startTapped(tap: Tap, flags: readonly string[]): Promise<ServerProcess> {
  return startProcess(['--data-dir', join(tap.root, 'data'), ...flags], tapEnvironment(tap));
}

/** The lines of a log, except those that report that an unfinished write was dropped (rule D2). */
export function surprises(log: string): string[] {
  return log.split('\n').filter((line) => line !== '' && !line.includes('"msg":"an upload was repaired'));
}
