// clients.test.ts: what other programs meet: fetch, Node's http, curl and Python's http.client, each under the faults that matter
// to an uploader; and how curl's transport sends again by itself.
import { describe, expect, it, type TestContext } from 'vitest';
import type { NamespaceDouble } from '../../src/control/in-process.ts';
import type { Exchange, Outcome } from '../../src/journal/exchange.ts';
import { eventually } from '../helpers/app.ts';
import { CLIENTS, type Client, type Sending } from '../helpers/clients.ts';
import { chunkRequest, openFaultServer, type FaultServer } from '../helpers/exchanges.ts';
import { requestBytes } from '../helpers/raw.ts';
import { Wire } from '../helpers/wire.ts';

const MIB = 1024 * 1024;

type Met = Readonly<Record<Client['name'], string | RegExp>>;

interface Row {
  readonly name: string;
  readonly fault: string;
  readonly bytes: number;
  readonly meets: Met;
  readonly isStored: boolean;
  readonly outcome: Outcome;
}

const FIN: Met = {
  fetch: 'UND_ERR_SOCKET',
  'node:http': 'ECONNRESET',
  curl: 'exit 52',
  Python: 'RemoteDisconnected',
};
const RST: Met = {
  fetch: 'ECONNRESET',
  'node:http': 'ECONNRESET',
  curl: 'exit 56',
  Python: 'ConnectionResetError',
};
/** A client in the middle of a write may notice the RST there. */
const RST_MIDWAY: Met = {
  fetch: /^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/,
  'node:http': /^(ECONNRESET|EPIPE)$/,
  curl: /^exit 5[56]$/,
  Python: /^(ConnectionResetError|BrokenPipeError)$/,
};
const PARTIAL: Met = {
  fetch: '200, then UND_ERR_SOCKET',
  'node:http': '200, then ECONNRESET',
  curl: '200, then exit 18',
  Python: '200, then IncompleteRead',
};
const NOISE: Met = {
  fetch: 'HPE_INVALID_CONSTANT',
  'node:http': 'HPE_INVALID_CONSTANT',
  curl: 'exit 1',
  Python: 'BadStatusLine',
};

function all(met: string | RegExp): Met {
  return { fetch: met, 'node:http': met, curl: met, Python: met };
}

const BUSY = all(/^503, \d+ bytes$/);

const ROWS: readonly Row[] = [
  {
    name: 'close before the commit',
    fault: 'close@pre-commit',
    bytes: 1000,
    meets: FIN,
    isStored: false,
    outcome: 'fault-closed',
  },
  {
    name: 'reset before the commit',
    fault: 'reset@pre-commit',
    bytes: 1000,
    meets: RST,
    isStored: false,
    outcome: 'fault-reset',
  },
  {
    name: 'an answer lost after the commit (FIN)',
    fault: 'close@post-commit',
    bytes: 1000,
    meets: FIN,
    isStored: true,
    outcome: 'fault-closed',
  },
  {
    name: 'an answer lost after the commit (RST)',
    fault: 'reset@post-commit',
    bytes: 1000,
    meets: RST,
    isStored: true,
    outcome: 'fault-reset',
  },
  // Many test servers leave bytes unread, so that their FIN becomes an RST. This server reads them, so a FIN stays a FIN.
  {
    name: 'close in the middle of a body',
    fault: 'close@body:100000',
    bytes: 8 * MIB,
    meets: FIN,
    isStored: false,
    outcome: 'fault-closed',
  },
  {
    name: 'reset in the middle of a body',
    fault: 'reset@body:100000',
    bytes: 8 * MIB,
    meets: RST_MIDWAY,
    isStored: false,
    outcome: 'fault-reset',
  },
  {
    name: 'a truncated 200',
    fault: 'truncate@response',
    bytes: 1000,
    meets: PARTIAL,
    isStored: true,
    outcome: 'fault-closed',
  },
  {
    name: 'an early 503, keep-alive',
    fault: 'status@headers:503',
    bytes: 8 * MIB,
    meets: BUSY,
    isStored: false,
    outcome: 'answered',
  },
  // Under many test servers Python fails on the broken pipe and never sees the answer. This server continues to read until the
  // client has read the answer.
  {
    name: 'an early 503, closing',
    fault: 'status@headers:503,closing',
    bytes: 8 * MIB,
    meets: BUSY,
    isStored: false,
    outcome: 'answered',
  },
  {
    name: 'a 503 in the middle of a body, closing',
    fault: 'status@body:1000,503,closing',
    bytes: 8 * MIB,
    meets: BUSY,
    isStored: false,
    outcome: 'answered',
  },
  {
    name: 'garbage instead of an answer',
    fault: 'garbage@response',
    bytes: 1000,
    meets: NOISE,
    isStored: true,
    outcome: 'fault-closed',
  },
  {
    name: 'an empty 200',
    fault: 'empty@response',
    bytes: 1000,
    meets: all('200, 0 bytes'),
    isStored: true,
    outcome: 'answered',
  },
];

function skipUnlessThere({ isThere, name }: Client, { skip }: TestContext): void {
  if (!isThere) skip(`${name} is not installed here`);
}

function sendingTo({ url }: FaultServer, bytes: number, isReused = false): Sending {
  return { url, key: 'k', fileId: 'f', bytes: Buffer.alloc(bytes, 'content '), isReused };
}

async function isStored({ uploads }: NamespaceDouble): Promise<boolean> {
  return (await uploads.find('f'))?.completed ?? false;
}

