// journal-queries.test.ts: the journal is queried, waited for, bounded and exported.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { createDouble } from '../../src/control/in-process.ts';
import { eventually, openTestServer } from '../helpers/app.ts';
import { DoubleClient, type Told } from '../helpers/double-client.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';
import { onRecordAtOnce } from './journal-suite.ts';
import { type Found, type Refused } from './journal-steps.ts';

onRecordAtOnce(500);

const seqsOf = ({ body }: Told<Found>): number[] => body.requests.map(({ seq }) => seq);

describe('queries', () => {
  async function recorded(): Promise<DoubleClient> {
    const own = new DoubleClient(await openTestServer(), 'k');
    for (const index of [0, 1, 1, 2]) await own.chunk({ index, total: 4, bytes: `chunk ${index}` });
    await own.chunk({ index: 0, total: 4, bytes: 'another' });
    await own.size();
    return own;
  }

  it.each<[string, number[]]>([
    ['', [1, 2, 3, 4, 5, 6]],
    ['operation=getUploadStatus', [6]],
    ['chunkIndex=1', [2, 3]],
    ['chunkIndex=1&attempt=2', [3]],
    ['status=409', [5]],
    ['outcome=refused&errorCode=chunk_conflict', [5]],
    ['fileId=f&operation=uploadChunk', [1, 2, 3, 4, 5]],
    ['fileId=other', []],
    ['sinceSeq=4', [5, 6]],
    ['sinceSeq=1&limit=2', [2, 3]],
    ['limit=2', [5, 6]],
    ['limit=0', []],
  ])('GET requests?%s (§11.4)', async (query, seqs) => {
    const own = await recorded();
    const found = await own.admin<Found>(`GET requests?${query}`);
    expect(seqsOf(found)).toEqual(seqs);
    if (!query.includes('limit')) expect(found.body.meta).toEqual({ total: seqs.length, evicted: 0 });
  });

  it('of the body find and count what those of the query find (§9.7)', async () => {
    const own = await recorded();
    const matcher = { operation: 'uploadChunk', chunkIndex: 1 };
    expect(seqsOf(await own.admin<Found>('POST requests/find', matcher))).toEqual([2, 3]);
    expect((await own.admin('POST requests/count', matcher)).body).toEqual({ count: 2 });
    expect((await own.admin('POST requests/count', {})).body).toEqual({ count: 6 });
  });

  it('page through everything by sinceSeq and limit', async () => {
    const own = await recorded();
    const seqs: number[] = [];
    for (;;) {
      const page = seqsOf(await own.admin<Found>(`GET requests?sinceSeq=${seqs.at(-1) ?? 0}&limit=4`));
      if (page.length === 0) break;
      seqs.push(...page);
    }
    expect(seqs).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('that mean nothing are refused, each place by its pointer', async () => {
    const own = await recorded();
    for (const [line, json, problems] of [
      ['GET requests?chunk=1', undefined, [{ pointer: '/chunk' }]],
      ['GET requests?chunkIndex=one', undefined, [{ pointer: '/chunkIndex' }]],
      ['GET requests?outcome=lost', undefined, [{ pointer: '/outcome' }]],
      ['POST requests/find', { chunkIndex: -1, what: 1 }, [{ pointer: '/chunkIndex' }, { pointer: '/what' }]],
      ['POST requests/count', [], [{ pointer: '' }]],
      ['POST requests/wait', { count: 0 }, [{ pointer: '/count' }]],
      ['POST requests/wait', { timeoutMs: 600_001 }, [{ pointer: '/timeoutMs' }]],
    ] as const) {
      const { status, body } = await own.admin<Refused>(line, json);
      expect([line, status, body.error]).toEqual([line, 400, 'invalid_matcher']);
      expect(body.details.problems).toMatchObject(problems);
    }
    for (const query of [
      'limit=',
      'limit=1e3',
      'limit=-1',
      'limit=x',
      'limit=1&limit=2',
      'format=xml',
      'format=',
    ]) {
      const { status, body } = await own.admin<Refused>(`GET requests?${query}`);
      expect([query, status, body.error]).toEqual([query, 400, 'invalid_request']);
    }
    for (const line of ['GET requests?fileId=%FF', 'GET requests?fileId=%', 'GET uploads?fileId=%FF']) {
      const { status, body } = await own.admin<{ error: string; details: object }>(line);
      const details = { fields: [{ field: 'fileId', message: 'not percent-encoded UTF-8 text' }] };
      expect([line, status, body.error, body.details]).toEqual([line, 400, 'invalid_request', details]);
    }
  });

  it('find nothing after DELETE, and numbers go on (§9.7)', async () => {
    const own = await recorded();
    expect((await own.admin('DELETE requests')).body).toEqual({ deleted: true });
    expect(seqsOf(await own.admin<Found>('GET requests'))).toEqual([]);
    await own.size();
    expect(seqsOf(await own.admin<Found>('GET requests'))).toEqual([7]);
  });
});

describe('waiting', () => {
  it('ends at once when enough is on record already', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    for (const fileId of ['a', 'b']) await own.chunk({ fileId });
    const found = await own.admin<Found>('POST requests/wait', { operation: 'uploadChunk', count: 2 });
    expect([found.status, seqsOf(found)]).toEqual([200, [1, 2]]);
    expect(found.body.meta).toEqual({ total: 2, evicted: 0 });
  });

  it('ends as soon as the last one comes that it needs (§9.7)', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    const waiting = new DoubleClient(server, 'k').admin<Found>('POST requests/wait', {
      fileId: 'b',
      count: 2,
    });
    let hasEnded = false;
    void waiting.then(() => (hasEnded = true));
    for (const fileId of ['b', 'a', 'a']) await own.chunk({ fileId });
    expect(hasEnded).toBe(false);
    await own.chunk({ fileId: 'b' });
    expect(seqsOf(await waiting)).toEqual([1, 4]);
  });

  it('a hundred at once end each with its own', async () => {
    const server = await openTestServer();
    const waits = Array.from({ length: 100 }, (_, n) =>
      new DoubleClient(server, 'k').admin<Found>('POST requests/wait', { fileId: `f${n}` }),
    );
    const own = new DoubleClient(server, 'k');
    for (let n = 99; n >= 0; n -= 1) await own.chunk({ fileId: `f${n}` });
    const found = await Promise.all(waits);
    expect(found.map((one) => one.body.requests[0]?.upload?.fileId)).toEqual(waits.map((_, n) => `f${n}`));
  });

  it('is answered 408 with what it saw when the time is over (§11.4)', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.chunk();
    const { status, body } = await own.admin('POST requests/wait', { count: 2, timeoutMs: 20 });
    expect([status, body]).toEqual([
      408,
      {
        timedOut: true,
        message: 'waited 20 ms for 2 such exchanges and saw 1',
        requests: [expect.objectContaining({ seq: 1 })],
        meta: { total: 1, evicted: 0 },
      },
    ]);
  });

  it('that runs out tells the nearest misses, and one that the server ends says so, over HTTP and in process', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.chunk();
    const nearest = [{ seq: 1, differs: [{ field: 'chunkIndex', expected: 3, actual: 0 }] }];
    const missed = await own.admin('POST requests/wait', { chunkIndex: 3, timeoutMs: 1 });
    expect(missed).toMatchObject({ status: 408, body: { nearMisses: nearest } });
    const { journal } = createDouble(server).namespace('k');
    await expect(journal.wait({ chunkIndex: 3 }, { timeoutMs: 1 })).rejects.toThrow(
      /saw 0.*\n {2}nearest:\n.*\n.*but chunkIndex is 0, not 3/s,
    );
    const ended = expect(journal.wait({ chunkIndex: 3 })).rejects.toThrow(
      'the server was closed while somebody waited for 1 such exchanges and saw 0',
    );
    await server.close();
    await ended;
  });

  it('as text are one line each, for a person', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.chunk();
    await own.size();
    const headers = { accept: 'text/plain' };
    const told = await own.ask('GET', '/__admin/requests', { headers });
    expect([told.headers['content-type'], told.text]).toEqual([
      'text/plain; charset=utf-8',
      '#1 uploadChunk (POST /media/chunks) of "f" chunk 0 attempt 1: 200, answered\n' +
        '#2 getUploadStatus (GET /media/chunks?fileId=f) of "f" attempt 1: 200, answered\n',
    ]);
    expect((await own.ask('GET', '/__admin/requests?format=json', { headers })).body).toHaveProperty(
      'requests',
    );
  });

  it('does not outlive its client, nor hold up the end of the server', async () => {
    const server = await openTestServer();
    const waiting = new DoubleClient(server, 'k').admin('POST requests/wait', { timeoutMs: 600_000 });
    const connection = await openConnection(server.port);
    await connection.write(requestBytes('POST /__admin/requests/wait', {}, '{"timeoutMs":600000}'));
    connection.destroy();
    await new DoubleClient(server).admin('GET ready');
    await server.close();
    expect([0, 408]).toContain((await waiting).status);
  });
});

