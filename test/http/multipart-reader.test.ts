import { Readable } from 'node:stream';
import { Busboy } from '@fastify/busboy';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MultipartReader } from '../../src/http/multipart-reader.ts';

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

describe('a whole form', () => {
  const body = form('b', [
    { name: 'fileId', value: 'x' },
    { name: 'file', filename: 'a.bin', value: 'one\r\n--\r\n--bb\r\n-' },
    { name: 'empty', value: '' },
  ]);
  // `\r\n--b` followed by `b` would be a delimiter that is not one: only the file of the next test has none.
  const clean = Buffer.from(body.toString('latin1').replace('--bb', '--cb'), 'latin1');

  it('gives the same parts at every pair of cuts', () => {
    const expected = read([clean], 'b');
    expect(expected.map(({ name, bytes }) => [name, bytes.toString()])).toEqual([
      ['fileId', 'x'],
      ['file', 'one\r\n--\r\n--cb\r\n-'],
      ['empty', ''],
    ]);
    for (let first = 0; first <= clean.length; first += 1) {
      for (let second = first; second <= clean.length; second += 1) {
        expect(read(cutAt(clean, [first, second]), 'b')).toEqual(expected);
      }
    }
  });

  it('comes through byte by byte', () => {
    expect(
      read(
        [...clean].map((byte) => Buffer.from([byte])),
        'b',
      ),
    ).toEqual(read([clean], 'b'));
  });

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

/** The same form through @fastify/busboy, as a second opinion. Null: it refused. */
function throughBusboy(pieces: readonly Buffer[], boundary: string): Promise<Part[] | null> {
  return new Promise((resolve) => {
    const parts: Part[] = [];
    const parser = new Busboy({
      headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
      isPartAFile: () => true,
      preservePath: true,
    });
    parser.on('file', (name: string, stream: Readable, filename: string) => {
      const part = { name, filename, bytes: [] as Buffer[] };
      stream.on('data', (bytes: Buffer) => part.bytes.push(bytes));
      stream.on('end', () => parts.push({ name, filename, bytes: Buffer.concat(part.bytes) }));
      stream.on('error', () => resolve(null));
    });
    parser.on('error', () => resolve(null));
    parser.on('finish', () => resolve(parts));
    Readable.from(pieces).pipe(parser);
  });
}

describe('against @fastify/busboy', () => {
  it('finds the same parts with the same bytes, however the body is cut', async () => {
    const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 1_000_000);
    console.info(`multipart differential: TEST_SEED=${seed}`);
    // Bytes that look like the edges of delimiters are what breaks parsers.
    const nasty = fc
      .array(fc.constantFrom('\r', '\n', '\r\n', '-', '--', '\r\n--', '\r\n--bo', 'bo', 'x', '\0'), {
        maxLength: 40,
      })
      .map((pieces) => Buffer.from(pieces.join('')));
    const part = fc.record({
      name: fc.constantFrom('file', 'fileId', 'chunkIndex', 'other'),
      filename: fc.constantFrom('a', 'b.mp4'),
      value: nasty,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(part, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(600), { maxLength: 12 }),
        async (parts, cuts) => {
          const body = form('boundary7', parts);
          const pieces = cutAt(body, cuts);
          expect(read(pieces, 'boundary7')).toEqual(await throughBusboy(pieces, 'boundary7'));
        },
      ),
      { seed, numRuns: 2_000 },
    );
  });
});