describe.each(ROWS)('$name', ({ fault, bytes, meets, isStored: isExpected, outcome }) => {
  it.for(CLIENTS)(
    'is met by $name as it should be, and mended by sending again (§10.9)',
    async (client, context) => {
      skipUnlessThere(client, context);
      const server = await openFaultServer();
      const double = server.double.namespace('k');
      double.rules.add({ id: 'r', match: { operation: 'uploadChunk' }, fault });
      const sending = sendingTo(server, bytes);
      expect(await client.send(sending)).toMatch(exactly(meets[client.name]));
      expect(await isStored(double)).toBe(isExpected);
      await eventually(
        () => double.journal.find(),
        ([only, ...more]) => only?.outcome === outcome && more.length === 0,
      );
      // The next request must succeed. It tests the server, so a client that needs no process of its own is enough.
      expect(await byName('node:http').send(sending)).toMatch(/^200, [1-9]\d* bytes$/);
      const [met, again, ...more] = double.journal.find();
      expect([met?.committed !== null, again?.committed !== null]).toEqual([isExpected, !isExpected]);
      expect([again?.suspectedTransportReplay, more]).toEqual([false, []]);
    },
  );
});

function byName(name: Client['name']): Client {
  const client = CLIENTS.find((one) => one.name === name);
  if (client === undefined) throw new Error(`no client ${name}`);
  return client;
}

function exactly(met: string | RegExp): RegExp {
  return typeof met === 'string' ? new RegExp(`^${met}$`) : met;
}

/** The parts of an exchange that show who sent it again. */
function replayFacts({ operation, outcome, fault, committed, connection, ...rest }: Exchange): object {
  return {
    operation,
    outcome,
    rule: fault?.ruleId ?? null,
    isStored: committed !== null,
    connection: connection.id,
    exchange: connection.exchange,
    isReplay: rest.suspectedTransportReplay,
  };
}

describe('an answer lost on a connection that was used before', () => {
  const LOST: readonly { readonly fault: string; readonly isStored: boolean; readonly outcome: Outcome }[] = [
    { fault: 'close@post-commit', isStored: true, outcome: 'fault-closed' },
    { fault: 'reset@post-commit', isStored: true, outcome: 'fault-reset' },
    { fault: 'stall@post-commit:20ms', isStored: true, outcome: 'fault-closed' },
    { fault: 'close@pre-commit', isStored: false, outcome: 'fault-closed' },
    { fault: 'reset@body:100', isStored: false, outcome: 'fault-reset' },
    { fault: 'close@headers', isStored: false, outcome: 'fault-closed' },
  ];
  const others = CLIENTS.filter(({ name }) => name !== 'curl');

  it.for(LOST)(
    'is not noticed by who uses curl: its transport sends again, and that is on record: $fault (C6)',
    async ({ fault, isStored: isLostStored, outcome }, context) => {
      const curl = byName('curl');
      skipUnlessThere(curl, context);
      const server = await openFaultServer();
      const double = server.double.namespace('k');
      double.rules.add({ id: 'r', match: { operation: 'uploadChunk' }, fault });
      expect(await curl.send(sendingTo(server, 1000, true))).toMatch(/^200, [1-9]\d* bytes$/);
      const none = { rule: null, isStored: false, isReplay: false, outcome: 'answered' };
      const chunk = { ...none, operation: 'uploadChunk' };
      expect(double.journal.find().map(replayFacts)).toEqual([
        { ...none, operation: 'getUploadStatus', connection: 1, exchange: 1 },
        { ...chunk, rule: 'r', outcome, isStored: isLostStored, connection: 1, exchange: 2 },
        { ...chunk, isStored: !isLostStored, connection: 2, exchange: 1, isReplay: true },
      ]);
      expect(await double.uploads.find('f')).toMatchObject({ currentSize: 1000, completed: true });
    },
  );

  it('is not noticed by a page either whose browser has sent no more than a preflight on it before', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    double.rules.add({ id: 'r', match: { operation: 'uploadChunk' }, fault: 'reset@post-commit' });
    const { bytes } = chunkRequest({
      key: 'k',
      fileId: 'f',
      index: 0,
      total: 1,
      bytes: Buffer.from('content'),
    });
    const preflight = { origin: 'http://page.example', 'access-control-request-method': 'POST' };
    const used = await Wire.open(server.port);
    expect(await used.request(requestBytes('OPTIONS /media/chunks', preflight))).toMatchObject({
      status: 204,
    });
    expect(await used.request(bytes)).toMatchObject({ status: null, ending: 'RST' });
    const next = await Wire.open(server.port);
    expect(await next.request(bytes)).toMatchObject({ status: 200 });
    const chunk = { operation: 'uploadChunk', rule: null, isStored: false, isReplay: false };
    expect(double.journal.find().map(replayFacts)).toEqual([
      { ...chunk, rule: 'r', isStored: true, outcome: 'fault-reset', connection: 1, exchange: 2 },
      { ...chunk, isReplay: true, outcome: 'answered', connection: 2, exchange: 1 },
    ]);
  });

  it.for(others)(
    'is told to who uses $name, and what they send then is no replay',
    async (client, context) => {
      skipUnlessThere(client, context);
      const server = await openFaultServer();
      const double = server.double.namespace('k');
      double.rules.add({ id: 'r', match: { operation: 'uploadChunk' }, fault: 'close@post-commit' });
      const sending = sendingTo(server, 1000, true);
      expect(await client.send(sending)).toBe(FIN[client.name]);
      expect(double.journal.find()).toMatchObject([
        { operation: 'getUploadStatus' },
        { operation: 'uploadChunk', connection: { reused: true }, fault: { ruleId: 'r' } },
      ]);
      expect(await client.send(sending)).toMatch(/^200, /);
      const marks = double.journal.find().map(({ suspectedTransportReplay }) => suspectedTransportReplay);
      expect(marks).toEqual([false, false, false, false]);
    },
  );
});
