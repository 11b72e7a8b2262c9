// helpers/fs-trace.ts: reads, line by line, the trace that fs-tap.mjs wrote.
import { readFileSync } from 'node:fs';

/** `opened` and `close` say what a descriptor stands for; they change nothing. `armed`: points are counted from here. */
export type TraceLine =
  | ({ readonly t: 'begin'; readonly n: number; readonly isPoint: boolean; readonly canHalf: boolean } & Step)
  | ({ readonly t: 'end'; readonly n: number } & Result)
  | { readonly t: 'opened'; readonly path: string; readonly fd: number }
  | { readonly t: 'close'; readonly fd: number }
  | { readonly t: 'asked'; readonly id?: string }
  | { readonly t: 'armed' }
  /** From here on another process uses the folder. */
  | { readonly t: 'restarted' };

/** Paths are relative to the tapped folder. `data`: Base64. */
export type Step =
  | { readonly op: 'create' | 'mkdir' | 'remove'; readonly path: string }
  | {
      readonly op: 'write';
      readonly fd: number;
      readonly path: string;
      readonly at: number;
      readonly data: string;
    }
  | { readonly op: 'write-file'; readonly path: string; readonly data: string }
  | { readonly op: 'truncate'; readonly path: string; readonly size: number }
  /** No descriptor: the file was written in one call. */
  | { readonly op: 'sync'; readonly fd?: number; readonly path: string }
  | { readonly op: 'rename' | 'link'; readonly path: string; readonly from: string }
  | { readonly op: 'answer' | 'answered'; readonly id: string; readonly status: number };

export interface Result {
  readonly failed?: string;
  /** Only in a create. */
  readonly fd?: number;
  /** Only in a write: its length in bytes. */
  readonly written?: number;
  /** Only in a mkdir: the uppermost folder that it made. */
  readonly first?: string | null;
}

export function readTrace(path: string): TraceLine[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  // A process that was killed may have written only half of its last line.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as TraceLine);
}

const FOLDERS = ['root folder', 'kind folder', 'namespace folder', 'shard folder', 'place folder', 'segment'];

const OWNERS: Readonly<Record<string, string>> = { uploads: 'upload ', media: 'entry ' };

/** Names a path below the folder that holds `data`, in the words of src/storage: `upload bytes: shard folder`. */
function kindOf(path: string): string {
  if (path === '') return 'the folder above the data folder';
  const [part, kind = '', ...below] = path.split('/').slice(1);
  const what = part?.replace(/[.].*/, ''); // After a take-over the names may also have numbers.
  if (what === undefined) return 'the data folder';
  if (what !== 'bytes' && what !== 'ledgers') return what;
  const owner = OWNERS[kind] ?? '';
  if (path.endsWith('.log')) return `${owner}ledger`;
  return `${owner}${what}: ${FOLDERS[kind === '' ? 0 : below.length + 1]}`;
}

/** The name of a point: `sync upload bytes: segment`, `rename spool`, `answer`. */
export function nameOf(step: Step): string {
  if ('id' in step) return step.op;
  return `${step.op} ${kindOf('from' in step ? step.from : step.path)}`;
}
