import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { DiskLedgers } from '../../../src/storage/disk/ledger.ts';
import type { LedgerRecord } from '../../../src/uploads/ports.ts';
import { appendGarbage, cutTail, dropLine, flipByte, punchHole } from '../../helpers/damage.ts';
import { place } from '../../helpers/storage-suite.ts';

const STARTED = { type: 'started', fileId: 'spaces and * J @ and ünïcödé', totalChunks: 3, at: 1 };
const CHUNKS = [0, 1, 2].map((index) => ({ type: 'chunk', index, offset: index * 10, bytes: 10, at: index }));
const RECORDS = [STARTED, ...CHUNKS];

let folder: string;
let file: string;
let ledgers: DiskLedgers;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'xenonflare-mock-ledger-'));
  file = join(folder, 'uploads', 'ns_1', 'a1', 'a1.log');
  ledgers = new DiskLedgers(folder, 'fsync');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** As the service writes it: the first two records together, the others one by one. */
async function writeSample(): Promise<Buffer> {
  const [first, ...others] = CHUNKS;
  const ledger = await ledgers.create(place(), [STARTED, first ?? {}]);
  for (const record of others) await ledger.append([record]);
  await ledger.close();
  return readFile(file);
}

interface Seen {
  readonly records: readonly LedgerRecord[] | null;
  readonly tornBytes: number;
}

async function openOnce(): Promise<Seen> {
  const opened = await ledgers.open(place());
  await opened?.ledger.close();
  return { records: opened?.records ?? null, tornBytes: opened?.torn?.bytes ?? 0 };
}

/** Null when opening does not refuse with `upload_damaged`, or does not leave every byte as it is. */
async function damageSeen(): Promise<AppError | null> {
  const before = await readFile(file);
  const error = await openOnce().catch((thrown: unknown) => thrown);
  const isDamage = error instanceof AppError && error.code === 'upload_damaged';
  return isDamage && (await readFile(file)).equals(before) ? error : null;
}

async function expectDamage(why: string): Promise<AppError> {
  const error = await damageSeen();
  if (error === null) throw new Error(`${why}: not refused as damaged, or the file was changed`);
  return error;
}

/** A line without its newline was never acknowledged. All records that were appended together with it are dropped. */
function recordsIn(lines: number): number {
  return lines === 0 ? 0 : lines + 1;
}

describe('a ledger that was cut short', () => {
  it('at every byte: what was whole before the cut is there, what is left of the rest is dropped and reported (D2)', async () => {
    const whole = await writeSample();
    for (let length = 0; length <= whole.length; length += 1) {
      await writeFile(file, whole.subarray(0, length));
      const kept = whole.subarray(0, length).lastIndexOf('\n') + 1;
      const lines = whole.subarray(0, kept).toString().split('\n').length - 1;
      const { records, tornBytes } = await openOnce();
      const expected = lines === 0 ? null : RECORDS.slice(0, recordsIn(lines));
      expect(records, `cut at ${length}`).toEqual(expected);
      if (lines > 0) expect(tornBytes, `cut at ${length}`).toBe(length - kept);
      // It is opened again, as at the next start: now it is clean and has the same records.
      expect(await openOnce(), `cut at ${length}, second time`).toEqual({ records: expected, tornBytes: 0 });
    }
  });

  it('goes on where it was whole', async () => {
    await writeSample();
    await cutTail(file, 5);
    const opened = await ledgers.open(place());
    await opened?.ledger.append([{ n: 'new' }, { n: 'newer' }]);
    await opened?.ledger.close();
    const { records } = await openOnce();
    expect(records).toEqual([...RECORDS.slice(0, 3), { n: 'new' }, { n: 'newer' }]);
  });

  it('before its first append was whole is no ledger, and its place is free', async () => {
    await writeSample();
    await writeFile(file, (await readFile(file)).subarray(0, 30));
    expect(await openOnce()).toEqual({ records: null, tornBytes: 0 });
    expect(await readdir(join(folder, 'uploads', 'ns_1', 'a1'))).toEqual([]);
    await writeSample();
    expect((await openOnce()).records).toEqual(RECORDS);
  });

  it('never gives back one of two records that were appended together', async () => {
    const ledger = await ledgers.create(place(), [{ n: 0 }]);
    await ledger.append([{ n: 1 }, { n: 2 }]);
    await ledger.close();
    const whole = await readFile(file);
    for (let length = whole.indexOf('\n') + 1; length < whole.length; length += 1) {
      await writeFile(file, whole.subarray(0, length));
      expect((await openOnce()).records, `cut at ${length}`).toEqual([{ n: 0 }]);
    }
  });
});

describe('a ledger with a changed byte', () => {
  it(
    'any bit of any byte: refused as upload_damaged, naming the place, and nothing changes on the disk (D2)',
    { timeout: 180_000 },
    async () => {
      const whole = await writeSample();
      for (let at = 0; at < whole.length; at += 1) {
        for (let bit = 0; bit < 8; bit += 1) {
          await flipByte(file, at, 1 << bit);
          const error = await expectDamage(`bit ${bit} of byte ${at}`);
          if (error.details['name'] !== 'a1') throw new Error(`named ${JSON.stringify(error.details)}`);
          await writeFile(file, whole);
        }
      }
      expect((await openOnce()).records).toEqual(RECORDS);
    },
  );

  it('is told with the line and the byte that fail', async () => {
    const whole = await writeSample();
    const secondLine = whole.indexOf('\n') + 1;
    await flipByte(file, secondLine + 20);
    const error = await expectDamage('second line');
    expect(error.details).toMatchObject({ line: 2, byte: secondLine });
    expect(error.message).toContain(`line 2 (byte ${secondLine})`);
  });

  it('does not keep another ledger from being opened', async () => {
    await writeSample();
    await (await ledgers.create(place('b2'), [{ n: 1 }])).close();
    await flipByte(file, 3);
    await expectDamage('first line');
    const other = await ledgers.open(place('b2'));
    await other?.ledger.close();
    expect(other?.records).toEqual([{ n: 1 }]);
  });

  it('can be removed, and its place is free then', async () => {
    await writeSample();
    await flipByte(file, 3);
    await ledgers.remove(place());
    await writeSample();
    expect((await openOnce()).records).toEqual(RECORDS);
  });
});

