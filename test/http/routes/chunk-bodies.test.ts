// routes/chunk-bodies.test.ts: bodies of chunks that are not a form, or a broken one (C11).
import { expect, it } from 'vitest';
import type { ConfigInput } from '../../../src/config/options.ts';
import { ask, metric, openTestServer, sizeOf } from '../../helpers/app.ts';
import { BOUNDARY, chunkParts, fieldsFirst, formOf, type Part } from '../../helpers/multipart.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';
import { tinyChunks } from './tiny-chunks-suite.ts';
import { CHUNK, post } from './chunk-steps.ts';

tinyChunks(500);

it('a body that is not a form is refused as such (C11)', async () => {
  const server = await openTestServer();
  for (const contentType of [
    'application/json',
    'application/octet-stream',
    'text/plain',
    'multipart/mixed; boundary=b',
    'x',
  ]) {
    const answer = await ask(server, '/media/chunks', {
      method: 'POST',
      headers: { 'content-type': contentType },
      body: '{"fileId":"f"}',
    });
    expect([answer.status, answer.body.error], contentType).toEqual([415, 'unsupported_media_type']);
  }
  const bare = await openConnection(server.port);
  for (const body of ['', 'bytes']) {
    await bare.write(requestBytes('POST /media/chunks', {}, body));
    expect((await bare.answer())?.status, 'no Content-Type at all').toBe(415);
  }
});

it.each([
  ['no boundary', 'multipart/form-data', ''],
  ['an empty boundary', 'multipart/form-data; boundary=""', ''],
  ['an empty body', `multipart/form-data; boundary=${BOUNDARY}`, ''],
  ['another boundary in the body', 'multipart/form-data; boundary=other', formOf(chunkParts(CHUNK)).body],
  [
    'LF instead of CRLF',
    formOf([]).contentType,
    formOf(chunkParts(CHUNK)).body.toString('latin1').replaceAll('\r\n', '\n'),
  ],
  ['text instead of a form', formOf([]).contentType, 'just text'],
  [
    'the head of a part without an end',
    formOf([]).contentType,
    `--${BOUNDARY}\r\nContent-Disposition: form-data`,
  ],
  [
    'a part whose headers are too large',
    formOf([]).contentType,
    formOf([{ name: 'x'.repeat(20_000), value: '' }, ...chunkParts(CHUNK)]).body,
  ],
  [
    'too many parts',
    formOf([]).contentType,
    formOf([...Array.from({ length: 100 }, () => ({ name: 'x', value: '' })), ...chunkParts(CHUNK)]).body,
  ],
  [
    'a field that is too large',
    formOf([]).contentType,
    formOf(fieldsFirst({ ...CHUNK, fileId: 'x'.repeat(70_000) })).body,
  ],
])('a form with %s is refused, and nothing is stored (C11, §7.4)', async (_name, contentType, body) => {
  const server = await openTestServer();
  const answer = await ask(server, '/media/chunks', {
    method: 'POST',
    headers: { 'content-type': contentType },
    body,
  });
  expect([answer.status, answer.body.error]).toEqual([400, 'malformed_multipart']);
  expect(await sizeOf(server)).toBeNull();
  expect(await metric(server, 'stored_bytes')).toBe(0);
});

it.each<[string, ConfigInput, readonly Part[]]>([
  [
    '--max-parts',
    { maxParts: 5 },
    [...fieldsFirst(CHUNK), { name: 'x', value: '' }, { name: 'y', value: '' }],
  ],
  [
    '--max-part-header-bytes',
    { maxPartHeaderBytes: 200 },
    [...fieldsFirst(CHUNK), { name: 'x'.repeat(200), value: '' }],
  ],
  ['--max-field-bytes', { maxFieldBytes: 100 }, fieldsFirst({ ...CHUNK, fileId: 'x'.repeat(101) })],
])('%s is what a form may have: beyond it nothing is stored (§7.4)', async (_flag, settings, parts) => {
  const usual = await openTestServer();
  expect((await post(usual, parts)).status, 'by default it may').toBe(200);
  const strict = await openTestServer(settings);
  const answer = await post(strict, parts);
  expect([answer.status, answer.body.error]).toEqual([400, 'malformed_multipart']);
  expect(await metric(strict, 'stored_bytes')).toBe(0);
  expect((await post(strict, fieldsFirst(CHUNK))).status).toBe(200);
});

it('more than 16 MiB beside the file is nobody’s upload, and refused before it is read', async () => {
  const server = await openTestServer();
  const connection = await openConnection(server.port);
  const { contentType } = formOf([]);
  await connection.write(
    requestBytes('POST /media/chunks', { 'content-type': contentType, 'content-length': 10 ** 9 }),
  );
  await connection.write(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="other"\r\n\r\n`);
  for (let sent = 0; sent <= 16; sent += 1) await connection.write(Buffer.alloc(1024 * 1024));
  const answer = await connection.answer();
  expect([answer?.status, answer?.text]).toEqual([400, expect.stringContaining('malformed_multipart')]);
});
