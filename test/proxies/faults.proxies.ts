// faults.proxies.ts: what happens to each fault on its way through nginx, over HTTP/1.1 and HTTP/2. The table of docs/proxies.md
// must say the same.
//
// These tests also cover an nginx that finds out that its server is down, or that a client left.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EFFECT_NAMES } from '../../src/faults/effects.ts';
import { readFault } from '../../src/faults/fault.ts';
import { startServer, type NamespaceDouble, type TestDouble } from '../../src/index.ts';
import { eventually } from '../helpers/app.ts';
import type { Client, Met, Protocol } from './clients.ts';
import { Clients, recommended, stock } from './fronts.ts';
import { MISSING, startNginx, type Nginx } from './nginx.ts';
import { sendingOf, type Step } from './requests.ts';
import { DETAILS, isUpdate, readTable, writeTable } from './table.ts';

const MIB = 1024 * 1024;

interface Row {
  readonly name: string;
  readonly fault: string | null;
  readonly step: Step;
  readonly bytes: number;
}

const FAULTS: readonly string[] = [
  'close@headers',
  'close@body:500',
  'close@pre-commit',
  'close@post-commit',
  'close@response:7',
  'reset@headers',
  'reset@body:500',
  'reset@pre-commit',
  'reset@post-commit',
  'reset@response:7',
  'stall@headers',
  'stall@body:500',
  'stall@pre-commit',
  'stall@post-commit',
  'stall@response:7',
  'stall@post-commit:50ms',
  'delay@post-commit:50ms',
  'delay@response:7,50ms',
  'status@headers:503,retryAfter=2',
  'status@headers:503,closing',
  'status@body:500,429',
  'status@pre-commit:502,html',
  'status@post-commit:500',
  'throttle@body:20000',
  'throttle@response:4000',
  'truncate@response',
  'empty@response',
  'garbage@response',
  'garbage@response:7',
  'late-commit@pre-commit:1h',
  'forget@post-commit',
];

const row = (given: Partial<Row> & Pick<Row, 'name'>): Row => ({
  fault: null,
  step: 'uploadChunk',
  bytes: 1000,
  ...given,
});

const ROWS: readonly Row[] = [
  row({ name: 'a chunk' }),
  row({ name: 'a status query', step: 'getUploadStatus' }),
  row({ name: 'a chunk of 2 MiB', bytes: 2 * MIB }),
  ...FAULTS.map((fault) => row({ name: `\`${fault}\``, fault })),
  ...['status@headers:503', 'status@body:1MiB,503', 'reset@body:1MiB'].map((fault) =>
    row({ name: `\`${fault}\`, a chunk of 8 MiB`, fault, bytes: 8 * MIB }),
  ),
  row({ name: '`stale-status`', fault: 'stale-status', step: 'getUploadStatus' }),
  row({ name: '`fail-publish:instagram`', fault: 'fail-publish:instagram', step: 'createVideo' }),
];

const DOWN = 'the server is down';
/** Half of it is more than nginx keeps in memory. */
const LEAVING_BYTES = 800 * 1024;
const LEAVES = 'what the server sees of a client that leaves half-way';

const FAULTS_SHOWN = ROWS.flatMap(({ fault }) => fault ?? []);

type Front = 'direct' | 'stock' | 'recommended';
const FRONTS: readonly Front[] = ['direct', 'stock', 'recommended'];

const clients = new Clients();
let server: TestDouble;
let nginx: Nginx<'stock' | 'recommended' | 'stock, down' | 'recommended, down'>;
let downUrl = '';

beforeAll(async () => {
  if (MISSING !== null) return;
  server = await startServer();
  const { host } = new URL(server.url);
  const down = await startServer();
  downUrl = down.url;
  await down.close();
  const { host: downHost } = new URL(downUrl);
  nginx = await startNginx({
    stock: stock(host),
    recommended: recommended(host),
    'stock, down': stock(downHost),
    'recommended, down': recommended(downHost),
  });
});

afterAll(async () => {
  clients.closeAll();
  await Promise.all([nginx?.stop(), server?.close()]);
  if (!isUpdate) return;
  writeTable(DETAILED, rows);
});

beforeEach(({ skip }) => {
  if (MISSING !== null) skip(MISSING);
});

let keys = 0;
/** Each exchange is the only one of its kind in a namespace of its own. */
function newKey(): string {
  keys += 1;
  return `key-${keys}`;
}

interface Seen {
  readonly cell: string;
  readonly isStored: boolean;
  /** How the exchanges of the step ended, by the journal. */
  readonly outcomes: readonly string[];
}

