// The parts of the soak that judge: what is a rise, what is a loss, which options are accepted. Running it with `--command` shows
// that the whole soak finds a broken server; see bench/README.md.
import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { chunkBytes, sha256Of } from './content.ts';
import { diceFor } from '../helpers/dice.ts';
import { Record } from './record.ts';
import { readSoakOptions } from './options.ts';
import { risingSentences } from './report.ts';
import { judgeTrends, type Sample } from './samples.ts';
import { trendOf, type Point } from './trend.ts';
import { Upload, type UploadPlan } from './upload.ts';
import { SEED } from '../helpers/seed.ts';

describe('the record', () => {
  it('shows what is the same once, and of many different problems some, and that there were more', () => {
    const said: string[] = [];
    const record = new Record((text) => said.push(text.replace(/^PROBLEM at \d+ s: /, '')));
    for (let n = 0; n < 300; n += 1) record.problem(`problem ${n}`);
    record.problem('problem 1');
    expect(said).toHaveLength(201);
    expect(said.at(-1)).toBe('more problems than are shown');
    expect(record.problems).toContain('problem 1 (2 times)');
    expect(record.problems).toContain('more problems than are shown (100 times)');
  });
});

describe(`a trend (seed ${SEED})`, () => {
  const bounds = { tolerance: 20, leastSeconds: 60, leastPoints: 20 };
  const dice = diceFor(SEED, 'trend');
  const noise = (width: number): number => dice.between(-width, width);

  /** A sample each second for five minutes. */
  function series(valueAt: (seconds: number) => number, seconds = 300): Point[] {
    return Array.from({ length: seconds + 1 }, (_, at) => ({ seconds: 1_000 + at, value: valueAt(at) }));
  }

  it.each([
    ['flat', () => 100, 'flat'],
    ['flat and noisy', () => 100 + noise(60), 'flat'],
    ['rising', (at: number) => 100 + at, 'rising'],
    ['rising and noisy', (at: number) => 100 + at + noise(60), 'rising'],
    ['rising in steps', (at: number) => 100 + Math.floor(at / 25) * 25, 'rising'],
    ['rising less than is tolerated', (at: number) => 100 + at * 0.15, 'flat'],
    ['falling', (at: number) => 500 - at, 'flat'],
    ['rising while it warms up, then flat', (at: number) => Math.min(at, 100) * 5, 'flat'],
    ['a step in the second third, then flat', (at: number) => (at < 160 ? 100 : 400), 'flat'],
    ['a step in the last third, then flat', (at: number) => (at < 230 ? 100 : 400), 'flat'],
    ['a peak at the end', (at: number) => (at < 290 ? 100 : 900), 'flat'],
    ['a saw that comes down again', (at: number) => 100 + (at % 40) * 5, 'flat'],
  ] as const)('of what is %s', (_name, valueAt, kind) => {
    expect(trendOf(series(valueAt), bounds).kind).toBe(kind);
  });

  it('says by how much', () => {
    expect(
      trendOf(
        series((at) => at),
        bounds,
      ),
    ).toEqual({
      kind: 'rising',
      grown: expect.closeTo(100, 0),
      still: expect.closeTo(100, 0),
    });
  });

  it('is not judged when it is too short, or has too few samples', () => {
    const reason = expect.stringMatching(/^too short to judge: /);
    expect(trendOf([], bounds)).toEqual({ kind: 'too short', reason });
    expect(
      trendOf(
        series((at) => at * 100, 59),
        bounds,
      ),
    ).toEqual({ kind: 'too short', reason });
    const few = series((at) => at * 100).filter((_, index) => index % 20 === 0);
    expect(trendOf(few, bounds)).toMatchObject({ kind: 'too short' });
  });

  it('is one for each process: what a restart gives back is no rise of the next', () => {
    const sample = (life: number, seconds: number, rssMib: number | null): Sample => ({
      server: 'steady',
      life,
      seconds,
      rssMib,
      descriptors: 30,
      files: null,
      journal: 100,
    });
    const quiet = Array.from({ length: 200 }, (_, at) => sample(1, at, 100));
    const leaking = Array.from({ length: 200 }, (_, at) => sample(2, 200 + at, 100 + at));
    const trends = judgeTrends([...quiet, ...leaking, sample(3, 400, null)]);
    expect(trends.filter(({ figure }) => figure === 'rssMib').map(({ trend }) => trend.kind)).toEqual([
      'flat',
      'rising',
      'too short',
    ]);
    expect(risingSentences(trends)).toEqual([
      expect.stringMatching(/^server steady, process 2: resident memory, MiB rise without an end: by 6\d/),
    ]);
  });
});

