// http/forms/multipart-fuzz-suite.ts: compares this project's reader of forms with @fastify/busboy, on bodies that nobody would
// write by hand (C3, C11).
//
// Promises: for every generated body, whole or damaged and however it is cut into pieces, both readers find the same parts with the
// same bytes, or both refuse. Where they differ on purpose, a rule of KNOWN_REFUSALS or KNOWN_READINGS says when, why and what this
// project's reader does instead; an example tests each rule. Some properties need no second reader: every way of cutting gives the
// same result, bytes are slices of the input, offsets are true, and little is held between pieces.
// The bodies come from the seed TEST_SEED; fast-check shrinks a failing body.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Busboy } from '@fastify/busboy';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import {
  MultipartReader,
  type FormLimits,
  type PartHandler,
} from '../../../src/http/forms/multipart-reader.ts';
import { boundaryOf } from '../../../src/http/forms/part-head.ts';
import { SEED } from '../../helpers/seed.ts';

export const LIMITS: FormLimits = { maxParts: 100, maxPartHeaderBytes: 16 * 1024 };

export interface Part {
  readonly name: string | null;
  readonly filename: string | undefined;
  /** As latin1, so that it can be read in a failure. */
  readonly bytes: string;
}

export type Reading = readonly Part[] | 'refused';

/** Bodies are written as strings of bytes here: one character is one byte. */
export function bytesOf(text: string): Buffer {
  // It has its own memory, so that a slice can be distinguished from a copy.
  const bytes = Buffer.alloc(text.length);
  bytes.write(text, 'latin1');
  return bytes;
}

const utf8 = (text: string): string => Buffer.from(text).toString('latin1');
const fromUtf8 = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();

// Our reader, with the checks that need no second opinion

export interface Form {
  readonly body: string;
  readonly boundary: string;
  readonly contentType: string;
  readonly limits: FormLimits;
}

/** `cuts`: where the body is cut, in order. */
export function read(form: Form, cuts: readonly number[]): Reading {
  const parts: Part[] = [];
  const seamBytes = 2 * `\r\n--${form.boundary}`.length;
  const body = bytesOf(form.body);
  let pushed = 0;
  let current: { name: string | null; filename: string | undefined; offset: number; bytes: string } | null =
    null;
  const reader = new MultipartReader(form.boundary, form.limits, {
    partStarts: ({ name, filename }, offset) => {
      if (current !== null) throw new Error('a part began inside another');
      current = { name, filename, offset, bytes: '' };
    },
    partBytes: (bytes) => {
      if (current === null) throw new Error('bytes outside of a part');
      if (bytes.length === 0) throw new Error('a part got no bytes at all');
      if (bytes.length > seamBytes && bytes.buffer !== body.buffer) throw new Error('bytes were copied');
      current.bytes += bytes.toString('latin1');
    },
    partEnds: () => {
      if (current === null) throw new Error('a part ended that had not begun');
      const { offset, ...part } = current;
      if (form.body.slice(offset, offset + part.bytes.length) !== part.bytes)
        throw new Error('a false offset');
      parts.push(part);
      current = null;
    },
  });
  const heldOfPart = (): number => (current === null ? 0 : pushed - current.offset - current.bytes.length);
  try {
    for (const piece of piecesOf(body, cuts)) {
      reader.push(piece);
      piece.fill('-'); // This memory does not belong to the reader any more.
      pushed += piece.length;
      if (heldOfPart() >= seamBytes / 2) throw new Error('more is held than could be a delimiter');
    }
    reader.end();
  } catch (error) {
    if (error instanceof AppError && error.code === 'malformed_multipart') return 'refused';
    throw error;
  }
  return parts;
}

export const WHOLE: readonly number[] = [];

export function piecesOf(body: Buffer, cuts: readonly number[]): Buffer[] {
  return [...cuts, body.length].map((end, i) => body.subarray(cuts[i - 1] ?? 0, end));
}

/** Any numbers, as places in a body. */
export function cutsIn({ body }: Form, numbers: readonly number[]): number[] {
  return numbers.map((number) => number % (body.length + 1)).toSorted((a, b) => a - b);
}

export function cutsEvery(bytes: number, { body }: Pick<Form, 'body'>): number[] {
  return Array.from({ length: Math.floor(body.length / bytes) }, (_, i) => (i + 1) * bytes);
}

// The second opinion

/**
 * Everything is written at once, without a pipe. Busboy finds parts while it is written to, but hands on bytes, ends and
 * errors by process.nextTick: all of those have been when the next setImmediate is called, and no promise per event is needed.
 */
