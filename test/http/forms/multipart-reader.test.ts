// http/forms/multipart-reader.test.ts: forms written by hand, and what is made of each at every way of cutting it (C3, C11).
// Generated ones, and what another reader makes of them: multipart-fuzz.test.ts
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { MultipartReader } from '../../../src/http/forms/multipart-reader.ts';

interface Part {
  name: string | null;
  filename: string | undefined;
  bytes: Buffer;
}

const LIMITS = { maxParts: 100, maxPartHeaderBytes: 16 * 1024 };

function read(pieces: readonly Buffer[], boundary: string, limits = LIMITS): Part[] {
  const parts: Part[] = [];
  let current: { head: { name: string | null; filename: string | undefined }; bytes: Buffer[] } | null = null;
  const reader = new MultipartReader(boundary, limits, {
    partStarts: (head) => (current = { head, bytes: [] }),
    partBytes: (bytes) => current?.bytes.push(bytes),
    partEnds: () => {
      if (current === null) throw new Error('a part ended that had not begun');
      parts.push({
        name: current.head.name,
        filename: current.head.filename,
        bytes: Buffer.concat(current.bytes),
      });
      current = null;
    },
  });
  for (const piece of pieces) reader.push(piece);
  reader.end();
  return parts;
}

function form(
  boundary: string,
  parts: readonly { name: string; filename?: string; value: string | Buffer }[],
): Buffer {
  const pieces = parts.flatMap(({ name, filename, value }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n\r\n`,
    ),
    Buffer.from(value as string),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
}

function cutAt(body: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => Math.min(cut, body.length)).toSorted((a, b) => a - b), body.length];
  return at.slice(1).map((end, i) => body.subarray(at[i], end));
}

const disposition = (name: string): string => `Content-Disposition: form-data; name="${name}"`;
const partOf = (name: string, value: string): string => `--b\r\n${disposition(name)}\r\n\r\n${value}\r\n`;

/** Names and bytes, or that it is refused. */
function outcome(pieces: readonly Buffer[], { boundary = 'b', limits = LIMITS } = {}): string {
  try {
    return read(pieces, boundary, limits)
      .map(({ name, bytes }) => `${name}=${bytes.toString('latin1')}`)
      .join('&');
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

interface Tricky {
  readonly what: string;
  readonly body: string;
  readonly boundary?: string;
  readonly limits?: typeof LIMITS;
  readonly outcome: string;
}

const long = `${'-'.repeat(60)}0123456789`;

const TRICKY: readonly Tricky[] = [
  {
    what: 'values full of the edges of a delimiter',
    body: `${partOf('fileId', 'x')}${partOf('file', 'one\r\n--\r\n--cb\r\n-')}${partOf('empty', '')}--b--\r\n`,
    outcome: 'fileId=x&file=one\r\n--\r\n--cb\r\n-&empty=',
  },
  {
    what: 'values that end as a delimiter begins',
    body: `${partOf('a', '\r\n--')}${partOf('c', '\r\r\n\r')}${partOf('d', '\r\n-\r\n--\r')}--b--`,
    outcome: 'a=\r\n--&c=\r\r\n\r&d=\r\n-\r\n--\r',
  },
  {
    what: 'values that begin as a delimiter does',
    body: `${partOf('a', '--')}${partOf('c', '-\r\n--')}${partOf('d', '\n--b')}--b--`,
    outcome: 'a=--&c=-\r\n--&d=\n--b',
  },
  {
    what: 'a value that is its own delimiter but for a byte',
    boundary: 'boundary',
    body: `--boundary\r\n\r\n--boundarX\r\n--boundar\r\n--boundary--`,
    outcome: 'null=--boundarX\r\n--boundar',
  },
  {
    what: 'a preamble, padding, and an epilogue with a form in it',
    body: `To whom: \r\n--\r\n--b \t\r\n${disposition('a')}\r\n\r\n1\r\n--b--\r\n${partOf('c', '2')}--b--`,
    outcome: 'a=1',
  },
  {
    what: 'parts without headers, without content, without both',
    body: `--b\r\n\r\n1\r\n--b\r\n${disposition('a')}\r\n\r\n--b\r\n\r\n--b\r\n\r\n\r\n${partOf('c', '2')}--b--`,
    outcome: 'null=1&a=&null=&null=&c=2',
  },
  {
    what: 'a boundary of dashes',
    boundary: '--',
    body: `----\r\n${disposition('a')}\r\n\r\n---\r\n---\r\n----\r\n\r\n-\r\n------`,
    outcome: 'a=---\r\n---&null=-',
  },
  {
    what: 'a boundary of 70 characters',
    boundary: long,
    body: `--${long}\r\n${disposition('a')}\r\n\r\n\r\n--${long.slice(1)}\r\n--${long}--`,
    outcome: `a=\r\n--${long.slice(1)}`,
  },
  {
    what: 'folded headers, and lines that are none',
    body: `--b\r\nnone\r\nX: --b\r\nContent-Disposition: form-data;\r\n name="a"\r\nX: y\nz\r\n\r\n1\r\n--b--`,
    outcome: 'a=1',
  },
  {
    what: 'headers of just as many bytes as they may have',
    limits: { maxParts: 2, maxPartHeaderBytes: 2 + disposition('a').length },
    body: `${partOf('a', '1')}${partOf('c', '2')}--b--`,
    outcome: 'a=1&c=2',
  },
  {
    what: 'headers of a byte more',
    limits: { maxParts: 2, maxPartHeaderBytes: 1 + disposition('a').length },
    body: `${partOf('a', '1')}--b--`,
    outcome: 'malformed_multipart',
  },
  {
    what: 'a preamble of just as many bytes as it may have',
    limits: { maxParts: 1, maxPartHeaderBytes: 50 },
    body: `${'p'.repeat(48)}\r\n${partOf('a', '1')}--b--`,
    outcome: 'a=1',
  },
  {
    what: 'LF for CRLF in one delimiter line',
    body: `${partOf('a', '1')}--b\n${disposition('c')}\r\n\r\n2\r\n--b--`,
    outcome: 'malformed_multipart',
  },
  {
    what: 'a delimiter with text after it',
    body: `${partOf('a', '1\r\n--boat')}--b--`,
    outcome: 'malformed_multipart',
  },
  {
    what: 'a delimiter among headers',
    body: `--b\r\n${disposition('a')}\r\n${partOf('c', '2')}--b--`,
    outcome: 'malformed_multipart',
  },
  {
    what: 'a delimiter twice',
    body: `--b\r\n${partOf('c', '2')}--b--`,
    outcome: 'malformed_multipart',
  },
  {
    what: 'a closing delimiter of one dash, twice',
    body: `${partOf('a', '1')}--b-\r\n--b-`,
    outcome: 'malformed_multipart',
  },
];

describe('the same is made of a form at every pair of cuts and byte by byte', () => {
  it.each(TRICKY.map((form) => [form.what, form] as const))('%s', (_, { outcome: expected, ...form }) => {
    const body = Buffer.from(form.body, 'latin1');
    expect(outcome([body], form)).toBe(expected);
    expect(
      outcome(
        Array.from(body, (byte) => Buffer.from([byte])),
        form,
      ),
    ).toBe(expected);
    for (let first = 0; first <= body.length; first += 1) {
      for (let second = first; second <= body.length; second += 1) {
        const actual = outcome(cutAt(body, [first, second]), form);
        if (actual !== expected) expect(actual, `cut at ${first} and ${second}`).toBe(expected);
      }
    }
  });
});

describe('a whole form', () => {
  it('may have a preamble, an epilogue, padding after a delimiter and no last CRLF', () => {
    const odd = Buffer.from('hello\r\n--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--');
    expect(read([odd], 'b')).toEqual([{ name: 'a', filename: undefined, bytes: Buffer.from('1') }]);
    expect(read([Buffer.concat([odd, Buffer.from('\r\nbye')])], 'b')).toHaveLength(1);
  });
});

describe('a broken form is refused', () => {
  const body = form('bound', [{ name: 'file', filename: 'a', value: Buffer.alloc(300, 'x') }]);

  it('when it is cut at any byte before the end of its closing delimiter', () => {
    const whole = body.length - 2; // The last CRLF is optional.
    for (let length = 0; length < whole; length += 1) {
      expect(() => read([body.subarray(0, length)], 'bound'), `cut at ${length}`).toThrow(
        expect.objectContaining({ code: 'malformed_multipart' }),
      );
    }
    expect(read([body.subarray(0, whole)], 'bound')).toHaveLength(1);
  });

  it.each([
    ['lines end in LF', Buffer.from(body.toString().replaceAll('\r\n', '\n'))],
    ['another boundary', Buffer.from(body.toString().replaceAll('bound', 'other'))],
    ['text after a delimiter', Buffer.from('--bound!\r\n\r\n\r\n--bound--')],
    ['one dash after a delimiter', Buffer.from('--bound-x\r\n\r\n\r\n--bound--')],
    ['a head over the limit', Buffer.from(`--bound\r\nX: ${'y'.repeat(17_000)}\r\n\r\n1\r\n--bound--`)],
    ['a preamble over the limit', Buffer.concat([Buffer.alloc(17_000, 'p'), body])],
    [
      'too many parts',
      form(
        'bound',
        Array.from({ length: 101 }, () => ({ name: 'a', value: '' })),
      ),
    ],
  ])('%s', (_, broken) => {
    expect(() => read([broken], 'bound')).toThrow(expect.objectContaining({ code: 'malformed_multipart' }));
  });
});

describe('a part', () => {
  const headOf = (...lines: string[]): Part | undefined =>
    read([Buffer.from(`--b\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n1\r\n--b--`)], 'b')[0];

  it('has the name that its first Content-Disposition gives it', () => {
    expect(headOf(disposition('a'), disposition('c'))).toMatchObject({ name: 'a' });
  });

  it('keeps its name when a line of its head is no header', () => {
    expect(headOf('Content-Disposition?', disposition('a'))).toMatchObject({ name: 'a' });
    expect(headOf(':', disposition('a'))).toMatchObject({ name: 'a' });
  });

  it('gets no name from a header with a bare CR or LF in it', () => {
    expect(headOf(`${disposition('a')}\nContent-Type: text/plain`)).toMatchObject({ name: null });
    expect(headOf(`X: y\r${disposition('a')}`)).toMatchObject({ name: null });
  });

  it('has a filename that ends in a backslash, whether its sender escapes that or not', () => {
    const named = (filename: string): string => `${disposition('a')}; filename="${filename}"`;
    for (const written of ['C:\\dir\\', 'C:\\\\dir\\\\'])
      expect(headOf(named(written))).toMatchObject({ name: 'a', filename: 'C:\\dir\\' });
    expect(headOf(named('a\\"b'))).toMatchObject({ filename: 'a"b' });
    expect(headOf(`${disposition('a')}; filename="open`)).toMatchObject({ name: 'a', filename: '' });
  });

  it('keeps the spaces of a folded name', () => {
    expect(headOf('Content-Disposition: form-data; name="a\r\n \t c"')).toMatchObject({ name: 'a \t c' });
  });

  it('of the same head is one only where no line of it is a delimiter', () => {
    const body = (boundary: string): Buffer =>
      Buffer.from(`--${boundary}\r\n${disposition('a')}\r\n--c: x\r\n\r\n1\r\n--${boundary}--`);
    for (let times = 0; times < 2; times += 1) {
      expect(outcome([body('b')], { boundary: 'b' })).toBe('a=1');
      expect(outcome([body('c')], { boundary: 'c' })).toBe('malformed_multipart');
    }
  });

  it('ends at its delimiter wherever in a long piece that begins', () => {
    const aroundKiB = (kib: number): number[] => Array.from({ length: 64 }, (_, i) => kib * 1024 - 48 + i);
    for (const length of [8, 16, 24].flatMap(aroundKiB)) {
      const file = { name: 'file', filename: 'a', value: Buffer.alloc(length, '\r\n--boun') };
      const parts = read([form('boundary', [file, { name: 'after', value: '1' }])], 'boundary');
      expect(
        parts.map(({ bytes }) => bytes.length),
        `${length} bytes`,
      ).toEqual([length, 1]);
    }
  });

  it('is handed on without a copy, though its head came in two pieces', () => {
    const value = 'x'.repeat(10_000);
    const body = Buffer.alloc(20_000);
    const length = body.write(`${partOf('file', value)}--b--`);
    for (let cut = 0; cut < length - value.length; cut += 1) {
      const copied: number[] = [];
      const reader = new MultipartReader('b', LIMITS, {
        partStarts: () => undefined,
        partBytes: (bytes) => void (bytes.buffer === body.buffer || copied.push(bytes.length)),
        partEnds: () => undefined,
      });
      for (const piece of cutAt(body.subarray(0, length), [cut])) reader.push(piece);
      reader.end();
      expect(copied, `cut at ${cut}`).toEqual([]);
    }
  });
});