describe('what is kept', () => {
  it('is bounded by entries: the oldest go first, and are counted', async () => {
    const own = new DoubleClient(await openTestServer({ journalEntries: 5 }), 'k');
    for (let n = 0; n < 8; n += 1) await own.size();
    const found = await own.admin<Found>('GET requests');
    expect(seqsOf(found)).toEqual([4, 5, 6, 7, 8]);
    expect(found.body.meta).toEqual({ total: 5, evicted: 3 });
  });

  it('is bounded by bytes, whatever a client puts in', async () => {
    const server = await openTestServer({ journalBytes: '64KiB' });
    const own = new DoubleClient(server, 'k');
    for (let n = 0; n < 40; n += 1) await own.ask('GET', `/media/chunks?fileId=f&x=${'y'.repeat(6_000)}`);
    const { body } = await own.admin<Found>('GET requests');
    expect(body.requests.length).toBeGreaterThan(2);
    expect(body.requests.length).toBeLessThan(11);
    expect(body.meta.evicted).toBe(40 - body.requests.length);
    expect(server.journal?.bytes).toBeLessThanOrEqual(64 * 1024);
  });

  it('holds no secret and no body, in no form (K5)', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'hidden-key');
    const events = await openConnection(server.port);
    await events.write(requestBytes('GET /__admin/events?namespace=*'));
    await expect.poll(() => events.leftOver).toContain('\r\n\r\n');
    await own.chunk({ bytes: 'hidden-bytes' });
    await own.finalize('f', { title: 'hidden-title' });
    for (const name of ['api_key', 'token', 'X-API-Key', 'access_token', 'password', 'to%6ben']) {
      await own.ask('GET', `/media/chunks?fileId=f&${name}=hidden-value`);
    }
    await own.ask('GET', '/profiles', {
      headers: { authorization: 'Bearer hidden-key', cookie: 'hidden-cookie' },
    });
    const texts = [
      (await own.admin('GET requests')).text,
      (await own.admin('GET requests?format=har')).text,
      (await own.admin('POST requests/find', {})).text,
      (await own.admin('POST verify', { never: [{}] })).text,
      events.leftOver,
      JSON.stringify(server.log),
    ];
    for (const text of texts) {
      expect(text.length).toBeGreaterThan(1_000);
      expect(text).not.toContain('hidden-');
    }
  });

  it('is nothing of the admin plane and its probes', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    for (const path of ['health', 'ready', 'uploads', 'rules', 'nothing']) await own.admin(`GET ${path}`);
    expect((await own.admin('POST requests/count?namespace=*', {})).body).toEqual({ count: 0 });
  });
});

/** HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/): what it demands. Own fields begin with an underscore. */
const HAR = {
  $defs: {
    pairs: {
      type: 'array',
      items: {
        type: 'object',
        required: ['name', 'value'],
        properties: { name: { type: 'string' }, value: { type: 'string' } },
      },
    },
    sizes: { type: 'integer', minimum: -1 },
    times: { type: 'number', minimum: 0 },
    own: { patternProperties: { '^_': {} } },
  },
  type: 'object',
  required: ['log'],
  additionalProperties: false,
  properties: {
    log: {
      type: 'object',
      required: ['version', 'creator', 'entries'],
      additionalProperties: false,
      properties: {
        version: { const: '1.2' },
        creator: {
          type: 'object',
          required: ['name', 'version'],
          properties: { name: { type: 'string' }, version: { type: 'string' } },
        },
        entries: {
          type: 'array',
          items: {
            type: 'object',
            required: ['startedDateTime', 'time', 'request', 'response', 'cache', 'timings'],
            additionalProperties: false,
            patternProperties: { '^_': {} },
            properties: {
              startedDateTime: {
                type: 'string',
                pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$',
              },
              time: { $ref: '#/$defs/times' },
              connection: { type: 'string' },
              cache: { type: 'object', maxProperties: 0 },
              timings: {
                type: 'object',
                required: ['send', 'wait', 'receive'],
                additionalProperties: { $ref: '#/$defs/times' },
              },
              request: {
                type: 'object',
                required: [
                  'method',
                  'url',
                  'httpVersion',
                  'cookies',
                  'headers',
                  'queryString',
                  'headersSize',
                  'bodySize',
                ],
                properties: {
                  method: { type: 'string' },
                  url: { type: 'string', pattern: '^http://127\\.0\\.0\\.1:\\d+/' },
                  httpVersion: { const: 'HTTP/1.1' },
                  cookies: { type: 'array', maxItems: 0 },
                  headers: { $ref: '#/$defs/pairs' },
                  queryString: { $ref: '#/$defs/pairs' },
                  postData: {
                    type: 'object',
                    required: ['mimeType', 'params'],
                    properties: {
                      mimeType: { type: 'string' },
                      text: false, // "text and params fields are mutually exclusive"
                      params: {
                        type: 'array',
                        items: { type: 'object', required: ['name'], not: { required: ['value'] } },
                      },
                    },
                  },
                  headersSize: { $ref: '#/$defs/sizes' },
                  bodySize: { $ref: '#/$defs/sizes' },
                },
              },
              response: {
                type: 'object',
                required: [
                  'status',
                  'statusText',
                  'httpVersion',
                  'cookies',
                  'headers',
                  'content',
                  'redirectURL',
                  'headersSize',
                  'bodySize',
                ],
                properties: {
                  status: { type: 'integer', minimum: 0, maximum: 599 },
                  statusText: { type: 'string' },
                  cookies: { type: 'array', maxItems: 0 },
                  headers: { $ref: '#/$defs/pairs' },
                  content: {
                    type: 'object',
                    required: ['size', 'mimeType'],
                    properties: { size: { type: 'integer', minimum: 0 }, mimeType: { type: 'string' } },
                  },
                  redirectURL: { type: 'string' },
                  headersSize: { $ref: '#/$defs/sizes' },
                  bodySize: { $ref: '#/$defs/sizes' },
                },
              },
            },
          },
        },
      },
    },
  },
};

