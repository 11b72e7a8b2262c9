// content.test.ts: stored bytes and their validator (RFC 9110 §13, §14). A client gets a part only of the content that it already has a
// part of.
import { describe, expect, it } from 'vitest';
import { ask, finalize, openTestServer, sendChunk, type Answer, type TestServer } from '../helpers/app.ts';
import { namespaceOf } from '../helpers/disk.ts';

const FIRST = '0123456789';
const OTHER = 'abcdefghij';
const UPLOAD = '/__admin/uploads/f/content';

type Headers = Record<string, string>;

/** `target`: a path, with the method before it if that is not GET. */
const read = (server: TestServer, target: string, headers: Headers = {}): Promise<Answer> => {
  const [path = '', method = 'GET'] = target.split(' ').toReversed();
  return ask(server, path, { method, headers: { 'x-api-key': 'k', ...headers } });
};

async function tagOf(server: TestServer, path = UPLOAD): Promise<string> {
  const tag = (await read(server, path)).headers.get('etag') ?? '';
  expect(tag).toMatch(/^"[0-9a-f]{32}"$/);
  return tag;
}

async function begin(server: TestServer, bytes: string): Promise<void> {
  expect((await sendChunk(server, { key: 'k', bytes })).status).toBe(200);
}

async function beginAnew(server: TestServer, bytes: string): Promise<void> {
  expect((await read(server, 'DELETE /__admin/uploads/f')).status).toBe(200);
  await begin(server, bytes);
}

/** The content of an upload, or of an entry, with ten bytes. */
async function stored(kind: string): Promise<{ server: TestServer; path: string }> {
  const server = await openTestServer();
  await begin(server, FIRST);
  if (kind === 'an upload') return { server, path: UPLOAD };
  const { body } = await finalize(server);
  return { server, path: `/__admin/media/${body.data.id}/content` };
}

describe.each(['an upload', 'an entry'])('the content of %s', (kind) => {
  it('is told whole by a HEAD, whatever its Range says: only a GET has one', async () => {
    const { server, path } = await stored(kind);
    for (const range of ['bytes=2-4', 'bytes=20-', 'bytes=-0']) {
      const { status, headers, text } = await read(server, `HEAD ${path}`, { range });
      expect([range, status, headers.get('content-length'), text]).toEqual([range, 200, '10', '']);
      expect([headers.get('content-range'), headers.get('etag')]).toEqual([null, await tagOf(server, path)]);
    }
  });

  it('has its unit of ranges in any case', async () => {
    const { server, path } = await stored(kind);
    for (const range of ['Bytes=2-4', 'BYTES=2-4', 'bytes=2-4']) {
      const { status, headers, text } = await read(server, path, { range });
      expect([range, status, text]).toEqual([range, 206, '234']);
      expect(headers.get('etag')).toBe(await tagOf(server, path));
    }
  });

  it('is given in part only to whom If-Range names this very content: not by a date, nor by a weak tag (§9.4)', async () => {
    const { server, path } = await stored(kind);
    const tag = await tagOf(server, path);
    const part = await read(server, path, { range: 'bytes=2-4', 'if-range': tag });
    expect([part.status, part.text]).toEqual([206, '234']);
    for (const other of [
      '"of-an-older-file"',
      `W/${tag}`,
      'Tue, 15 Nov 1994 08:12:31 GMT',
      '*',
      '',
      `${tag}, ${tag}`,
    ])
      for (const range of ['bytes=2-4', 'bytes=20-']) {
        const whole = await read(server, path, { range, 'if-range': other });
        expect([other, whole.status, whole.text]).toEqual([other, 200, FIRST]);
      }
  });

  it.each(['GET', 'HEAD'])(
    'is not sent again to who has it, and not given for another: %s',
    async (method) => {
      const { server, path } = await stored(kind);
      const tag = await tagOf(server, path);
      const statusOf = async (headers: Headers): Promise<number> =>
        (await read(server, `${method} ${path}`, headers)).status;
      for (const list of [tag, `W/${tag}`, `"a,b", ${tag}`, '*'])
        expect([list, await statusOf({ 'if-none-match': list })]).toEqual([list, 304]);
      for (const list of ['"other"', tag.slice(1, -1), '']) {
        expect([list, await statusOf({ 'if-none-match': list })]).toEqual([list, 200]);
        expect([list, await statusOf({ 'if-match': list })]).toEqual([list, 412]);
      }
      for (const list of [tag, `"other" , ${tag}`, '*'])
        expect([list, await statusOf({ 'if-match': list })]).toEqual([list, 200]);
      expect(await statusOf({ 'if-match': `W/${tag}` }), 'a weak tag is no match').toBe(412);
      expect(await statusOf({ 'if-match': '"other"', 'if-none-match': tag }), 'If-Match is first').toBe(412);
      expect(await statusOf({ 'if-match': '"other"', range: 'bytes=20-' }), 'and before Range').toBe(412);
      expect(await statusOf({ 'if-modified-since': 'Tue, 15 Nov 2094 08:12:31 GMT' })).toBe(200);
    },
  );

  it('answers 304 without a body and with its tag, 412 with the tag in its message', async () => {
    const { server, path } = await stored(kind);
    const tag = await tagOf(server, path);
    const same = await read(server, path, { 'if-none-match': tag, range: 'bytes=2-4' });
    expect([same.status, same.text, same.headers.get('etag')]).toEqual([304, '', tag]);
    const other = await read(server, path, { 'if-match': '"other"' });
    expect(JSON.parse(other.text)).toMatchObject({
      error: 'precondition_failed',
      message: expect.stringContaining(tag),
    });
  });
});

