// repeats.proxies.ts: which program repeats a request without an answer when nginx stands between; and that no request to the admin
// plane gets through.
import { execFile, spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startServer, type TestDouble } from '../../src/index.ts';
import { temporaryFolder } from '../helpers/app.ts';
import { Clients, keeping, recommended, stock } from './fronts.ts';
import { MISSING, startNginx, type Nginx } from './nginx.ts';
import { sendingOf, type Step } from './requests.ts';
import { DETAILS, isUpdate, readTable, writeTable } from './table.ts';

const PLACE = {
  page: DETAILS,
  name: 'repeats',
  columns: ['nginx', 'a GET that got no answer', 'a POST that got none', 'the journal marks it'],
};
const PROTOCOLS = ['HTTP/1.1', 'HTTP/2'] as const;
type Protocol = (typeof PROTOCOLS)[number];

const NON_IDEMPOTENT = 'proxy_next_upstream error timeout non_idempotent;';
const NAMES = [
  'stock',
  'with `keepalive`',
  `with \`keepalive\` and \`${NON_IDEMPOTENT}\``,
  '`examples/nginx.conf`',
] as const;
const OPEN = 'the example without its /__admin';

const clients = new Clients();
let server: TestDouble;
let nginx: Nginx<(typeof NAMES)[number] | typeof OPEN>;

beforeAll(async () => {
  if (MISSING !== null) return;
  server = await startServer();
  const { host } = new URL(server.url);
  nginx = await startNginx({
    [NAMES[0]]: stock(host),
    [NAMES[1]]: keeping(host),
    [NAMES[2]]: keeping(host, NON_IDEMPOTENT),
    [NAMES[3]]: recommended(host),
    [OPEN]: recommended(host, (text) => text.replace('location ^~ /__admin', 'location ^~ /nothing')),
  });
});

const rows = new Map<string, readonly string[]>();

afterAll(async () => {
  clients.closeAll();
  await Promise.all([nginx?.stop(), server?.close()]);
  if (isUpdate) writeTable(PLACE, rows);
});

beforeEach(({ skip }) => {
  if (MISSING !== null) skip(MISSING);
});

let keys = 0;
function newKey(): string {
  keys += 1;
  return `key-${keys}`;
}

/** What a client is told, and which exchanges of the step the server saw: `true` where it suspects a replay. */
async function tried(
  name: string,
  protocol: Protocol,
  step: Step,
): Promise<{ status: number; marks: boolean[] }> {
  const key = newKey();
  const double = server.namespace(key);
  const client = clients.through(nginx, name, protocol);
  // Where connections to the server are kept, the next request goes over this one's.
  expect((await client.send(sendingOf('getUploadStatus', key))).status).toBe(200);
  const { seq = 0 } = double.journal.find().at(-1) ?? {};
  double.rules.add({ match: { operation: step }, fault: 'close@headers' });
  const { status } = await client.send(sendingOf(step, key));
  const marks = double.journal
    .find({ operation: step, sinceSeq: seq })
    .map(({ suspectedTransportReplay }) => suspectedTransportReplay);
  return { status: status ?? 0, marks };
}

const written = readTable(PLACE);

it.each(NAMES)('the table says what nginx sends again: %s', async (name) => {
  const ofProtocols: string[][] = [];
  for (const protocol of PROTOCOLS) {
    const get = await tried(name, protocol, 'getUploadStatus');
    const post = await tried(name, protocol, 'uploadChunk');
    const shown = [get, post].map(({ status, marks }) =>
      marks.length === 1 ? String(status) : `sent ${marks.length} times, ${status}`,
    );
    ofProtocols.push([...shown, post.marks.includes(true) ? 'yes' : '']);
  }
  const [cells = [], others] = ofProtocols;
  expect(others, 'HTTP/2').toEqual(cells);
  rows.set(name, cells);
  if (!isUpdate) expect(cells).toEqual(written.get(name));
});

const hasCurl = spawnSync('curl', ['--version']).stdout?.includes('HTTP2') ?? false;

it.each(PROTOCOLS)(
  'curl, which sends a POST again by itself when a used connection dies, is told 502 over %s and sends nothing again',
  async (protocol) => {
    expect(hasCurl, 'curl with HTTP/2').toBe(true);
    const [key, folder] = [newKey(), await temporaryFolder()];
    const double = server.namespace(key);
    double.rules.add({ match: { operation: 'uploadChunk' }, fault: 'reset@post-commit' });
    const [ca, file] = [join(folder, 'ca.pem'), join(folder, 'file')];
    await Promise.all([writeFile(ca, nginx.ca), writeFile(file, 'content')]);
    const url = nginx.urls['`examples/nginx.conf`'];
    const version = protocol === 'HTTP/2' ? '--http2' : '--http1.1';
    const common = ['-sS', '--cacert', ca, version, '-o', '/dev/null', '-H', `X-API-Key: ${key}`];
    const form = [`file=@${file}`, 'chunkIndex=0', 'totalChunks=1', 'fileId=f'].flatMap((field) => [
      '-F',
      field,
    ]);
    const args = [
      ...common.concat(`${url}/media/chunks?fileId=f`, '--next'),
      ...common.concat(form, '-w', '%{http_version} %{http_code} %{num_connects}', `${url}/media/chunks`),
    ];
    const said = await new Promise<string>((resolve, reject) => {
      execFile('curl', args, { timeout: 40_000 }, (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    });
    expect(said).toBe(`${protocol === 'HTTP/2' ? '2' : '1.1'} 502 0`);
    expect(double.journal.find({ operation: 'uploadChunk' })).toMatchObject([
      { outcome: 'fault-reset', suspectedTransportReplay: false },
    ]);
  },
);

describe('the admin plane of a server without a token', () => {
  const SPELLINGS = [
    '/__admin/uploads?namespace=*',
    '/__admin/docs',
    '/%5F%5fadmin/version',
    '//__admin/version',
    '/./__admin/version',
    '/x/../__admin/version',
    '/__admin%2fversion',
  ];

  it('is not there behind examples/nginx.conf, however it is spelt', async () => {
    for (const [protocol, path] of PROTOCOLS.flatMap((one) =>
      SPELLINGS.map((path) => [one, path] as const),
    )) {
      const { status, body } = await clients
        .through(nginx, NAMES[3], protocol)
        .send({ method: 'GET', path, headers: { 'x-api-key': 'k' }, body: Buffer.alloc(0) });
      expect([path, status, body.toString()]).toEqual([path, 404, expect.stringContaining('<center>nginx')]);
    }
  });

  it.each([NAMES[0], OPEN])('is refused behind an nginx that lets it through: %s', async (name) => {
    for (const [protocol, path] of PROTOCOLS.flatMap((one) =>
      SPELLINGS.map((path) => [one, path] as const),
    )) {
      const { status, body } = await clients
        .through(nginx, name, protocol)
        .send({ method: 'GET', path, headers: { 'x-api-key': 'k' }, body: Buffer.alloc(0) });
      const { error } = JSON.parse(body.toString()) as { error: string };
      const isKnown = /^\/(__|%5F%5f)admin\//.test(path);
      const refusal = isKnown ? [403, 'admin_proxy_forbidden'] : [404, 'not_found'];
      expect([path, status, error]).toEqual([path, ...refusal]);
    }
  });
});
