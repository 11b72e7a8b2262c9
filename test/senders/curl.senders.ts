// curl.senders.ts: what only curl does: it waits for `100 Continue`, speaks HTTP/1.0, repeats. People use curl when something is
// refused, so it must show a sentence of the server and no error of its own.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import { describe, expect, inject, it, type TestContext } from 'vitest';
import {
  bytesOf,
  errorCodeIn,
  exchangesOf,
  fileOf,
  sha256,
  skipUnlessThere,
  storedUpload,
} from './harness.ts';
import { FULL_KEY, KEY, senderNamed } from './senders.ts';

const MIB = 1024 * 1024;
const LARGE = bytesOf('more than a megabyte', 3 * MIB);
const SMALL = bytesOf('small', 1_000);

interface Shown {
  /** curl's own verdict: 0 is good. */
  readonly exit: number;
  readonly status: number;
  readonly contentType: string;
  /** Bytes of the body that it sent. */
  readonly sent: number;
  readonly connects: number;
  readonly text: string;
  readonly stderr: string;
}

const MARK = '\n%{http_code} %{size_upload} %{num_connects} %{content_type}\n';

/** One for each request of the command line. `feed` writes curl's input. */
function curlAll(args: readonly string[], feed?: (input: Writable) => Promise<void>): Promise<Shown[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      'curl',
      ['-sS', '--max-time', '20', '-w', MARK, ...args],
      (_error, stdout, stderr) => {
        const requests = [...stdout.matchAll(/([^\n]*)\n(\d{3}) (\d+) (\d+) (.*)\n/g)];
        const exit = child.exitCode ?? -1;
        resolve(
          requests.map(([, text = '', status, sent, connects, contentType = '']) => ({
            exit,
            stderr,
            text,
            contentType,
            status: Number(status),
            sent: Number(sent),
            connects: Number(connects),
          })),
        );
      },
    );
    if (child.stdin !== null) feed?.(child.stdin).catch(reject);
  });
}

async function curl(...args: readonly string[]): Promise<Shown> {
  const [shown] = await curlAll(args);
  if (shown === undefined) throw new Error(`curl ${args.join(' ')} said nothing`);
  return shown;
}

function skipWithoutCurl(context: TestContext): void {
  skipUnlessThere(senderNamed('curl'), context);
}

/** The form of the README. */
function chunk(path: string, fileId: string, [index, total] = [0, 1]): string[] {
  return [
    '-F',
    `file=@${path}`,
    '-F',
    `chunkIndex=${index}`,
    '-F',
    `totalChunks=${total}`,
    '-F',
    `fileId=${fileId}`,
  ];
}

function at(server: 'open' | 'strict', key: string, path = '/media/chunks'): string[] {
  return ['-H', `X-API-Key: ${key}`, `${inject(server === 'open' ? 'openUrl' : 'strictUrl')}${path}`];
}

describe('Expect: 100-continue', () => {
  it('is answered, and every byte is stored', async (context) => {
    skipWithoutCurl(context);
    const key = randomUUID();
    const shown = await curl('-v', ...chunk(await fileOf(LARGE), 'f'), ...at('open', key));
    expect([shown.exit, shown.status], shown.text).toEqual([0, 200]);
    expect(shown.stderr).toMatch(/> Expect: 100-continue\r?\n[^]*< HTTP\/1.1 100 Continue/);
    expect(await storedUpload(key, 'f')).toBe(sha256(LARGE));
  });

  it.for([
    ['a key that is not known', 'a-bad-key', 401, 'api_key_invalid', []],
    ['a file that is too large', KEY, 413, 'upload_too_large', []],
    ['a Content-Encoding', KEY, 415, 'unsupported_media_type', ['-H', 'Content-Encoding: gzip']],
  ] as const)('%s is refused before a byte of the body is sent', async (given, context) => {
    skipWithoutCurl(context);
    const [, key, status, code, more] = given;
    const path = await fileOf(code === 'upload_too_large' ? LARGE : LARGE.subarray(0, 1.5 * MIB));
    const shown = await curl('-v', ...more, ...chunk(path, 'f'), ...at('strict', key));
    expect([shown.exit, shown.status, errorCodeIn(shown.text)]).toEqual([0, status, code]);
    expect(shown.sent).toBe(0);
    expect(shown.stderr).not.toContain('100 Continue');
  });

  it('not asked for: the refusal is read all the same', async (context) => {
    skipWithoutCurl(context);
    const path = await fileOf(bytesOf('very large', 16 * MIB));
    for (const flags of [
      ['-H', 'Expect:'],
      ['-H', 'Expect:', '-H', 'Transfer-Encoding: chunked'],
      ['--http1.0'],
    ]) {
      const shown = await curl(...flags, ...chunk(path, 'f'), ...at('strict', 'a-bad-key'));
      expect([shown.exit, shown.status, shown.stderr], flags.join(' ')).toEqual([0, 401, '']);
      expect(errorCodeIn(shown.text)).toBe('api_key_invalid');
    }
  });
});

