// form-values.test.ts: loose values are read or refused, never thrown at; instants mean what ISO 8601 says.

import { describe, expect, it } from 'vitest';
import { cleanCopy, describeValue, isWithin, jsonValue, parseInstant } from '../../src/media/form-values.ts';

describe('parseInstant', () => {
  it.each([
    ['2026-03-01T09:30:00Z', '2026-03-01T09:30:00.000Z'],
    ['2026-03-01T09:30Z', '2026-03-01T09:30:00.000Z'],
    ['2026-03-01T09:30:15.5Z', '2026-03-01T09:30:15.500Z'],
    ['2026-03-01T09:30:15,25Z', '2026-03-01T09:30:15.250Z'],
    ['2026-03-01T09:30:15.123999Z', '2026-03-01T09:30:15.123Z'],
    ['2026-03-01T09:30:00+02:00', '2026-03-01T07:30:00.000Z'],
    ['2026-03-01T09:30:00+0530', '2026-03-01T04:00:00.000Z'],
    ['2026-03-01T09:30:00-08', '2026-03-01T17:30:00.000Z'],
    ['2026-03-01t09:30:00z', '2026-03-01T09:30:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
    ['2026-03-01T09:30:00', '2026-03-01T09:30:00.000Z'],
    ['2026-03-01', '2026-03-01T00:00:00.000Z'],
  ])('%s is the instant %s', (text, iso) => {
    expect(parseInstant(text)).toBe(Date.parse(iso));
  });

  it.each([
    '',
    'tomorrow',
    '1772357400000',
    '2026-03-01 09:30:00Z',
    '2026-03-01T09:30:00 02:00',
    '2026-03-01Z',
    '2026-13-01T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-02-30',
    '2026-03-01T24:00:00Z',
    '2026-03-01T09:60:00Z',
    '2026-03-01T09:30:60Z',
    '2026-03-01T09:30:00+24:00',
    '2026-03-01T09:30:00+02:60',
    '9999-12-31T23:59:59-01:00',
    '0000-01-01T00:00:00+01:00',
  ])('"%s" is no instant', (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });

  it('a text without an offset means UTC in every time zone of the machine', () => {
    const zone = process.env['TZ'];
    process.env['TZ'] = 'Asia/Tokyo';
    try {
      expect(parseInstant('2026-03-01T09:30:00')).toBe(Date.UTC(2026, 2, 1, 9, 30));
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
  });
});

describe('jsonValue', () => {
  it('text is parsed, a value is given back, broken text is undefined', () => {
    expect(jsonValue('["a"]')).toEqual(['a']);
    expect(jsonValue(['a'])).toEqual(['a']);
    expect(jsonValue('[')).toBeUndefined();
  });

  it('text nested a hundred thousand deep does not throw', () => {
    const depth = 100_000;
    expect(() => jsonValue('['.repeat(depth) + ']'.repeat(depth))).not.toThrow();
  });
});

describe('cleanCopy', () => {
  it('drops __proto__ at every level and keeps the rest', () => {
    const value: unknown = JSON.parse('{"a":1,"__proto__":{"x":1},"b":[{"__proto__":2,"c":null}]}');
    const copy = cleanCopy(value, 8);
    expect(JSON.stringify(copy)).toBe('{"a":1,"b":[{"c":null}]}');
  });

  it('an array stays an array and a scalar itself', () => {
    expect(cleanCopy(['x', [true]], 8)).toEqual(['x', [true]]);
    expect(cleanCopy(null, 8)).toBeNull();
    expect(cleanCopy(3, 0)).toBe(3);
  });

  it('a structure at the depth limit is copied, one below it makes the whole undefined', () => {
    expect(cleanCopy({ a: { b: 1 } }, 2)).toEqual({ a: { b: 1 } });
    expect(cleanCopy({ a: { b: [] } }, 2)).toBeUndefined();
  });
});

describe('describeValue', () => {
  it.each([
    ['x', '"x"'],
    ['a'.repeat(60), `"${'a'.repeat(60)}"`],
    ['a'.repeat(61), `"${'a'.repeat(60)}"…`],
    [7, '7'],
    [false, 'false'],
    [null, 'null'],
    [undefined, 'nothing'],
    [[1], 'an array'],
    [{ a: 1 }, 'an object'],
  ])('%j is shown as %s', (value, shown) => {
    expect(describeValue(value)).toBe(shown);
  });
});

describe('isWithin', () => {
  it.each([
    ['xxx', true],
    ['xxxx', false],
    ['😀😀😀', true],
    ['😀😀😀😀', false],
    ['😀xxx', false],
    ['x'.repeat(7), false],
  ])('of 3 characters: %j is %s', (text, within) => {
    expect(isWithin(text, 3)).toBe(within);
  });
});