async function throughBusboy({ body, contentType }: Form, cuts: readonly number[]): Promise<Reading> {
  const parts: { name: string | null; filename: string | undefined; bytes: string }[] = [];
  let outcome: 'open' | 'finished' | 'refused' = 'open';
  // The high-water mark is never reached, so nothing waits for a reader.
  const highWaterMark = 2 ** 30;
  const parser = new Busboy({
    headers: { 'content-type': contentType },
    isPartAFile: () => true,
    preservePath: true,
    highWaterMark,
    fileHwm: highWaterMark,
  });
  parser.on('file', (name: string | undefined, stream, filename: string | undefined) => {
    const part = { name: name ?? null, filename, bytes: '' };
    parts.push(part);
    stream.on('data', (bytes: Buffer) => (part.bytes += bytes.toString('latin1')));
    stream.on('error', () => (outcome = 'refused'));
  });
  parser.on('error', () => (outcome = 'refused'));
  parser.on('finish', () => (outcome = outcome === 'refused' ? 'refused' : 'finished'));
  for (const piece of piecesOf(bytesOf(body), cuts)) parser.write(piece);
  parser.end();
  await new Promise(setImmediate);
  if (outcome === 'open') throw new Error('Busboy neither finished nor refused');
  return outcome === 'refused' ? 'refused' : parts;
}

// What a body is made of, by nothing but a split at its delimiters

interface Anatomy {
  readonly preamble: string;
  /** What follows each delimiter up to the next. */
  readonly segments: readonly string[];
  /** What follows the first delimiter that closes. Null: there is none, and `segments` are without the last. */
  readonly closing: string | null;
}

export function anatomyOf({ body, boundary }: Form): Anatomy {
  const delimiter = `\r\n--${boundary}`;
  const [preamble = '', ...segments] = `\r\n${body}`.split(delimiter);
  const closing = segments.findIndex((segment) => segment.startsWith('--'));
  return {
    preamble,
    segments: segments.slice(0, closing),
    closing: closing === -1 ? null : segments.slice(closing).join(delimiter),
  };
}

interface PartText {
  readonly padding: string;
  /** Header lines with the lines that continue them. */
  readonly headers: readonly string[];
  /** Null: the delimiter follows at the place where the empty line after the headers should have its own CRLF. */
  readonly content: string | null;
  readonly isNamed: boolean;
}

const LINE_END = /^([ \t]*)\r\n/;

export function partText(segment: string): PartText {
  const padding = LINE_END.exec(segment)?.[1] ?? '';
  const text = segment.slice(padding.length);
  const end = text.indexOf('\r\n\r\n');
  const head = fromUtf8(end === -1 ? text.slice(2, -2) : text.slice(2, end));
  const headers = head === '' ? [] : head.split(/\r\n(?![ \t])/);
  return { padding, headers, content: end === -1 ? null : text.slice(end + 4), isNamed: true };
}

function segmentOf({ padding, headers, content }: PartText): string {
  const head = utf8(headers.map((header) => `${header}\r\n`).join(''));
  return `${padding}\r\n${head}${content === null ? '' : `\r\n${content}`}`;
}

export const unfold = (header: string): string => header.replaceAll(/\r\n(?=[ \t])/g, '');
const isDisposition = (header: string): boolean => /^content-disposition:/i.test(header);

/** Changes the first Content-Disposition, which is the one that counts. */
function withDisposition(text: PartText, change: (value: string) => string): PartText {
  const at = text.headers.findIndex(isDisposition);
  const header = text.headers[at];
  if (header === undefined) return text;
  const value = unfold(header).slice('content-disposition:'.length);
  const changed = change(value);
  if (changed === value) return text;
  const headers = [...text.headers];
  headers[at] = `Content-Disposition:${changed}`;
  return { ...text, headers };
}

// RFC 2183 and RFC 7578, with any text for a token
const PARAMETER = String.raw`;[ \t]*(?:([^\s;"=]+)[ \t]*(?:=[ \t]*("(?:[^"\\]|\\.)*"|[^\s;"]*)[ \t]*)?)?`;
const DISPOSITION = new RegExp(String.raw`^[ \t]*[^\s;"=]+[ \t]*(?:${PARAMETER})*$`, 's');

/** Without a value it is not a parameter, for either reader. */
type Parameter = readonly [name: string, value: string | undefined];

/** `change` gets the parameters in their order, and says which stay and how. */
function withParameters(
  text: PartText,
  change: (parameters: readonly Parameter[]) => readonly Parameter[],
): PartText {
  return withDisposition(text, (value) => {
    const found = [...value.matchAll(new RegExp(PARAMETER, 'gs'))];
    const parameters = found.map(([, name, given]): Parameter => [name?.toLowerCase() ?? '', given]);
    const changed = change(parameters);
    if (changed.length === parameters.length && changed.every((item, i) => item === parameters[i]))
      return value;
    const [type = ''] = value.split(';');
    return `${type}${changed.map(([name, given]) => (given === undefined ? `; ${name}` : `; ${name}=${given}`)).join('')}`;
  });
}

// Known differences

interface RefusalRule {
  readonly name: string;
  readonly because: string;
  readonly applies: (anatomy: Anatomy, limits: FormLimits, boundary: string) => boolean;
  /** With the boundary `b` and the limits SMALL. */
  readonly example: string;
  readonly busboy: Reading;
}

export const SMALL: FormLimits = { maxParts: 3, maxPartHeaderBytes: 120 };

const disposition = (rest: string): string => `Content-Disposition: form-data; ${rest}`;
const partOf = (name: string, bytes: string): string =>
  `--b\r\n${disposition(`name="${name}"`)}\r\n\r\n${bytes}\r\n`;
const part = (name: string, bytes: string, filename?: string): Part => ({ name, filename, bytes });

