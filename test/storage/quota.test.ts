import { beforeEach, describe, expect, it } from 'vitest';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { withQuota } from '../../src/storage/quota.ts';
import type { Bytes, StorageKey } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { place, textOf } from '../helpers/storage-suite.ts';

const QUOTA = 100;
const NO_ROOM = { code: 'insufficient_storage', details: { maxStoredBytes: QUOTA } };

let inner: Bytes;
let bytes: Bytes;

beforeEach(() => {
  inner = createMemoryStorage().bytes;
  bytes = withQuota(inner, { maxBytes: QUOTA });
});

const write = (length: number, segment = 'main', offset = 0): Promise<void> =>
  bytes.write(place(), { segment, offset }, [Buffer.alloc(length, 'x')]);

describe('a write', () => {
  it('that fills the quota to the last byte is taken, the next byte is refused and not stored', async () => {
    await write(60);
    await write(40, 'main', 60);
    await expect(write(1, 'main', 100)).rejects.toMatchObject(NO_ROOM);
    expect(await inner.usage()).toBe(QUOTA);
    expect(await textOf(bytes.read(place(), [{ segment: 'main', offset: 0, bytes: 100 }]))).toHaveLength(100);
  });

  it('that is larger than the whole quota is refused, and a smaller one is taken', async () => {
    await expect(write(101)).rejects.toMatchObject(NO_ROOM);
    await write(100);
  });

  it('counts every buffer it has', async () => {
    const buffers = [Buffer.alloc(50), Buffer.alloc(0), Buffer.alloc(51)];
    await expect(bytes.write(place(), { segment: 'main', offset: 0 }, buffers)).rejects.toMatchObject(
      NO_ROOM,
    );
    expect(await inner.usage()).toBe(0);
  });
});

describe('room counts again', () => {
  const fill = (): Promise<void> => write(100);

  it.each<[string, () => Promise<unknown>]>([
    ['a segment was cut', () => bytes.truncate(place(), 'main', 10)],
    ['a segment was cut to nothing', () => bytes.truncate(place(), 'main', 0)],
    ['a place was removed', () => bytes.remove(place())],
    ['stray bytes were cut off', () => bytes.reconcile(place(), [{ segment: 'main', offset: 0, bytes: 10 }])],
  ])('after %s', async (_what, free) => {
    await fill();
    await expect(write(1, 'c1')).rejects.toMatchObject(NO_ROOM);
    await free();
    await write(90, 'c1');
    expect(await inner.usage()).toBeLessThanOrEqual(QUOTA);
  });

  it('also to who waits for a measurement that had begun before', async () => {
    await fill();
    let measured = (): void => undefined;
    let walks = 0;
    const usage = async (): Promise<number> => {
      const used = await inner.usage();
      walks += 1;
      if (walks === 1) await new Promise<void>((resolve) => (measured = resolve));
      return used;
    };
    const slow = withQuota(changed(inner, { usage }), { maxBytes: QUOTA });
    const first = slow.write(place(), { segment: 'c1', offset: 0 }, [Buffer.alloc(1)]);
    await new Promise(setImmediate);
    await slow.remove(place());
    const second = slow.write(place(), { segment: 'c2', offset: 0 }, [Buffer.alloc(90)]);
    measured();
    await Promise.all([first, second]);
    expect(await inner.usage()).toBe(91);
  });

  it('after a spool was discarded', async () => {
    const spool = await bytes.spool();
    await spool.append([Buffer.alloc(100)]);
    await expect(write(1)).rejects.toMatchObject(NO_ROOM);
    await spool.discard();
    await write(100);
  });

  it('after a write that failed', async () => {
    const failing = withQuota(changed(inner, { write: () => Promise.reject(new Error('disk broke')) }), {
      maxBytes: QUOTA,
    });
    const at = { segment: 'main', offset: 0 };
    await expect(failing.write(place(), at, [Buffer.alloc(80)])).rejects.toThrow('disk broke');
    const spool = await failing.spool();
    await spool.append([Buffer.alloc(80)]);
    expect(await failing.usage()).toBe(80);
  });
});

describe('a spool', () => {
  it('counts, and is refused over the quota', async () => {
    await write(60);
    const spool = await bytes.spool();
    await spool.append([Buffer.alloc(30)]);
    await expect(spool.append([Buffer.alloc(20)])).rejects.toMatchObject(NO_ROOM);
    await spool.append([Buffer.alloc(10)]);
    expect(await inner.usage()).toBe(QUOTA);
  });

  it('counts once when it is adopted', async () => {
    const spool = await bytes.spool();
    await spool.append([Buffer.alloc(90)]);
    await bytes.adopt(spool, place(), 'c0');
    await spool.discard();
    await write(10);
    await expect(write(1, 'c1')).rejects.toMatchObject(NO_ROOM);
  });
});

describe('what was stored before', () => {
  beforeEach(() => inner.write(place('old'), { segment: 'main', offset: 0 }, [Buffer.alloc(95)]));

  it('is not looked at before the first write', async () => {
    let walks = 0;
    const usage = (): Promise<number> => {
      walks += 1;
      return inner.usage();
    };
    const counted = withQuota(changed(inner, { usage }), { maxBytes: QUOTA });
    expect(walks).toBe(0);
    await counted.write(place(), { segment: 'main', offset: 0 }, [Buffer.alloc(5)]);
    expect(walks).toBe(1);
  });

  it('counts for the first write, and for all that come while it is being measured', async () => {
    const results = await Promise.allSettled([write(3, 'c1'), write(3, 'c2'), write(3, 'c3')]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await inner.usage()).toBe(98);
  });

  it('counts again when it could not be measured the first time', async () => {
    let isBroken = true;
    const usage = (): Promise<number> =>
      isBroken ? Promise.reject(new Error('cannot be read')) : inner.usage();
    const flaky = withQuota(changed(inner, { usage }), { maxBytes: QUOTA });
    const at = { segment: 'main', offset: 0 };
    await expect(flaky.write(place(), at, [Buffer.alloc(3)])).rejects.toThrow('cannot be read');
    isBroken = false;
    await expect(flaky.write(place(), at, [Buffer.alloc(6)])).rejects.toMatchObject(NO_ROOM);
    await flaky.write(place(), at, [Buffer.alloc(5)]);
  });
});

