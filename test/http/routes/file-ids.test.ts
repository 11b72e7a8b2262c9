// http/routes/file-ids.test.ts: whatever a client calls its file, the fileId stays a name and never becomes a path (C4).
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ask,
  finalize,
  openTestServer,
  sizeOf,
  status,
  temporaryFolder,
  type TestServer,
} from '../../helpers/app.ts';
import { filesIn } from '../../helpers/disk.ts';
import { chunkParts, formOf } from '../../helpers/multipart.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';

const HOSTILE: [string, string][] = [
  ['a folder above', '../'],
  ['many folders above', '../../../../../../../../tmp/xenonflare-mock-evil'],
  ['Windows folders above', String.raw`..\..\..\evil`],
  ['an absolute path', '/etc/passwd'],
  ['a drive', String.raw`C:\Windows\System32\config`],
  ['a UNC path', String.raw`\\server\share\file`],
  ['the current folder', '.'],
  ['the folder above', '..'],
  ['a device', 'CON'],
  ['a device with an extension', 'nul.txt'],
  ['an alternate stream', 'file.txt:stream'],
  ['a trailing dot and space', 'file. '],
  ['a hidden file', '.git/config'],
  ['a home folder', '~/.ssh/id_rsa'],
  ['percent-encoding', '%2e%2e%2f%00'],
  ['a wildcard', '*?<>|"'],
  ['a shell command', '$(touch evil); `touch evil`'],
  ['markup', '<script>alert(1)</script>'],
  ['a prototype', '__proto__'],
  ['the lock', 'lock'],
  ['a ledger', 'ledgers/uploads/public'],
  ['right-to-left', '\u202egpj.exe'],
  ['a composed letter', 'é'],
  ['the same letter, decomposed', 'e\u0301'],
  ['only a space', ' '],
  ['letters that grow in upper case', 'ßﬁ'],
  ['256 emoji', '😀'.repeat(256)],
  ['256 letters', 'x'.repeat(256)],
];

async function send(server: TestServer, fileId: string | Buffer): Promise<Awaited<ReturnType<typeof ask>>> {
  const parts = chunkParts({ fileId: '', chunkIndex: 0, totalChunks: 1, bytes: Buffer.from(fileId) });
  const { contentType, body } = formOf(
    parts.map((part) => (part.name === 'fileId' ? { ...part, value: fileId } : part)),
  );
  return ask(server, '/media/chunks', { method: 'POST', headers: { 'content-type': contentType }, body });
}

/** Only names that the server makes: hashes, ids, namespaces. */
const OUR_NAMES =
  /^(lock|format|reserve\/\d*|spool\/|(ledgers|bytes)\/((uploads|media)\/((public|ns_[0-9a-f]{16})\/([0-9a-f]{2}\/([0-9a-f]{24,40}(\.log|\/(main|c\d+)?))?)?)?)?)$/;

it('no fileId touches a path outside the data folder, or makes a name inside it (C4)', async () => {
  const parent = await temporaryFolder();
  const dataDir = join(parent, 'deeper', 'data');
  const server = await openTestServer({ storage: 'disk', dataDir, durability: 'none' });
  const around = (): string[] =>
    [...filesIn(parent).keys()].filter((name) => !name.startsWith('deeper/data/'));
  const before = [around(), readdirSync(dirname(parent)).filter((name) => name.includes('evil'))];
  for (const [name, fileId] of HOSTILE) {
    const answer = await send(server, fileId);
    expect(answer.body.data, name).toEqual({ completed: true, fileId });
    expect((await status(server, fileId)).body.data, name).toEqual({
      exists: true,
      currentSize: Buffer.byteLength(fileId),
      fileId,
    });
  }
  for (const [name, fileId] of HOSTILE) {
    const { status: code, body } = await finalize(server, fileId);
    expect(code, name).toBe(201);
    const content = await fetch(new URL(`/__admin/media/${body.data.id}/content`, server.url), {
      headers: { 'x-api-key': 'k' },
    });
    expect(await content.text(), `${name}: nobody else’s bytes`).toBe(fileId);
  }
  expect([around(), readdirSync(dirname(parent)).filter((name) => name.includes('evil'))]).toEqual(before);
  expect([...filesIn(dataDir).keys()].filter((name) => !OUR_NAMES.test(name))).toEqual([]);
});

