// core/exact-json.test.ts: equal values if and only if the texts say the same; without marks it is what JSON.parse gives, or the text.
import { describe, expect, it } from 'vitest';
import { parseExactly, secondNameIn, withoutMarks } from '../../src/core/exact-json.ts';

describe('a JSON text', () => {
  it.each(['{"a":[1,-2.5,"x",null,true,{}]}', '"text"', '12', '[]', '{"a":"\\"b\\\\"}', '"1.0"'])(
    'without loss, %s, is what JSON.parse gives',
    (text) => {
      expect(parseExactly(text)).toEqual(JSON.parse(text));
      expect(withoutMarks(parseExactly(text))).toEqual(JSON.parse(text));
    },
  );

  it.each([
    ['{"a":12345678901234567890}', '{"a":12345678901234567891}'],
    ['{"a":1.0}', '{"a":1}'],
    ['{"a":1.0}', '{"a":"\\u0000n1.0"}'],
    ['{"a":1,"a":1}', '{"a":1}'],
    ['{"a":1,"a":1}', '{"a":1,"\\u0000d1:a":1}'],
    ['{"\\u0000ta":1}', '{"\\u0000a":1}'],
    ['[1e2]', '[100]'],
  ])('%s is not %s', (one, other) => {
    expect(parseExactly(one)).not.toEqual(parseExactly(other));
  });

  it('comes back as the text where JSON.parse would change it, within an object or a list only', () => {
    expect(withoutMarks(parseExactly('{"a": 1.0, "b": ["\\u0000", 2]}'))).toBe('{"a":1.0,"b":["\\u0000",2]}');
    expect(withoutMarks(parseExactly('[{"a": 1, "a": 2}]'))).toBe('[{"a":1,"a":2}]');
    expect(withoutMarks(parseExactly('12345678901234567890'))).toBe(12_345_678_901_234_567_000);
    expect(withoutMarks(parseExactly('"\\u0000n1"'))).toBe('\u0000n1');
  });

  it('that is none is refused', () => {
    expect(() => parseExactly('{"a":1.0,}')).toThrow(SyntaxError);
  });

  it('names what an object has twice', () => {
    const names = Object.keys(parseExactly('{"a":1,"b:c":2,"b:c":3}') as object);
    expect(names.map(secondNameIn)).toEqual([null, null, 'b:c']);
  });
});
