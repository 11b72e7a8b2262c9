// bench/proc.ts: what Linux counts, from proc(5): CPU time of a process and of the machine, memory of a process.
//
// Promises: null where there is no /proc; never a guess.
import { readFile } from 'node:fs/promises';

/** USER_HZ: the unit of time in /proc, the same for every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
/** Of the `cpu` line of /proc/stat: user nice system idle iowait irq softirq steal. */
const IDLE_FIELDS = new Set([3, 4]);
const TIME_FIELDS = 8;

/** User and system seconds of all threads so far. */
export async function cpuSecondsOf(pid: number): Promise<number | null> {
  const stat = await readProc(`${pid}/stat`);
  if (stat === null) return null;
  // The second field is the name in parentheses and may hold spaces; utime and stime are the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The most memory that was resident since the process began. */
export async function peakRssOf(pid: number): Promise<number | null> {
  const status = await readProc(`${pid}/status`);
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(status ?? '') ?? [];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

/** CPU seconds of the whole machine since it began: every process, the kernel, and what the hypervisor took away. */
export async function machineBusySeconds(): Promise<number | null> {
  const stat = await readProc('stat');
  if (stat === null) return null;
  const [, ...fields] = (stat.split('\n')[0] ?? '').split(/\s+/);
  const busy = fields.slice(0, TIME_FIELDS).filter((_, index) => !IDLE_FIELDS.has(index));
  return busy.reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
}

async function readProc(path: string): Promise<string | null> {
  return process.platform === 'linux' ? readFile(`/proc/${path}`, 'utf8') : null;
}
