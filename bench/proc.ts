// bench/proc.ts: reads counters of Linux from proc(5): the CPU time of a process and of the machine, and the memory of a
// process.
//
// Promises: null when there is no /proc; never a guess. A process is counted together with its children (nginx is a master and
// its workers), but without their children.
import { readdir, readFile, writeFile } from 'node:fs/promises';

/** USER_HZ, the unit of time in /proc. It is the same on every Linux that Node supports. */
const TICKS_PER_SECOND = 100;
/** The fields of the `cpu` line of /proc/stat: user nice system idle iowait irq softirq steal. */
const IDLE_FIELDS = new Set([3, 4]);
const TIME_FIELDS = 8;

/** The user and system seconds of all threads so far. */
export async function cpuSecondsOf(pid: number): Promise<number | null> {
  if (process.platform !== 'linux') return null;
  let seconds = 0;
  for (const each of [pid, ...(await childrenOf(pid))]) {
    const fields = await statOf(each);
    // utime and stime are the 14th and 15th field; `statOf` begins with the third.
    seconds += (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
  }
  return seconds;
}

/** The peak of the resident memory since the process began or since `forgetPeakRss`. */
export function peakRssOf(pid: number): Promise<number | null> {
  return memoryOf(pid, 'VmHWM');
}

export function residentBytesOf(pid: number): Promise<number | null> {
  return memoryOf(pid, 'VmRSS');
}

export async function forgetPeakRss(pid: number): Promise<void> {
  if (process.platform === 'linux') await writeFile(`/proc/${pid}/clear_refs`, '5');
}

/**
 * The CPU seconds of the whole machine since it began: every process, the kernel, and the time that the hypervisor took away.
 */
export async function machineBusySeconds(): Promise<number | null> {
  const stat = await readProc('stat');
  if (stat === null) return null;
  const [, ...fields] = (stat.split('\n')[0] ?? '').split(/\s+/);
  const busy = fields.slice(0, TIME_FIELDS).filter((_, index) => !IDLE_FIELDS.has(index));
  return busy.reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_SECOND;
}

async function childrenOf(pid: number): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const parents = await Promise.all(pids.map(async (each) => Number((await statOf(each))[1])));
  return pids.filter((_, n) => parents[n] === pid);
}

/**
 * The fields from the third (the state) on. The second field is a name in parentheses and may hold spaces. Empty: the process is
 * gone.
 */
async function statOf(pid: number): Promise<string[]> {
  const stat = await readProc(`${pid}/stat`).catch(() => null);
  return stat === null ? [] : stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

async function memoryOf(pid: number, name: 'VmHWM' | 'VmRSS'): Promise<number | null> {
  let bytes = 0;
  if (process.platform !== 'linux') return null;
  for (const each of [pid, ...(await childrenOf(pid))]) {
    const status = await readProc(`${each}/status`);
    const [, kibibytes] = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status ?? '') ?? [];
    if (kibibytes === undefined) return null;
    bytes += Number(kibibytes) * 1024;
  }
  return bytes;
}

async function readProc(path: string): Promise<string | null> {
  return process.platform === 'linux' ? readFile(`/proc/${path}`, 'utf8') : null;
}