const inAnySegment =
  (isBroken: (segment: string, limits: FormLimits) => boolean): RefusalRule['applies'] =>
  ({ segments }, limits) =>
    segments.some((segment) => isBroken(segment, limits));

/** With the CRLF before them. -1: the next delimiter comes before their end. Null: the line of the delimiter itself is broken. */
function headBytes(segment: string): number | null {
  const [padding] = /^[ \t]{0,64}(?=\r\n|$)/.exec(segment) ?? [];
  return padding === undefined ? null : `${segment.slice(padding.length)}\r\n`.indexOf('\r\n\r\n');
}

/** This project's reader refuses the form; Busboy does not, or not always. */
export const KNOWN_REFUSALS: readonly RefusalRule[] = [
  {
    name: 'a delimiter line that ends in a bare LF or CR',
    because: 'RFC 2046 §5.1.1 ends it in CRLF; Busboy takes what follows for a header, and loses the part',
    applies: inAnySegment((segment) => /^[ \t]*(?:\n|\r(?!\n))/.test(segment)),
    example: `--b\n${disposition('name=x')}\n\n1\r\n${partOf('a', '2')}--b--`,
    busboy: [part('a', '2')],
  },
  {
    name: 'one dash after a delimiter',
    because:
      'RFC 2046 §5.1.1: `--` closes, `-` does not; Busboy adds up the dashes of two delimiters in a row, so that a form cut off in its closing delimiter looks whole',
    applies: inAnySegment((segment) => /^-(?!-)/.test(segment)),
    example: `${partOf('a', '1')}--b-\r\n--b-`,
    busboy: [part('a', '1')],
  },
  {
    name: 'text after a delimiter',
    because:
      'RFC 2046 §5.1.1 allows padding only: that line is no delimiter or it is damaged, and both readings lose bytes; Busboy takes the text for a header',
    applies: inAnySegment((segment) => /^(?:[ \t]*[^ \t\r\n-]|[ \t]+-)/.test(segment)),
    example: `--bX\r\n${disposition('name=x')}\r\n\r\n1\r\n${partOf('a', '2')}--b--`,
    busboy: [part('a', '2')],
  },
  {
    name: 'more than 64 spaces after a delimiter',
    because: 'what is held is bounded, and nobody sends them',
    applies: inAnySegment((segment) => /^[ \t]{65,}/.test(segment)),
    example: `--b${' '.repeat(65)}\r\n${disposition('name=x')}\r\n\r\n1\r\n${partOf('a', '2')}--b--`,
    busboy: [part('a', '2')],
  },
  {
    name: 'a delimiter among the headers of a part',
    because:
      'RFC 2046 §5.1.1 has an empty line after the headers: a part that lost it is damaged; Busboy drops it and says nothing',
    applies: inAnySegment((segment) => headBytes(segment) === -1),
    example: `--b\r\n${disposition('name=x')}\r\n${partOf('a', '2')}--b--`,
    busboy: [part('a', '2')],
  },
  {
    name: 'headers over the limit',
    because: 'memory is bounded; Busboy cuts them off at 80 KiB and goes on',
    applies: inAnySegment((segment, limits) => (headBytes(segment) ?? 0) > limits.maxPartHeaderBytes),
    example: `--b\r\n${disposition(`name="${'x'.repeat(100)}"`)}\r\n\r\n1\r\n--b--`,
    busboy: [part('x'.repeat(100), '1')],
  },
  {
    name: 'a preamble over the limit',
    because: 'a body without its delimiter is refused before all of it has come; Busboy reads on',
    applies: ({ preamble }, limits) => preamble.length > limits.maxPartHeaderBytes,
    example: `${'p'.repeat(119)}\r\n${partOf('a', '2')}--b--`,
    busboy: [part('a', '2')],
  },
  {
    name: 'a delimiter behind a bare LF before the first one',
    because: 'its part would be missed without a word; Busboy takes it for preamble',
    applies: ({ preamble }, _limits, boundary) => preamble.includes(`\n--${boundary}`),
    example: `\n${partOf('a', '1')}${partOf('a', '2')}--b--`,
    busboy: [part('a', '2')],
  },
  {
    name: 'too many parts',
    because:
      'a form with some of its parts is not the form; Busboy, when it has a limit, leaves out the rest',
    applies: ({ segments }, limits) => segments.length > limits.maxParts,
    example: `${partOf('a', '1').repeat(4)}--b--`,
    busboy: Array.from({ length: 4 }, () => part('a', '1')),
  },
];

interface ReadingRule {
  readonly name: string;
  readonly because: string;
  /**
   * The same part in a notation that both readers understand in the same way. If the part itself is returned, the rule does not
   * apply.
   */
  readonly rewrite: (part: PartText) => PartText;
  /** With the boundary `b`. */
  readonly example: string;
  readonly ours: readonly Part[];
  readonly busboy: readonly Part[];
}

/** A name that we neither need nor share with Busboy. */
const UNSHARED = { name: '?', filename: undefined };

