// terminal-lines.test.ts: the log on a terminal: one line for each request, faults are marked, and no control character reaches the
// terminal.
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isColoured } from '../../src/cli/styles.ts';
import { TerminalLines } from '../../src/cli/terminal-lines.ts';
import { ERRORS } from '../../src/core/errors.ts';
import { cellsOf } from '../../src/core/visible.ts';
import { openTestServer, sendChunk } from '../helpers/app.ts';

const COLUMNS = 80;

function linesFor(options: Partial<ConstructorParameters<typeof TerminalLines>[0]> = {}): TerminalLines {
  return new TerminalLines({ columns: () => COLUMNS, isColoured: false, isVerbose: false, ...options });
}

const AT = new Date(2026, 10, 30, 12, 20, 20).getTime();

function lineOf(facts: object, lines = linesFor()): string {
  return lines.format(JSON.stringify({ level: 30, time: AT, ...facts }));
}

const CHUNK = {
  reqId: 'r1',
  method: 'POST',
  operation: 'uploadChunk',
  status: 409,
  code: 'chunk_out_of_order',
  namespace: 'public',
  fileId: 'f1',
  chunkIndex: 1,
  totalChunks: 2,
  bytes: 5,
  ms: 72.4,
  msg: 'request',
};
const FIRED = {
  reqId: 'r1',
  namespace: 'public',
  ruleId: 'lose-the-ack',
  phase: 'post-commit',
  effect: 'reset',
  explain:
    'On any chunk of any upload, once: after the chunk is stored, reset the connection without an answer.',
  msg: 'a rule fired',
};

describe('a request', () => {
  it('is one line: when, what, of which upload, what came of it and how long it took (§8.7)', () => {
    expect(lineOf(CHUNK)).toBe('12:20:20 POST chunk 1/2 f1 → 409 chunk_out_of_order 72 ms\n');
    const stored = { ...CHUNK, status: 200, code: '', bytes: 5 * 1024 ** 2, ms: 3.1, namespace: 'ns_0123' };
    expect(lineOf(stored)).toBe('12:20:20 POST chunk 1/2 f1 → 200 5 MiB 3.1 ms ns_0123\n');
    const status = {
      ...CHUNK,
      method: 'GET',
      operation: 'getUploadStatus',
      status: 200,
      code: '',
      ms: 12_345,
    };
    expect(lineOf({ ...status, bytes: undefined })).toBe('12:20:20 GET status f1 → 200 12.3 s\n');
    const made = {
      ...CHUNK,
      operation: 'createVideo',
      status: 201,
      code: '',
      mediaId: 'v1',
      bytes: undefined,
    };
    expect(lineOf(made)).toBe('12:20:20 POST video v1 of f1 → 201 72 ms\n');
  });

  it('that its client left says so', () => {
    const left = 'the connection ended before the answer was sent';
    expect(lineOf({ ...CHUNK, status: 200, code: '', msg: left })).toContain('f1 → the client left 72 ms');
    const unanswered = { reqId: 'r2', operation: 'uploadChunk', fileId: 'f1', msg: 'the client ended it' };
    expect(lineOf(unanswered)).toBe('12:20:20 POST chunk f1 → the client left\n');
  });

  it('that a rule hit is one line, too, with the rule and what it did', () => {
    const lines = linesFor({ columns: () => 100 });
    expect(lineOf(FIRED, lines)).toBe('');
    const unanswered = {
      reqId: 'r1',
      operation: 'uploadChunk',
      fileId: 'f1',
      msg: 'reset@post-commit of rule x',
    };
    expect(lineOf(unanswered, lines)).toBe(
      '12:20:20 POST chunk f1 → no answer fault lose-the-ack: reset@post-commit\n',
    );
    lineOf({ ...FIRED, phase: 'response', effect: 'truncate', atByte: 10 }, lines);
    const cut = { ...CHUNK, status: 200, msg: 'the connection ended before the answer was sent' };
    expect(lineOf(cut, lines)).toContain('→ answer cut off 72 ms fault lose-the-ack: truncate@response:10');
    expect(lineOf({ ...cut, msg: 'request' }, lines)).not.toContain('fault');
  });

  it('that a rule holds up has a line when that begins, with what the rule does', () => {
    const explain = 'On a status query of any upload, once: before the body is read, wait 300ms, then go on.';
    expect(lineOf({ ...FIRED, effect: 'delay', phase: 'headers', explain })).toBe(
      '12:20:20 fault lose-the-ack: before the body is read, wait 300ms, then go on.\n',
    );
  });

  it('of a probe is shown at debug only, unless the answer was bad', () => {
    for (const operation of ['/__admin/ready', '/__admin/health', '/__admin/metrics']) {
      const probe = { ...CHUNK, method: 'GET', operation, status: 200, code: '', fileId: undefined };
      expect(lineOf(probe)).toBe('');
      expect(lineOf(probe, linesFor({ isVerbose: true }))).toContain(`GET ${operation}`);
      expect(lineOf({ ...probe, status: 503 })).toContain('→ 503');
    }
  });
});

/** A line is drawn as it is: one line, nothing that a terminal acts on or that cannot be seen. */
const DRAWN = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*\n$/u;
const HOSTILE = [
  '\u001B[2J\u001B]0;owned\u0007',
  'x\r\n12:20:20 POST chunk 0/1 fake → 200',
  '\u009B31m\u202Eevil\u2066\u200B\u2028',
  '\uD800 half',
  '長い名前'.repeat(60),
  '🚀'.repeat(100),
  'x'.repeat(4_000),
];

