// http/connection/client-errors.test.ts: bytes that are not HTTP, and the requests around them on the same connection.
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { eventually, openTestServer, wireOf } from '../../helpers/app.ts';
import { held, released } from '../../helpers/leaks.ts';
import { chunkParts, formOf } from '../../helpers/multipart.ts';
import { openConnection, requestBytes, type RawAnswer } from '../../helpers/raw.ts';

const { contentType, body } = formOf(
  chunkParts({ fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: Buffer.from('bytes') }),
);
const CHUNK = requestBytes('POST /media/chunks', { 'content-type': contentType }, body).toString('latin1');
const QUERY = requestBytes('GET /media/chunks?fileId=f').toString('latin1');
const GARBAGE = 'no HTTP at all\r\n\r\n';

/** All answers until the server ends the connection: statuses with codes. */
async function answersTo(port: number, text: string): Promise<(readonly [number, string | undefined])[]> {
  const connection = await openConnection(port);
  await connection.write(Buffer.from(text, 'latin1'));
  const answers: (readonly [number, string | undefined])[] = [];
  let answer: RawAnswer | null;
  while ((answer = await connection.answer()) !== null)
    answers.push([answer.status, wireOf(answer.text).error]);
  expect(connection.leftOver).toBe('');
  return answers;
}

const REFUSED = [400, 'invalid_request'];

describe('behind good requests', () => {
  it.each([
    ['a chunk', CHUNK, 1],
    ['a query', QUERY, 1],
    ['several', CHUNK + QUERY + QUERY, 3],
  ])('in the same packet it is refused after %s had its answer', async (_name, good, count) => {
    const { port } = await openTestServer();
    for (const bad of [
      GARBAGE,
      'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n',
      'GET / HTTP/1.1\r\nno colon\r\n\r\n',
    ]) {
      const answers = await answersTo(port, good + bad);
      expect(answers).toEqual([...Array.from({ length: count }, () => [200, undefined]), REFUSED]);
    }
  });

  it('a chunk whose coding breaks off is refused, and nothing behind it is a request', async () => {
    const server = await openTestServer();
    const head = `POST /media/chunks HTTP/1.1\r\nHost: x\r\nContent-Type: ${contentType}\r\nTransfer-Encoding: chunked\r\n\r\n`;
    expect(await answersTo(server.port, `${QUERY}${head}zz\r\n${QUERY}`)).toEqual([
      [200, undefined],
      REFUSED,
    ]);
    expect(server.journal?.count('*', { operation: 'getUploadStatus' })).toBe(1);
  });
});

it('a request that was refused before its body broke gets no second answer', async () => {
  const { port } = await openTestServer();
  for (const line of ['POST /nowhere', 'POST /media/videos']) {
    const connection = await openConnection(port);
    await connection.write(`${line} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`);
    expect([401, 404]).toContain((await connection.answer())?.status);
    await connection.write('5\r\nhello\r\nzz\r\n');
    await connection.closed();
    expect(connection.leftOver).toBe('');
  }
});

it('a request that is refused by its head is, and by nothing else, when its body broke in the same packet', async () => {
  const { port } = await openTestServer();
  for (const [line, refusal] of [
    ['POST /nowhere', [404, 'not_found']],
    ['POST /media/videos', [401, 'api_key_missing']],
  ] as const) {
    const head = `${line} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`;
    expect(await answersTo(port, `${head}5\r\nhello\r\nzz\r\n`)).toEqual([refusal]);
  }
});

it('what follows a request with Connection: close is passed over without a word', async () => {
  const { port } = await openTestServer();
  const last = 'GET /media/chunks?fileId=f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  expect(await answersTo(port, last + QUERY)).toEqual([[200, undefined]]);
});