/** Both read the form, but differently. The rules are applied in this order: each sees what those before it have left. */
export const KNOWN_READINGS: readonly ReadingRule[] = [
  {
    name: 'padding after a delimiter is no part of the headers',
    because:
      'RFC 2046 §5.1.1 has transport-padding there; Busboy takes it for a broken header, and loses the part',
    rewrite: (text) => (text.padding === '' ? text : { ...text, padding: '' }),
    example: `--b \t\r\n${disposition('name="a"')}\r\n\r\n1\r\n--b--`,
    ours: [part('a', '1')],
    busboy: [],
  },
  {
    name: 'a part whose empty line is also the CRLF of the next delimiter is empty',
    because:
      'RFC 2046 §5.1.1: body-part := MIME-part-headers [CRLF *OCTET]; Busboy has not seen the end of its headers, and loses the part',
    rewrite: (text) => (text.content === null ? { ...text, content: '' } : text),
    example: `--b\r\n${disposition('name="a"')}\r\n\r\n${partOf('c', '2')}--b--`,
    ours: [part('a', ''), part('c', '2')],
    busboy: [part('c', '2')],
  },
  {
    name: 'a line that is no header hides those after it from Busboy only',
    because: 'headers are read line by line (RFC 5322 §2.2), and one of them is enough to find a part',
    rewrite: (text) => {
      const headers = text.headers.filter(
        (line) => /^\s*[^\s:][^:]*:/.test(line) && !/[\r\n]/.test(unfold(line)),
      );
      return headers.length === text.headers.length ? text : { ...text, headers };
    },
    example: `--b\r\nnonsense\r\nX: bare\nLF\r\n${disposition('name="a"')}\r\n\r\n1\r\n--b--`,
    ours: [part('a', '1')],
    busboy: [],
  },
  {
    name: 'spaces around the name of a header',
    because: 'RFC 5322 §4.5 (obsolete syntax) has them; to Busboy it is another header',
    rewrite: (text) => {
      const headers = text.headers.map((line) => {
        const colon = line.indexOf(':');
        return unfold(line.slice(0, colon)).trim() + line.slice(colon);
      });
      return headers.every((line, i) => line === text.headers[i]) ? text : { ...text, headers };
    },
    example: `--b\r\nContent-Disposition : form-data; name="a"\r\n\r\n1\r\n--b--`,
    ours: [part('a', '1')],
    busboy: [],
  },
  {
    name: 'a Content-Disposition that breaks the grammar',
    because:
      'RFC 2183 §2: each guesses, and nothing depends on the guess: only the name and the filename may differ, and ours are taken from that header (see below)',
    rewrite: (text) => {
      const guessed = withDisposition(text, (value) =>
        DISPOSITION.test(value) ? value : ' form-data; name="?"',
      );
      return guessed === text ? text : { ...guessed, isNamed: false };
    },
    example: `--b\r\n${disposition('name=two words')}\r\n\r\n1\r\n--b\r\n${disposition('name="open')}\r\n\r\n2\r\n--b--`,
    ours: [part('two', '1'), part('', '2')],
    busboy: [part('twowords', '1'), part('open', '2')],
  },
  {
    name: 'of parameters of one name the first counts',
    because:
      'RFC 2183 §2 has no second one; Busboy takes the last, but the first when name and filename come first',
    rewrite: (text) =>
      withParameters(text, (all) =>
        all.filter(
          ([name, value], i) =>
            value === undefined ||
            all.findIndex(([other, given]) => other === name && given !== undefined) === i,
        ),
      ),
    example: `--b\r\n${disposition('name="a"; name="x"')}\r\n\r\n1\r\n--b--`,
    ours: [part('a', '1')],
    busboy: [part('x', '1')],
  },
  {
    name: 'names that are encoded',
    because:
      'RFC 6266 §4.3: filename* wins over filename; browsers write %22 for a quote, and .NET words of RFC 2047; name* names nothing. Busboy decodes the extended ones only (ours: header-text.test.ts)',
    rewrite: (text) => {
      const named = withDisposition(text, (value) => (ENCODED.test(value) ? ' form-data; name="?"' : value));
      return named === text ? text : { ...named, isNamed: false };
    },
    example: `--b\r\n${disposition(`name="a"; filename*=UTF-8''%61`)}\r\n\r\n1\r\n--b\r\n${disposition(`name*=UTF-8''c`)}\r\n\r\n2\r\n--b\r\n${disposition(`name="%22"`)}\r\n\r\n3\r\n--b--`,
    ours: [part('a', '1', 'a'), { name: null, filename: undefined, bytes: '2' }, part('"', '3')],
    busboy: [part('a', '1', 'a'), part('c', '2'), part('%22', '3')],
  },
];

// Bodies

/** What a value is made of: the edges of a delimiter D, and of a line. */
const VALUES: readonly ((D: string) => string)[] = [
  () => 'x',
  () => '\r\n',
  () => '\r',
  () => '\n',
  () => '-',
  () => '--',
  () => '\r\n--',
  () => '\r\n\r\n',
  () => '\0\xff',
  () => 'Content-Disposition: form-data; name="file"\r\n\r\n',
  () => 'the quick brown fox '.repeat(8),
  (D) => D.slice(2), // Without its CRLF
  (D) => D.slice(1),
  (D) => `\r${D.slice(2)}`,
  (D) => `\r\r${D.slice(1, -1)}`,
  (D) => `${D.slice(0, -1)}!`,
  (D) => D.slice(0, -1) + D.slice(2),
  (D) => D.toUpperCase().slice(0, -1),
];

