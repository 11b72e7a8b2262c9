// storage/disk/lock-watch.ts: watches whether a lock moves, measured by the time of the watcher (rule D3).
//
// A holder changes the time of its lock once a beat. The value of that time does not matter: the clocks of two machines can be
// minutes apart, and the clock of a dead holder may have been hours ahead. Only a change during the watching matters.
//
// Promises: only time during which the watcher really looks counts. A watcher that was stopped together with the holder (a
// paused host, a suspended VM) does not count the pause as time without movement.
// It does not know the content of a lock, or what is done about it.
export interface LockTimes {
  /** How often a holder touches its lock and checks that it is still its own. */
  readonly beatMs: number;
  /** A lock that did not move for this long is taken over. Far longer than a late beat, and than LEASE_MS (folder-guard.ts). */
  readonly lockStillMs: number;
  /** As `lockStillMs`, for a lock that names nobody. To write a lock takes milliseconds. */
  readonly namelessMs: number;
  /** How often a waiting starter looks at the lock. */
  readonly lookMs: number;
}

export const LOCK_TIMES: LockTimes = {
  beatMs: 1_000,
  lockStillMs: 10_000,
  namelessMs: 1_000,
  lookMs: 200,
};

/** A lock as it was found, and the time of its last touch by the clock of its holder. */
export interface Sign {
  readonly text: string;
  readonly file: string;
  readonly touchedMs: number;
}

export interface Stillness {
  /** How long the lock was watched without a change, in milliseconds. */
  readonly stillMs: number;
  /** The same holder touched the lock during the watching. It is alive, wherever it runs. */
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

  /** @param now monotonic time in milliseconds */
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