describe('what a server says of an upload', () => {
  const NOW = 1_000_000;
  const SIZES = [10, 20, 30];

  function uploadOf(some: Partial<UploadPlan> = {}): Upload {
    const plan = { seed: 1, fileId: 'f', key: null, sizes: SIZES, ttlMs: 30_000, isForgettable: false };
    return new Upload({ ...plan, ...some });
  }

  /** Chunks 0 and 1 are acknowledged, chunk 2 may be stored. */
  function begun(some: Partial<UploadPlan> = {}): Upload {
    const upload = uploadOf(some);
    for (const index of [0, 1, 2]) upload.sent(index, NOW);
    for (const index of [0, 1]) upload.acknowledge(index);
    return upload;
  }

  function judged(upload: Upload, currentSize: number, nowMs = NOW): string | undefined {
    const known = upload.know();
    const verdict = upload.judgeStatus({ exists: currentSize > 0, currentSize }, known, nowMs);
    return verdict?.kind === 'wrong' ? verdict.problem : verdict?.kind;
  }

  it('is right when it is what was acknowledged, or what was sent without an answer besides', () => {
    expect([judged(begun(), 30), judged(begun(), 60)]).toEqual(['right', 'right']);
  });

  it('is a loss when it is less than was acknowledged', () => {
    expect(judged(begun(), 10)).toBe('upload f has 10 bytes; 30 were acknowledged: bytes are lost');
    expect(judged(begun(), 0)).toBe('upload f has gone; 30 were acknowledged: bytes are lost');
  });

  it('is a loss when it is less than another status said before', () => {
    const upload = begun();
    expect(judged(upload, 60)).toBe('right');
    expect(judged(upload, 30)).toMatch(/60 were acknowledged: bytes are lost/);
  });

  it('is wrong when it is more than was ever sent, or no boundary of its chunks', () => {
    const upload = uploadOf();
    upload.sent(0, NOW);
    expect(judged(upload, 30)).toMatch(/no more than 10 were ever sent/);
    expect(judged(begun(), 31)).toMatch(/not where one of its chunks ends/);
  });

  it('may be that it is gone, but only when its time is over, or a rule may take it away', () => {
    expect(judged(begun(), 0, NOW + 29_999)).toMatch(/bytes are lost/);
    expect(judged(begun(), 0, NOW + 30_000)).toBe('gone');
    expect(judged(begun({ isForgettable: true }), 0)).toBe('gone');
  });

  it('is measured by what was known when it was asked, and not at all by another life of the upload', () => {
    const upload = uploadOf();
    const before = upload.know();
    upload.sent(0, NOW);
    upload.acknowledge(0);
    expect(upload.judgeStatus({ exists: false, currentSize: 0 }, before, NOW)).toEqual({ kind: 'right' });
    upload.retire();
    expect(upload.judgeStatus({ exists: true, currentSize: 60 }, before, NOW)).toBeNull();
  });

  it('is held against every chunk: lost ones, ones from nowhere, wrong bytes', () => {
    const chunk = (index: number): { index: number; bytes: number; crc32: string } => {
      const bytes = begun().bytesOf(index);
      return { index, bytes: bytes.length, crc32: crc32(bytes).toString(16).padStart(8, '0') };
    };
    const say = (upload: Upload, stored: ReturnType<typeof chunk>[]): string | undefined => {
      const verdict = upload.judgeChunks(stored, upload.know(), NOW);
      return verdict?.kind === 'wrong' ? verdict.problem : verdict?.kind;
    };
    expect(say(begun(), [chunk(0), chunk(1)])).toBe('right');
    expect(say(begun(), [chunk(0), chunk(1), chunk(2)])).toBe('right');
    expect(say(begun(), [chunk(0), chunk(2)])).toMatch(/lost chunk 1/);
    expect(say(begun(), [chunk(0), { ...chunk(1), crc32: '00000000' }])).toMatch(/wrong bytes/);
    expect(say(uploadOf(), [chunk(0)])).toMatch(/never sent whole/);
  });
});

it('content is the same for the same seed, and another for another seed, upload or chunk', () => {
  const name = { seed: 1, fileId: 'f', index: 0 };
  const all = [name, { ...name, seed: 2 }, { ...name, fileId: 'g' }, { ...name, index: 1 }];
  expect(chunkBytes(name, 50)).toEqual(chunkBytes({ ...name }, 50));
  expect(new Set(all.map((each) => chunkBytes(each, 50).toString('hex'))).size).toBe(4);
  expect(sha256Of(1, 'f', [1, 2])).not.toBe(sha256Of(1, 'f', [2, 1]));
});

describe('the options', () => {
  const read = (...argv: string[]): ReturnType<typeof readSoakOptions> => readSoakOptions(argv, () => 42);

  it('are ten minutes with a drawn seed unless something else is asked for', () => {
    expect(read()).toEqual({
      minutes: 10,
      seed: 42,
      durability: 'fsync',
      chunkOrder: 'sequential',
      restartSeconds: 20,
      outFolder: '.soak',
      hasChart: true,
      command: null,
    });
    expect(read('--minutes', '0.2', '--seed', '7', '--chunk-order', 'any', '--no-chart')).toMatchObject({
      minutes: 0.2,
      seed: 7,
      chunkOrder: 'any',
      hasChart: false,
    });
    expect(read('--help')).toBeNull();
  });

  it.each([
    [['--minutes', '0'], '--minutes: got "0", expected a number above 0'],
    [['--minutes', ''], '--minutes: got "", expected a number above 0'],
    [['--seed', 'x'], '--seed: got "x", expected a whole number from 0 to 4294967295'],
    [['--durability', 'some'], '--durability: got "some", expected fsync or none'],
    [['--chunk-order', 'up'], '--chunk-order: got "up", expected sequential or any'],
    [['--speed', '3'], "Unknown option '--speed'"],
    [['fast'], "Unexpected argument 'fast'"],
  ])('%j are refused with a sentence', (argv, message) => {
    expect(() => read(...argv)).toThrow(message);
  });
});
