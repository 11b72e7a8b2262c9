// helpers/fs-trace.ts: what fs-tap.mjs wrote down, line by line.
import { readFileSync } from 'node:fs';

/** `opened` and `close` say what a descriptor stands for; they change nothing. `armed`: points are counted from here. */
export type TraceLine =
  | ({ readonly t: 'begin'; readonly n: number; readonly isPoint: boolean; readonly canHalf: boolean } & Step)
  | ({ readonly t: 'end'; readonly n: number } & Result)
  | { readonly t: 'opened'; readonly path: string; readonly fd: number }
  | { readonly t: 'close'; readonly fd: number }
  | { readonly t: 'asked'; readonly id?: string }
  | { readonly t: 'armed' }
  /** Another process goes on in the folder. */
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
  /** Without a descriptor: of a file that was written whole. */
  | { readonly op: 'sync'; readonly fd?: number; readonly path: string }
  | { readonly op: 'rename' | 'link'; readonly path: string; readonly from: string }
  | { readonly op: 'answer' | 'answered'; readonly id: string; readonly status: number };

export interface Result {
  readonly failed?: string;
  /** Of a create. */
  readonly fd?: number;
  /** Of a write, in bytes. */
  readonly written?: number;
  /** Of a mkdir: the uppermost folder that it made. */
  readonly first?: string | null;
}

export function readTrace(path: string): TraceLine[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  // A process that was killed may have left half a line.
  return lines.slice(0, -1).map((line) => JSON.parse(line) as TraceLine);
}

const FOLDERS = ['root folder', 'kind folder', 'namespace folder', 'shard folder', 'place folder', 'segment'];

const OWNERS: Readonly<Record<string, string>> = { uploads: 'upload ', media: 'entry ' };

/** What a path below the folder that holds `data` is, in the words of src/storage: `upload bytes: shard folder`. */
function kindOf(path: string): string {
  if (path === '') return 'the folder above the data folder';
  const [part, kind = '', ...below] = path.split('/').slice(1);
  const what = part?.replace(/[.].*/, ''); // After some take-overs they have numbers.
  if (what === undefined) return 'the data folder';
  if (what !== 'bytes' && what !== 'ledgers') return what;
  const owner = OWNERS[kind] ?? '';
  if (path.endsWith('.log')) return `${owner}ledger`;
  return `${owner}${what}: ${FOLDERS[kind === '' ? 0 : below.length + 1]}`;
}

/** What a point is called: `sync upload bytes: segment`, `rename spool`, `answer`. */
export function nameOf(step: Step): string {
  if ('id' in step) return step.op;
  return `${step.op} ${kindOf('from' in step ? step.from : step.path)}`;
}