const PLAIN_DISPOSITIONS: readonly string[] = [
  ...['file', 'fileId', 'chunkIndex', 'totalChunks', ''].map((name) => disposition(`name="${name}"`)),
  disposition('name="file"; filename="a b.mp4"'),
  disposition('name=file; filename=a'),
];

const ODD_DISPOSITIONS: readonly string[] = [
  disposition('filename="b;c=\\"d\\\\"; name="file"'),
  disposition('name=file; filename=a.b;'),
  `Content-Disposition:form-data;name="a"`,
  `CONTENT-DISPOSITION:\t FORM-DATA ; NAME = "a" ; FileName="x"`,
  disposition(`name="${utf8('ü😀')}%22\\q"`),
  disposition('name="\xff\xc3"'),
  'Content-Disposition: form-data;\r\n name="a";\r\n\t  filename="folded\r\n \t name"',
  'Content-Disposition:\r\n form-data; name=a',
  'Content-Disposition: form-data',
  'Content-Disposition: attachment; name="a"',
  'Content-Disposition:',
  'Content-Disposition',
  'Content-Disposition : form-data; name="a"',
  ' Content-Disposition: form-data; name="a"',
  disposition('name="a"; name="x"'),
  disposition('name="a"; filename="b"; name="x"; filename="y"'),
  disposition(`name="a"; filename*=UTF-8''%e2%82%ac`),
  disposition(`name="a"; filename="b"; filename*=UTF-8''%0a`),
  disposition(`name*=UTF-8''a`),
  disposition('name=two words'),
  disposition('name="open; filename=x'),
  disposition('name="a"b; filename="c" d'),
  disposition('name="a\nb"'),
  disposition('name; filename'),
];

const PLAIN_HEADERS: readonly string[] = [
  'Content-Type: application/octet-stream',
  'content-type:text/plain; charset="utf-8"',
  'Content-Transfer-Encoding: base64',
  'X-Folded: a\r\n\tb\r\n c',
];

const ODD_HEADERS: readonly string[] = [
  disposition('name="second"'),
  'nonsense',
  ': nameless',
  'X: bare\nname: x',
  'X: bare\rCR',
  ' starts: with a space',
  'X-Dashes: --b--',
  '--b: x',
  'Content-Disposition?',
];

const BOUNDARIES: readonly string[] = [
  'b',
  'boundary7',
  '----WebKitFormBoundaryE19zNvXGzXaLvS5C',
  '------------------------d74496d66958873e',
  '-',
  '--',
  `a b'()+_,-./:=?z`,
  '=_?:.',
  'x'.repeat(70),
  `${'-'.repeat(69)}0`,
];
const PADDINGS = ['', ' ', '\t \t', ' '.repeat(64), ' '.repeat(65), '!', '-', '\r'] as const;
const PREAMBLES = [
  '',
  '\r\n',
  'This is a form:\r\n',
  'no line end',
  '\r\n\r\n--',
  'p'.repeat(116) + '\r\n',
  'p'.repeat(117) + '\r\n',
] as const;
const EPILOGUES = ['\r\n', '', '\r\n\r\nbye', '--', '!', '\r\n--'] as const;

interface Damage {
  readonly kind: keyof typeof DAMAGES;
  readonly at: number;
  readonly extent: number;
}

/** `at` is inside of the body or at its end. */
const DAMAGES = {
  truncated: (body: string, at: number) => body.slice(0, at),
  deleted: (body: string, at: number, extent: number) => body.slice(0, at) + body.slice(at + 1 + extent),
  duplicated: (body: string, at: number, extent: number) => body.slice(0, at + extent * 8) + body.slice(at),
  flipped: (body: string, at: number, extent: number) => {
    const flipped = String.fromCharCode((body.charCodeAt(at) || 0) ^ (1 << (extent % 8)));
    return body.slice(0, at) + flipped + body.slice(at + 1);
  },
  inserted: (body: string, at: number, extent: number) =>
    body.slice(0, at) + '\r \n-"\\;=:*'.charAt(extent % 10) + body.slice(at),
  'with LF only': (body: string) => body.replaceAll('\r\n', '\n'),
  'with LF for one CRLF': (body: string, at: number) =>
    body.slice(0, at) + body.slice(at).replace('\r\n', '\n'),
  'without one CRLF': (body: string, at: number) => body.slice(0, at) + body.slice(at).replace('\r\n', ''),
  'with one CRLF twice': (body: string, at: number) =>
    body.slice(0, at) + body.slice(at).replace('\r\n', '\r\n\r\n'),
} as const;
const DAMAGE_KINDS = Object.keys(DAMAGES).filter((kind): kind is Damage['kind'] => kind in DAMAGES);

/** Mostly the first of `items`, for what would otherwise spoil every form. */
const mostlyFirst = <T>(items: readonly [T, ...T[]], weight: number): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: fc.constant(items[0]) }, { weight: 1, arbitrary: fc.constantFrom(...items) });

