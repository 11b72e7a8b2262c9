import { beforeEach, describe, expect, it } from 'vitest';
import { LockWatch, type Sign } from '../../../src/storage/disk/lock-watch.ts';

const LOOK_MS = 200;
const lock = (touchedMs: number, text = 'holder', file = '1:2'): Sign => ({ text, file, touchedMs });

let nowMs: number;
let watch: LockWatch;
beforeEach(() => {
  nowMs = 5_000;
  watch = new LockWatch(LOOK_MS, () => nowMs);
});

function look(sign: Sign, afterMs = LOOK_MS): { stillMs: number; hasMoved: boolean } {
  nowMs += afterMs;
  const { stillMs, hasMoved } = watch.look('lock', sign);
  return { stillMs, hasMoved };
}

describe('a lock that is watched', () => {
  it('is still for as long as it was looked at, whatever time is on it', () => {
    for (const touchedMs of [0, 1e15]) {
      expect(look(lock(touchedMs, `holder ${touchedMs}`)).stillMs).toBe(0);
      expect(look(lock(touchedMs, `holder ${touchedMs}`)).stillMs).toBe(200);
      expect(look(lock(touchedMs, `holder ${touchedMs}`)).stillMs).toBe(400);
    }
  });

  it('has moved when its time is another, earlier or later', () => {
    for (const [from, to] of [
      [10, 11],
      [20, 3],
    ] as const) {
      look(lock(from, `holder ${from}`));
      expect(look(lock(to, `holder ${from}`))).toEqual({ stillMs: 0, hasMoved: true });
    }
  });

  it('begins anew with another holder, or another file', () => {
    look(lock(1));
    look(lock(1));
    expect(look(lock(1, 'heir'))).toEqual({ stillMs: 0, hasMoved: false });
    look(lock(1, 'heir'));
    expect(look(lock(1, 'heir', '1:3'))).toEqual({ stillMs: 0, hasMoved: false });
  });

  it('is not still for the time in which nobody looked: the watcher may have been stopped together with the holder', () => {
    look(lock(1));
    expect(look(lock(1), 600_000).stillMs).toBe(2 * LOOK_MS);
  });

  it('is watched by its path', () => {
    watch.look('lock', lock(1));
    nowMs += LOOK_MS;
    expect(watch.look('lock.after-1', lock(1)).stillMs).toBe(0);
    expect(watch.look('lock', lock(1)).stillMs).toBe(LOOK_MS);
  });
});
