// routes/not-http.test.ts: what comes on a connection and is not HTTP.
import { describe, expect, it } from 'vitest';
import { errorSchema } from '../../../src/contract/bodies.ts';
import { eventually, metric, openTestServer, sizeOf, wireOf } from '../../helpers/app.ts';
import { fieldsFirst, formOf } from '../../helpers/multipart.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';
import { contentType } from './replies-steps.ts';

describe('what is not HTTP', () => {
  it.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['a TLS greeting', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001'],
    ['a broken header', 'GET /profiles HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n'],
    ['a space before the colon', 'GET /profiles HTTP/1.1\r\nHost : x\r\n\r\n'],
    [
      'two lengths',
      `POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
    ],
    [
      'a length and a transfer coding',
      'POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a length that is none', 'POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc'],
    ['an unknown version', 'GET /profiles HTTP/9.9\r\nHost: x\r\n\r\n'],
  ])('%s is 400 in the envelope of every error, and the connection ends (§1.5)', async (_name, bytes) => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    await connection.write(Buffer.from(bytes, 'latin1'));
    const answer = await connection.answer();
    expect(answer?.status, answer?.text).toBe(400);
    expect(answer?.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(errorSchema.parse(JSON.parse(answer?.text ?? '')).error).toBe('invalid_request');
    await connection.closed();
    expect(connection.leftOver).toBe('');
  });

  it('headers of more than 16 KiB are 431', async () => {
    const server = await openTestServer();
    for (const bytes of [
      requestBytes('GET /profiles', { 'x-api-key': 'k'.repeat(20_000) }),
      requestBytes(`GET /media/chunks?fileId=${'x'.repeat(20_000)}`),
    ]) {
      const connection = await openConnection(server.port);
      await connection.write(bytes);
      const answer = await connection.answer();
      expect([answer?.status, wireOf(answer?.text).error]).toEqual([431, 'headers_too_large']);
      await connection.closed();
    }
  });

  it('a broken chunk inside a transfer coding stores nothing and ends the connection', async () => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    const form = formOf(
      fieldsFirst({ fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.alloc(1_000) }),
    ).body;
    await connection.write(
      requestBytes('POST /media/chunks', { 'content-type': contentType, 'transfer-encoding': 'chunked' }),
    );
    await connection.write(`${(600).toString(16)}\r\n`);
    await connection.write(form.subarray(0, 600));
    await connection.write('\r\nnot a size\r\n');
    const answer = await connection.answer();
    if (answer !== null) expect(answer.status).toBe(400);
    await connection.closed();
    await eventually(
      () => metric(server, 'open_uploads'),
      (count) => count === 0,
    );
    expect(await sizeOf(server)).toBeNull();
  });

  it('a path with a broken percent-encoding is 400', async () => {
    const server = await openTestServer();
    for (const path of ['/media/videos/%', '/media/videos/%FF', '/media/images/%zz', '/%E0%A4%A']) {
      const connection = await openConnection(server.port);
      await connection.write(requestBytes(`GET ${path}`, { 'x-api-key': 'k' }));
      const answer = await connection.answer();
      expect([answer?.status, wireOf(answer?.text).error], path).toEqual([400, 'invalid_request']);
    }
  });
});
