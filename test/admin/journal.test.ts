// journal.test.ts: the journal over HTTP: what it records about an exchange, immediately and without secrets.
import { describe, expect, it } from 'vitest';
import { openServer } from '../../src/app.ts';
import { resolveConfig } from '../../src/config/config.ts';
import { version } from '../../src/index.ts';
import type { Exchange } from '../../src/journal/exchange.ts';
import { DEFAULT_FIXTURES } from '../../src/media/accounts.ts';
import { createLogger } from '../../src/telemetry/telemetry.ts';
import { eventually, metric, openTestServer } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { chunkParts, formOf } from '../helpers/multipart.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';
import { onRecordAtOnce } from './journal-suite.ts';
import { type Found, type Refused } from './journal-steps.ts';

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
    await own.admin('GET health'); // When this is answered, the chunk has arrived.
    waiting.reset(); // It leaves by RST, because a client that leaves by FIN may still wait for the answer.
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