it('a page of an allowed origin can read what it needs to go on: the tag, and which bytes came', async () => {
  const origin = 'https://page.example.com';
  const server = await openTestServer({ adminCorsOrigin: [origin] });
  await begin(server, FIRST);
  const { headers } = await read(server, UPLOAD, { origin, range: 'bytes=2-4' });
  const exposed = headers.get('access-control-expose-headers') ?? '';
  for (const name of ['ETag', 'Content-Range', 'Accept-Ranges']) expect(exposed.split(', ')).toContain(name);
});

describe('the ETag of an upload', () => {
  it.each(['memory', 'disk'] as const)(
    'changes when it is deleted and begun anew, in %s: two files are never one (§9.4)',
    async (storage) => {
      const server = await openTestServer({ storage });
      await begin(server, FIRST);
      const tag = await tagOf(server);
      await beginAnew(server, OTHER);
      expect(await tagOf(server)).not.toBe(tag);
      const rest = await read(server, UPLOAD, { range: 'bytes=5-', 'if-range': tag });
      expect([rest.status, rest.text]).toEqual([200, OTHER]);
      expect((await read(server, UPLOAD, { range: 'bytes=5-', 'if-match': tag })).status).toBe(412);
    },
  );

  it('changes also where the clock stands still', async () => {
    const server = await openTestServer();
    await ask(server, '/__admin/clock', {
      method: 'PUT',
      headers: { 'x-api-key': 'k' },
      body: '{"mode":"frozen"}',
    });
    await begin(server, FIRST);
    const tag = await tagOf(server);
    await beginAnew(server, OTHER);
    expect(await tagOf(server)).not.toBe(tag);
  });

  it('changes with each chunk that makes the content longer, and not by a chunk sent again or beyond a gap', async () => {
    const server = await openTestServer({ chunkOrder: 'any' });
    const send = (index: number): Promise<Answer> =>
      sendChunk(server, { key: 'k', index, total: 3, bytes: `${index}...` });
    await send(0);
    const tags = [await tagOf(server)];
    for (const index of [0, 2]) {
      await send(index);
      expect(await tagOf(server)).toBe(tags[0]);
    }
    await send(1);
    expect(await tagOf(server)).not.toBe(tags[0]);
  });

  it('stays over a restart, and when the upload becomes an entry', async () => {
    const server = await openTestServer({ storage: 'disk' });
    await begin(server, FIRST);
    const tag = await tagOf(server);
    await server.close();
    const again = await openTestServer({ storage: 'disk', dataDir: server.dataDir });
    expect(await tagOf(again)).toBe(tag);
    const { body } = await finalize(again);
    expect(await tagOf(again)).toBe(tag);
    expect(await tagOf(again, `/__admin/media/${body.data.id}/content`)).toMatch(/^"/);
  });
});

describe.each([
  ['memory', 'sequential'],
  ['disk', 'sequential'],
  ['disk', 'any'],
] as const)('a read, in %s, chunk order %s', (storage, chunkOrder) => {
  /** Neither chunk is read completely, so no CRC-32 can be checked. */
  const PART = { start: 1, length: 18 };

  async function halfRead(): Promise<{
    server: TestServer;
    rest: () => Promise<string>;
    send: (text: string) => Promise<void>;
  }> {
    const server = await openTestServer({ storage, chunkOrder });
    const send = async (text: string): Promise<void> => {
      for (const index of chunkOrder === 'any' ? [1, 0] : [0, 1])
        expect((await sendChunk(server, { key: 'k', index, total: 2, bytes: text })).status).toBe(200);
    };
    await send(FIRST);
    const content = await server.views.uploadContent(namespaceOf('k'), 'f');
    const rest = async (): Promise<string> => {
      const pieces: Buffer[] = [];
      for await (const piece of content.read(PART)) pieces.push(piece);
      return Buffer.concat(pieces).toString();
    };
    return { server, rest, send };
  }

  it('that runs across a deletion and a new beginning ends in an error (§9.4)', async () => {
    const { server, rest, send } = await halfRead();
    await read(server, 'DELETE /__admin/uploads/f');
    await send(OTHER);
    await expect(rest()).rejects.toMatchObject({ code: 'upload_not_found' });
  });

  it('that runs across a deletion ends in an error', async () => {
    const { server, rest } = await halfRead();
    await read(server, 'DELETE /__admin/uploads/f');
    await expect(rest()).rejects.toMatchObject({ code: 'upload_not_found' });
  });

  it('that runs across the finalise goes on', async () => {
    const { server, rest } = await halfRead();
    await finalize(server);
    expect(await rest()).toBe(`${FIRST}${FIRST}`.slice(1, 19));
  });
});

it('a client that reads slowly while an upload is deleted and begun anew is cut off: it has no answer of two files', async () => {
  const server = await openTestServer();
  const BYTES = 32 * 1024 * 1024;
  await sendChunk(server, { key: 'k', bytes: Buffer.alloc(BYTES, 'a') });
  const headers = { 'x-api-key': 'k', range: `bytes=1-${BYTES - 2}` };
  const response = await fetch(new URL(UPLOAD, server.url), { headers });
  expect(response.status).toBe(206);
  const reader = (response.body ?? new ReadableStream<Uint8Array>()).getReader();
  await reader.read();
  await read(server, 'DELETE /__admin/uploads/f');
  await sendChunk(server, { key: 'k', bytes: Buffer.alloc(BYTES, 'b') });
  const readOn = async (): Promise<void> => {
    while (!(await reader.read()).done);
  };
  await expect(readOn()).rejects.toThrow('terminated');
});