it('as an HTTP Archive it is one by the book, of the same exchanges', async () => {
  const server = await openTestServer();
  const own = new DoubleClient(server, 'k');
  await own.chunk({ index: 0, total: 2 });
  await own.admin('POST rules', { id: 'r', match: { chunkIndex: 1 }, fault: 'reset@body:2' });
  await own.chunk({ index: 1, total: 2 });
  await own.chunk({ index: 1, total: 2 });
  await own.finalize();
  await own.finalize('none');
  const { headers, body } = await own.admin<{
    log: { entries: { _seq: number; request: { url: string }; response: { status: number } }[] };
  }>('GET requests?format=har');
  expect(headers['content-type']).toContain('application/json');
  const validate = new Ajv2020().compile(HAR);
  expect(validate(body), JSON.stringify(validate.errors)).toBe(true);
  const entries = body.log.entries.map(({ _seq, request, response }) => [_seq, request.url, response.status]);
  expect(entries).toEqual([
    [1, `${server.url}/media/chunks`, 200],
    [2, `${server.url}/media/chunks`, 0],
    [3, `${server.url}/media/chunks`, 200],
    [4, `${server.url}/media/videos`, 201],
    [5, `${server.url}/media/videos`, 404],
  ]);
  const some = await own.admin<typeof body>('GET requests?format=har&status=404');
  expect(some.body.log.entries).toHaveLength(1);
  await eventually(
    () => own.admin<Found>('GET requests?sinceSeq=3&limit=1'),
    ({ body: { requests } }) => (requests[0]?.timing.totalMs ?? 0) > 0,
  );
});
