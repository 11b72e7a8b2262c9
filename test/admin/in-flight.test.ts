// in-flight.test.ts: exchanges that have not ended can be seen: how far they are, and which rule holds them.
import { describe, expect, it } from 'vitest';
import { createDouble } from '../../src/control/in-process.ts';
import type { JournalEvent } from '../../src/journal/event-feed.ts';
import type { ExchangeInFlight } from '../../src/journal/in-flight.ts';
import { eventually, openTestServer, type TestServer } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { chunkRequest } from '../helpers/exchanges.ts';
import { openConnection, requestBytes, type RawConnection } from '../helpers/raw.ts';

interface Listed {
  readonly requests: readonly ExchangeInFlight[];
  readonly meta: { readonly total: number };
}

async function listed(client: DoubleClient, query = ''): Promise<readonly ExchangeInFlight[]> {
  const { status, body } = await client.admin<Listed>(`GET requests?inFlight=true${query}`);
  expect([status, body.meta?.total]).toEqual([200, body.requests?.length]);
  return body.requests;
}

const TAIL_BYTES = 40;

interface Sending {
  readonly connection: RawConnection;
  readonly bytes: Buffer;
}

/** A chunk whose last bytes are not sent yet; the server has received some of the others. */
async function begin(server: TestServer, key = 'k'): Promise<Sending> {
  const { bytes } = chunkRequest({
    key,
    fileId: 'f',
    index: 0,
    total: 2,
    bytes: Buffer.alloc(3_000, 'x'),
    order: 'the fields first',
  });
  const connection = await openConnection(server.port);
  await connection.write(bytes.subarray(0, -TAIL_BYTES));
  const test = new DoubleClient(server, key);
  await eventually(
    () => listed(test, '&chunkIndex=0'),
    (found) => found.length === 1,
  );
  return { connection, bytes };
}

async function openHeld(fault: string): Promise<{
  readonly server: TestServer;
  readonly test: DoubleClient;
  readonly sending: Promise<{ status: number }>;
}> {
  const server = await openTestServer();
  const [client, test] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'k')];
  await test.admin('POST rules', { id: 'held', match: { operation: 'uploadChunk' }, fault });
  const sending = client.chunk({ total: 2 });
  const { status } = await test.admin('POST rules/held/wait', { timeoutMs: 60_000 });
  expect(status).toBe(200);
  return { server, test, sending };
}

