// storage/disk/folder-lock.ts: makes one process the owner of a data folder, and ends its ownership (rule D3).
//
// The file `lock` names its holder (lock-holder.ts), who touches it once a beat. If the holder has our boot and pid namespace,
// its process is looked up, and the lock of a dead process is taken over at once. Any other holder is alive if and only if its
// lock moves. When the lock does not move for `lockStillMs` (lock-watch.ts), it is taken over, and its old holder stores
// nothing more (folder-guard.ts). `followsUnseen` records that nobody saw the end of the old holder, until the folder is safe
// from its last calls (parts.ts).
//
// When several processes start, one wins and the others are told who holds the folder. The lock appears whole, because it is a
// hard link to a file that was written before. To replace the lock of a dead holder, a starter first needs the file
// `lock.after-<token>`, which it gets in the same way. A starter that was stopped half-way may replace the lock of another. The
// winner is the process whose file is at the path in the end.
import { randomUUID } from 'node:crypto';
import { link, rename, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { monotonicMs, setTimeout } from '../../core/machine-time.ts';
import { open, readdir, rm } from './files.ts';
import { FolderGuard, type GuardEvents } from './folder-guard.ts';
import {
  FolderInUse,
  gaveUp,
  inUse,
  leftBehind,
  readLock,
  Undecided,
  waitingFor,
  type FoundLock,
} from './lock-file.ts';
import { fileIdOf, lookUpHolder, thisProcess, type Holder, type Verdict } from './lock-holder.ts';
import { LOCK_TIMES, LockWatch, type LockTimes } from './lock-watch.ts';
import { isAbsent, isTaken } from '../../core/system-errors.ts';

export interface LockOptions extends GuardEvents {
  /** How long the start watches a holder that cannot be looked up, before it gives up. In milliseconds. */
  readonly waitMs?: number;
  /** Called once, when the watching begins. */
  readonly onWait?: (message: string) => void;
  readonly times?: LockTimes;
  readonly onCloseError?: (error: unknown) => void;
}

export interface FolderLock {
  readonly guard: FolderGuard;
  /** Nobody saw the end of an earlier holder. It may still finish a call that it had begun (parts.ts). */
  readonly followsUnseen: boolean;
  /** Removes the lock. */
  release(): Promise<void>;
  /** Ends the ownership as `release` does, and leaves the lock, so that the next holder knows whom it follows. */
  leave(): Promise<void>;
}

const DEFAULT_WAIT_MS = 30_000;

/**
 * Tokens of locks that this process gave back or never held, and that may still be on the disk. They name this process, which
 * is alive. Without this set, a new start in this process would find that the process itself uses the folder.
 */
const givenUp = new Set<string>();

/** @throws FolderInUse */
export async function lockFolder(folder: string, options: LockOptions = {}): Promise<FolderLock> {
  const times = options.times ?? LOCK_TIMES;
  const starter = new Starter(join(folder, 'lock'), times);
  const file = await waitFor(starter, { ...options, times });
  const guard = new FolderGuard({ folder, ...file, token: starter.token }, { ...options, times });
  let hasLeft = await starter.sweep();
  guard.start(async () => {
    if (hasLeft) hasLeft = await starter.sweep();
  });
  // The file is closed even if this fails. Its content does not count any more.
  const stop = (): Promise<void> => guard.stop().catch(options.onCloseError);
  return {
    guard,
    followsUnseen: starter.followsUnseen,
    async leave() {
      await stop();
      starter.giveUp();
    },
    async release() {
      const { fileId } = guard;
      await stop();
      const reason = await starter.giveBack(fileId);
      if (reason !== null) options.onTrouble?.(leftBehind(starter.path, reason));
    },
  };
}

interface OwnFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly fileId: string;
}

type Waiting = Required<Pick<LockOptions, 'times'>> & LockOptions;

async function waitFor(starter: Starter, options: Waiting): Promise<OwnFile> {
  const { times, onWait, waitMs = DEFAULT_WAIT_MS } = options;
  const beganAt = monotonicMs();
  let hasTold = false;
  for (;;) {
    try {
      return await starter.attempt();
    } catch (error) {
      if (!(error instanceof Undecided)) throw error;
      if (monotonicMs() - beganAt >= waitMs) throw gaveUp(starter.path, error, times);
      if (!hasTold) onWait?.(waitingFor(starter.path, error.found, times));
      hasTold = true;
      await new Promise((resolve) => setTimeout(resolve, times.lookMs));
    }
  }
}

class Starter {
  readonly path: string;
  readonly token = randomUUID();
  readonly #times: LockTimes;
  readonly #watch: LockWatch;
  /** The id of the file that is, or will be, the lock. */
  #fileId = '';
  #followsUnseen = false;
  /** The value of `followsUnseen` in that file. */
  #saysUnseen = false;

  constructor(path: string, times: LockTimes) {
    this.path = path;
    this.#times = times;
    this.#watch = new LockWatch(times.lookMs, monotonicMs);
  }

  get followsUnseen(): boolean {
    return this.#followsUnseen;
  }

  /** From here on this process treats its own lock as the lock of a dead holder. */
  giveUp(): void {
    givenUp.add(this.token);
  }

