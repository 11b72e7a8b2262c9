// storage/disk/lock-watch.ts: whether a lock moves, by the watcher's own time (rule D3).
//
// A holder changes the time of its lock once a beat. Which time that is does not matter: clocks of two machines are minutes
// apart, and a dead holder's may have been hours ahead. It matters that it changes while somebody looks.
//
// Promises: time counts only while the watcher really looks. One that was stopped together with the holder (a paused host,
// a suspended VM) does not take the pause for stillness.
// Must not know: what is in a lock, what is done about it.
export interface LockTimes {
  /** A holder touches its lock, and looks whether it is still its own, this often. */
  readonly beatMs: number;
  /** A lock that did not move for this long is taken over: far longer than a late beat, and than a lease (folder-guard.ts). */
  readonly takeoverAfterMs: number;
  /** As `takeoverAfterMs`, of a lock that names nobody: writing one takes milliseconds. */
  readonly namelessMs: number;
  /** A starter that waits looks this often. */
  readonly lookMs: number;
}

export const LOCK_TIMES: LockTimes = {
  beatMs: 1_000,
  takeoverAfterMs: 10_000,
  namelessMs: 1_000,
  lookMs: 200,
};

/** A lock as it was found, and when it was last touched by whatever clock. */
export interface Sign {
  readonly text: string;
  readonly file: string;
  readonly touchedMs: number;
}

export interface Stillness {
  /** How long it was watched and did not change. */
  readonly stillMs: number;
  /** The same holder touched it while it was watched: it is alive, wherever it is. */
  readonly hasMoved: boolean;
}

interface Watched extends Stillness {
  readonly sign: Sign;
  readonly lookedAtMs: number;
}

export class LockWatch {
  readonly #lookMs: number;
  readonly #now: () => number;
  readonly #watched = new Map<string, Watched>();

  /** @param now is monotonic, in milliseconds */
  constructor(lookMs: number, now: () => number) {
    this.#lookMs = lookMs;
    this.#now = now;
  }

  look(path: string, sign: Sign): Stillness {
    const lookedAtMs = this.#now();
    const seen = { sign, lookedAtMs, ...this.#compare(path, sign, lookedAtMs) };
    this.#watched.set(path, seen);
    return seen;
  }

  #compare(path: string, sign: Sign, nowMs: number): Stillness {
    const before = this.#watched.get(path);
    const isSame = before?.sign.text === sign.text && before.sign.file === sign.file;
    if (!isSame) return { stillMs: 0, hasMoved: false };
    if (before.sign.touchedMs !== sign.touchedMs) return { stillMs: 0, hasMoved: true };
    const elapsedMs = Math.min(nowMs - before.lookedAtMs, this.#lookMs * 2);
    return { stillMs: before.stillMs + elapsedMs, hasMoved: before.hasMoved };
  }
}
