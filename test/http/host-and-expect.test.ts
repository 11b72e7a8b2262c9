// host-and-expect.test.ts: what Node would answer by itself is answered like everything else.
import { describe, expect, it } from 'vitest';
import { loadContract } from '../../src/contract.ts';
import { errorSchema } from '../../src/http/schemas.ts';
import { ask, openTestServer, sizeOf, wireOf } from '../helpers/app.ts';
import { chunkParts, formOf } from '../helpers/multipart.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';

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