describe('other versions of HTTP', () => {
  it.for([
    ['HTTP/1.0 closes', ['--http1.0'], 1],
    ['HTTP/1.0 with keep-alive goes on', ['--http1.0', '-H', 'Connection: keep-alive'], 0],
    ['HTTP/1.1 goes on', ['--http1.1'], 0],
    // Node loses what it reads in one packet after a request with `Upgrade`, so the connection ends with its answer.
    ['an offer of HTTP/2 is passed over', ['--http2'], 1],
  ] as const)('%s: two chunks, both stored', async ([, flags, connects], context) => {
    skipWithoutCurl(context);
    const key = randomUUID();
    const halves = [LARGE.subarray(0, 100_000), LARGE.subarray(100_000, 150_000)];
    const args: string[] = [];
    for (const [i, half] of halves.entries()) {
      if (i > 0) args.push('--next', '-sS', '-w', MARK);
      args.push(...flags, ...chunk(await fileOf(half), 'f', [i, 2]), ...at('open', key));
    }
    const shown = await curlAll(args);
    expect(shown.map(({ exit, status }) => [exit, status])).toEqual([
      [0, 200],
      [0, 200],
    ]);
    expect(shown.map((one) => one.connects)).toEqual([1, connects]);
    expect(await storedUpload(key, 'f')).toBe(sha256(LARGE.subarray(0, 150_000)));
  });

  it('HTTP/2 without an offer ends at once, with an error of curl that says so', async (context) => {
    skipWithoutCurl(context);
    const [shown] = await curlAll(['--http2-prior-knowledge', ...at('open', 'k', '/media/chunks?fileId=f')]);
    expect(shown?.exit).toBeGreaterThan(0);
    expect(shown?.stderr).toMatch(/^curl: \(\d+\) \S/);
  });
});

it('a file that is sent as the text of a field is a file', async (context) => {
  skipWithoutCurl(context);
  const key = randomUUID();
  const text = Buffer.from('two lines\r\nof text, "quoted" & ü\n');
  const fields = ['-F', 'chunkIndex=0', '-F', 'totalChunks=1', '-F', 'fileId=f'];
  const shown = await curl('-F', `file=<${await fileOf(text)}`, ...fields, ...at('open', key));
  expect(shown.status, shown.text).toBe(200);
  expect(await storedUpload(key, 'f')).toBe(sha256(text));
});

it('--retry sends again what is worth sending again', async (context) => {
  skipWithoutCurl(context);
  const key = randomUUID();
  const rule = JSON.stringify({
    match: { operation: 'uploadChunk' },
    fault: 'status@headers:503,retryAfter=1',
  });
  expect((await curl('--json', rule, ...at('open', key, '/__admin/rules'))).status).toBe(201);
  const shown = await curlAll(['--retry', '2', ...chunk(await fileOf(SMALL), 'f'), ...at('open', key)]);
  expect(shown.at(-1)).toMatchObject({ exit: 0, status: 200 });
  expect((await exchangesOf(key)).map(({ response }) => response?.status)).toEqual([503, 200]);
  expect(await storedUpload(key, 'f')).toBe(sha256(SMALL));
});

