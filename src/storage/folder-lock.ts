// storage/folder-lock.ts: one process owns a data folder (rule D3).
//
// The file `lock` holds `{ pid, host, token, since }` and is touched every few seconds. The holder is dead when its
// process is gone (same machine) or when the file was not touched for a while (another machine, or a container that
// had another name); then the lock is taken over. Of several starters one wins and the others say who holds the folder:
// the file appears whole (it is a second name of one that was written before), and to replace a dead holder's needs the
// right to that holder: a file `lock.after-<token>`, had in the same way.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  constants,
  copyFile,
  link,
  readdir,
  readFile,
  rename,
  rm,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { clearInterval, setInterval, wallMs } from '../machine-time.ts';
import { hasCode, modifiedAt } from './disk-paths.ts';

const TOUCH_MS = 5_000;
const DEAD_AFTER_MS = 20_000;

interface Holder {
  readonly pid: number;
  readonly host: string;
  readonly token: string;
  readonly since: string;
  /** When the process started, in the kernel's ticks: a pid that was given to another process differs here. */
  readonly startTicks: string;
}

/** The folder is in use. The message names the holder and says what to do. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';
}

export interface FolderLock {
  release(): Promise<void>;
}

/** @throws FolderInUse */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, 'lock');
  const holder: Holder = {
    pid: process.pid,
    host: hostname(),
    token: randomUUID(),
    since: new Date(wallMs()).toISOString(),
    startTicks: startTicksOf(process.pid),
  };
  await acquire(path, holder);
  await sweep(path);
  const timer = setInterval(() => {
    const now = new Date(wallMs());
    utimes(path, now, now).catch(() => undefined); // Gone with its folder: nothing is left to protect.
  }, TOUCH_MS);
  timer.unref();
  return {
    async release() {
      clearInterval(timer);
      const current = await readLock(path);
      if (current?.holder?.token === holder.token) await rm(path, { force: true });
    },
  };
}

async function acquire(path: string, holder: Holder): Promise<void> {
  const own = `${path}.${holder.token}`;
  await writeFile(own, JSON.stringify(holder));
  try {
    await putInPlace(own, path);
  } finally {
    await rm(own, { force: true });
  }
}

/** Removes what starters left that were killed. What cannot be read or removed keeps nobody from starting. */
async function sweep(path: string): Promise<void> {
  const folder = dirname(path);
  for (const name of await readdir(folder)) {
    const left = join(folder, name);
    if (left.startsWith(`${path}.`)) await removeLeft(left).catch(() => undefined);
  }
}

async function removeLeft(left: string): Promise<void> {
  const found = await readLock(left);
  if (found === null) return;
  // One that names nobody may be about to: it is being written.
  const isLeft = found.holder === null ? !(await isFresh(left)) : !(await isAlive(found.holder, left));
  if (isLeft) await rm(left, { force: true });
}

/** The file `own` is at `path`, too, when this resolves. @throws FolderInUse */
async function putInPlace(own: string, path: string): Promise<void> {
  for (;;) {
    if (await isLinked(own, path)) return;
    const found = await readLock(path);
    if (found === null) continue; // Released meanwhile.
    if (found.holder !== null && (await isAlive(found.holder, path))) throw inUse(path, found.holder);
    if (await isReplaced(own, path, found)) return;
  }
}

/** False: `path` is taken. */
async function isLinked(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path).catch((error: unknown) => {
      if (hasCode(error, 'EEXIST', 'ENOENT')) throw error;
      // A filesystem without second names. Here the file is not whole at once: the only place where two could win.
      return copyFile(own, path, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

/** False: another starter was faster. @throws FolderInUse when it is at it right now */
async function isReplaced(own: string, path: string, dead: FoundLock): Promise<boolean> {
  const right = `${path}.after-${dead.holder?.token ?? 'unreadable'}`;
  await putInPlace(own, right);
  if ((await readLock(path))?.text !== dead.text) {
    await rm(right, { force: true });
    return false;
  }
  await rename(right, path); // Takes the lock and gives back the right in one step.
  return true;
}

async function isAlive(holder: Holder, path: string): Promise<boolean> {
  if (holder.host === hostname()) return isProcessAlive(holder);
  return isFresh(path);
}

/** Was it touched of late? */
async function isFresh(path: string): Promise<boolean> {
  const touched = await modifiedAt(path);
  return touched !== undefined && wallMs() - touched < DEAD_AFTER_MS;
}

function isProcessAlive({ pid, startTicks }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return hasCode(error, 'EPERM'); // Alive, and somebody else's.
  }
  // A restarted container gives the same pid (often 1) to every process: the start time tells them apart.
  return startTicksOf(pid) === startTicks;
}

/** Field 22 of /proc/<pid>/stat; empty where there is no /proc, and then the pid alone decides. */
function startTicksOf(pid: number): string {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

interface FoundLock {
  readonly text: string;
  /** Null: what is in the file names nobody. */
  readonly holder: Holder | null;
}

/** Null: there is none. */
async function readLock(path: string): Promise<FoundLock | null> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (text === null) return null;
  try {
    return { text, holder: JSON.parse(text) as Holder };
  } catch {
    return { text, holder: null };
  }
}

function inUse(path: string, { pid, host, since }: Holder): FolderInUse {
  return new FolderInUse(
    `the data folder ${resolve(path, '..')} is in use by process ${pid} on ${host} since ${since}; ` +
      'stop it, or start this server with another --data-dir',
  );
}
