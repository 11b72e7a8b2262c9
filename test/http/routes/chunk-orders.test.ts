// http/routes/chunk-orders.test.ts: a chunk's four parts in every order, as real senders write them (C10).
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ask,
  finalize,
  openTestServer,
  sizeOf,
  temporaryFolder,
  uploadView,
  wireOf,
  type TestServer,
} from '../../helpers/app.ts';
import { curl, hasCurl } from '../../helpers/curl.ts';
import { contentBytes } from '../../helpers/disk.ts';
import { BOUNDARY, chunkParts, fieldsFirst, formOf, ordersOf, type Part } from '../../helpers/multipart.ts';
import { chunkedCoding, rawExchange, requestBytes } from '../../helpers/raw.ts';

/** What a careless reader of forms stumbles over. */
const TRICKY = Buffer.concat([
  Buffer.from(
    `\r\n--${BOUNDARY.slice(0, -1)}\r\n--\r\n\r\n--${BOUNDARY}x`.replace(
      `${BOUNDARY}x`,
      `${BOUNDARY.slice(1)}`,
    ),
  ),
  Buffer.from([0, 0xff, 0x0d, 0x0a, 0x2d, 0x2d, 0x80]),
  Buffer.from('Content-Disposition: form-data; name="fileId"\r\n\r\nanother\r\n--'),
]);

type Sent = { readonly status?: number | undefined; readonly text: string } | null;
type Send = (server: TestServer, parts: readonly Part[]) => Promise<Sent>;