describe('what clients send', () => {
  it.each([...HOSTILE.entries()])(
    'no. %i is one line that is drawn as it is, in every place',
    (_at, text) => {
      const lines = linesFor();
      for (const field of ['fileId', 'mediaId', 'operation', 'method', 'code', 'namespace', 'chunkIndex'])
        expect(lineOf({ ...CHUNK, [field]: text }, lines), field).toMatch(DRAWN);
      for (const effect of ['reset', 'stall'])
        expect(lineOf({ ...FIRED, ruleId: text, effect, explain: `On it: ${text}.` }, lines)).toMatch(
          effect === 'reset' ? /^$/ : DRAWN,
        );
      expect(lineOf(CHUNK, lines)).toMatch(DRAWN);
      expect(lineOf({ level: 40, msg: text, [text]: text, list: [text] }, lines)).toMatch(DRAWN);
    },
  );

  it.each([80, 120, 200])(
    'never makes a line of a request wider than a terminal of %i columns',
    (columns) => {
      const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...HOSTILE));
      const operation = fc.constantFrom(
        'uploadChunk',
        'getUploadStatus',
        'createImage',
        '/__admin/uploads/:fileId/content',
        'unknown',
      );
      const code = fc.constantFrom('', ...Object.keys(ERRORS));
      fc.assert(
        fc.property(fc.tuple(text, text, operation, code, fc.boolean()), (given) => {
          const [fileId, ruleId, name, errorCode, isHit] = given;
          const lines = linesFor({ columns: () => columns });
          const indices = { chunkIndex: 99_999, totalChunks: 100_000 };
          const fired = { ...FIRED, ruleId, phase: 'response', effect: 'truncate', atByte: 65_536 };
          const isRefused = errorCode !== '';
          const line = {
            ...CHUNK,
            ...indices,
            fileId,
            operation: name,
            code: isHit ? '' : errorCode,
            ms: 123_456,
          };
          if (isHit) lineOf(fired, lines);
          const shown = lineOf(
            { ...line, status: isRefused ? 400 : 200, namespace: 'ns_0123456789abcdef' },
            lines,
          );
          expect(shown).toMatch(DRAWN);
          expect(cellsOf(shown.trimEnd())).toBeLessThanOrEqual(columns);
        }),
      );
    },
  );
});

describe('any other line', () => {
  it('has its level, what it says and its facts', () => {
    expect(lineOf({ msg: 'draining', signal: 'SIGINT' })).toBe('12:20:20 draining signal=SIGINT\n');
    expect(lineOf({ level: 40, msg: 'left alone', path: '/a b', n: 1 })).toBe(
      '12:20:20 warning left alone path="/a b" n=1\n',
    );
  });

  it('of an error has its message and where it came from', () => {
    const err = new Error('it broke');
    const text = lineOf({
      level: 50,
      msg: 'internal_error',
      err: { message: err.message, stack: err.stack },
    });
    expect(text).toMatch(/^12:20:20 error internal_error\n {2}it broke\n {2}at .*terminal-lines\.test\.ts/);
  });
});

describe('colours', () => {
  it('are there when they may be, and the text without them is the same', () => {
    const coloured = lineOf(CHUNK, linesFor({ isColoured: true }));
    expect(coloured).toContain('\u001B[');
    expect(stripVTControlCharacters(coloured)).toBe(lineOf(CHUNK));
    expect(coloured.endsWith('\u001B[0m\n')).toBe(true);
  });

  it('may be on a terminal, but not with NO_COLOR or a dumb one', () => {
    expect(isColoured({ isTTY: true }, {})).toBe(true);
    expect(isColoured({ isTTY: true }, { NO_COLOR: '' })).toBe(true);
    for (const environment of [{ NO_COLOR: '1' }, { TERM: 'dumb' }])
      expect(isColoured({ isTTY: true }, environment)).toBe(false);
    expect(isColoured({}, {})).toBe(false);
  });
});

it('every line that a server logs of a request can be read, and has its request', async () => {
  const server = await openTestServer();
  const lines = linesFor({ isVerbose: true });
  await fetch(`${server.adminUrl}/rules`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id: 'lose-it', match: { chunkIndex: 1 }, fault: 'reset@post-commit' }),
  });
  await sendChunk(server, { fileId: 'my-file', index: 0, total: 2 });
  await expect(sendChunk(server, { fileId: 'my-file', index: 1, total: 2 })).rejects.toThrow();
  await fetch(`${server.url}/media/chunks?fileId=my-file`);
  await fetch(`${server.adminUrl}/ready`);
  await server.close();
  const shown = server.log.map((line) =>
    lines.format(JSON.stringify(line)).replaceAll(/[\d.]+ (ms|s)\b/g, 'T'),
  );
  expect(shown.map((line) => line.slice('12:20:20 '.length)).join('')).toMatch(
    new RegExp(
      [
        'POST /__admin/rules → 201 T',
        String.raw`POST chunk 0/2 my-file → 200 \d+ bytes T`,
        'POST chunk 1/2 my-file → no answer fault lose-it: reset@post-commit',
        'GET status my-file → 200 T',
        'GET /__admin/ready → 200 T',
      ].join('\n'),
    ),
  );
});
