// http/connection/host-and-expect.test.ts: requests that Node would answer by itself are answered like all others.
import { describe, expect, it } from 'vitest';
import { loadContract } from '../../../src/contract/contract.ts';
import { errorSchema } from '../../../src/contract/bodies.ts';
import { ask, openTestServer, sizeOf, wireOf } from '../../helpers/app.ts';
import { chunkParts, formOf } from '../../helpers/multipart.ts';
import { chunkedCoding, openConnection, requestBytes, type RawAnswer } from '../../helpers/raw.ts';

const { contentType, body: chunk } = formOf(
  chunkParts({ fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.from('bytes') }),
);
const FORM = `Content-Type: ${contentType}\r\nContent-Length: ${chunk.length}\r\n`;

const withoutHost = (line: string, headers = ''): string => `${line} HTTP/1.1\r\n${headers}\r\n`;

describe('a request without a Host', () => {
  const lines = [
    ...loadContract().operations.map(({ method, path }) => `${method} ${path.replace('{id}', '0')}`),
    'GET /api/v1/profiles',
    'GET /nowhere',
    'PUT /profiles',
    'OPTIONS /media/chunks',
    'GET /__admin/health',
    'GET /__admin/rules',
    'POST /__admin/reset',
  ];

  it.each(lines)('is 400 in the envelope of every error, with its line in the log: %s', async (line) => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    await connection.write(withoutHost(line, 'X-API-Key: k\r\nContent-Length: 0\r\n'));
    const answer = await connection.answer();
    expect([answer?.status, answer?.headers['content-type'], answer?.headers['cache-control']]).toEqual([
      400,
      'application/json; charset=utf-8',
      'no-store',
    ]);
    const { error, message, requestId } = errorSchema.parse(JSON.parse(answer?.text ?? ''));
    expect([error, message]).toEqual(['invalid_request', expect.stringContaining('Host')]);
    expect(requestId).toBe(answer?.headers['x-request-id']);
    expect(server.log.filter(({ reqId }) => reqId === requestId)).toMatchObject([
      { msg: 'request', status: 400, code: 'invalid_request' },
    ]);
  });

  it('is counted, is no exchange of the journal, stores nothing, and the connection goes on', async () => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    await connection.write(Buffer.concat([Buffer.from(withoutHost('POST /media/chunks', FORM)), chunk]));
    expect((await connection.answer())?.status).toBe(400);
    expect(server.journal?.count('*')).toBe(0);
    await connection.write(requestBytes('GET /media/chunks?fileId=f'));
    expect(wireOf((await connection.answer())?.text).data).toMatchObject({ exists: false });
    expect((await ask(server, '/__admin/metrics')).text).toContain(
      'requests_total{operation="uploadChunk",status="400",code="invalid_request"} 1',
    );
  });

  it('is refused on a port of the admin plane, too', async () => {
    const server = await openTestServer({ adminPort: 0 });
    const connection = await openConnection(Number(new URL(server.adminUrl ?? '').port));
    await connection.write(withoutHost('GET /__admin/rules'));
    const answer = await connection.answer();
    expect([answer?.status, wireOf(answer?.text).error]).toEqual([400, 'invalid_request']);
  });

  it('that waits for 100 Continue is refused instead', async () => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    await connection.write(withoutHost('POST /media/chunks', `${FORM}Expect: 100-continue\r\n`));
    const answer = await connection.answer();
    expect([answer?.status, answer?.headers['connection']]).toEqual([400, 'close']);
    await connection.closed();
  });

  it('is served if it is of HTTP/1.0', async () => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    await connection.write('GET /media/chunks?fileId=f HTTP/1.0\r\n\r\n');
    expect((await connection.answer())?.status).toBe(200);
  });
});

it('a request with several Hosts is 400', async () => {
  const server = await openTestServer();
  const connection = await openConnection(server.port);
  await connection.write(withoutHost('GET /media/chunks?fileId=f', 'Host: a\r\nHost: b\r\n'));
  const answer = await connection.answer();
  expect([answer?.status, wireOf(answer?.text).error]).toEqual([400, 'invalid_request']);
});

it('an expectation that nobody knows is ignored: the request is served, and is on record', async () => {
  const server = await openTestServer();
  const connection = await openConnection(server.port);
  await connection.write(
    requestBytes('POST /media/chunks', { 'content-type': contentType, expect: 'something' }, chunk),
  );
  const answer = await connection.answer();
  expect([answer?.status, wireOf(answer?.text).data], answer?.text).toEqual([
    200,
    { completed: true, fileId: 'f' },
  ]);
  expect(await sizeOf(server)).toBe(5);
  expect(server.journal?.count('*', { operation: 'uploadChunk', status: 200 })).toBe(1);
});

