// bench/sender/wrk.ts: sends status queries with wrk (C, Debian's package) when it is installed. Against a route with a constant
// answer, a client in Node would cost half of the measured time.
//
// Promises: the answer is the expected one before and after the load; during the load, every answer is a 200. The CPU time is
// that of wrk.
// Must not know: which server is asked.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { BENCH_KEY, STATUS_UPLOAD, WIRES } from '../wires.ts';
import type { Job, JobResult } from './job.ts';

const WRK = '/usr/bin/wrk';
const run = promisify(execFile);
/** USER_HZ, as in proc.ts. */
const TICKS_PER_SECOND = 100;
const IN_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000 };

export function hasWrk(): boolean {
  return existsSync(WRK);
}

/** @throws Error when wrk did not run */
export async function runWrk({ url, connections, seconds }: Job): Promise<JobResult> {
  const target = `${url}/media/chunks?fileId=${STATUS_UPLOAD.fileId}`;
  const whole = Math.max(1, Math.round(seconds));
  const before = await problemAt(target);
  const cpu = endedChildrenCpuSeconds();
  const flags = ['-t1', `-c${connections}`, `-d${whole}s`, '--latency', '-H', `X-API-Key: ${BENCH_KEY}`];
  const { stdout } = await run(WRK, [...flags, target]);
  const clientCpuSeconds = endedChildrenCpuSeconds() - cpu;
  const firstRefusal = before ?? refusalIn(stdout) ?? (await problemAt(target));
  return { ...readWrk(stdout), clientCpuSeconds, ...refusedBy(firstRefusal) };
}

/** Reads wrk's report. @throws Error when the report is not in the format of wrk 4 */
export function readWrk(report: string): Pick<JobResult, 'requests' | 'seconds' | 'p50Ms' | 'p99Ms'> {
  const [, requests, took, unit = ''] = /(\d+) requests in ([\d.]+)(us|ms|s),/.exec(report) ?? [];
  if (requests === undefined) throw new Error(`wrk said something else: ${report.slice(0, 300)}`);
  return {
    requests: Number(requests),
    seconds: (Number(took) * (IN_MS[unit] ?? Number.NaN)) / 1000,
    p50Ms: latencyIn(report, '50'),
    p99Ms: latencyIn(report, '99'),
  };
}

/** Null: every answer was a 2xx, and no connection broke. */
export function refusalIn(report: string): string | null {
  return /^\s*(Non-2xx or 3xx responses: \d+|Socket errors: .*)$/m.exec(report)?.[1] ?? null;
}

function refusedBy(
  firstRefusal: string | null,
): Pick<JobResult, 'refused' | 'firstRefusal' | 'lastMs' | 'sent'> {
  return { refused: firstRefusal === null ? 0 : 1, firstRefusal, lastMs: Number.NaN, sent: null };
}

function latencyIn(report: string, percent: string): number {
  const [, value, unit = ''] = new RegExp(`^\\s*${percent}%\\s+([\\d.]+)(us|ms|s)$`, 'm').exec(report) ?? [];
  return Number(value) * (IN_MS[unit] ?? Number.NaN);
}

async function problemAt(target: string): Promise<string | null> {
  const answer = await fetch(target, { headers: { 'X-API-Key': BENCH_KEY } });
  const body = await answer.text();
  const place = { fileId: STATUS_UPLOAD.fileId, location: '', index: 0, bytes: 0, totalChunks: 0 };
  const isRight = WIRES.status.isStored({ status: answer.status, head: '', body }, place);
  return isRight ? null : `${answer.status} ${body.slice(0, 300)}`;
}

/** The CPU seconds of ended child processes: cutime and cstime in proc(5). 0 without /proc. */
function endedChildrenCpuSeconds(): number {
  if (process.platform !== 'linux') return 0;
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}
