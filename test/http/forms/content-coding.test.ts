// http/forms/content-coding.test.ts: a body that was compressed on its way is refused as such, before its client sends it (C11, F1).
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { ask, openTestServer, sizeOf } from '../../helpers/app.ts';
import { chunkParts, formOf } from '../../helpers/multipart.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';

const FORM = formOf(
  chunkParts({ fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.from('bytes of a file') }),
);
const FORMS = { 'content-type': FORM.contentType, 'x-api-key': 'k' };
const JSON_BODY = Buffer.from('{"fileId":"f","platforms":["youtube"]}');
const PATHS = ['/media/chunks', '/media/videos', '/api/v1/media/images'];

it.each(PATHS)('a form with a Content-Encoding is 415, which says what to send: POST %s', async (path) => {
  const server = await openTestServer();
  for (const coding of ['gzip', 'GZIP', 'br', 'identity, gzip', 'what?']) {
    const headers = { ...FORMS, 'content-encoding': coding };
    const answer = await ask(server, path, { method: 'POST', headers, body: gzipSync(FORM.body) });
    expect([answer.status, answer.body.error]).toEqual([415, 'unsupported_media_type']);
    expect(answer.body.message).toContain(`Content-Encoding ${JSON.stringify(coding)}`);
    expect(answer.headers.get('accept-encoding')).toBe('identity');
  }
  expect(await sizeOf(server)).toBeNull();
});

it('a compressed JSON body is 415, too', async () => {
  const server = await openTestServer();
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip', 'x-api-key': 'k' };
  const answer = await ask(server, '/media/videos', { method: 'POST', headers, body: gzipSync(JSON_BODY) });
  expect([answer.status, answer.body.error]).toEqual([415, 'unsupported_media_type']);
});

it.each(['identity', 'Identity', ''])('Content-Encoding: %o is none', async (coding) => {
  const server = await openTestServer();
  const headers = { 'content-type': FORM.contentType, 'content-encoding': coding };
  const answer = await ask(server, '/media/chunks', { method: 'POST', headers, body: FORM.body });
  expect(answer.status, answer.text).toBe(200);
  expect(await sizeOf(server)).toBe(15);
});

it('a client that waits for 100 Continue gets the refusal instead', async () => {
  const server = await openTestServer();
  const connection = await openConnection(server.port);
  const headers = { ...FORMS, 'content-encoding': 'gzip', expect: '100-continue', 'content-length': 1_000 };
  await connection.write(requestBytes('POST /media/chunks', headers));
  expect((await connection.answer())?.status).toBe(415);
  await connection.closed();
});
