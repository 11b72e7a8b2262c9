// helpers/storage-suite.ts: what every storage must do behind the ports of uploads/ports.ts.
//
// The test file of a storage consists of this suite, a function that opens the storage, what the storage supports, and extra tests.
// `supports` switches on what not every storage can do; it never makes a rule weaker.
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Bytes, Extent, LedgerRecord, StorageKey, Storage } from '../../src/uploads/ports.ts';
import { SEED } from './seed.ts';

export interface StorageUnderTest {
  readonly storage: Storage;
  /** Closes it, and opens what it left behind, as another process would. */
  reopen?(): Promise<Storage>;
  /** Closes whatever is open and deletes what is stored. */
  dispose(): Promise<void>;
}

export interface Supports {
  /** What is stored survives `close`. */
  readonly reopening: boolean;
}

export function place(name = 'a1', namespace = 'ns_1', kind: StorageKey['kind'] = 'uploads'): StorageKey {
  return { kind, namespace, name };
}

export async function textOf(content: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces).toString('latin1');
}

export function describeStorage(
  name: string,
  open: () => Promise<StorageUnderTest>,
  supports: Supports,
): void {
  describe(name, () => {
    let opened: StorageUnderTest;
    let storage: Storage;

    beforeEach(async () => {
      opened = await open();
      storage = opened.storage;
    });
    afterEach(() => opened.dispose());

    const reopen = async (): Promise<void> => {
      if (opened.reopen === undefined) throw new Error(`${name} cannot be opened again`);
      storage = await opened.reopen();
    };

    describe('ledgers', () => {
      ledgerSuite(() => storage);

      it.runIf(supports.reopening)('records are there after the storage was closed and opened', async () => {
        const ledger = await storage.ledgers.create(place(), [{ n: 1 }, { n: 2 }]);
        await ledger.append([{ n: 3 }]);
        await ledger.close();
        await reopen();
        expect(await recordsAt(storage, place())).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
      });
    });

    describe('bytes', () => {
      bytesSuite(() => storage.bytes);

      it.runIf(supports.reopening)('bytes are there after the storage was closed and opened', async () => {
        await write(storage.bytes, { segment: 'main', offset: 0 }, 'kept');
        await storage.bytes.sync(place(), 'main');
        await reopen();
        expect(await textOf(storage.bytes.read(place(), [extent('main', 0, 4)]))).toBe('kept');
      });

      it.runIf(supports.reopening)('spools of an earlier life take no room', async () => {
        const spool = await storage.bytes.spool();
        await spool.append([Buffer.from('nobody knows whose')]);
        await reopen();
        expect(await storage.bytes.usage()).toBe(0);
        const next = await storage.bytes.spool();
        await next.append([Buffer.from('new')]);
        await storage.bytes.adopt(next, place(), 'c0');
        expect(await textOf(storage.bytes.read(place(), [extent('c0', 0, 3)]))).toBe('new');
      });
    });
  });
}

async function recordsAt(storage: Storage, at: StorageKey): Promise<readonly LedgerRecord[] | null> {
  const opened = await storage.ledgers.open(at);
  await opened?.ledger.close();
  return opened === null ? null : opened.records;
}

async function placesIn(list: AsyncIterable<{ place: StorageKey; modifiedAt: number }>): Promise<string[]> {
  const names: string[] = [];
  for await (const { place: found, modifiedAt } of list) {
    expect(Math.abs(Date.now() - modifiedAt), 'modifiedAt is about now').toBeLessThan(60_000);
    names.push(`${found.kind}/${found.namespace}/${found.name}`);
  }
  return names.toSorted();
}

