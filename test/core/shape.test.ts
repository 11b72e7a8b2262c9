// core/shape.test.ts: a value out of JSON is what its type says, or it is not.
import { describe, expect, it } from 'vitest';
import {
  isArray,
  isCount,
  isListOf,
  isNumber,
  isObject,
  isOneOf,
  isShape,
  isText,
} from '../../src/core/shape.ts';

interface Named {
  readonly name: string;
  readonly kind: 'a' | 'b';
  readonly sizes: readonly number[];
  readonly note?: string;
}

const isNamed = isShape<Named>(
  { name: isText, kind: isOneOf('a', 'b'), sizes: isListOf(isCount) },
  { note: isText },
);
const named = { name: 'x', kind: 'a', sizes: [0, 1] };

describe('a shape', () => {
  it.each([
    ['with every field', named],
    ['with one that may be there', { ...named, note: 'y' }],
    ['with one too many', { ...named, other: 1 }],
  ])('fits an object %s', (_what, value) => {
    expect(isNamed(value)).toBe(true);
  });

  it.each([
    ['an array', [named]],
    ['null', null],
    ['text', 'x'],
    ['an object without a field', { name: 'x', kind: 'a' }],
    ['a field of another type', { ...named, name: 1 }],
    ['a word that is none of those', { ...named, kind: 'c' }],
    ['a list with another item', { ...named, sizes: [0, -1] }],
    ['an object in place of a list', { ...named, sizes: { 0: 0 } }],
    ['a field of another type that need not be there', { ...named, note: null }],
  ])('does not fit %s', (_what, value) => {
    expect(isNamed(value)).toBe(false);
  });
});

describe('isObject, isArray', () => {
  it('an array and null are no objects, an object is no array', () => {
    expect([{}, [], null, 'x'].map(isObject)).toEqual([true, false, false, false]);
    expect([{}, [], null, 'x'].map(isArray)).toEqual([false, true, false, false]);
  });
});

describe('isCount, isNumber', () => {
  it('a count is whole, not negative, and exact', () => {
    const values = [0, 1, 2 ** 53 - 1, 2 ** 53, -1, 1.5, '1', null];
    expect(values.map(isCount)).toEqual([true, true, true, false, false, false, false, false]);
    expect(values.map(isNumber)).toEqual([true, true, true, true, true, true, false, false]);
  });
});