/** A cell that says so is waited for that long. Everything else that comes ends the waiting. */
const SILENCE_MS = isUpdate ? 8000 : 2500;
const PATIENCE_MS = 40_000;

async function see(client: Client, { fault, step, bytes }: Row, expected: string): Promise<Seen> {
  const key = newKey();
  const double = server.namespace(key);
  await prepare(double, key, step);
  if (fault !== null) double.rules.add({ id: 'r', match: { operation: step }, fault });
  const left = new AbortController();
  const leave = async (): Promise<void> => {
    if (fault?.startsWith('stall') === true)
      await eventually(
        () => double.rules.find('r').fired,
        (fired) => fired === 1,
      );
    const patience = isUpdate || expected.includes('silence') ? SILENCE_MS : PATIENCE_MS;
    setTimeout(() => left.abort(), patience).unref();
  };
  void leave();
  const met = await client.send(sendingOf(step, key, bytes), left.signal);
  const cell = cellOf(met);
  const outcomes = await eventually(
    () => double.journal.find({ operation: step }).map(({ outcome }) => outcome),
    // What nginx refuses by itself never reaches the server. A stalled answer counts as one until its client has left.
    (seen) =>
      cell.startsWith('413') || (seen.length > 0 && !(fault?.startsWith('stall') && seen[0] === 'answered')),
  );
  return { cell, isStored: await isStored(double, step), outcomes };
}

/** What the step is about. */
async function prepare(double: NamespaceDouble, key: string, step: Step): Promise<void> {
  if (step === 'uploadChunk') return;
  await clients.direct(server.url).send(sendingOf('uploadChunk', key));
  expect((await double.uploads.find('f'))?.completed).toBe(true);
}

async function isStored({ uploads, media }: NamespaceDouble, step: Step): Promise<boolean> {
  if (step === 'createVideo') return (await media.list()).length === 1;
  return (await uploads.find('f'))?.completed ?? false;
}