interface Refusal {
  readonly what: string;
  readonly status: number;
  readonly code: string;
  /** Arguments that go before, to be sent first. */
  readonly before?: readonly string[];
  readonly args: readonly string[];
}

/** Every refusal that a command line can meet, in the order in which they can be met. */
async function refusals(): Promise<Refusal[]> {
  const [path, other, empty] = [await fileOf(SMALL), await fileOf(LARGE.subarray(0, 10)), await fileOf('')];
  const [key, post] = [randomUUID(), ['-X', 'POST']];
  const open = at('open', key);
  const full = at('strict', FULL_KEY);
  const form = 'Content-Type: multipart/form-data';
  const bodyOf = (body: string): string[] => ['-H', `${form}; boundary=b`, '--data-binary', body];
  const invalid = { status: 400, code: 'invalid_request' };
  const malformed = { status: 400, code: 'malformed_multipart' };
  const noForm = { status: 415, code: 'unsupported_media_type' };
  const video = at('open', key, '/media/videos');
  return [
    {
      what: 'no key',
      status: 401,
      code: 'api_key_missing',
      args: [...chunk(path, 'f'), full.at(-1) ?? ''],
    },
    {
      what: 'a bad key',
      status: 401,
      code: 'api_key_invalid',
      args: [...chunk(path, 'f'), ...at('strict', 'no')],
    },
    { what: 'no file', ...invalid, args: [...chunk(path, 'f').slice(2), ...open] },
    { what: 'no fileId', ...invalid, args: [...chunk(path, 'f').slice(0, -2), ...open] },
    { what: 'an index beyond the total', ...invalid, args: [...chunk(path, 'f', [2, 2]), ...open] },
    { what: 'a field twice', ...invalid, args: [...chunk(path, 'f'), '-F', 'fileId=g', ...open] },
    { what: 'a status query without a fileId', ...invalid, args: open },
    { what: 'broken percent-encoding', ...invalid, args: at('open', key, '/media/chunks?fileId=%zz') },
    { what: 'an urlencoded body', ...noForm, args: ['-d', 'fileId=f', ...open] },
    { what: 'a JSON body', ...noForm, args: ['--json', '{"fileId":"f"}', ...open] },
    { what: 'no body', ...noForm, args: [...post, ...open] },
    {
      what: 'a packed body',
      ...noForm,
      args: ['-H', 'Content-Encoding: gzip', ...chunk(path, 'f'), ...open],
    },
    { what: 'no boundary', ...malformed, args: ['-H', form, '--data-binary', 'x', ...open] },
    { what: 'no form in the body', ...malformed, args: [...bodyOf('nothing of a form'), ...open] },
    {
      what: 'line feeds only',
      ...malformed,
      args: [...bodyOf('--b\nContent-Disposition: x\n\ny\n--b--'), ...open],
    },
    { what: 'a form that is cut off', ...malformed, args: [...bodyOf('--b\r\nX: y\r\n\r\nz'), ...open] },
    {
      what: 'a chunk without bytes',
      status: 400,
      code: 'empty_chunk',
      args: [...chunk(empty, 'f', [0, 2]), ...open],
    },
    { what: 'a gap', status: 409, code: 'chunk_out_of_order', args: [...chunk(path, 'f', [1, 2]), ...open] },
    {
      what: 'other bytes',
      status: 409,
      code: 'chunk_conflict',
      before: [...chunk(path, 'f', [0, 2]), ...open],
      args: [...chunk(other, 'f', [0, 2]), ...open],
    },
    {
      what: 'another total',
      status: 409,
      code: 'total_chunks_mismatch',
      args: [...chunk(path, 'f', [1, 3]), ...open],
    },
    {
      what: 'finalising half an upload',
      status: 409,
      code: 'upload_incomplete',
      args: ['-F', 'fileId=f', '-F', 'platforms=["youtube"]', ...video],
    },
    {
      what: 'finalising nothing',
      status: 404,
      code: 'upload_not_found',
      args: ['-F', 'fileId=g', '-F', 'platforms=["youtube"]', ...video],
    },
    {
      what: 'a file of another kind',
      status: 415,
      code: 'unsupported_media',
      args: ['-F', `file=@${path};filename=a.txt`, '-F', 'platforms=["youtube"]', ...video],
    },
    { what: 'no such entry', status: 404, code: 'media_not_found', args: at('open', key, '/media/videos/1') },
    { what: 'no such route', status: 404, code: 'not_found', args: at('open', key, '/media/chunk') },
    { what: 'no such method', status: 405, code: 'method_not_allowed', args: ['-X', 'PUT', ...open] },
    {
      what: 'headers without end',
      status: 431,
      code: 'headers_too_large',
      args: ['-H', `X-Long: ${'long '.repeat(4_000)}`, ...open],
    },
    {
      what: 'one open upload too many',
      status: 429,
      code: 'too_many_open_uploads',
      before: [...chunk(path, 'a', [0, 2]), ...full, '--next', ...chunk(path, 'b', [0, 2]), ...full],
      args: [...chunk(path, 'c', [0, 2]), ...full],
    },
  ];
}

