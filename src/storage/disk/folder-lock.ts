// storage/disk/folder-lock.ts: one process owns a data folder (rule D3): how it becomes the owner, and how it ceases to be.
//
// The file `lock` names its holder (lock-holder.ts), who touches it once a beat. A holder of this boot and pid namespace is looked
// up: when its process is gone, its lock is taken over at once. Any other is alive if and only if its lock moves; when it does not
// for longer than a lease (lock-watch.ts), the lock is taken over, and who held it stores nothing more (folder-guard.ts). That its
// end was not seen is passed on (`followsUnseen`), until the folder is safe from what it may still do (parts.ts).
//
// Of several starters one wins and the others say who holds the folder: the file appears whole (it is a second name of one that was
// written before), and to replace a dead holder's needs the right to that holder: a file `lock.after-<token>`, had in the same way.
// A starter that was stopped half-way may put another's lock in place of its own: the winner is whose file is there in the end.
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
import { fileIdOf, judge, thisProcess, type Holder, type Verdict } from './lock-holder.ts';
import { LOCK_TIMES, LockWatch, type LockTimes } from './lock-watch.ts';
import { isAbsent, isTaken } from '../../core/system-errors.ts';

export interface LockOptions extends GuardEvents {
  /** How long a holder that cannot be looked up is watched before the start gives up. */
  readonly waitMs?: number;
  /** Is told once, when watching begins. */
  readonly onWait?: (message: string) => void;
  readonly times?: LockTimes;
  readonly onCloseError?: (error: unknown) => void;
}

export interface FolderLock {
  readonly guard: FolderGuard;
  /** The end of a holder before was not seen: it may go on, with a call that it had begun (parts.ts). */
  readonly followsUnseen: boolean;
  /** Removes the lock. */
  release(): Promise<void>;
  /** As `release`, with the lock left for the next holder, who is to know whom it follows. */
  leave(): Promise<void>;
}

const DEFAULT_WAIT_MS = 30_000;

/**
 * Tokens of locks that this process gave back, or never really had, of which something may be left on the disk. Their holder is this
 * process, which lives: without this, whoever starts again in here would be told that it uses the folder itself.
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
  const stop = (): Promise<void> => guard.stop().catch(options.onCloseError); // Closed all the same; its content counts no more.
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
  /** Of the file that is, or is to be, the lock. */
  #fileId = '';
  #followsUnseen = false;
  /** What that file says of it. */
  #saysUnseen = false;

  constructor(path: string, times: LockTimes) {
    this.path = path;
    this.#times = times;
    this.#watch = new LockWatch(times.lookMs, monotonicMs);
  }

  get followsUnseen(): boolean {
    return this.#followsUnseen;
  }

  /** Our lock, where it is left, is a dead holder's. */
  giveUp(): void {
    givenUp.add(this.token);
  }

  /** @throws FolderInUse; Undecided */
  async attempt(): Promise<OwnFile> {
    try {
      return await this.#attempt();
    } catch (error) {
      if (error instanceof FolderInUse || error instanceof Undecided) throw error;
      // What failed may have been the last step, with our lock in its place.
      this.giveUp();
      if (!this.#followsUnseen) await this.giveBack(this.#fileId);
      throw error;
    }
  }

  /** Removes our lock, if it is there. Never rejects. @returns why it could not be removed; null: it is gone, or another's */
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
   * Removes what starters left that were killed. What cannot be read or removed keeps nobody from starting.
   * @returns whether something is left of which it is not known yet whether somebody is at it
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
    if (this.#isDead(left, found) !== true) return false;
    await rm(left, { force: true });
    return true;
  }

  /** Our file is at `path`, too. False: it does not say whom it follows, and has to be written anew. @throws FolderInUse; Undecided */
  async #putInPlace(own: string, path: string): Promise<boolean> {
    for (;;) {
      if (await this.#isLinked(own, path)) return true;
      const found = await readLock(path);
      if (found === null) continue; // Released meanwhile.
      if (found.holder?.token === this.token) return true; // Put there by another starter, which was stopped half-way.
      this.#refuseUnlessDead(found);
      if (this.#followsUnseen && !this.#saysUnseen) return false;
      if (await this.#isReplaced(own, path, found)) return true;
    }
  }

  /** False: `path` is taken. */
  async #isLinked(own: string, path: string): Promise<boolean> {
    try {
      await link(own, path).catch(async (error: unknown) => {
        if (isTaken(error) || isAbsent(error)) throw error;
        // A filesystem without second names. Here the file is not whole at once, and names nobody for a moment.
        this.#fileId = await this.#write(path);
      });
      return true;
    } catch (error) {
      if (isTaken(error)) return false;
      throw error;
    }
  }

  /** False: another starter was faster. @throws FolderInUse when it is at it right now */
  async #isReplaced(own: string, path: string, dead: FoundLock): Promise<boolean> {
    const right = `${path}.after-${dead.holder?.token ?? 'nobody'}`;
    if (!(await this.#putInPlace(own, right))) return false;
    const now = await readLock(path);
    if (now === null || now.text !== dead.text || now.touchedMs !== dead.touchedMs) {
      await rm(right, { force: true });
      return false;
    }
    // Takes the lock and gives back the right in one step. Without the right: it was stopped for so long that it lost it.
    return rename(right, path).then(
      () => true,
      (error: unknown) => (isAbsent(error) ? false : Promise.reject(error as Error)),
    );
  }

  /** Null: what is in place is not ours. */
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
    const verdict = this.#isDead(found.path, found);
    if (verdict !== true) throw verdict;
    const isSeen = found.holder !== null && verdictOn(found.holder, found.file) === 'dead';
    if (!isSeen || found.holder?.followsUnseen === true) this.#followsUnseen = true;
  }

  #isDead(path: string, found: FoundLock): true | FolderInUse | Undecided {
    const verdict = found.holder === null ? 'unknown' : verdictOn(found.holder, found.file);
    if (verdict === 'dead') return true;
    const { stillMs, hasMoved } = this.#watch.look(path, found);
    if (found.holder !== null && (verdict === 'alive' || hasMoved)) return inUse(path, found.holder);
    const neededMs = found.holder === null ? this.#times.namelessMs : this.#times.takeoverAfterMs;
    return stillMs >= neededMs ? true : new Undecided(found, stillMs);
  }
}

function verdictOn(holder: Holder, file: string): Verdict {
  return givenUp.has(holder.token) ? 'dead' : judge(holder, file);
}