it('a refused client that does not leave holds no connection open', async () => {
  const { port } = await openTestServer();
  const before = held();
  const sockets = [GARBAGE, 'CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n'].map((text) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined);
    socket.resume().write(text);
    return socket;
  });
  await eventually(
    () => sockets.every(({ readableEnded }) => readableEnded),
    (areRefused) => areRefused,
  );
  // For each connection only the client's side is left; the server's side is gone.
  await eventually(held, (now) => now.descriptors <= before.descriptors + sockets.length);
  for (const socket of sockets) socket.destroy();
  await released(before);
});

it('an empty Transfer-Encoding is refused, and the connection ends', async () => {
  const server = await openTestServer();
  for (const line of ['Transfer-Encoding:', 'Transfer-Encoding: \r\nTransfer-Encoding:']) {
    const bad = `POST /media/chunks HTTP/1.1\r\nHost: x\r\n${line}\r\nContent-Length: 5\r\n\r\nhello`;
    expect(await answersTo(server.port, bad + QUERY)).toEqual([REFUSED]);
  }
  expect(server.journal?.count('*')).toBe(0);
});

it('a request with Upgrade is served, and told that nothing behind it will be', async () => {
  const { port } = await openTestServer();
  const upgrade =
    'GET /media/chunks?fileId=f HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n';
  expect(await answersTo(port, upgrade + QUERY)).toEqual([[200, undefined]]);
});

it('of many headers none is overlooked', async () => {
  const { port } = await openTestServer();
  const connection = await openConnection(port);
  const many = 'X: y\r\n'.repeat(2_400);
  await connection.write(
    `GET /media/chunks?fileId=f HTTP/1.1\r\nHost: x\r\n${many}X-Request-Id: last\r\n\r\n`,
  );
  expect((await connection.answer())?.headers['x-request-id']).toBe('last');
});

it('a client of the admin plane that leaves in the middle of its body is no defect of the server', async () => {
  const server = await openTestServer();
  const connection = await openConnection(server.port);
  await connection.write('POST /__admin/rules HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{');
  connection.reset();
  const left = /^xenonflare_mock_requests_aborted_total\{operation="\/__admin\/rules"\} 1$/m;
  await eventually(
    async () => (await fetch(`${server.adminUrl}/metrics`)).text(),
    (text) => left.test(text),
  );
  expect(server.takeErrors()).toEqual([]);
});

describe('what the parser refuses', () => {
  const NO_COLON = 'GET / HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\nno colon\r\n\r\n';

  it('is dated (RFC 9110 §6.6.1), is kept by no cache, and can be read by pages', async () => {
    const { port } = await openTestServer();
    for (const [text, origin] of [
      [NO_COLON, 'https://app.example'],
      [GARBAGE, '*'],
      [`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`, '*'],
      ['CONNECT x:1 HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n\r\n', 'https://app.example'],
    ] as const) {
      const connection = await openConnection(port);
      await connection.write(text);
      const headers = (await connection.answer())?.headers;
      expect(Math.abs(Date.parse(headers?.['date'] ?? '') - Date.now())).toBeLessThan(60_000);
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'access-control-allow-origin': origin,
        vary: 'Origin',
      });
    }
  });

  it('is told to no page beyond --cors-origin', async () => {
    const { port } = await openTestServer({ corsOrigin: ['https://other.example'] });
    const connection = await openConnection(port);
    await connection.write(NO_COLON);
    const answer = await connection.answer();
    expect([answer?.status, answer?.headers['access-control-allow-origin']]).toEqual([400, undefined]);
  });

  it.each([1, 2])(
    'for its method alone is 501 (RFC 9110 §9.1), as request %i of its connection',
    async (nth) => {
      const { port } = await openTestServer();
      const answers = await answersTo(
        port,
        `${QUERY.repeat(nth - 1)}FOO /media/chunks HTTP/1.1\r\nHost: x\r\n\r\n`,
      );
      expect(answers).toEqual([
        ...Array.from({ length: nth - 1 }, () => [200, undefined]),
        [501, 'not_implemented'],
      ]);
    },
  );
});