  /** @throws FolderInUse; Undecided */
  async attempt(): Promise<OwnFile> {
    try {
      return await this.#attempt();
    } catch (error) {
      if (error instanceof FolderInUse || error instanceof Undecided) throw error;
      // Our lock may be in place, if the last step failed.
      this.giveUp();
      if (!this.#followsUnseen) await this.giveBack(this.#fileId);
      throw error;
    }
  }

  /** Removes our lock, if it is there. Never rejects. @returns why it could not be removed; null: it is gone, or not ours */
  async giveBack(fileId: string): Promise<unknown> {
    try {
      const current = await readLock(this.path);
      if (current?.holder?.token === this.token && current.file === fileId)
        await rm(this.path, { force: true });
      return null;
    } catch (error) {
      givenUp.add(this.token);
      return error;
    }
  }

  async #attempt(): Promise<OwnFile> {
    const own = `${this.path}.${this.token}`;
    for (;;) {
      const found = await readLock(this.path);
      if (found !== null) this.#refuseUnlessDead(found);
      try {
        this.#fileId = await this.#write(own);
        if (!(await this.#putInPlace(own, this.path))) continue;
      } finally {
        await rm(own, { force: true });
      }
      const file = await this.#opened();
      if (file !== null) return file;
    }
  }

  /**
   * Removes the files of starters that were killed. A file that cannot be read or removed does not stop the start.
   * @returns whether a file is left whose owner may still be alive
   */
  async sweep(): Promise<boolean> {
    let hasLeft = false;
    const folder = dirname(this.path);
    for (const name of await readdir(folder).catch(() => [])) {
      const left = join(folder, name);
      if (!left.startsWith(`${this.path}.`)) continue;
      const isGone = await this.#removeLeft(left).catch(() => true);
      if (!isGone) hasLeft = true;
    }
    return hasLeft;
  }

  async #removeLeft(left: string): Promise<boolean> {
    const found = await readLock(left);
    if (found === null) return true;
    if (this.#deadOrWhyNot(left, found) !== true) return false;
    await rm(left, { force: true });
    return true;
  }

  /** Puts our file at `path`. False: it lacks `followsUnseen`, and must be written again. @throws FolderInUse; Undecided */
  async #putInPlace(own: string, path: string): Promise<boolean> {
    for (;;) {
      if (await this.#isLinked(own, path)) return true;
      const found = await readLock(path);
      if (found === null) continue; // The lock was released meanwhile.
      if (found.holder?.token === this.token) return true; // Another starter, which was stopped half-way, put our file there.
      this.#refuseUnlessDead(found);
      if (this.#followsUnseen && !this.#saysUnseen) return false;
      if (await this.#isReplaced(own, path, found)) return true;
    }
  }

  /** Links our file to `path`. False: `path` is taken. */
  async #isLinked(own: string, path: string): Promise<boolean> {
    try {
      await link(own, path).catch(async (error: unknown) => {
        if (isTaken(error) || isAbsent(error)) throw error;
        // This filesystem has no hard links. Here the file is not whole at once, and names nobody for a moment.
        this.#fileId = await this.#write(path);
      });
      return true;
    } catch (error) {
      if (isTaken(error)) return false;
      throw error;
    }
  }

  /** Replaces the lock of a dead holder. False: another starter was faster. @throws FolderInUse when another is doing so now */
  async #isReplaced(own: string, path: string, dead: FoundLock): Promise<boolean> {
    const right = `${path}.after-${dead.holder?.token ?? 'nobody'}`;
    if (!(await this.#putInPlace(own, right))) return false;
    const now = await readLock(path);
    if (now === null || now.text !== dead.text || now.touchedMs !== dead.touchedMs) {
      await rm(right, { force: true });
      return false;
    }
    // One rename takes the lock and gives up the `after` file. If that file is gone, we were stopped for so long that another
    // took it.
    return rename(right, path).then(
      () => true,
      (error: unknown) => (isAbsent(error) ? false : Promise.reject(error as Error)),
    );
  }

  /** Opens the lock. Null: the file at the path is not ours. */
  async #opened(): Promise<OwnFile | null> {
    const handle = await open(this.path, 'r').catch((error: unknown) => {
      if (isAbsent(error)) return null;
      throw error;
    });
    if (handle === null) return null;
    const fileId = await handle.stat().then(fileIdOf, async (error: unknown) => {
      await handle.close();
      throw error;
    });
    if (fileId === this.#fileId) return { path: this.path, handle, fileId };
    await handle.close();
    return null;
  }

  async #write(path: string): Promise<string> {
    const file = await open(path, 'wx');
    try {
      const fileId = fileIdOf(await file.stat());
      await file.writeFile(JSON.stringify(thisProcess(this.token, fileId, this.#followsUnseen)));
      this.#saysUnseen = this.#followsUnseen;
      return fileId;
    } finally {
      await file.close();
    }
  }

  #refuseUnlessDead(found: FoundLock): void {
    const verdict = this.#deadOrWhyNot(found.path, found);
    if (verdict !== true) throw verdict;
    const isSeen = found.holder !== null && verdictOn(found.holder, found.file) === 'dead';
    if (!isSeen || found.holder?.followsUnseen === true) this.#followsUnseen = true;
  }

  #deadOrWhyNot(path: string, found: FoundLock): true | FolderInUse | Undecided {
    const verdict = found.holder === null ? 'unknown' : verdictOn(found.holder, found.file);
    if (verdict === 'dead') return true;
    const { stillMs, hasMoved } = this.#watch.look(path, found);
    if (found.holder !== null && (verdict === 'alive' || hasMoved)) return inUse(path, found.holder);
    const neededMs = found.holder === null ? this.#times.namelessMs : this.#times.lockStillMs;
    return stillMs >= neededMs ? true : new Undecided(found, stillMs);
  }
}

function verdictOn(holder: Holder, file: string): Verdict {
  return givenUp.has(holder.token) ? 'dead' : lookUpHolder(holder, file);
}