describe('a Host', () => {
  const asked = (host: string): Promise<RawAnswer | null> =>
    openTestServer().then(async ({ port }) => {
      const connection = await openConnection(port);
      await connection.write(`GET /media/chunks?fileId=f HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      return connection.answer();
    });

  it.each(['a b/c', 'a/b', 'user@host', 'a:b', '[::1', 'é.example', 'a%zz'])(
    'that is no host is 400: %s',
    async (host) => {
      const answer = await asked(host);
      expect([answer?.status, wireOf(answer?.text).error]).toEqual([400, 'invalid_request']);
    },
  );

  it.each(['x', 'localhost:4310', '[::1]:80', 'under_score.example:', '127.0.0.1', 'a%20b', ''])(
    'that is one is taken: %j',
    async (host) => expect((await asked(host))?.status).toBe(200),
  );
});

describe('a key given twice (K6)', () => {
  it.each([
    ['X-API-Key: a\r\nX-API-Key: b', 'X-API-Key'],
    ['x-api-key: a\r\nX-Api-Key: A', 'X-Api-Key'],
    ['Authorization: Bearer a\r\nAuthorization: Bearer b', 'Authorization'],
  ])('with different values is 400, and never a third namespace: %j', async (lines, named) => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    for (const line of ['GET /media/chunks?fileId=f', 'GET /channels', 'GET /__admin/uploads']) {
      await connection.write(`${line} HTTP/1.1\r\nHost: x\r\n${lines}\r\n\r\n`);
      const answer = await connection.answer();
      expect([answer?.status, wireOf(answer?.text).error]).toEqual([400, 'invalid_request']);
      expect(wireOf(answer?.text).message).toContain(`${named}: given twice`);
    }
    expect(server.journal?.count('*')).toBe(0);
  });

  it('with one value, or as two kinds, is one key', async () => {
    const { port } = await openTestServer();
    const connection = await openConnection(port);
    for (const lines of [
      'X-API-Key: a\r\nX-API-Key: a',
      'X-API-Key: a\r\nAuthorization: Bearer b',
      'X-API-Key: a, b',
    ]) {
      await connection.write(`GET /channels HTTP/1.1\r\nHost: x\r\n${lines}\r\n\r\n`);
      expect((await connection.answer())?.status).toBe(200);
    }
  });
});

describe('a body that is coded once more (RFC 9112 §6.1)', () => {
  it.each(['gzip, chunked', 'identity, chunked', 'deflate,chunked'])(
    'is 501, and nothing of it is stored: %s',
    async (coding) => {
      const server = await openTestServer();
      const connection = await openConnection(server.port);
      const head = `POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Type: ${contentType}\r\nTransfer-Encoding: ${coding}\r\n\r\n`;
      await connection.write(Buffer.concat([Buffer.from(head), chunkedCoding(chunk)]));
      const answer = await connection.answer();
      expect([answer?.status, wireOf(answer?.text).error]).toEqual([501, 'not_implemented']);
      expect(await sizeOf(server)).toBeNull();
    },
  );

  it('is taken when it is chunked and no more, however that is written', async () => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    const head = `POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Type: ${contentType}\r\nTransfer-Encoding:  Chunked \r\n\r\n`;
    await connection.write(Buffer.concat([Buffer.from(head), chunkedCoding(chunk)]));
    expect((await connection.answer())?.status).toBe(200);
  });
});

it('another version of HTTP is 505 (RFC 9110 §15.6.6)', async () => {
  const { port } = await openTestServer();
  const connection = await openConnection(port);
  await connection.write('GET /media/chunks?fileId=f HTTP/2.0\r\nHost: x\r\n\r\n');
  const answer = await connection.answer();
  expect([answer?.status, wireOf(answer?.text).error]).toEqual([505, 'http_version_not_supported']);
});

describe('a client that waits for 100 Continue', () => {
  it.each([
    ['/media/chunks', 'text/plain', 415],
    ['/media/chunks', 'multipart/form-data', 400],
    ['/media/videos', 'text/plain', 415],
    ['/media/images', 'multipart/form-data', 400],
  ])('is refused at once for its content type: POST %s as %s', async (path, type, status) => {
    const { port } = await openTestServer();
    const connection = await openConnection(port);
    await connection.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\nContent-Type: ${type}\r\nContent-Length: 9999\r\nExpect: 100-continue\r\n\r\n`,
    );
    expect((await connection.answer())?.status).toBe(status);
  });
});