/** In the words of the table. */
function cellOf({ status, headers, body, ending }: Met): string {
  if (status === null) return ending;
  const text = body.toString('latin1');
  if (String(headers['content-type']).includes('text/html') && text.includes('<center>nginx'))
    return `${status} of nginx`;
  if (ending === 'silence') return `${status}, then silence`;
  if (status === 0) return 'status 000';
  if (ending !== 'whole') return `${status}, cut`;
  if (body.length === 0) return `${status}, empty`;
  if (String(headers['content-type']).includes('text/html')) return `${status}, a page`;
  return isJson(text) ? String(status) : `${status}, noise`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Where the protocols differ the cell has both. */
function joined(cells: readonly string[]): string {
  const [first = '', second = first] = cells;
  return first === second ? first : `${first}; HTTP/2: ${second}`;
}

function protocolsOf(front: Front): Protocol[] {
  return front === 'direct' ? ['HTTP/1.1'] : ['HTTP/1.1', 'HTTP/2'];
}

function clientFor(front: Front, protocol: Protocol, isDown = false): Client {
  if (front === 'direct') return clients.direct(isDown ? downUrl : server.url);
  return clients.through(nginx, isDown ? `${front}, down` : front, protocol);
}

const COLUMNS = ['', 'stored', 'nothing between', 'stock nginx', '`examples/nginx.conf`'];
const DETAILED = { page: DETAILS, name: 'faults', columns: COLUMNS };

const written = readTable(DETAILED);
const rows = new Map<string, readonly string[]>();

function expectRow(name: string, isStored: boolean, cells: readonly string[]): void {
  const all = [isStored ? 'yes' : '', ...cells];
  rows.set(name, all);
  if (!isUpdate) expect(all).toEqual(written.get(name));
}

describe('what a client meets, with nothing between, behind a stock nginx and behind examples/nginx.conf', () => {
  it.each(ROWS)('of $name is what the table says, and the journal tells the same of all', async (one) => {
    const seen = await Promise.all(
      FRONTS.map((front, at) =>
        Promise.all(
          protocolsOf(front).map((protocol) =>
            see(clientFor(front, protocol), one, written.get(one.name)?.[at + 1] ?? ''),
          ),
        ),
      ),
    );
    const arrived = seen.flat().filter(({ cell }) => !cell.startsWith('413'));
    expect(new Set(arrived.map(({ isStored: stored }) => stored)).size, JSON.stringify(seen)).toBe(1);
    expect(new Set(arrived.map(({ outcomes }) => outcomes.join())).size, JSON.stringify(seen)).toBe(1);
    const cells = seen.map((ofFront) => joined(ofFront.map(({ cell }) => cell)));
    expectRow(one.name, arrived[0]?.isStored === true, cells);
  });

  it('of a server that is down is what the table says', async () => {
    const seen = await Promise.all(
      FRONTS.map((front) =>
        Promise.all(
          protocolsOf(front).map((protocol) =>
            clientFor(front, protocol, true).send(sendingOf('uploadChunk', newKey())),
          ),
        ),
      ),
    );
    expectRow(
      DOWN,
      false,
      seen.map((ofFront) => joined(ofFront.map(cellOf))),
    );
  });

  it('has a row for every fault, and each row of the documents was seen', () => {
    const effects = FAULTS_SHOWN.map((fault) => {
      const reading = readFault(fault);
      return 'fault' in reading ? reading.fault.effect : `${fault} is no fault`;
    });
    // The fault ends the process, but here the server shares this process. So its connection breaks off as with `close` or `reset`,
    // and then the server is down.
    expect([...new Set(effects), 'crash'].toSorted()).toEqual([...EFFECT_NAMES].toSorted());
    if (isUpdate) return;
    const names = [...ROWS.map(({ name }) => name), DOWN, LEAVES];
    expect([...written.keys()].toSorted()).toEqual(names.toSorted());
  });
});

it('the server sees a client that leaves half-way as the table says: not at all behind a stock nginx', async () => {
  const cells: string[] = [];
  for (const front of FRONTS) {
    const ofFront: string[] = [];
    for (const protocol of protocolsOf(front)) ofFront.push(await seenOfLeaving(front, protocol));
    cells.push(joined(ofFront));
  }
  expectRow(LEAVES, false, cells);
});

/** How the journal has it, when it is over. */
async function seenOfLeaving(front: Front, protocol: Protocol): Promise<string> {
  const key = newKey();
  const double = server.namespace(key);
  double.rules.add({ id: 'seen', match: { operation: 'uploadChunk' }, fault: 'delay@body:1000,1ms' });
  const logged = (await postsLogged()).length;
  const leave = await clientFor(front, protocol).sendHalf(sendingOf('uploadChunk', key, LEAVING_BYTES));
  if (front !== 'stock')
    await eventually(
      () => double.rules.find('seen').fired,
      (fired) => fired === 1,
    );
  leave();
  if (front !== 'direct')
    await eventually(
      async () => (await postsLogged()).length,
      (lines) => lines > logged,
    );
  if (front !== 'stock') await double.journal.wait({ outcome: 'client-aborted' }, { timeoutMs: PATIENCE_MS });
  // Anything that comes later would stand after it.
  const again = await clientFor(front, protocol).send(sendingOf('uploadChunk', key, LEAVING_BYTES));
  expect(again.status).toBe(200);
  const outcomes = double.journal.find({ operation: 'uploadChunk' }).map(({ outcome }) => outcome);
  expect(outcomes.at(-1)).toBe('answered');
  return outcomes.slice(0, -1).join() || 'nothing';
}

async function postsLogged(): Promise<string[]> {
  return (await nginx.accessLog()).filter((line) => line.includes(' POST '));
}

describe('an answer', () => {
  it.each(['HTTP/1.1', 'HTTP/2'] as const)(
    'keeps its headers on its way through nginx over %s: Retry-After, X-Mock-Fault, X-Request-Id',
    async (protocol) => {
      for (const front of ['stock', 'recommended'] as const) {
        const key = newKey();
        server.namespace(key).rules.add({ id: 'busy', fault: 'status@headers:503,retryAfter=2' });
        const { headers } = await clientFor(front, protocol).send(sendingOf('uploadChunk', key));
        expect(headers).toMatchObject({ 'retry-after': '2', 'x-mock-fault': 'busy' });
        expect(headers['x-request-id']).toMatch(/^[\w-]{10,}$/);
      }
    },
  );

  it.each(['truncate@response', 'reset@response:7', 'close@response:7'])(
    'that breaks off ends its own stream with INTERNAL_ERROR over HTTP/2, and the connection goes on: %s',
    async (fault) => {
      const client = clientFor('recommended', 'HTTP/2');
      const [cut, other] = [newKey(), newKey()];
      server.namespace(cut).rules.add({ match: { operation: 'uploadChunk' }, fault });
      const [met, beside] = await Promise.all([
        client.send(sendingOf('uploadChunk', cut)),
        client.send(sendingOf('uploadChunk', other)),
      ]);
      expect([met.status, met.ending]).toEqual([200, 'RST_STREAM 2']);
      expect([beside.status, beside.ending]).toEqual([200, 'whole']);
      expect((await client.send(sendingOf('uploadChunk', cut))).ending).toBe('whole');
    },
  );
});