describe('a ledger with a line lost', () => {
  it('in the middle or at the start is damage, although every line left has a right checksum', async () => {
    const whole = await writeSample();
    for (const index of [0, 1]) {
      await dropLine(file, index);
      await expectDamage(`without line ${index}`);
      await writeFile(file, whole);
    }
  });

  it('at the end cannot be told from one that was never written', async () => {
    await writeSample();
    await dropLine(file, 2);
    expect(await openOnce()).toEqual({ records: RECORDS.slice(0, 3), tornBytes: 0 });
  });

  it('or given twice is damage', async () => {
    const whole = await writeSample();
    const lastLine = whole.subarray(whole.subarray(0, -1).lastIndexOf('\n') + 1);
    await appendGarbage(file, lastLine);
    await expectDamage('last line twice');
  });
});

describe('garbage behind a ledger', () => {
  it.each([
    ['a piece of a line', 'deadbeef 4 {"type":"chu'],
    ['NUL bytes, where the size was stored before the data', Buffer.alloc(300)],
    ['bytes of another file', Buffer.from([1, 2, 3, 0xff, 0xfe])],
  ])('without a newline is a write that never finished: %s', async (_what, garbage) => {
    await writeSample();
    await appendGarbage(file, garbage);
    expect(await openOnce()).toEqual({ records: RECORDS, tornBytes: Buffer.from(garbage).length });
    expect(await openOnce()).toEqual({ records: RECORDS, tornBytes: 0 });
  });

  it.each([
    ['a line of something else', 'hello\n'],
    ['an empty line', '\n'],
    ['a line with a wrong checksum', 'deadbeef 4 {"type":"chunk"}\n'],
    ['a line with a NUL byte', 'dead\0beef 4 {"type":"chunk"}\n'],
    ['several lines', 'one\ntwo'],
  ])('with a newline is damage: %s', async (_what, garbage) => {
    await writeSample();
    await appendGarbage(file, garbage);
    await expectDamage('garbage');
  });
});

describe('a hole that a power loss left', () => {
  const LONG = { text: 'x'.repeat(2_000) };

  async function writeLong(): Promise<{ start: number; end: number }> {
    const ledger = await ledgers.create(place(), [{ n: 1 }]);
    await ledger.append([LONG]);
    await ledger.close();
    const whole = await readFile(file);
    return { start: whole.indexOf('\n') + 1, end: whole.length };
  }

  it.each([
    ['of its first sector', ({ start }: { start: number }) => [start, 512]],
    ['of a sector in its middle', () => [512, 1024]],
    ['of its last sectors', ({ end }: { end: number }) => [1024, end]],
    ['of all of it', ({ start, end }: { start: number; end: number }) => [start, end]],
  ])('in the last append, %s: dropped and reported (C2)', async (_what, holeOf) => {
    const line = await writeLong();
    const [from = 0, to = 0] = holeOf(line);
    await punchHole(file, from, to);
    expect(await openOnce()).toEqual({ records: [{ n: 1 }], tornBytes: line.end - line.start });
  });

  it('in an append that another followed is damage: it had been acknowledged', async () => {
    const { end } = await writeLong();
    const opened = await ledgers.open(place());
    await opened?.ledger.append([{ n: 3 }]);
    await opened?.ledger.close();
    await punchHole(file, 512, 1024);
    await expectDamage('hole');
    expect((await stat(file)).size).toBeGreaterThan(end);
  });
});

it('an empty file is no ledger', async () => {
  await writeSample();
  await writeFile(file, '');
  expect(await openOnce()).toEqual({ records: null, tornBytes: 0 });
});

it('a ledger of 100,000 chunks opens in order', async () => {
  const many = new DiskLedgers(folder, 'none');
  const records = Array.from({ length: 100_000 }, (_, index) => ({ type: 'chunk', index }));
  const ledger = await many.create(place('big'), [STARTED]);
  for (let at = 0; at < records.length; at += 1_000) await ledger.append(records.slice(at, at + 1_000));
  await ledger.close();
  const opened = await many.open(place('big'));
  await opened?.ledger.close();
  expect(opened?.records).toHaveLength(100_001);
  expect(opened?.records.at(-1)).toEqual({ type: 'chunk', index: 99_999 });
});

it('a ledger that is removed while it is being opened is there or is not, and neither is an error', async () => {
  for (let times = 0; times < 100; times += 1) {
    await (await ledgers.create(place(), RECORDS)).close();
    const [opened] = await Promise.all([ledgers.open(place()), ledgers.remove(place())]);
    expect([RECORDS, null]).toContainEqual(opened?.records ?? null);
    await opened?.ledger.close();
    expect(await ledgers.open(place())).toBeNull();
  }
});
