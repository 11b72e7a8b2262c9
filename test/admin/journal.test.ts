// journal.test.ts: the journal over HTTP: readable at once, bounded, without secrets, to be queried, waited for and exported.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { openServer } from '../../src/app.ts';
import { resolveConfig } from '../../src/config/config.ts';
import { createDouble } from '../../src/control/in-process.ts';
import { version } from '../../src/index.ts';
import type { Exchange } from '../../src/journal/exchange.ts';
import { DEFAULT_FIXTURES } from '../../src/media/accounts.ts';
import { createLogger } from '../../src/telemetry/telemetry.ts';
import { eventually, metric, openTestServer } from '../helpers/app.ts';
import { DoubleClient, type Told } from '../helpers/double-client.ts';
import { chunkParts, formOf } from '../helpers/multipart.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';
import { onRecordAtOnce } from './journal-suite.ts';

interface Found {
  readonly requests: readonly Exchange[];
  readonly meta: { readonly total: number; readonly evicted: number };
}

interface Refused {
  readonly error: string;
  readonly details: { readonly problems: readonly object[] };
}

const seqsOf = ({ body }: Told<Found>): number[] => body.requests.map(({ seq }) => seq);

onRecordAtOnce(500);

describe('an exchange', () => {
  it('says what was sent, what was stored, what was answered, and on which connection (§11.5)', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.chunk({ index: 0, total: 2, bytes: 'first ' });
    await own.chunk({ index: 1, total: 2, bytes: 'second' });
    const { body } = await own.admin<Exchange>('GET requests/2');
    const { body: form } = formOf(
      chunkParts({ fileId: 'f', chunkIndex: 1, totalChunks: 2, bytes: Buffer.from('second') }),
    );
    expect(body).toMatchObject({
      seq: 2,
      connection: { id: 1, exchange: 2, reused: true },
      operation: 'uploadChunk',
      method: 'POST',
      path: '/media/chunks',
      upload: { fileId: 'f', chunkIndex: 1, attempt: 1 },
      body: {
        declaredBytes: form.length,
        receivedBytes: form.length,
        fileBytes: 6,
        parts: [
          { name: 'file', filename: 'blob', bytes: 6, crc32: 'b61f1169' },
          { name: 'chunkIndex', bytes: 1 },
          { name: 'totalChunks', bytes: 1 },
          { name: 'fileId', bytes: 1 },
        ],
      },
      committed: { offset: 6, bytes: 6 },
      fault: null,
      response: { status: 200 },
      outcome: 'answered',
      suspectedTransportReplay: false,
      contract: { request: [], response: [] },
    });
  });

  it('whose client left early says so, and what had come', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    const connection = await openConnection(server.port);
    const { contentType, body } = formOf(
      chunkParts({ fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.alloc(1000) }).toReversed(),
    );
    const whole = requestBytes('POST /media/chunks', { 'content-type': contentType, 'x-api-key': 'k' }, body);
    await connection.write(whole.subarray(0, whole.length - 500));
    await own.admin('POST requests/count');
    connection.destroy();
    const { body: found } = await own.admin<Found>('POST requests/wait', { outcome: 'client-aborted' });
    expect(found.requests).toMatchObject([
      { upload: { fileId: 'f' }, committed: null, response: null, body: { declaredBytes: body.length } },
    ]);
    expect(found.requests[0]?.body.receivedBytes).toBeLessThan(body.length);
  });

  it('whose client left while its chunk waited for its turn says that it was stored all the same', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    const parts = chunkParts({ fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.alloc(1000) });
    const whole = (ordered: typeof parts): Buffer => {
      const { contentType, body } = formOf(ordered);
      return requestBytes('POST /media/chunks', { 'content-type': contentType, 'x-api-key': 'k' }, body);
    };
    const holder = await openConnection(server.port);
    await holder.write(whole(parts.toReversed()).subarray(0, -500));
    await eventually(
      () => metric(server, 'open_uploads'),
      (count) => count === 1,
    );
    const waiting = await openConnection(server.port);
    await waiting.write(whole(parts));
    await own.admin('GET health'); // By then it has come.
    waiting.reset(); // Who leaves by FIN may still wait for the answer.
    await own.admin('POST requests/wait', { outcome: 'client-aborted', chunkIndex: 0 });
    holder.destroy();
    expect(
      await eventually(
        () => own.size(),
        (size) => size !== null,
      ),
    ).toBe(1000);
    const { body } = await own.admin<Found>('POST requests/find', { operation: 'uploadChunk' });
    const [first, second] = body.requests;
    expect([first?.outcome, first?.committed]).toEqual(['client-aborted', { offset: 0, bytes: 1000 }]);
    expect([second?.outcome, second?.committed]).toEqual(['client-aborted', null]);
  });

  it('of a status query says what the client was told, whoever made it up', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.size();
    await own.chunk({ index: 0, total: 3 });
    await own.chunk({ index: 1, total: 3 });
    await own.size();
    const ask = (id: string, fault: unknown): Promise<unknown> =>
      own
        .admin('POST rules', { id, match: { operation: 'getUploadStatus' }, fault })
        .then(() => own.size('f').catch(() => null));
    await ask('stale', 'stale-status');
    const body = { success: true, data: { exists: true, currentSize: 7, fileId: 'f' } };
    await ask('made up', { effect: 'status', status: 200, body: JSON.stringify(body) });
    for (const fault of ['status@headers:503', 'close@response:10', 'empty@response'])
      await ask(fault, fault);
    await own.ask('HEAD', '/media/chunks?fileId=f');
    await own.ask('GET', '/media/chunks');
    const { body: found } = await own.admin<Found>('GET requests');
    expect(found.requests.map(({ told }) => told)).toEqual([
      { exists: false, currentSize: 0 },
      null,
      null,
      { exists: true, currentSize: 10 },
      { exists: true, currentSize: 5 },
      { exists: true, currentSize: 7 },
      null,
      null,
      null,
      null,
      null,
    ]);
  });

  it('of a status query says which upload and which attempt, whatever cut it and whatever rules there are', async () => {
    for (const other of [
      [],
      [{ match: { operation: 'getUploadStatus', fileId: 'other' }, fault: 'close' }],
    ]) {
      const own = new DoubleClient(await openTestServer({ apiKeys: ['k'] }), 'k');
      const cut = { match: { operation: 'getUploadStatus' }, fault: 'reset@headers', times: 2 };
      await own.admin('POST rules', [...other, cut]);
      for (let n = 0; n < 3; n += 1) await own.ask('GET', '/media/chunks?fileId=f%20g');
      await own.ask('GET', '/media/chunks?fileId=');
      const { body } = await own.admin<Found>('GET requests');
      expect(body.requests.map(({ upload }) => upload)).toEqual([
        { fileId: 'f g', chunkIndex: null, attempt: 1 },
        { fileId: 'f g', chunkIndex: null, attempt: 2 },
        { fileId: 'f g', chunkIndex: null, attempt: 3 },
        null,
      ]);
    }
  });

  it('of a status query that never reached the rules says which upload, too; a chunk that was not read does not', async () => {
    const server = await openTestServer({ apiKeys: ['k'] });
    const [stranger, own] = [new DoubleClient(server, 'another'), new DoubleClient(server, 'k')];
    await stranger.ask('GET', '/media/chunks?fileId=f');
    await own.admin('POST rules', { match: { operation: 'uploadChunk' }, fault: 'reset@headers' });
    await own.chunk();
    const { body } = await own.admin<Found>('GET requests?namespace=*');
    expect(body.requests.map(({ upload }) => upload)).toEqual([
      { fileId: 'f', chunkIndex: null, attempt: null },
      null,
    ]);
  });

  it('that broke the contract says how: the client’s side (§11.5)', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.ask('GET', '/media/chunks');
    await own.ask('POST', '/media/videos', { json: { fileId: 'f', platforms: ['vimeo'] } });
    await own.size();
    const { body: found } = await own.admin<Found>('GET requests');
    expect(found.requests.map(({ contract }) => contract)).toEqual([
      { request: ['getUploadStatus: fileId is missing'], response: [] },
      {
        request: expect.arrayContaining([expect.stringMatching(/^createVideo: body\/platforms/)]),
        response: [],
      },
      { request: [], response: [] },
    ]);
  });

  it('that broke the contract says how: the server’s side', async () => {
    const { config, sources } = resolveConfig([
      { source: 'option', values: { port: 0, storage: 'memory', logLevel: 'silent' } },
    ]);
    const server = await openServer({
      config,
      sources,
      version,
      fixtures: DEFAULT_FIXTURES,
      logger: createLogger('silent', { write: () => undefined }),
      observe: (app) => app.addHook('onSend', async () => '{"success":true,"data":{}}'),
    });
    try {
      await fetch(`${server.url}/media/chunks?fileId=f`);
      const [exchange] = server.journal?.find('public').exchanges ?? [];
      expect(exchange?.contract).toEqual({
        request: [],
        response: [
          expect.stringContaining("getUploadStatus 200: body/data must have required property 'exists'"),
        ],
      });
    } finally {
      await server.close();
    }
  });

  it('that a rule touched says which, where and how (§11.5)', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.admin('POST rules', { id: 'half', match: { chunkIndex: 0 }, fault: 'reset@body:4' });
    expect((await own.chunk({ bytes: '0123456789' })).status).toBe(0);
    expect((await own.admin<Found>('GET requests?ruleId=*')).body.requests).toMatchObject([
      {
        fault: { ruleId: 'half', phase: 'body', effect: 'reset', atByte: 4 },
        body: { fileBytes: 4 },
        outcome: 'fault-reset',
        response: null,
        committed: null,
      },
    ]);
  });

  it('that there is not, or is another key’s, is 404', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.chunk();
    for (const seq of ['2', '0', '-1', '1.0', '1e0', 'x', ' 1'].map(encodeURIComponent)) {
      const { status, body } = await own.admin<Refused>(`GET requests/${seq}`);
      expect([seq, status, body.error]).toEqual([seq, 404, 'exchange_not_found']);
    }
    expect((await new DoubleClient(server, 'other').admin('GET requests/1')).status).toBe(404);
    expect((await new DoubleClient(server).admin('GET requests/1?namespace=*')).status).toBe(200);
  });
});

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
