// storage/disk/lock-holder.ts: who holds a data folder, and what is known about a holder without waiting (rule D3).
//
// A pid has a meaning only in one pid namespace, in one boot of one machine. Two containers can have the same host name and the
// same pid 1. So a holder is looked up only if its boot id and pid namespace are our own. For any other holder, only the
// movement of its lock tells whether it is alive (lock-watch.ts).
//
// Format of a lock: a JSON object with these fields. It names a holder if and only if pid, host, token and since have their
// types. The fields boot, pidNamespace, startTicks, file and followsUnseen are empty or false when the holder could not tell
// them, or was an older version.
import { readFileSync, readlinkSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import { wallMs } from '../../core/machine-time.ts';
import { systemErrorKind } from '../../core/system-errors.ts';

const holderSchema = z.object({
  pid: z.int().positive(),
  host: z.string(),
  token: z.string().regex(/^[\w-]{1,64}$/),
  since: z.string(),
  /** The start time of the process, in ticks of the kernel. It differs when the pid was given to another process. */
  startTicks: z.string().catch(''),
  /** The id of the last start of the machine. */
  boot: z.string().catch(''),
  pidNamespace: z.string().catch(''),
  /** The id of the file that the holder made. In a copy of the folder the lock is another file, and nobody holds that. */
  file: z.string().catch(''),
  /**
   * The holder took over from a holder whose end nobody saw. Whoever takes over from this holder follows that one, too, unless
   * this holder removed its lock (parts.ts).
   */
  followsUnseen: z.boolean().catch(false),
});

export type Holder = Readonly<z.output<typeof holderSchema>>;

/** Null when the text names nobody. */
export function parseHolder(text: string): Holder | null {
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export function thisProcess(token: string, file: string, followsUnseen = false): Holder {
  return {
    pid: process.pid,
    host: hostname(),
    token,
    since: new Date(wallMs()).toISOString(),
    startTicks: statusOf('self').startTicks,
    ...ownPlace(),
    file,
    followsUnseen,
  };
}

/** The id of a file. No other file of this machine has the same id while the file exists and is open. */
export function fileIdOf({ dev, ino }: Pick<Stats, 'dev' | 'ino'>): string {
  return `${dev}:${ino}`;
}

/**
 * What is known at once. `dead`: the process of the holder is gone. `alive`: the process runs, and the lock is the file that it
 * made. `unknown`: the holder is elsewhere, or the file may be a copy of its lock.
 */
export type Verdict = 'alive' | 'dead' | 'unknown';

export function lookUpHolder(holder: Holder, file: string): Verdict {
  if (!isLookedUpHere(holder)) return 'unknown';
  if (!isProcessAlive(holder)) return 'dead';
  return holder.file === file ? 'alive' : 'unknown';
}

function isLookedUpHere({ boot, pidNamespace, host }: Holder): boolean {
  const own = ownPlace();
  // Other systems have no boot id and no pid namespaces, and so no containers. A pid then belongs to the machine.
  if (process.platform !== 'linux') return boot === '' && pidNamespace === '' && host === hostname();
  return own.boot !== '' && own.pidNamespace !== '' && boot === own.boot && pidNamespace === own.pidNamespace;
}

/** Empty where the system does not tell. Then no holder can be looked up. */
function ownPlace(): { boot: string; pidNamespace: string } {
  const nowhere = { boot: '', pidNamespace: '' };
  try {
    // This /proc belongs to another pid namespace and knows us by another pid. What it says about a pid is about another
    // process.
    if (readlinkSync('/proc/self') !== String(process.pid)) return nowhere;
    return {
      boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      pidNamespace: readlinkSync('/proc/self/ns/pid'),
    };
  } catch {
    return nowhere; // There is no /proc: this is not Linux, or it is a sandbox without /proc.
  }
}

function isProcessAlive({ pid, startTicks }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemErrorKind(error) === 'not-ours'; // The process is alive and belongs to another user.
  }
  const status = statusOf(pid);
  if (status.isEnded) return false;
  // After a restart, a container often gives the same pid (1) to its process. The start time tells the processes apart.
  return status.startTicks === '' || startTicks === '' || status.startTicks === startTicks;
}

/** Fields 3 and 22 of /proc/<pid>/stat. When the file cannot be read, nothing is known about the process. */
function statusOf(pid: number | 'self'): { startTicks: string; isEnded: boolean } {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended, and its parent has not asked for its exit code yet. No code of it runs any more.
    return { startTicks: fields[19] ?? '', isEnded: ['Z', 'X'].includes(fields[0] ?? '') };
  } catch {
    return { startTicks: '', isEnded: false };
  }
}