describe('the quota of a namespace', () => {
  const NO_ROOM_FOR_KEY = { code: 'insufficient_storage', details: { maxStoredBytesPerKey: QUOTA } };
  const own = place('a1', 'ns_1');
  const foreign = place('a1', 'ns_2');

  const put = (where: StorageKey, length: number, segment = 'main'): Promise<void> =>
    bytes.write(where, { segment, offset: 0 }, [Buffer.alloc(length)]);

  beforeEach(() => {
    bytes = withQuota(inner, { maxBytesPerNamespace: QUOTA });
  });

  it('is its own: a full namespace takes no more, and another one does', async () => {
    await put(own, QUOTA);
    await expect(put(own, 1, 'c1')).rejects.toMatchObject(NO_ROOM_FOR_KEY);
    await put(foreign, QUOTA);
    expect(await inner.usage()).toBe(2 * QUOTA);
  });

  it('counts what was stored before, of all kinds', async () => {
    await inner.write(place('old', 'ns_1', 'media'), { segment: 'main', offset: 0 }, [Buffer.alloc(60)]);
    await put(own, 40);
    await expect(put(own, 1, 'c1')).rejects.toMatchObject(NO_ROOM_FOR_KEY);
  });

  it('has room again when something of it was removed, not when something of another was', async () => {
    await put(own, QUOTA);
    await put(foreign, QUOTA);
    await bytes.remove(foreign);
    await expect(put(own, 1, 'c1')).rejects.toMatchObject(NO_ROOM_FOR_KEY);
    await bytes.remove(own);
    await put(own, QUOTA);
  });

  it('counts a spool when it is adopted, and one that is too long leaves nothing behind', async () => {
    await put(own, 50);
    const spool = await bytes.spool();
    await spool.append([Buffer.alloc(60)]);
    await expect(bytes.adopt(spool, own, 'c1')).rejects.toMatchObject(NO_ROOM_FOR_KEY);
    await spool.discard();
    expect(await inner.usage()).toBe(50);
    await put(own, 50, 'c2');
  });

  it('follows bytes that move to another namespace (K3)', async () => {
    await put(own, QUOTA);
    await put(foreign, 1, 'c9'); // What it has is known, and changes all the same.
    await bytes.move(own, place('e1', 'ns_2', 'media'));
    await put(own, QUOTA, 'c1');
    await expect(put(foreign, 1)).rejects.toMatchObject(NO_ROOM_FOR_KEY);
  });

  it('stands beside that of all: whichever is full first refuses', async () => {
    bytes = withQuota(inner, { maxBytes: 150, maxBytesPerNamespace: QUOTA });
    await put(own, QUOTA);
    await expect(put(own, 1, 'c1')).rejects.toMatchObject(NO_ROOM_FOR_KEY);
    await expect(put(foreign, 51)).rejects.toMatchObject({ details: { maxStoredBytes: 150 } });
    await put(foreign, 50);
  });
});

describe('everything at once', () => {
  /** Each call takes a random number of turns of the event loop, before and after what it does. */
  function slow(target: Bytes, turns: () => number): Bytes {
    const wait = async (): Promise<void> => {
      for (let left = turns(); left > 0; left -= 1) await new Promise(setImmediate);
    };
    const around = async <T>(work: () => Promise<T>): Promise<T> => {
      await wait();
      const result = await work();
      await wait();
      return result;
    };
    return changed(target, {
      write: (at, where, buffers) => around(() => target.write(at, where, buffers)),
      truncate: (at, segment, length) => around(() => target.truncate(at, segment, length)),
      remove: (at) => around(() => target.remove(at)),
      usage: () => around(() => target.usage()),
    });
  }

  it(`never holds more than the quota, and can be filled when all is quiet (TEST_SEED=${SEED})`, async () => {
    const dice = diceOf(SEED);
    for (let round = 0; round < 50; round += 1) {
      const store = createMemoryStorage().bytes;
      const limited = withQuota(
        slow(store, () => dice.between(0, 4)),
        { maxBytes: QUOTA },
      );
      await store.write(place('old'), { segment: 'main', offset: 0 }, [Buffer.alloc(dice.between(0, 50))]);
      const lives = Array.from({ length: 12 }, async (_, i) => {
        for (let step = 0; step < 5; step += 1) {
          const at = { segment: `c${step}`, offset: 0 };
          await limited.write(place(`p${i}`), at, [Buffer.alloc(dice.between(1, 30))]).catch(() => undefined);
          expect(await store.usage()).toBeLessThanOrEqual(QUOTA);
          if (dice.chance(0.3)) await limited.truncate(place(`p${i}`), at.segment, 0);
          if (dice.chance(0.2)) await limited.remove(place(`p${i}`));
        }
      });
      await Promise.all(lives);
      const left = QUOTA - (await store.usage());
      const at = { segment: 'main', offset: 0 };
      await expect(limited.write(place('more'), at, [Buffer.alloc(left + 1)])).rejects.toMatchObject(NO_ROOM);
      await limited.write(place('rest'), at, [Buffer.alloc(left)]);
      expect(await store.usage()).toBe(QUOTA);
    }
  });
});