function piecesOf(bytes: Buffer, size: number): Buffer[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

const byFetch: Send = (server, parts) => {
  const body = new FormData();
  for (const { name, value } of parts)
    body.append(name, name === 'file' ? new Blob([value]) : value.toString());
  return ask(server, '/media/chunks', { method: 'POST', body });
};

const byteByByte: Send = (server, parts) => {
  const { contentType, body } = formOf(parts);
  const bytes = requestBytes('POST /media/chunks', { 'content-type': contentType }, body);
  return rawExchange(server.port, piecesOf(bytes, 1));
};

const inChunkedCoding: Send = (server, parts) => {
  const { contentType, body } = formOf(parts);
  const headers = { 'content-type': contentType, 'transfer-encoding': 'chunked' };
  const bytes = requestBytes('POST /media/chunks', headers, chunkedCoding(body, 37));
  return rawExchange(server.port, piecesOf(bytes, 23));
};

const byCurl: Send = async (server, parts) => {
  const file = join(await temporaryFolder(), 'chunk.bin');
  await writeFile(file, TRICKY);
  const args = parts.flatMap(({ name, value }) =>
    name === 'file' ? ['-F', `file=@${file}`] : ['--form-string', `${name}=${value.toString()}`],
  );
  return curl([...args, `${server.url}/media/chunks`]);
};

const ORDERS = ordersOf(['file', 'chunkIndex', 'totalChunks', 'fileId']).map((names) => ({ names }));

function partsInOrder(names: readonly string[], fileId: string): Part[] {
  const parts = chunkParts({ fileId, chunkIndex: 0, totalChunks: 1, bytes: TRICKY });
  return names.flatMap((name) => parts.filter((part) => part.name === name));
}

async function expectStored(server: TestServer, sent: Sent, fileId: string): Promise<void> {
  expect(sent?.status, `${fileId}: ${sent?.text}`).toBe(200);
  expect(wireOf(sent?.text).data, fileId).toEqual({ completed: true, fileId });
  const content = await fetch(new URL(`/__admin/uploads/${encodeURIComponent(fileId)}/content`, server.url));
  expect(Buffer.from(await content.arrayBuffer()).equals(TRICKY), fileId).toBe(true);
}

describe('every order of the four parts is a chunk', () => {
  const senders: Record<string, Send> = {
    byFetch,
    byteByByte,
    inChunkedCoding,
    ...(hasCurl && { byCurl }),
  };

  it.each(ORDERS)('$names, whoever sends it (C10, C11)', async ({ names }) => {
    const server = await openTestServer();
    for (const [sender, send] of Object.entries(senders)) {
      const fileId = `${sender} a b/ü😀"%22`;
      await expectStored(server, await send(server, partsInOrder(names, fileId)), fileId);
    }
  });

  it.each(ORDERS)('$names, on disk, with no memory for what comes before its fields', async ({ names }) => {
    const server = await openTestServer({ storage: 'disk', spoolMemory: 0 });
    for (const [fileId, send] of Object.entries({ byFetch, inChunkedCoding }))
      await expectStored(server, await send(server, partsInOrder(names, fileId)), fileId);
    expect(contentBytes(server.dataDir)).toBe(2 * TRICKY.length);
  });

  it.skipIf(!hasCurl)('as curl sends what it reads from a pipe, without knowing its length', async () => {
    const server = await openTestServer();
    const line = `printf 'from a pipe' | curl -sS -w '\\n%{http_code}' -F file=@- -F chunkIndex=0 -F totalChunks=1 -F fileId=f ${server.url}/media/chunks`;
    expect((await curl(line)).status).toBe(200);
    expect(await sizeOf(server)).toBe(11);
  });
});

const CHUNK = { fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: TRICKY };

describe('the part named file is the file', () => {
  const [, ...fields] = chunkParts(CHUNK);
  const heads: [string, string][] = [
    [
      'without a filename',
      'Content-Disposition: form-data; name="file"\r\nContent-Type: application/octet-stream',
    ],
    ['without a filename and a type, like a text field', 'Content-Disposition: form-data; name="file"'],
    ['with a type alone', 'Content-Type: text/plain\r\nContent-Disposition: form-data; name="file"'],
    ['with an empty filename', 'Content-Disposition: form-data; name="file"; filename=""'],
    [
      'with an encoded filename',
      'Content-Disposition: form-data; name="file"; filename*=UTF-8\'\'%e2%82%ac.bin',
    ],
    [
      'with a filename of another name',
      'Content-Disposition: form-data; filename="; name=\\"fileId\\""; name="file"',
    ],
    ['with a name that is not quoted', 'Content-Disposition: form-data; name=file; filename=chunk.bin'],
    ['with names in capitals', 'CONTENT-DISPOSITION: FORM-DATA; NAME="file"; FILENAME="x"'],
    ['with a folded header', 'Content-Disposition: form-data;\r\n name="file";\r\n\tfilename="x"'],
    [
      'with a JSON type',
      'Content-Disposition: form-data; name="file"; filename="x.json"\r\nContent-Type: application/json',
    ],
    [
      'with a transfer encoding that means nothing here',
      'Content-Disposition: form-data; name="file"\r\nContent-Transfer-Encoding: binary',
    ],
  ];

  it.each(heads)('%s (C10)', async (_name, head) => {
    for (const isFirst of [true, false]) {
      const server = await openTestServer();
      const file = Buffer.concat([
        Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\n`),
        TRICKY,
        Buffer.from('\r\n'),
      ]);
      const { contentType, body } = formOf(fields);
      const whole = isFirst
        ? Buffer.concat([file, body])
        : Buffer.concat([
            body.subarray(0, -(BOUNDARY.length + 6)),
            file,
            body.subarray(-(BOUNDARY.length + 6)),
          ]);
      const answer = await ask(server, '/media/chunks', {
        method: 'POST',
        headers: { 'content-type': contentType },
        body: whole,
      });
      expect(answer.status, answer.text).toBe(200);
      expect((await uploadView(server)).chunks).toMatchObject([{ bytes: TRICKY.length }]);
    }
  });
});

describe('other parts', () => {
  const others: Part[] = [
    { name: 'name', value: 'video.mp4' },
    { name: 'chunkindex', value: '7' },
    { name: 'file[]', value: 'other', filename: 'other.bin' },
    { name: 'resumableChunkNumber', value: '1' },
    { name: '', value: 'nameless' },
    { name: 'constructor', value: 'x' },
    { name: '__proto__', value: 'x' },
    { name: 'name', value: 'twice' },
    { name: 'big', value: Buffer.alloc(200_000), filename: 'big.bin' },
  ];

  it.each([chunkParts, fieldsFirst])(
    'are ignored wherever they stand, and so are copies in the query (C10)',
    async (partsOf) => {
      const server = await openTestServer();
      const parts = partsOf(CHUNK);
      const all = others.flatMap((other, i) => (parts[i] === undefined ? [other] : [other, parts[i]]));
      const { contentType, body } = formOf(all);
      const path = '/media/chunks?fileId=g&chunkIndex=5&totalChunks=9&file=x';
      const answer = await ask(server, path, {
        method: 'POST',
        headers: { 'content-type': contentType },
        body,
      });
      expect(answer.body.data).toEqual({ completed: true, fileId: 'f' });
      expect(await sizeOf(server)).toBe(TRICKY.length);
      expect(await sizeOf(server, 'g')).toBeNull();
    },
  );

  it.each(['file', 'chunkIndex', 'totalChunks', 'fileId'])(
    '%s given twice is refused and named, wherever (C10)',
    async (name) => {
      for (const partsOf of [chunkParts, fieldsFirst]) {
        const server = await openTestServer({ storage: 'disk', spoolMemory: 0 });
        const parts = partsOf(CHUNK);
        const twice = parts.find((part) => part.name === name) as Part;
        for (const order of [
          [twice, ...parts],
          [...parts, twice],
        ]) {
          const { contentType, body } = formOf(order);
          const answer = await ask(server, '/media/chunks', {
            method: 'POST',
            headers: { 'content-type': contentType },
            body,
          });
          expect([answer.status, answer.body.error, answer.body.details]).toEqual([
            400,
            'invalid_request',
            { fields: [{ field: name, message: expect.stringContaining('twice') }] },
          ]);
        }
        expect(await sizeOf(server)).toBeNull();
        expect(contentBytes(server.dataDir)).toBe(0);
      }
    },
  );
});

it('a form may begin with a preamble and end with an epilogue, and its delimiter lines with spaces', async () => {
  const server = await openTestServer();
  const { contentType, body } = formOf(chunkParts(CHUNK));
  const spaced = body.toString('latin1').replaceAll(`\r\n--${BOUNDARY}\r\n`, `\r\n--${BOUNDARY} \t\r\n`);
  const whole = Buffer.from(`To whom it may concern:\r\n${spaced}P.S. not part of the form`, 'latin1');
  const answer = await ask(server, '/media/chunks', {
    method: 'POST',
    headers: { 'content-type': contentType },
    body: whole,
  });
  expect(answer.status, answer.text).toBe(200);
  expect((await uploadView(server)).chunks).toMatchObject([{ bytes: TRICKY.length }]);
});

it('a chunk that came file first and went to a spool is finalised like every other (C10, F7)', async () => {
  const server = await openTestServer({ storage: 'disk', spoolMemory: 0 });
  for (const chunkIndex of [0, 1, 2]) {
    const { contentType, body } = formOf(
      (chunkIndex === 1 ? fieldsFirst : chunkParts)({
        fileId: 'f',
        chunkIndex,
        totalChunks: 3,
        bytes: Buffer.from(`[${chunkIndex}]`),
      }),
    );
    await ask(server, '/media/chunks', { method: 'POST', headers: { 'content-type': contentType }, body });
  }
  const { body } = await finalize(server);
  const content = await fetch(new URL(`/__admin/media/${body.data.id}/content`, server.url), {
    headers: { 'x-api-key': 'k' },
  });
  expect(await content.text()).toBe('[0][1][2]');
  expect(contentBytes(server.dataDir)).toBe(9);
});