function ledgerSuite(storage: () => Storage): void {
  it('a place without a ledger opens as null', async () => {
    expect(await storage().ledgers.open(place())).toBeNull();
  });

  it('records come back in order, those appended together and those appended alone', async () => {
    const ledger = await storage().ledgers.create(place(), [{ n: 1 }, { n: 2 }]);
    await ledger.append([{ n: 3 }]);
    await ledger.append([{ n: 4 }, { n: 5 }, { n: 6 }]);
    await ledger.close();
    const opened = await storage().ledgers.open(place());
    await opened?.ledger.close();
    expect(opened?.records.map((record) => record['n'])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(opened?.torn).toBeUndefined();
  });

  it('any JSON object comes back as it was', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), { minLength: 1 }),
        async (records) => {
          const ledger = await storage().ledgers.create(place(), records);
          await ledger.append(records);
          await ledger.close();
          const stored = await recordsAt(storage(), place());
          await storage().ledgers.remove(place());
          const asJson: unknown = JSON.parse(JSON.stringify([...records, ...records]));
          return isDeepStrictEqual(stored, asJson);
        },
      ),
      { seed: SEED, numRuns: 30 },
    );
  });

  it('a record that is revoked is not given back, and the next one comes after those before it', async () => {
    const { ledgers } = storage();
    const ledger = await ledgers.create(place(), [{ n: 1 }, { n: 2 }]);
    await ledger.append([{ n: 3 }]);
    await ledger.revoke();
    expect(await recordsAt(storage(), place())).toEqual([{ n: 1 }, { n: 2 }]);
    await ledger.append([{ n: 4 }]);
    await ledger.close();
    const opened = await ledgers.open(place());
    await opened?.ledger.revoke();
    await opened?.ledger.append([{ n: 5 }]);
    await opened?.ledger.close();
    expect(await recordsAt(storage(), place())).toEqual([{ n: 1 }, { n: 2 }, { n: 5 }]);
  });

  it('a record that is changed after it was appended is stored as it was', async () => {
    const record = { n: 1 };
    const ledger = await storage().ledgers.create(place(), [record]);
    record.n = 2;
    await ledger.close();
    expect(await recordsAt(storage(), place())).toEqual([{ n: 1 }]);
  });

  it('an opened ledger goes on behind what it held', async () => {
    await (await storage().ledgers.create(place(), [{ n: 1 }])).close();
    for (const n of [2, 3]) {
      const opened = await storage().ledgers.open(place());
      await opened?.ledger.append([{ n }]);
      await opened?.ledger.close();
    }
    expect(await recordsAt(storage(), place())).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it('an append that fails leaves nothing behind, and the next one is stored', async () => {
    const ledger = await storage().ledgers.create(place(), [{ n: 1 }]);
    const unwritable = { toJSON: failing };
    await expect(async () => ledger.append([{ n: 2 }, unwritable])).rejects.toThrow('not to be written');
    await ledger.append([{ n: 3 }]);
    await ledger.close();
    expect(await recordsAt(storage(), place())).toEqual([{ n: 1 }, { n: 3 }]);
  });

  it('a ledger whose first records cannot be written is none', async () => {
    const unwritable = { toJSON: failing };
    await expect(storage().ledgers.create(place(), [{ n: 1 }, unwritable])).rejects.toThrow(
      'not to be written',
    );
    expect(await storage().ledgers.open(place())).toBeNull();
    await (await storage().ledgers.create(place(), [{ n: 2 }])).close();
    expect(await recordsAt(storage(), place())).toEqual([{ n: 2 }]);
  });

  it('a removed ledger is gone, its place can have another, and removing none is no error', async () => {
    await (await storage().ledgers.create(place(), [{ n: 1 }])).close();
    await storage().ledgers.remove(place());
    await storage().ledgers.remove(place());
    expect(await storage().ledgers.open(place())).toBeNull();
    await (await storage().ledgers.create(place(), [{ n: 2 }])).close();
    expect(await recordsAt(storage(), place())).toEqual([{ n: 2 }]);
  });

  it('the same name in another namespace or of another kind is another ledger', async () => {
    const places = [place('x'), place('x', 'ns_2'), place('x', 'ns_1', 'media')];
    await Promise.all(places.map(async (at, n) => (await storage().ledgers.create(at, [{ n }])).close()));
    for (const [n, at] of places.entries()) expect(await recordsAt(storage(), at)).toEqual([{ n }]);
  });

  it('the list has each ledger of a kind once, and those of one namespace when it is given', async () => {
    for (const at of [place('x'), place('y'), place('x', 'ns_2'), place('z', 'ns_1', 'media')]) {
      await (await storage().ledgers.create(at, [{ n: 1 }])).close();
    }
    const { ledgers } = storage();
    expect(await placesIn(ledgers.list('uploads'))).toEqual([
      'uploads/ns_1/x',
      'uploads/ns_1/y',
      'uploads/ns_2/x',
    ]);
    expect(await placesIn(ledgers.list('uploads', 'ns_2'))).toEqual(['uploads/ns_2/x']);
    expect(await placesIn(ledgers.list('uploads', 'ns_3'))).toEqual([]);
    expect(await placesIn(ledgers.list('media'))).toEqual(['media/ns_1/z']);
  });

  it('the list of an empty storage is empty', async () => {
    expect(await placesIn(storage().ledgers.list('uploads'))).toEqual([]);
  });
}

function failing(): never {
  throw new Error('not to be written');
}

function extent(segment: string, offset: number, bytes: number): Extent {
  return { segment, offset, bytes };
}

function write(
  bytes: Bytes,
  { segment, offset, at = place() }: { segment: string; offset: number; at?: StorageKey },
  text: string,
): Promise<void> {
  return bytes.write(at, { segment, offset }, [Buffer.from(text, 'latin1')]);
}

function bytesSuite(bytes: () => Bytes): void {
  it('extents are read in the order given, whatever their segments', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'abcdef');
    await write(bytes(), { segment: 'c7', offset: 0 }, 'XYZ');
    const extents = [extent('c7', 1, 2), extent('main', 3, 3), extent('main', 0, 1), extent('c7', 0, 1)];
    expect(await textOf(bytes().read(place(), extents))).toBe('YZdefaX');
    expect(await textOf(bytes().read(place(), extents, { start: 1, length: 5 }))).toBe('Zdefa');
    expect(await textOf(bytes().read(place(), extents, { start: 7, length: 5 }))).toBe('');
    expect(await textOf(bytes().read(place(), []))).toBe('');
  });

  it('writes of any shape come back, whole and by any range', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }), { maxLength: 8 }),
        fc.nat(400),
        fc.nat(400),
        async (writes, start, length) => {
          let offset = 0;
          for (const buffers of writes) {
            await bytes().write(
              place(),
              { segment: 'main', offset },
              buffers.map((bytes) => Buffer.from(bytes)),
            );
            for (const buffer of buffers) offset += buffer.length;
          }
          const whole = Buffer.concat(writes.flat()).toString('latin1');
          const extents = [extent('main', 0, offset)];
          const stored = await textOf(bytes().read(place(), extents));
          const part = await textOf(bytes().read(place(), extents, { start, length }));
          await bytes().remove(place());
          return stored === whole && part === whole.slice(start, start + length);
        },
      ),
      { seed: SEED, numRuns: 40 },
    );
  });

  it('a write may have more buffers than the system takes at once', async () => {
    const buffers = Array.from({ length: 5_000 }, (_, i) => Buffer.from([i % 251]));
    await bytes().write(place(), { segment: 'main', offset: 0 }, buffers);
    const stored = await textOf(bytes().read(place(), [extent('main', 0, 5_000)]));
    expect(stored === Buffer.concat(buffers).toString('latin1')).toBe(true);
  });

  it("buffers are the caller's again after a write: what happens to them then changes nothing", async () => {
    const buffer = Buffer.alloc(100_000, 'x');
    const spool = await bytes().spool();
    await bytes().write(place(), { segment: 'main', offset: 0 }, [buffer]);
    await spool.append([buffer]);
    expect(spool.bytes).toBe(100_000);
    buffer.fill('y');
    await bytes().adopt(spool, place(), 'c1');
    const extents = [extent('main', 0, 100_000), extent('c1', 0, 100_000)];
    expect((await textOf(bytes().read(place(), extents))) === 'x'.repeat(200_000)).toBe(true);
  });

  it('a large write comes back', async () => {
    const buffer = Buffer.alloc(3 * 1024 * 1024 + 1, 'large');
    await bytes().write(place(), { segment: 'main', offset: 0 }, [buffer, buffer]);
    const stored = await textOf(bytes().read(place(), [extent('main', buffer.length, buffer.length)]));
    expect(stored === buffer.toString('latin1')).toBe(true);
  });

  it('what is written again from a committed offset replaces what was there', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'kept and broken off');
    await bytes().truncate(place(), 'main', 5);
    await write(bytes(), { segment: 'main', offset: 5 }, 'whole');
    expect(await textOf(bytes().read(place(), [extent('main', 0, 10)]))).toBe('kept whole');
    await write(bytes(), { segment: 'main', offset: 4 }, '!');
    expect(await textOf(bytes().read(place(), [extent('main', 0, 5)]))).toBe('kept!');
  });

  it('a segment that is cut keeps its start; cut to nothing, it is gone', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'abcdef');
    await bytes().truncate(place(), 'main', 2);
    expect(await bytes().usage()).toBe(2);
    expect(await textOf(bytes().read(place(), [extent('main', 0, 2)]))).toBe('ab');
    await expect(textOf(bytes().read(place(), [extent('main', 0, 3)]))).rejects.toThrow('main');
    await bytes().truncate(place(), 'main', 0);
    expect(await bytes().usage()).toBe(0);
    await write(bytes(), { segment: 'main', offset: 0 }, 'new');
    expect(await textOf(bytes().read(place(), [extent('main', 0, 3)]))).toBe('new');
  });

  it('cutting to nothing what is not there is no error', async () => {
    await bytes().truncate(place(), 'c3', 0);
    expect(await bytes().usage()).toBe(0);
  });

  it('reading bytes that are not there is an error, not a shorter content', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'abc');
    await expect(textOf(bytes().read(place(), [extent('main', 0, 4)]))).rejects.toThrow(/main/);
    await expect(textOf(bytes().read(place(), [extent('c1', 0, 1)]))).rejects.toThrow(/c1/);
    await expect(textOf(bytes().read(place('other'), [extent('main', 0, 1)]))).rejects.toThrow(/main/);
  });

  it('an adopted spool is a segment like any other', async () => {
    const spool = await bytes().spool();
    await spool.append([Buffer.from('spo'), Buffer.from('ol')]);
    await spool.append([Buffer.from('ed')]);
    expect(await bytes().usage()).toBe(7);
    await bytes().adopt(spool, place(), 'c4');
    await bytes().sync(place(), 'c4');
    await spool.discard();
    await spool.discard();
    expect(await bytes().usage()).toBe(7);
    expect(await textOf(bytes().read(place(), [extent('c4', 0, 7)]))).toBe('spooled');
  });

  it('a discarded spool takes no room, however often it is discarded, and with or without bytes', async () => {
    const [full, empty] = [await bytes().spool(), await bytes().spool()];
    await full.append([Buffer.from('bytes')]);
    for (const spool of [full, empty, full, empty]) await spool.discard();
    expect(await bytes().usage()).toBe(0);
  });

  it('spools do not mix', async () => {
    const spools = await Promise.all(Array.from({ length: 20 }, () => bytes().spool()));
    await Promise.all(
      spools.map(async (spool, i) => {
        for (const text of ['a', 'b', 'c']) await spool.append([Buffer.from(`${text}${i % 10}`)]);
        await bytes().adopt(spool, place(), `c${i}`);
      }),
    );
    const extents = spools.map((_, i) => extent(`c${i}`, 0, 6));
    const expected = spools.map((_, i) => `a${i % 10}b${i % 10}c${i % 10}`).join('');
    expect(await textOf(bytes().read(place(), extents))).toBe(expected);
  });

  it('says how many bytes one namespace has, of all kinds, without those of others', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'abc');
    const foreign = place('a1', 'ns_2');
    const entry = place('e1', 'ns_1', 'media');
    await bytes().write(foreign, { segment: 'main', offset: 0 }, [Buffer.from('foreign')]);
    await bytes().write(entry, { segment: 'main', offset: 0 }, [Buffer.from('entry')]);
    const spool = await bytes().spool();
    await spool.append([Buffer.from('spooled')]);
    expect(await bytes().usage('ns_1')).toBe(8);
    expect(await bytes().usage('ns_2')).toBe(7);
    expect(await bytes().usage('ns_3')).toBe(0);
    expect(await bytes().usage()).toBe(22);
    await spool.discard();
  });

  it('reconciling cuts what is longer, removes what is not expected, and says how many bytes that was', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'abcdef');
    await write(bytes(), { segment: 'c1', offset: 0 }, 'exact');
    await write(bytes(), { segment: 'c2', offset: 0 }, 'stray');
    const extents = [extent('c1', 0, 5), extent('main', 0, 3), extent('main', 3, 1)];
    expect(await bytes().reconcile(place(), extents)).toEqual({ strayBytes: 7, missing: [] });
    expect(await bytes().usage()).toBe(9);
    expect(await textOf(bytes().read(place(), extents))).toBe('exactabcd');
    expect(await bytes().reconcile(place(), extents)).toEqual({ strayBytes: 0, missing: [] });
  });

  it('reconciling names what is missing or too short, and then changes nothing', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'short');
    await write(bytes(), { segment: 'c1', offset: 0 }, 'longer than expected');
    await write(bytes(), { segment: 'c2', offset: 0 }, 'stray');
    const before = await bytes().usage();
    const extents = [extent('main', 5, 1), extent('c1', 0, 1), extent('c9', 0, 1)];
    const { strayBytes, missing } = await bytes().reconcile(place(), extents);
    expect({ strayBytes, missing: missing.toSorted() }).toEqual({ strayBytes: 0, missing: ['c9', 'main'] });
    expect(await bytes().usage()).toBe(before);
  });

  it('reconciling a place without bytes', async () => {
    expect(await bytes().reconcile(place(), [])).toEqual({ strayBytes: 0, missing: [] });
    const extents = [extent('main', 0, 1)];
    expect(await bytes().reconcile(place(), extents)).toEqual({ strayBytes: 0, missing: ['main'] });
  });

  it('a move takes all segments along and leaves the place free', async () => {
    const to = place('e1', 'ns_1', 'media');
    await write(bytes(), { segment: 'main', offset: 0 }, 'abc');
    await write(bytes(), { segment: 'c1', offset: 0 }, 'def');
    await bytes().move(place(), to);
    const extents = [extent('main', 0, 3), extent('c1', 0, 3)];
    expect(await textOf(bytes().read(to, extents))).toBe('abcdef');
    await expect(textOf(bytes().read(place(), extents))).rejects.toThrow(/main/);
    await write(bytes(), { segment: 'main', offset: 0 }, 'xyz');
    expect(await textOf(bytes().read(place(), [extent('main', 0, 3)]))).toBe('xyz');
    expect(await textOf(bytes().read(to, extents))).toBe('abcdef');
    expect(await bytes().usage()).toBe(9);
  });

  it('a move of nothing does nothing: what an earlier one moved stays', async () => {
    const to = place('e1', 'ns_1', 'media');
    await write(bytes(), { segment: 'main', offset: 0 }, 'abc');
    await bytes().move(place(), to);
    await bytes().move(place(), to);
    expect(await textOf(bytes().read(to, [extent('main', 0, 3)]))).toBe('abc');
  });

  it('a move to where there are bytes does nothing, and says so', async () => {
    const to = place('e1', 'ns_1', 'media');
    await write(bytes(), { segment: 'main', offset: 0 }, 'abc');
    await write(bytes(), { segment: 'main', offset: 0, at: to }, 'other');
    expect(await bytes().move(place(), to)).toBe(false);
    expect(await textOf(bytes().read(place(), [extent('main', 0, 3)]))).toBe('abc');
    expect(await textOf(bytes().read(to, [extent('main', 0, 5)]))).toBe('other');
    await bytes().remove(to);
    expect(await bytes().move(place(), to)).toBe(true);
    expect(await textOf(bytes().read(to, [extent('main', 0, 3)]))).toBe('abc');
  });

  it('a removed place is gone, another is not, and removing none is no error', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'abc');
    await write(bytes(), { segment: 'main', offset: 0, at: place('a11') }, 'other');
    await bytes().remove(place());
    await bytes().remove(place());
    expect(await bytes().usage()).toBe(5);
    expect(await textOf(bytes().read(place('a11'), [extent('main', 0, 5)]))).toBe('other');
  });

  it('a released place can be read and written on', async () => {
    await write(bytes(), { segment: 'main', offset: 0 }, 'abc');
    await bytes().release(place());
    await bytes().release(place());
    await write(bytes(), { segment: 'main', offset: 3 }, 'def');
    await bytes().sync(place(), 'main');
    expect(await textOf(bytes().read(place(), [extent('main', 0, 6)]))).toBe('abcdef');
  });

  it('the list has each place with bytes once', async () => {
    const entry = place('e1', 'ns_2', 'media');
    await write(bytes(), { segment: 'main', offset: 0 }, 'abc');
    await write(bytes(), { segment: 'c1', offset: 0 }, 'abc');
    await write(bytes(), { segment: 'main', offset: 0, at: place('b2') }, 'abc');
    await write(bytes(), { segment: 'main', offset: 0, at: entry }, 'abc');
    expect(await placesIn(bytes().list('uploads'))).toEqual(['uploads/ns_1/a1', 'uploads/ns_1/b2']);
    expect(await placesIn(bytes().list('media'))).toEqual(['media/ns_2/e1']);
    await bytes().remove(entry);
    expect(await placesIn(bytes().list('media'))).toEqual([]);
  });

  it('writes to many segments and places at once do not mix', async () => {
    const targets = Array.from({ length: 40 }, (_, i) => ({ at: place(`p${i % 8}`), segment: `c${i}` }));
    await Promise.all(
      targets.map(async ({ at, segment }, i) => {
        for (let n = 0; n < 5; n += 1)
          await write(bytes(), { segment, offset: n * 3, at }, `${i}`.padStart(3));
        await bytes().sync(at, segment);
      }),
    );
    for (const [i, { at, segment }] of targets.entries()) {
      expect(await textOf(bytes().read(at, [extent(segment, 0, 15)]))).toBe(`${i}`.padStart(3).repeat(5));
    }
    expect(await bytes().usage()).toBe(40 * 15);
  });
}
