// http/forms/part-codings.test.ts: what the headers of a part say of its bytes (RFC 7578 §4.4, §4.7), on both kinds of form.
import { describe, expect, it } from 'vitest';
import { ask, openTestServer, sendChunk, sizeOf, type Answer, type TestServer } from '../../helpers/app.ts';

interface RawPart {
  readonly name: string;
  readonly value: string | Buffer;
  readonly headers?: string;
}

function send(server: TestServer, path: string, parts: readonly RawPart[]): Promise<Answer> {
  const pieces = parts.flatMap(({ name, value, headers = '' }) => [
    Buffer.from(`--b\r\nContent-Disposition: form-data; name=${name}\r\n${headers}\r\n`),
    Buffer.from(value as string),
    Buffer.from('\r\n'),
  ]);
  return ask(server, path, {
    method: 'POST',
    key: 'k',
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
    body: Buffer.concat([...pieces, Buffer.from('--b--\r\n')]),
  });
}

const PLATFORMS = { name: 'platforms', value: '["youtube"]' };
const video = (server: TestServer, ...parts: RawPart[]): Promise<Answer> =>
  send(server, '/media/videos', [PLATFORMS, ...parts]);
const file = (parameters = 'filename=a.mp4', headers = ''): RawPart => ({
  name: `file; ${parameters}`,
  value: 'bytes',
  headers,
});
const chunk = (headers: Partial<Record<string, string>>): RawPart[] =>
  Object.entries({ fileId: 'f', chunkIndex: '0', totalChunks: '1', file: 'VGVzdA==' }).map(
    ([name, value]) => ({ name, value, headers: headers[name] ?? '' }),
  );

describe('a Content-Transfer-Encoding', () => {
  const BASE64 = 'Content-Transfer-Encoding: base64\r\n';

  it.each(['file', 'fileId', 'chunkIndex', 'totalChunks'])(
    'of the part %s is 415, and nothing that looks like the file is stored',
    async (name) => {
      const server = await openTestServer();
      const answer = await send(server, '/media/chunks', chunk({ [name]: BASE64 }));
      expect([answer.status, answer.body.error]).toEqual([415, 'unsupported_media_type']);
      expect(answer.body.message).toContain(`the part ${name} has the Content-Transfer-Encoding "base64"`);
      expect(await sizeOf(server, 'f', 'k')).toBeNull();
    },
  );

  it('is 415 in a direct upload, of its file and of its fields', async () => {
    const server = await openTestServer();
    const title = {
      name: 'title',
      value: 'Caf=C3=A9',
      headers: 'Content-Transfer-Encoding: quoted-printable\r\n',
    };
    expect((await video(server, file('filename=a.mp4', BASE64))).status).toBe(415);
    expect((await video(server, file(), title)).status).toBe(415);
    expect((await ask(server, '/__admin/media', { key: 'k' })).text).toContain('"total":0');
  });

  it('that changes nothing is no coding, and a part of others may have any', async () => {
    const server = await openTestServer();
    for (const coding of ['7bit', '8bit', 'Binary'])
      expect(
        (await video(server, file('filename=a.mp4', `Content-Transfer-Encoding: ${coding}\r\n`))).status,
      ).toBe(201);
    expect((await video(server, file(), { name: 'other', value: 'x', headers: BASE64 })).status).toBe(201);
  });
});