it('each of them is an upload of its own, shown by the admin plane under its name', async () => {
  const server = await openTestServer();
  for (const [, fileId] of HOSTILE) await send(server, fileId);
  const listed = JSON.parse((await ask(server, '/__admin/uploads')).text) as {
    uploads: { fileId: string }[];
  };
  expect(listed.uploads.map(({ fileId }) => fileId)).toEqual(HOSTILE.map(([, fileId]) => fileId));
  const connection = await openConnection(server.port);
  for (const [name, fileId] of HOSTILE) {
    // The request is written by hand, because a URL library would resolve the dots.
    const path = `/__admin/uploads/${encodeURIComponent(fileId).replaceAll('.', '%2E')}`;
    await connection.write(requestBytes(`GET ${path}`));
    const answer = await connection.answer();
    expect([answer?.status, (JSON.parse(answer?.text ?? '{}') as { fileId: string }).fileId], name).toEqual([
      200,
      fileId,
    ]);
  }
});

describe('a fileId is refused', () => {
  it.each<[string, string | Buffer]>([
    ['when it is empty', ''],
    ['with a NUL', 'a\0b'],
    ['with a newline', 'a\nb'],
    ['with an escape character', '\u001b[31mred'],
    ['with a C1 control character', 'a\u0085b'],
    ['with DEL', 'a\u007f'],
    ['of 257 letters', 'x'.repeat(257)],
    ['of 257 emoji', '😀'.repeat(257)],
    ['of 60,000 letters', 'x'.repeat(60_000)],
    ['that is not UTF-8', Buffer.from([0xc3, 0x28])],
    ['that encodes a surrogate', Buffer.from([0xed, 0xa0, 0x80])],
  ])('%s, in a chunk, in the query and in a finalise (C4)', async (_name, fileId) => {
    const server = await openTestServer();
    const sent = await send(server, fileId);
    expect([sent.status, sent.body.error, sent.body.details]).toEqual([
      400,
      'invalid_request',
      { fields: [{ field: 'fileId', message: expect.any(String) }] },
    ]);
    if (Buffer.isBuffer(fileId)) return;
    if (encodeURIComponent(fileId).length < 10_000) expect((await status(server, fileId)).status).toBe(400);
    const finalised = await ask(server, '/media/videos', {
      method: 'POST',
      key: 'k',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ fileId, platforms: ['tiktok'] }),
    });
    expect([finalised.status, finalised.body.error]).toEqual([400, 'invalid_request']);
    expect(await sizeOf(server, 'a')).toBeNull();
  });

  it('of 1 MiB: in a chunk as a field that is too large, in a query as a request line that is', async () => {
    const server = await openTestServer();
    const fileId = '../'.repeat(350_000);
    const sent = await send(server, fileId);
    expect([sent.status, sent.body.error]).toEqual([400, 'malformed_multipart']);
    const connection = await openConnection(server.port);
    await connection.write(requestBytes(`GET /media/chunks?fileId=${fileId}`));
    expect((await connection.answer())?.status).toBe(431);
  });
});

it('names that look alike are not the same: composed and decomposed, upper and lower case', async () => {
  const server = await openTestServer();
  await send(server, 'é.mp4');
  for (const other of ['e\u0301.mp4', 'É.mp4', 'é.mp4 ', 'é.MP4', '%C3%A9.mp4'])
    expect(await sizeOf(server, other)).toBeNull();
  expect(await sizeOf(server, 'é.mp4')).toBe(6);
});

it('a plus sign in the query is a space, and percent-encoded a plus, as forms have it', async () => {
  const server = await openTestServer();
  await send(server, 'a b');
  await send(server, 'a+bc');
  for (const [query, size] of [
    ['a+b', 3],
    ['a%20b', 3],
    ['a%2Bbc', 4],
  ]) {
    const { body } = await ask(server, `/media/chunks?fileId=${query}`);
    expect(body.data['currentSize'], String(query)).toBe(size);
  }
});
