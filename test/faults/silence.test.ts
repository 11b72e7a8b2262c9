// silence.test.ts: a server without armed rules answers byte for byte like a server without the fault machinery, and does not
// mention it. What always differs (the date, ids of requests) is masked.
import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/options.ts';
import {
  chunkRequest,
  finaliseRequest,
  openFaultServer,
  statusRequest,
  type FaultServer,
} from '../helpers/exchanges.ts';
import { chunkParts, fieldsFirst, formOf } from '../helpers/multipart.ts';
import { chunkedCoding, requestBytes } from '../helpers/raw.ts';
import { Wire } from '../helpers/wire.ts';

const ABOUT = { key: 'k', fileId: 'f' };
const BYTES = Buffer.from('the bytes of a chunk, some more of them than none');
const KEY = { 'x-api-key': 'k' };

function chunk(index: number, bytes: Buffer = BYTES): Buffer {
  return chunkRequest({ ...ABOUT, index, total: 3, bytes }).bytes;
}

function post(path: string, headers: Record<string, string>, body: Buffer | string = ''): Buffer {
  return requestBytes(`POST ${path}`, { ...KEY, ...headers }, body);
}

const FORM = formOf(fieldsFirst({ fileId: 'coded', chunkIndex: 0, totalChunks: 1, bytes: BYTES }));
const LARGE = formOf(
  fieldsFirst({ fileId: 'large', chunkIndex: 2, totalChunks: 3, bytes: Buffer.alloc(300_000) }),
);
const UNKNOWN = formOf(chunkParts({ fileId: 'f', chunkIndex: 9, totalChunks: 3, bytes: BYTES }));

/** Every kind of answer, on one connection each. Each request is sent when the previous one has been answered. */
const CONVERSATIONS: Readonly<Record<string, readonly Buffer[]>> = {
  'an upload from the status to the entry': [
    statusRequest(ABOUT).bytes,
    chunk(0),
    chunk(1),
    chunk(1),
    statusRequest(ABOUT).bytes,
    chunk(2),
    finaliseRequest(ABOUT).bytes,
    finaliseRequest(ABOUT).bytes,
    requestBytes('GET /api/v1/channels', KEY),
    requestBytes('GET /profiles', KEY),
  ],
  'refusals of what came whole': [
    chunk(1, Buffer.from('other bytes')),
    post('/media/chunks', { 'content-type': UNKNOWN.contentType }, UNKNOWN.body),
    post('/media/chunks', { 'content-type': 'text/plain' }, 'text'),
    post('/media/chunks', { 'content-type': 'multipart/form-data; boundary=x' }, '--x--\r\n'),
    post('/media/images', { 'content-type': 'application/json' }, '{"platforms":["youtube"]}'),
    requestBytes('GET /media/videos/0123456789abcdef01234567', KEY),
    requestBytes('GET /media/videos/0123456789abcdef01234567'),
    requestBytes('GET /nowhere', KEY),
    requestBytes('DELETE /media/chunks', KEY),
  ],
  'a refusal while the body is on its way, and the next request': [
    post('/media/chunks', { 'content-type': LARGE.contentType }, LARGE.body),
    statusRequest({ ...ABOUT, fileId: 'another' }).bytes,
  ],
  'a chunked body, and the end of the connection': [
    requestBytes(
      'POST /media/chunks',
      { ...KEY, 'content-type': FORM.contentType, 'transfer-encoding': 'chunked', connection: 'close' },
      chunkedCoding(FORM.body, 64),
    ),
  ],
  'what is no JSON, and ends the connection': [
    post('/media/videos', { 'content-type': 'application/json' }, '{'),
  ],
  'what is no HTTP': [Buffer.from('no HTTP at all\r\n\r\n')],
};

function masked(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replaceAll(/^(date|x-request-id): .*$/gim, '$1: …')
    .replaceAll(/"requestId":"[^"]+"/g, '"requestId":"…"');
}

