// config/units.test.ts: sizes, durations and lists mean what a person meant who wrote them (behaviour §11).
import { describe, expect, it } from 'vitest';
import { duration, parseBytes, parseDuration, parseList, size } from '../../src/config/units.ts';

describe('a size', () => {
  it.each<[string | number, number]>([
    ['0', 0],
    ['1000000', 1_000_000],
    [65_536, 65_536],
    ['64MiB', 64 * 1024 ** 2],
    ['5GiB', 5 * 1024 ** 3],
    ['5GB', 5_000_000_000],
    ['1.5 KiB', 1_536],
    ['10kb', 10_000],
    ['7B', 7],
  ])('%j is %d bytes (§11.1)', (text, bytes) => {
    expect([size.parse(text), parseBytes(text)]).toEqual([bytes, bytes]);
  });

  it.each(['', 'MiB', '-1', '1 parsec', '1e3', '0x10', '5GiB!', '1,000', '9999999TiB', -1])(
    '%j is none',
    (text) => {
      expect(parseBytes(text)).toBeNull();
      expect(size.safeParse(text).error?.message).toContain('expected a size such as 1000000, 64MiB or 5GiB');
    },
  );
});

describe('a duration', () => {
  it.each<[string | number, number]>([
    ['500ms', 500],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['24h', 86_400_000],
    ['2d', 172_800_000],
    ['250', 250],
    [250, 250],
    ['0', 0],
  ])('%j is %d ms (§11.1)', (text, ms) => {
    expect([duration.parse(text), parseDuration(text)]).toEqual([ms, ms]);
  });

  it.each(['', 's', '-1s', '1 week', '1h30m', '30S', '99999999999d', -1])('%j is none', (text) => {
    expect(parseDuration(text)).toBeNull();
    expect(duration.safeParse(text).error?.message).toContain(
      'expected a duration such as 500ms, 30s or 24h',
    );
  });
});

describe('a list', () => {
  it('has commas between its items, or is an array; what is empty is no item (§11.1)', () => {
    for (const given of ['a,b c', ' a , b c ,', ['a', ' b c ', '']])
      expect(parseList(given)).toEqual(['a', 'b c']);
    expect(parseList('')).toEqual([]);
  });

  it.each([true, 1, null, undefined, {}, { length: 1 }, [1], [['a']]])(
    '%j is none, nor a size or a time',
    (given) => {
      expect(parseList(given)).toBeNull();
      if (given === 1) return;
      expect([parseBytes(given), parseDuration(given)]).toEqual([null, null]);
    },
  );
});
