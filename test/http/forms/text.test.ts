// http/forms/text.test.ts: what is text, what is not, and by which name it is refused.
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { decodeText, parseJson, parseUrlencoded, queryOf } from '../../../src/http/forms/text.ts';

function refusalOf(work: () => unknown): [code: string, field: unknown] {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const [first] = (error.details['fields'] ?? []) as { field: string }[];
    return [error.code, first?.field];
  }
  throw new Error('it was taken');
}

const NOT_UTF8: [string, Buffer][] = [
  ['a byte that never is', Buffer.from([0x61, 0xff])],
  ['a sequence that is cut off', Buffer.from([0xe2, 0x82])],
  ['half a surrogate pair', Buffer.from([0xed, 0xa0, 0x80])],
  ['a longer form than needed', Buffer.from([0xc0, 0xaf])],
  ['latin1', Buffer.from('naïve', 'latin1')],
];

describe('bytes that are not UTF-8', () => {
  it.each(NOT_UTF8)('%s: are refused in a field, in JSON, in a query', (_name, bytes) => {
    expect(refusalOf(() => decodeText('title', bytes))).toEqual(['invalid_request', 'title']);
    const json = Buffer.concat([Buffer.from('"'), bytes, Buffer.from('"')]);
    expect(refusalOf(() => parseJson(json))).toEqual(['malformed_json', undefined]);
    const escaped = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
    for (const value of [escaped, escaped.toUpperCase(), bytes.toString('latin1')]) {
      expect(refusalOf(() => parseUrlencoded(`a=b&title=${value}`))).toEqual(['invalid_request', 'title']);
      expect(refusalOf(() => parseUrlencoded(`${value}=b`))).toEqual(['invalid_request', value]);
    }
  });
});

describe('urlencoded text', () => {
  it.each(['%', '%f', '%zz', '100%', '%u00e9', '%%41'])('with a broken escape is refused: %s', (value) => {
    expect(refusalOf(() => parseUrlencoded(`a=1&b=${value}`))).toEqual(['invalid_request', 'b']);
  });

  it.each<[string, Record<string, string[]>]>([
    ['', {}],
    ['&&', {}],
    ['a', { a: [''] }],
    ['a=', { a: [''] }],
    ['=a', { '': ['a'] }],
    ['a=b=c&a=d', { a: ['b=c', 'd'] }],
    ['a+b=%2B+%26%3d', { 'a b': ['+ &='] }],
    ['%66ileId=%F0%9F%98%80%c3%A9', { fileId: ['😀é'] }],
    ['a=%EF%BB%BFb', { a: ['\ufeffb'] }],
    ['a=1\n2', { a: ['1\n2'] }],
    ['__proto__=a', Object.fromEntries([['__proto__', ['a']]])],
  ])('%j is read as a browser writes it', (text, fields) => {
    expect(Object.fromEntries(parseUrlencoded(text))).toStrictEqual(fields);
    const browser = new URLSearchParams(text);
    expect([...parseUrlencoded(text).keys()]).toEqual([...new Set(browser.keys())]);
    for (const [name, values] of parseUrlencoded(text)) expect(values).toEqual(browser.getAll(name));
  });

  it('in UTF-8 that is not escaped is read, too', () => {
    const bytes = Buffer.from('title=naïve').toString('latin1');
    expect(parseUrlencoded(bytes)).toEqual(new Map([['title', ['naïve']]]));
  });
});

it.each<[string, object]>([
  ['/media/chunks', {}],
  ['/media/chunks?', {}],
  ['/media/chunks?fileId=a%3Fb?c#d', { fileId: 'a?b?c#d' }],
  ['/%FF?a=1&a=2&b=', { a: ['1', '2'], b: '' }],
])('the query of %s', (url, query) => {
  expect(queryOf({ url })).toEqual(query);
});