const anyPart = fc.record({
  disposition: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...PLAIN_DISPOSITIONS) },
    { weight: 1, arbitrary: fc.constantFrom(...ODD_DISPOSITIONS) },
  ),
  headers: fc.oneof(
    { weight: 6, arbitrary: fc.array(fc.constantFrom(...PLAIN_HEADERS), { maxLength: 2 }) },
    { weight: 1, arbitrary: fc.array(fc.constantFrom(...ODD_HEADERS), { maxLength: 2 }) },
  ),
  isDispositionLast: fc.boolean(),
  // Beyond VALUES: so many bytes of a delimiter
  value: fc.array(fc.nat(VALUES.length + 72), { maxLength: 8 }),
  padding: mostlyFirst(PADDINGS, 20),
  /** Between headers and value, and after the value. */
  joints: mostlyFirst(['both', 'no headers', 'no empty line', 'no value'], 20),
});

const anyForm = fc.record({
  boundary: fc.constantFrom(...BOUNDARIES),
  limits: mostlyFirst([LIMITS, SMALL], 5),
  preamble: mostlyFirst(PREAMBLES, 6),
  parts: fc.array(anyPart, { maxLength: 5 }),
  closings: mostlyFirst([1, 0, 2], 10),
  epilogue: mostlyFirst(EPILOGUES, 3),
  damages: fc.array(
    fc.record({ kind: fc.constantFrom(...DAMAGE_KINDS), at: fc.nat(0xffff), extent: fc.nat(15) }),
    { maxLength: 2 },
  ),
});

type FormPlan = typeof anyForm extends fc.Arbitrary<infer T> ? T : never;

function partBody(
  { disposition: main, headers, isDispositionLast, value, padding, joints }: FormPlan['parts'][number],
  D: string,
): string {
  const lines = isDispositionLast ? [...headers, main] : [main, ...headers];
  const head = joints === 'no headers' ? '' : lines.map((line) => `${line}\r\n`).join('');
  const bytes = value.map((n) => VALUES[n]?.(D) ?? D.slice(0, (n - VALUES.length) % D.length)).join('');
  const content = joints === 'no value' ? '' : `\r\n${bytes}`;
  return `${padding}\r\n${joints === 'no empty line' ? head.slice(0, -2) : `${head}${content}`}`;
}

/** As clients write it: quoted where it must be (RFC 2045 §5.1). */
const contentTypeOf = (boundary: string): string =>
  `multipart/form-data; boundary=${/^[\w'+.-]+$/.test(boundary) ? boundary : `"${boundary}"`}`;

export function formOf({ boundary, limits, preamble, parts, closings, epilogue, damages }: FormPlan): Form {
  const D = `\r\n--${boundary}`;
  const segments = [
    preamble,
    ...parts.map((plan) => partBody(plan, D)),
    ...Array<string>(closings).fill('--'),
  ];
  const whole = segments.join(D) + epilogue;
  const body = damages.reduce(
    (damaged, { kind, at, extent }) => DAMAGES[kind](damaged, at % (damaged.length + 1), extent),
    preamble === '' ? whole.slice(2) : whole,
  );
  return { body, boundary, contentType: contentTypeOf(boundary), limits };
}

// The comparison

const seen = new Map<string, number>();
const count = (what: string): void => void seen.set(what, (seen.get(what) ?? 0) + 1);

export function isSame(one: Reading, other: Reading): boolean {
  if (one === 'refused' || other === 'refused') return one === other;
  return (
    one.length === other.length &&
    one.every(({ name, filename, bytes }, i) => {
      const twin = other[i];
      return bytes === twin?.bytes && name === twin.name && filename === twin.filename;
    })
  );
}

/** Replaces `expect` for checks that run very often: `expect` alone would cost more than both readers. */
function expectSame(actual: Reading, expected: Reading, what: () => string): void {
  if (!isSame(actual, expected)) expect(actual, what()).toEqual(expected);
}

/** The form in a notation that both readers understand in the same way. */
function translated({ preamble, segments, closing }: Anatomy, D: string) {
  const parts = segments.map((segment) => {
    const original = partText(segment);
    const text = KNOWN_READINGS.reduce((before, { name, rewrite }) => {
      const after = rewrite(before);
      if (after !== before) count(name);
      return after;
    }, original);
    return { ...text, segment: text === original ? segment : segmentOf(text), original };
  });
  const body = [preamble, ...parts.map(({ segment }) => segment), closing].join(D).slice(2);
  return { parts, body };
}

/** In a Content-Disposition. */
const ENCODED = /%(?:22|0a|0d)|\*|=\?/i;