it('every refusal is one line of JSON with a sentence, and no error of curl', async (context) => {
  skipWithoutCurl(context);
  for (const { what, status, code, before, args } of await refusals()) {
    if (before !== undefined) for (const first of await curlAll(before)) expect(first.status, what).toBe(200);
    const shown = await curl(...args);
    expect([shown.exit, shown.stderr, shown.status, errorCodeIn(shown.text)], what).toEqual([
      0,
      '',
      status,
      code,
    ]);
    expect(shown.contentType, what).toBe('application/json; charset=utf-8');
    const { success, message } = JSON.parse(shown.text) as { success: boolean; message: string };
    expect(success, what).toBe(false);
    // A sentence, which stands first, and nothing that a terminal would act on.
    expect(message, what).toMatch(/^[^\p{Cc}]{20,300}$/u);
    expect(message.split(' ').length, what).toBeGreaterThan(4);
    expect(shown.text, what).toMatch(/^\{"success":false,"message":"/);
  }
});

/** Resolves when the server has answered this key with 408. */
async function timedOut(key: string): Promise<void> {
  const headers = { 'X-API-Key': key, 'Content-Type': 'application/json' };
  const body = JSON.stringify({ status: 408, timeoutMs: 10_000 });
  const response = await fetch(`${inject('strictUrl')}/__admin/requests/wait`, {
    method: 'POST',
    headers,
    body,
  });
  expect(response.status, await response.text()).toBe(200);
}

it('a body that goes silent is 408, which curl shows when its input goes on', async (context) => {
  skipWithoutCurl(context);
  const streamed = ['-X', 'POST', '-T', '.', '-H', 'Content-Type: multipart/form-data; boundary=b'];
  // Until then curl receives nothing: it only waits for its input.
  const [shown] = await curlAll([...streamed, '--no-progress-meter', ...at('strict', KEY)], async (input) => {
    input.write('--b\r\n');
    await timedOut(KEY);
    input.write('X');
  });
  expect(shown).toMatchObject({ exit: 0, stderr: '', status: 408 });
  expect(errorCodeIn(shown?.text ?? '')).toBe('request_timeout');
});

it('--fail tells the status, --fail-with-body the sentence, too', async (context) => {
  skipWithoutCurl(context);
  const args = [...chunk(await fileOf(SMALL), 'f', [1, 2]), ...at('open', randomUUID())];
  const quiet = await curl('--fail', ...args);
  expect([quiet.exit, quiet.stderr]).toEqual([22, 'curl: (22) The requested URL returned error: 409\n']);
  const told = await curl('--fail-with-body', ...args);
  expect([told.exit, errorCodeIn(told.text)]).toEqual([22, 'chunk_out_of_order']);
});