describe('an exchange in flight (§9.7)', () => {
  it.each([
    ['stall@headers', { phase: 'headers', effect: 'stall' }, 0],
    ['stall@body:2', { phase: 'body', effect: 'stall', atByte: 2 }, 2],
    ['stall@pre-commit', { phase: 'pre-commit', effect: 'stall' }, 5],
    ['stall@post-commit', { phase: 'post-commit', effect: 'stall' }, 5],
    ['delay@post-commit:10m', { phase: 'post-commit', effect: 'delay' }, 5],
    ['throttle:1B/s', { phase: 'body', effect: 'throttle' }, 5],
  ])('is listed with the rule that holds it: %s', async (fault, held, fileBytes) => {
    const { test } = await openHeld(fault);
    const [found, ...others] = await listed(test);
    expect(others).toEqual([]);
    expect(found).toMatchObject({
      begun: 1,
      seq: null,
      operation: 'uploadChunk',
      method: 'POST',
      path: '/media/chunks',
      // The server has not read the body, so it does not know what is in it.
      upload: held.phase === 'headers' ? null : { fileId: 'f', chunkIndex: 0, attempt: 1 },
      connection: { exchange: 1, reused: false },
      body: { fileBytes },
      heldBy: { ruleId: 'held', ...held },
    });
    expect(found?.heldBy?.sinceMs).toBeLessThanOrEqual(found?.elapsedMs ?? 0);
    expect(found?.at).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect((await test.admin('GET requests')).body).toMatchObject({ requests: [] });
  });

  it('whose answer has begun is listed with its number on record', async () => {
    const { test } = await openHeld('stall@response:5');
    const found = await eventually(
      () => listed(test),
      ([one]) => one?.heldBy !== null,
    );
    expect(found).toMatchObject([{ seq: 1, heldBy: { ruleId: 'held', phase: 'response', atByte: 5 } }]);
    expect((await test.admin('GET requests/1')).body).toMatchObject({ begun: 1, endedAfter: null });
  });

  it('is held no more when its delay is over, and gone when it has ended', async () => {
    const { test, sending } = await openHeld('delay@pre-commit:1ms');
    expect((await sending).status).toBe(200);
    expect(await listed(test)).toEqual([]);
    expect((await test.admin('POST requests/count', {})).body).toEqual({ count: 1 });
  });

  it('that waits for its client shows how its bytes grow, and no rule', async () => {
    const server = await openTestServer();
    const test = new DoubleClient(server, 'k');
    const { connection, bytes } = await begin(server);
    const [before] = await listed(test);
    expect(before).toMatchObject({ heldBy: null, upload: { fileId: 'f', chunkIndex: 0 } });
    expect(before?.body.fileBytes).toBeGreaterThan(0);
    await connection.write(bytes.subarray(-TAIL_BYTES, -1));
    const { declaredBytes } = before?.body ?? {};
    const [after] = await eventually(
      () => listed(test),
      ([one]) => one?.body.receivedBytes === (declaredBytes ?? 0) - 1,
    );
    expect(after?.body.receivedBytes).toBeGreaterThan(before?.body.receivedBytes ?? 0);
    await connection.write(bytes.subarray(-1));
    expect((await connection.answer())?.status).toBe(200);
    expect(await listed(test)).toEqual([]);
  });

  it('is gone after a reset, whoever has it still open', async () => {
    const { test, sending } = await openHeld('stall@pre-commit');
    await test.admin('POST reset');
    expect(await listed(test)).toEqual([]);
    expect((await sending).status).toBe(409);
  });

  it('from before a reset of the journal is not of the new one, although it goes on', async () => {
    const server = await openTestServer();
    const test = new DoubleClient(server, 'k');
    const { connection, bytes } = await begin(server);
    await test.admin('POST reset', { scope: ['journal'] });
    expect(await listed(test)).toEqual([]);
    await connection.write(bytes.subarray(-TAIL_BYTES));
    expect((await connection.answer())?.status).toBe(200);
  });

  it('is gone when its client has left', async () => {
    const server = await openTestServer();
    const test = new DoubleClient(server, 'k');
    const { connection } = await begin(server);
    connection.reset();
    const found = await eventually(
      () => listed(test),
      ({ length }) => length === 0,
    );
    expect(found).toEqual([]);
  });

  it('of another key is not shown; with ?namespace=* all are, in the order in which they began', async () => {
    const server = await openTestServer();
    const [own, other] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'other')];
    await begin(server, 'other');
    await begin(server);
    expect(await listed(own)).toMatchObject([{ begun: 2 }]);
    expect(await listed(other)).toMatchObject([{ begun: 1 }]);
    expect((await listed(own, '&namespace=*')).map(({ begun }) => begun)).toEqual([1, 2]);
    const { body } = await own.admin<Listed>('GET requests?inFlight=true&namespace=*&limit=1');
    expect([body.requests.map(({ begun }) => begun), body.meta]).toEqual([[1], { total: 2 }]);
  });

  it('is found by what is known of it', async () => {
    const { test } = await openHeld('stall@pre-commit');
    for (const query of [
      'operation=uploadChunk',
      'fileId=f',
      'chunkIndex=0',
      'attempt=1',
      'ruleId=held',
      'ruleId=*',
    ])
      expect([query, (await listed(test, `&${query}`)).length]).toEqual([query, 1]);
    for (const query of ['operation=getUploadStatus', 'fileId=g', 'chunkIndex=1', 'attempt=2'])
      expect([query, (await listed(test, `&${query}`)).length]).toEqual([query, 0]);
  });

  it('is a line for a person, with secrets masked', async () => {
    const server = await openTestServer();
    const test = new DoubleClient(server, 'k');
    await test.admin('POST rules', {
      id: 'held',
      match: { operation: 'getUploadStatus' },
      fault: 'stall@headers',
    });
    const connection = await openConnection(server.port);
    await connection.write(requestBytes('GET /media/chunks?fileId=f&token=hidden', { 'x-api-key': 'k' }));
    await test.admin('POST rules/held/wait');
    const { text } = await test.ask('GET', '/__admin/requests?inFlight=true', {
      headers: { accept: 'text/plain' },
    });
    expect(text).toMatch(
      /^~1 getUploadStatus \(GET \/media\/chunks\?fileId=f&token=\[redacted\]\) of "f" attempt 1: 0 bytes after [\d.]+ ms, held by rule held \(stall@headers\) for \d+ ms\n$/,
    );
  });

  it.each(['status=200', 'errorCode=chunk_conflict', 'outcome=answered', 'sinceSeq=1', 'x=1', 'ruleId=typo'])(
    'cannot be asked for by ?%s',
    async (query) => {
      const test = new DoubleClient(await openTestServer(), 'k');
      const { status, body } = await test.admin(`GET requests?inFlight=true&${query}`);
      expect([status, body['error']]).toEqual([400, 'invalid_matcher']);
      expect(JSON.stringify(body['details'])).toContain(`/${query.split('=')[0] ?? ''}`);
    },
  );

  it.each(['inFlight=yes', 'inFlight=true&format=har'])('?%s is refused', async (query) => {
    const test = new DoubleClient(await openTestServer(), 'k');
    const { status, body } = await test.admin(`GET requests?${query}`);
    expect([status, body['error']]).toEqual([400, 'invalid_request']);
  });

  it('is not asked for by ?inFlight=false', async () => {
    const test = new DoubleClient(await openTestServer(), 'k');
    await test.size();
    expect((await test.admin('GET requests?inFlight=false')).body).toMatchObject({ meta: { total: 1 } });
  });

  it('cannot be seen without a journal', async () => {
    const test = new DoubleClient(await openTestServer({ noJournal: true }), 'k');
    const { status, body } = await test.admin('GET requests?inFlight=true');
    expect([status, body['error']]).toEqual([409, 'journal_off']);
  });

  it('is seen in process, too', async () => {
    const { server } = await openHeld('stall@pre-commit');
    const double = createDouble(server);
    expect(double.journal.inFlight({ ruleId: 'held' })).toMatchObject([{ heldBy: { ruleId: 'held' } }]);
    expect(double.namespace('k').journal.inFlight()).toHaveLength(1);
    expect(double.namespace('other').journal.inFlight()).toEqual([]);
  });
});