describe('the charset that a field declares', () => {
  const titled = (server: TestServer, charset: string, value: Buffer): Promise<Answer> =>
    video(server, file(), {
      name: 'title',
      value,
      headers: `Content-Type: text/plain; charset=${charset}\r\n`,
    });

  it.each([
    ['utf-16le', Buffer.from('Hi', 'utf16le'), 'Hi'],
    ['UTF-16BE', Buffer.from([0, 72, 0, 105]), 'Hi'],
    ['iso-2022-jp', Buffer.from('\u001b$B7r<#\u001b(B', 'latin1'), '健治'],
    ['iso-8859-1', Buffer.from('Ã©', 'latin1'), 'Ã©'],
    ['windows-1251', Buffer.from([0xc2, 0xe8]), 'Ви'],
    ['"utf-8"', Buffer.from('Видео'), 'Видео'],
    ['us-ascii', Buffer.from('plain'), 'plain'],
  ])('%s is how it is decoded', async (charset, bytes, title) => {
    const answer = await titled(await openTestServer(), charset, bytes);
    expect([answer.status, answer.body.data['title']]).toEqual([201, title]);
  });

  it.each([
    ['utf-7', Buffer.from('Caf+AOk-'), 'charset that this server does not know'],
    ['x-nobody', Buffer.from('a'), 'charset that this server does not know'],
    ['us-ascii', Buffer.from('é'), 'not "us-ascii" text'],
    ['utf-16le', Buffer.from([0x00, 0xd8]), 'not "utf-16le" text'],
    ['utf-8', Buffer.from([0xe9]), 'not UTF-8 text'],
  ])('%s is 400 where nobody knows it or the bytes are not of it', async (charset, bytes, why) => {
    const answer = await titled(await openTestServer(), charset, bytes);
    expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
    expect(answer.body.details).toMatchObject({ fields: [{ field: 'title' }] });
    expect(answer.body.message).toContain(why);
  });

  it('is that of a chunk’s fields, too, and means nothing for a file', async () => {
    const server = await openTestServer();
    const latin1 = 'Content-Type: text/plain; charset=iso-8859-1\r\n';
    const parts = chunk({ fileId: latin1, file: latin1 }).map((part) =>
      part.name === 'fileId' ? { ...part, value: Buffer.from('é', 'latin1') } : part,
    );
    expect((await send(server, '/media/chunks', parts)).status).toBe(200);
    expect(await sizeOf(server, 'é', 'k')).toBe('VGVzdA=='.length);
  });
});

describe('a filename', () => {
  it.each([
    `filename="=?utf-8?B?0JLQuNC00LXQvi5tcDQ=?="; filename*=utf-8''%D0%92%D0%B8%D0%B4%D0%B5%D0%BE.mp4`,
    'filename="=?UTF-8?Q?=D0=92=D0=B8=D0=B4=D0=B5=D0=BE.mp4?="',
    `filename*=utf-8''clip%2Emp4`,
    `filename=wrong.txt; filename*=utf-8''right.mp4`,
  ])('is decoded before its extension is looked at: %s', async (parameters) => {
    expect((await video(await openTestServer(), file(parameters))).status).toBe(201);
  });

  it('stands decoded in the journal', async () => {
    const server = await openTestServer();
    await video(server, file(`filename*=utf-8''%D0%92.mp4`));
    const [exchange] = server.journal?.find('*').exchanges ?? [];
    expect(exchange?.body?.parts.map(({ filename }) => filename)).toContain('В.mp4');
  });
});

describe('parts that are no fields of ours (C10)', () => {
  const tags = [
    { name: '"tags[]"', value: 'a' },
    { name: '"tags[]"', value: 'b' },
  ];

  it('come any number of times', async () => {
    const server = await openTestServer();
    expect((await video(server, file(), ...tags)).status).toBe(201);
    await sendChunk(server, { key: 'k' });
    const body = 'fileId=f&platforms=%5B%22youtube%22%5D&tags%5B%5D=a&tags%5B%5D=b';
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await ask(server, '/media/videos', { method: 'POST', key: 'k', headers, body });
    expect(answer.status).toBe(201);
  });

  it('and platforms[] twice is told of the field that is missing, not of a part given twice', async () => {
    const server = await openTestServer();
    const twice = ['youtube', 'tiktok'].map((value) => ({ name: '"platforms[]"', value }));
    const answer = await send(server, '/media/videos', [file(), ...twice]);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toMatch(/^platforms: .*JSON array/);
  });
});

describe('a body that is no form', () => {
  const sent = (body: string): Promise<Answer> =>
    openTestServer().then((server) =>
      ask(server, '/media/chunks', {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=b' },
        body,
      }),
    );

  it('because it is empty is told so', async () => {
    const answer = await sent('');
    expect([answer.status, answer.body.error]).toEqual([400, 'malformed_multipart']);
    expect(answer.body.message).toContain('the body is empty: 0 bytes came');
  });

  it('because its first delimiter stands behind a bare LF is told so, and no part is missed without a word', async () => {
    const answer = await sent('\n--b\r\nContent-Disposition: form-data; name=file\r\n\r\nx\r\n--b--\r\n');
    expect([answer.status, answer.body.error]).toEqual([400, 'malformed_multipart']);
    expect(answer.body.message).toContain('bare LF');
  });
});