/** What arrived on each connection, byte by byte. */
async function listen(server: FaultServer): Promise<Record<string, string>> {
  await server.double.clock.freeze();
  await server.double.clock.set(new Date('2030-01-01T00:00:00Z'));
  const heard: Record<string, string> = {};
  for (const [name, requests] of Object.entries(CONVERSATIONS)) {
    const wire = await Wire.open(server.port);
    for (const request of requests) await wire.request(request);
    heard[name] = masked(wire.transcript);
    wire.leave();
  }
  return heard;
}

const SERVERS: readonly {
  readonly name: string;
  readonly settings: ConfigInput;
  readonly arm: (server: FaultServer) => void;
}[] = [
  { name: 'that keeps a journal', settings: {}, arm: () => undefined },
  {
    name: 'whose rules are another key’s',
    settings: {},
    arm: ({ double }) => double.namespace('another').rules.add({ fault: 'reset@headers', times: 'always' }),
  },
  {
    name: 'whose rules were disarmed',
    settings: {},
    arm: ({ double }) => {
      double.rules.add({ fault: 'reset@headers', times: 'always' });
      double.namespace('k').rules.add({ match: { fileId: 'f' }, fault: 'close@body:3' });
      double.rules.clear();
      double.namespace('k').rules.clear();
    },
  },
  {
    name: 'whose rules are about other uploads, chunks and attempts',
    settings: {},
    arm: ({ double }) =>
      double.namespace('k').rules.add([
        { match: { fileId: 'g*' }, fault: 'reset@headers', times: 'always' },
        { match: { chunkIndex: 7 }, fault: 'reset@body:3', times: 'always' },
        { when: { attempt: '50-' }, fault: 'reset@headers', times: 'always' },
        { match: { operation: 'uploadChunk' }, fault: 'reset@body:1GiB', times: 'always' },
      ]),
  },
];

describe('a server', () => {
  it.each(SERVERS)(
    '$name answers byte for byte as one without the machinery (§10.18)',
    async ({ settings, arm }) => {
      const bare = await openFaultServer({ seed: 's', noJournal: true });
      const server = await openFaultServer({ seed: 's', ...settings });
      arm(server);
      const [expected, heard] = [await listen(bare), await listen(server)];
      expect(heard).toEqual(expected);
      expect(Object.values(heard).join('')).not.toMatch(/^x-mock-fault:/im);
      for (const [name, transcript] of Object.entries(heard))
        expect(transcript.match(/HTTP\/1\.1 \d{3} /g)?.length, name).toBe(CONVERSATIONS[name]?.length);
    },
  );

  it('without a journal carries rules out all the same, and tells of them in its answers', async () => {
    const server = await openFaultServer({ noJournal: true });
    const { rules } = server.double.namespace('k');
    rules.add([
      { id: 'busy', match: { operation: 'uploadChunk' }, fault: 'status@headers:503' },
      { id: 'cut', match: { operation: 'uploadChunk' }, fault: 'reset@body:3' },
      { id: 'lost', match: { operation: 'uploadChunk' }, fault: 'close@post-commit' },
    ]);
    const wire = await Wire.open(server.port);
    expect(await wire.request(chunk(0))).toMatchObject({ status: 503, headers: { 'x-mock-fault': 'busy' } });
    expect(await wire.request(chunk(0))).toMatchObject({ status: null, ending: 'RST' });
    expect(await (await Wire.open(server.port)).request(chunk(0))).toMatchObject({
      status: null,
      ending: 'FIN',
    });
    expect(await (await Wire.open(server.port)).request(chunk(0))).toMatchObject({ status: 200 });
    expect(rules.list().map(({ id, fired, lastFiredSeq }) => [id, fired, lastFiredSeq])).toEqual([
      ['busy', 1, null],
      ['cut', 1, null],
      ['lost', 1, null],
    ]);
  });
});