describe('an event (§9.8)', () => {
  it('says that an exchange has begun before anything of it is known to have come', async () => {
    const server = await openTestServer();
    const told: JournalEvent[] = [];
    createDouble(server)
      .namespace('k')
      .journal.subscribe((event) => told.push(event));
    await new DoubleClient(server, 'k').chunk({ total: 2 });
    await new DoubleClient(server, 'other').chunk({ total: 2 });
    await eventually(
      () => told.length,
      (count) => count >= 3,
    );
    expect(told.map(({ kind }) => kind)).toEqual(['begun', 'ledger', 'exchange']);
    expect(told[0]?.data).toMatchObject({
      begun: 1,
      operation: 'uploadChunk',
      body: { receivedBytes: 0 },
      upload: null,
    });
    expect(told[2]?.data).toMatchObject({ begun: 1, seq: 1 });
  });

  it('tells how far a chunk is, for whoever listens, and is not told again (§9.8)', async () => {
    const server = await openTestServer();
    const test = new DoubleClient(server, 'k');
    const stream = await openConnection(server.port);
    await stream.write(requestBytes('GET /__admin/events', { 'x-api-key': 'k' }));
    await expect.poll(() => stream.leftOver).toContain('id: 0\n\n');
    const { connection, bytes } = await begin(server);
    await expect.poll(() => stream.leftOver).toContain('event: progress\n');
    // The event has no id of its own, because a client could not resume from such an id.
    expect(stream.leftOver).not.toMatch(/id: \d+\nevent: progress/);
    expect(stream.leftOver).toMatch(/id: 1\nevent: begun\n/);
    const [, data = ''] = /event: progress\ndata: (.*)\n/.exec(stream.leftOver) ?? [];
    const progress = JSON.parse(data) as ExchangeInFlight;
    expect(progress.body.receivedBytes).toBeGreaterThan(0);
    await connection.write(bytes.subarray(-TAIL_BYTES));
    await connection.answer();
    await test.admin('POST requests/wait', { operation: 'uploadChunk' });
    const again = await openConnection(server.port);
    await again.write(requestBytes('GET /__admin/events', { 'x-api-key': 'k', 'last-event-id': '0' }));
    await expect.poll(() => again.leftOver).toContain('event: exchange\n');
    const kinds = [...again.leftOver.matchAll(/event: (\w+)\n/g)].map(([, kind]) => kind);
    expect(kinds).toEqual(['begun', 'ledger', 'exchange']);
  });

  it('of progress comes again only when more has come, and never after its listeners are gone', async () => {
    const server = await openTestServer();
    const double = createDouble(server).namespace('k');
    const told: JournalEvent[] = [];
    const unsubscribe = double.journal.subscribe((event) => told.push(event));
    const marks: JournalEvent[] = [];
    double.journal.subscribe((event) => marks.push(event));
    const { connection, bytes } = await begin(server);
    const progressOf = (events: readonly JournalEvent[]): number =>
      events.filter(({ kind }) => kind === 'progress').length;
    await eventually(
      () => progressOf(told),
      (count) => count === 1,
    );
    unsubscribe();
    unsubscribe();
    await connection.write(bytes.subarray(-TAIL_BYTES, -1));
    await eventually(
      () => progressOf(marks),
      (count) => count === 2,
    );
    expect(progressOf(told)).toBe(1);
  });

  it('before anybody listened is not kept for those who come later', async () => {
    const server = await openTestServer();
    const test = new DoubleClient(server, 'k');
    await test.size();
    const stream = await openConnection(server.port);
    await stream.write(requestBytes('GET /__admin/events', { 'x-api-key': 'k', 'last-event-id': '0' }));
    await expect.poll(() => stream.leftOver).toContain('event: exchange\n');
    await test.size();
    await expect.poll(() => stream.leftOver.match(/event: exchange\n/g)?.length).toBe(2);
    const kinds = [...stream.leftOver.matchAll(/event: (\w+)\n/g)].map(([, kind]) => kind);
    expect(kinds).toEqual(['exchange', 'begun', 'exchange']);
  });
});
