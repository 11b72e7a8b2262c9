// storage/disk/lock-holder.ts: who holds a data folder, and what can be told of a holder without waiting (rule D3).
//
// A pid means something only where it was given: in one boot of one machine, in one pid namespace. Two containers have the same
// host name as easily as the same pid 1. So a holder is looked up directly where boot id and pid namespace are our own, and
// nowhere else; of any other only the movement of its heartbeat tells (lock-watch.ts).
//
// Format of a lock: a JSON object with these fields. It names a holder if and only if pid, host, token and since are of their
// types; boot, pidNamespace, startTicks, file and followsUnseen are empty where the holder could not tell, or was of an older version.
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
  /** When the process started, in the kernel's ticks: a pid that was given to another process differs here. */
  startTicks: z.string().catch(''),
  /** Of the machine's last start. */
  boot: z.string().catch(''),
  pidNamespace: z.string().catch(''),
  /** Which file the holder made: in a copy of the folder the lock is another file, and nobody holds it. */
  file: z.string().catch(''),
  /** It took over from a holder whose end nobody saw. Who takes over from it without a word from it does so, too (parts.ts). */
  followsUnseen: z.boolean().catch(false),
});

export type Holder = Readonly<z.output<typeof holderSchema>>;

/** Null: the text names nobody. */
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

/** As long as it exists and somebody has it open, no other file of the same machine is called so. */
export function fileIdOf({ dev, ino }: Pick<Stats, 'dev' | 'ino'>): string {
  return `${dev}:${ino}`;
}

/**
 * What can be told at once. `dead`: its process is gone. `alive`: it runs, and the lock is the very file that it made.
 * `unknown`: it is elsewhere, or this may be a copy of its lock.
 */
export type Verdict = 'alive' | 'dead' | 'unknown';

export function judge(holder: Holder, file: string): Verdict {
  if (!isLookedUpHere(holder)) return 'unknown';
  if (!isProcessAlive(holder)) return 'dead';
  return holder.file === file ? 'alive' : 'unknown';
}

function isLookedUpHere({ boot, pidNamespace, host }: Holder): boolean {
  const own = ownPlace();
  // Without a boot id and pid namespaces there are no containers either: a pid belongs to the machine.
  if (process.platform !== 'linux') return boot === '' && pidNamespace === '' && host === hostname();
  return own.boot !== '' && own.pidNamespace !== '' && boot === own.boot && pidNamespace === own.pidNamespace;
}

/** Empty where the system does not tell: nobody can be looked up then. */
function ownPlace(): { boot: string; pidNamespace: string } {
  const nowhere = { boot: '', pidNamespace: '' };
  try {
    // A /proc of another pid namespace knows us by another number: what it says of a pid is about somebody else.
    if (readlinkSync('/proc/self') !== String(process.pid)) return nowhere;
    return {
      boot: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
      pidNamespace: readlinkSync('/proc/self/ns/pid'),
    };
  } catch {
    return nowhere; // No /proc: not Linux, or a sandbox without one.
  }
}

function isProcessAlive({ pid, startTicks }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return systemErrorKind(error) === 'not-ours'; // Alive, and somebody else's.
  }
  const status = statusOf(pid);
  if (status.isEnded) return false;
  // A restarted container gives the same pid (often 1) to every process: the start time tells them apart.
  return status.startTicks === '' || startTicks === '' || status.startTicks === startTicks;
}

/** Fields 3 and 22 of /proc/<pid>/stat; of what cannot be read nothing is told. */
function statusOf(pid: number | 'self'): { startTicks: string; isEnded: boolean } {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // A zombie: it ended, and its parent has not asked for how. Nothing of it runs any more.
    return { startTicks: fields[19] ?? '', isEnded: ['Z', 'X'].includes(fields[0] ?? '') };
  } catch {
    return { startTicks: '', isEnded: false };
  }
}
