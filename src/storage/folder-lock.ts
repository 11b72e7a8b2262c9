// storage/folder-lock.ts: one process owns a data folder (rule D3).
//
// The file `lock` holds `{ pid, host, token, since }` and is touched every few seconds. The holder is dead when its
// process is gone (same machine) or when the file was not touched for a while (another machine, or a container that
// had another name); then the lock is taken over. Taking over is done under a second lock, so that of two
// starters one wins and the other says who holds the folder.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { hasCode } from './disk-paths.ts';

const TOUCH_MS = 5_000;
const DEAD_AFTER_MS = 20_000;
/** Taking over is two small writes: a guard that is older was left by a process that died in between. */
const GUARD_DEAD_AFTER_MS = 5_000;

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
    since: new Date().toISOString(),
    startTicks: startTicksOf(process.pid),
  };
  if (!(await createLock(path, holder))) await takeOver(path, holder);
  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined); // Gone with its folder: nothing is left to protect.
  }, TOUCH_MS);
  timer.unref();
  return {
    async release() {
      clearInterval(timer);
      const current = await readHolder(path);
      if (current?.token === holder.token) await rm(path, { force: true });
    },
  };
}

async function createLock(path: string, holder: Holder): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function takeOver(path: string, holder: Holder): Promise<void> {
  const guard = `${path}.guard`;
  await openGuard(guard, path);
  try {
    const current = await readHolder(path);
    if (current !== null && (await isAlive(current, path))) throw inUse(path, current);
    const own = `${path}.${holder.token}`;
    await writeFile(own, JSON.stringify(holder));
    await rename(own, path);
  } finally {
    await rm(guard, { force: true });
  }
}

async function openGuard(guard: string, path: string): Promise<void> {
  try {
    await (await open(guard, 'wx')).close();
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    const age = Date.now() - (await stat(guard).catch(() => ({ mtimeMs: 0 }))).mtimeMs;
    if (age < GUARD_DEAD_AFTER_MS) throw inUse(path, await readHolder(path));
    await rm(guard, { force: true });
    await openGuard(guard, path);
  }
}

async function isAlive(holder: Holder, path: string): Promise<boolean> {
  if (holder.host === hostname()) return isProcessAlive(holder);
  const touched = (await stat(path)).mtimeMs;
  return Date.now() - touched < DEAD_AFTER_MS;
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

/** Null: none, or one that was being written when its process died. */
async function readHolder(path: string): Promise<Holder | null> {
  const text = await readFile(path, 'utf8').catch(() => '');
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return null;
  }
}

function inUse(path: string, holder: Holder | null): FolderInUse {
  const who =
    holder === null ? 'another process' : `process ${holder.pid} on ${holder.host} since ${holder.since}`;
  return new FolderInUse(
    `the data folder ${resolve(path, '..')} is in use by ${who}; stop it, or start this server with another --data-dir`,
  );
}