/** A guessed name or filename is text of its own header, unless it was encoded. */
function expectGuess({ name, filename }: Part, { headers }: PartText): void {
  const header = unfold(headers.filter((line) => line.includes(':')).join('\n'));
  if (ENCODED.test(header)) return;
  for (const text of [name ?? '', filename ?? '']) {
    const isText = header.includes(text) || header.replaceAll(/\\(["\\])/g, '$1').includes(text);
    if (!isText) throw new Error(`${JSON.stringify(text)} does not stand in ${JSON.stringify(header)}`);
  }
}

/** Apart from the rules, Busboy must report the same form. */
async function compare(form: Form, cuts: readonly number[], ours: Reading): Promise<void> {
  const anatomy = anatomyOf(form);
  const shown = (): string => JSON.stringify(form);
  const refusals = KNOWN_REFUSALS.filter(({ applies }) => applies(anatomy, form.limits, form.boundary)).map(
    ({ name }) => name,
  );
  if (refusals.length > 0) {
    refusals.forEach(count);
    expectSame(ours, 'refused', () => `${refusals.join(', ')}: ${shown()}`);
    return;
  }
  if (anatomy.closing === null) {
    count('refused by both');
    expectSame(ours, 'refused', shown);
    expectSame(await throughBusboy(form, cuts), 'refused', () => `Busboy: ${shown()}`);
    return;
  }
  if (ours === 'refused') throw new Error(`no rule refuses this: ${shown()}`);
  const { parts, body } = translated(anatomy, `\r\n--${form.boundary}`);
  const isVerbatim = body === form.body;
  const theirs = await throughBusboy({ ...form, body }, isVerbatim ? cuts : WHOLE);
  if (theirs === 'refused') throw new Error(`Busboy refuses this: ${shown()}`);
  if (ours.length !== parts.length) throw new Error(`not all parts were handed on: ${shown()}`);
  const shared = ours.map((our, i) => {
    const text = parts[i];
    if (text === undefined || our.bytes !== (text.content ?? ''))
      throw new Error(`not its bytes: ${shown()}`);
    if (text.isNamed) return our;
    expectGuess(our, text.original);
    return { ...UNSHARED, bytes: our.bytes };
  });
  const isNamed = ({ name }: Part): boolean => name !== null;
  const wanted = shared.filter(isNamed);
  count(
    wanted.length === 0
      ? 'the same, no part with a name'
      : isVerbatim
        ? 'the same'
        : 'the same, but for rules',
  );
  expectSame(wanted, theirs.filter(isNamed), shown);
}

const anySplit = fc.array(fc.nat(0xffff), { maxLength: 10 });
export const anyCase = fc.record({
  plan: anyForm,
  splits: fc.tuple(anySplit, anySplit),
  /** Pieces of so many bytes: slow, so one case in 16. 0: none. */
  step: mostlyFirst([0, 1, 2, 5], 12),
});

async function check(form: Form, ways: readonly (readonly number[])[]): Promise<void> {
  const ours = read(form, WHOLE);
  for (const cuts of ways) {
    expectSame(read(form, cuts), ours, () => `cut at ${cuts.join()}: ${JSON.stringify(form)}`);
  }
  await compare(form, ways.at(-1) ?? WHOLE, ours);
}

/** So many generated bodies. */
export function comparedWithBusboy(runs: number): void {
  describe('against @fastify/busboy', () => {
    it(
      `${runs} bodies, however cut, have the same parts with the same bytes, or are refused by both (TEST_SEED=${SEED})`,
      { timeout: 300_000 + runs },
      async () => {
        console.info(`multipart-fuzz: TEST_SEED=${SEED}, ${runs} bodies`);
        await fc.assert(
          fc.asyncProperty(anyCase, async ({ plan, splits, step }) => {
            const form = formOf(plan);
            const ways = splits.map((numbers) => cutsIn(form, numbers));
            if (step > 0) ways.push(cutsEvery(step, form));
            await check(form, ways);
          }),
          { seed: SEED, numRuns: runs },
        );
        console.info('multipart-fuzz:', Object.fromEntries([...seen].toSorted(([, a], [, b]) => b - a)));
        // A rule that no body meets is not tested; and if all bodies met rules, little else would be tested.
        if (runs < 100_000) return;
        for (const { name } of [...KNOWN_REFUSALS, ...KNOWN_READINGS])
          expect(seen.get(name), name).toBeGreaterThan(20);
        expect(seen.get('the same')).toBeGreaterThan(runs / 6);
        expect(seen.get('refused by both')).toBeGreaterThan(runs / 10);
      },
    );

    it(`a boundary may be of 1 to 70 of the characters that RFC 2046 allows, quoted where it must be (TEST_SEED=${SEED})`, async () => {
      const character = fc.constantFrom(...Array.from("abcXYZ019'()+_,-./:=? "));
      const boundary = fc
        .string({ unit: character, minLength: 1, maxLength: 70 })
        .filter((text) => !text.endsWith(' '));
      const contentType = fc.constantFrom(
        (quoted: string) => `multipart/form-data; boundary=${quoted}`,
        (quoted: string) => `Multipart/Form-Data;BOUNDARY=${quoted}`,
        (quoted: string) => `multipart/form-data; charset="a; boundary=b"; boundary=${quoted}; x=y`,
      );
      await fc.assert(
        fc.asyncProperty(boundary, contentType, fc.boolean(), async (text, write, isQuoted) => {
          const quoted = isQuoted || !/^[\w'+.-]+$/.test(text) ? `"${text}"` : text;
          const body = `--b\r\n${disposition('name="a"')}\r\n\r\n1\r\n--b\r\n\r\n\r\n--b--`.replaceAll(
            '--b',
            `--${text}`,
          );
          const form = { body, boundary: text, contentType: write(quoted), limits: LIMITS };
          expect(boundaryOf(form.contentType)).toBe(text);
          expect(read(form, WHOLE)).toMatchObject([part('a', '1'), { name: null, bytes: '' }]);
          await check(form, [cutsEvery(3, form)]);
        }),
        { seed: SEED, numRuns: Math.min(runs, 2_000) },
      );
    });
  });
}

export const exampleOf = (body: string, limits: FormLimits): Form => ({
  body,
  boundary: 'b',
  contentType: contentTypeOf('b'),
  limits,
});

export function named<T extends { name: string; because: string }>(
  rules: readonly T[],
): [string, string, T][] {
  return rules.map((rule) => [rule.name, rule.because, rule]);
}

/** What is made of bodies that were written by hand: each rule by its example, and what we say of them alone. */
export function knownDifferences(): void {
  describe('known difference: refused by us, read by Busboy', () => {
    it.each(named(KNOWN_REFUSALS))('%s, because %s', async (name, _, { example, busboy }) => {
      const form = exampleOf(example, SMALL);
      expect(KNOWN_REFUSALS.filter(({ applies }) => applies(anatomyOf(form), SMALL, 'b'))).toMatchObject([
        { name },
      ]);
      expect(read(form, WHOLE)).toBe('refused');
      expect(await throughBusboy(form, WHOLE)).toEqual(busboy);
    });
  });

  describe('known difference: read in two ways', () => {
    it.each(named(KNOWN_READINGS))('%s, because %s', async (name, _, { example, ours, busboy }) => {
      const form = exampleOf(example, LIMITS);
      const texts = anatomyOf(form).segments.map(partText);
      const applying = KNOWN_READINGS.filter(({ rewrite }) => texts.some((text) => rewrite(text) !== text));
      expect(applying).toMatchObject([{ name }]);
      expect(read(form, WHOLE)).toEqual(ours);
      expect(await throughBusboy(form, WHOLE)).toEqual(busboy);
      await check(form, [cutsEvery(1, form)]);
    });
  });

  describe('a Content-Disposition that breaks the grammar names', () => {
    it.each([
      ['the first word of two', disposition('name=two words'), 'two'],
      ['nothing when its quote is open', disposition('name="open'), ''],
      ['the whole string when there is text after it', disposition('name="a"b; filename=c'), 'a'],
      ['nothing before the first semicolon', 'Content-Disposition: form-data name="a"', null],
      ['nothing for another type', `Content-Disposition: "form-data"; name="a"`, null],
      ['nothing with a space in the name of the parameter', disposition('na me="a"'), null],
    ])('%s', (_, header, name) => {
      const form = exampleOf(`--b\r\n${header}\r\n\r\n1\r\n--b--`, LIMITS);
      expect(DISPOSITION.test(header.slice('Content-Disposition:'.length))).toBe(false);
      expect(read(form, WHOLE)).toMatchObject([{ name, bytes: '1' }]);
    });
  });

  describe('what waits for more bytes', () => {
    const head = `--b\r\n${disposition('name="file"')}\r\n\r\n`;
    const MEBIBYTE = 2 ** 20;
    const ignore = (): void => undefined;
    const IGNORE: PartHandler = { partStarts: ignore, partBytes: ignore, partEnds: ignore };

    function arrayBufferBytes(): number {
      setFlagsFromString('--expose-gc');
      const collectGarbage: unknown = runInNewContext('gc');
      if (typeof collectGarbage !== 'function') throw new Error('this Node collects no garbage on demand');
      collectGarbage();
      return process.memoryUsage().arrayBuffers;
    }

    it.each([
      ['the start of a delimiter', '\r\n--'],
      ['a delimiter line', '\r\n--b \t'],
      ['headers', '\r\n--b\r\nContent-Disposition: form-'],
      ['the end of headers', '\r\n--b\r\nX: y\r\n\r'],
      ['content', '\r\n--b\r\nX: y\r\n\r\n'],
      ['nothing', '\r\n--b--\r\n'],
    ])('is copied, so that no piece stays in memory: %s', async (_, tail) => {
      const readers = Array.from({ length: 32 }, () => new MultipartReader('b', LIMITS, IGNORE));
      const feed = (): void =>
        readers.forEach((reader) => reader.push(bytesOf(head + 'x'.repeat(MEBIBYTE) + tail)));
      const before = arrayBufferBytes();
      feed();
      // Garbage may be freed somewhat later, and the last piece may still be on the stack.
      await expect.poll(() => arrayBufferBytes() - before).toBeLessThan(4 * MEBIBYTE);
      expect(readers).toHaveLength(32);
    });

    it('is never more than the headers that a part may have', () => {
      const reader = new MultipartReader('b', SMALL, IGNORE);
      const body = `--b${' '.repeat(64)}\r\n${'X: y\r\n'.repeat(50)}`;
      const taken: number[] = [];
      expect(() => {
        for (const byte of piecesOf(bytesOf(body), cutsEvery(1, { body }))) {
          reader.push(byte);
          taken.push(1);
        }
      }).toThrow('the headers of a part are larger');
      expect(taken.length).toBeLessThanOrEqual(3 + 64 + SMALL.maxPartHeaderBytes + 4);
    });
  });
}
