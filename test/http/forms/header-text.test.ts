// http/forms/header-text.test.ts: names in a part's headers, as senders encode them.
import { describe, expect, it } from 'vitest';
import { decodeExtended, decodeName } from '../../../src/http/forms/header-text.ts';
import { parsePartHead } from '../../../src/http/forms/part-head.ts';

describe('an extended parameter (RFC 8187)', () => {
  it.each([
    ["utf-8''%D0%92%D0%B8%D0%B4%D0%B5%D0%BE.mp4", 'Видео.mp4'],
    ["UTF-8'en'clip%2Emp4", 'clip.mp4'],
    ["iso-8859-1''caf%e9.mov", 'café.mov'],
    ["utf-8''", ''],
  ])('%s is %j', (text, decoded) => expect(decodeExtended(text)).toBe(decoded));

  it.each(['plain.mp4', "utf-8''%zz", "utf-8''%e9", "no-such-charset''a", "utf-8''a b", ''])(
    '%s is none, and decides nothing',
    (text) => expect(decodeExtended(text)).toBeUndefined(),
  );
});

describe('a name', () => {
  it.each([
    ['=?utf-8?B?0JLQuNC00LXQvi5tcDQ=?=', 'Видео.mp4'],
    ['=?UTF-8?Q?=D0=92=D0=B8=D0=B4=D0=B5=D0=BE.mp4?=', 'Видео.mp4'],
    ['=?utf-8?q?a_b.mp4?=', 'a b.mp4'],
    ['=?utf-8?Q?one?= =?utf-8*en?Q?two?=', 'onetwo'],
    ['=?no-such-charset?Q?a?=', '=?no-such-charset?Q?a?='],
    ['a%22b%0D%0a.mp4', 'a"b\r\n.mp4'],
    ['100%25 %41.mp4', '100%25 %41.mp4'],
  ])('%s is %j', (text, decoded) => expect(decodeName(text)).toBe(decoded));
});

describe('the head of a part', () => {
  const headOf = (...lines: string[]) =>
    parsePartHead(Buffer.from(lines.map((line) => `\r\n${line}`).join('')), Buffer.from('\r\n--b'));

  it.each([
    [`filename="=?utf-8?B?0JI=?="; filename*=utf-8''%D0%92.mp4`, 'В.mp4'],
    [`filename*=utf-8''a.mp4; filename="b.mov"`, 'a.mp4'],
    [`filename*=utf-8''%zz; filename="b.mov"`, 'b.mov'],
    ['filename="b.mov"', 'b.mov'],
  ])('with %s has the filename %s', (parameters, filename) => {
    expect(headOf(`Content-Disposition: form-data; name=file; ${parameters}`)).toMatchObject({
      name: 'file',
      filename,
    });
  });

  it.each(['7bit', '8BIT', 'binary', ''])(
    'with the transfer encoding %j has its bytes as they are',
    (coding) => {
      expect(headOf(`Content-Transfer-Encoding: ${coding}`)?.transferEncoding).toBeUndefined();
    },
  );
});
