// reset-in-flight.test.ts: nothing from before a reset affects what comes after it: no chunk, no entry, no exchange, no stall.
import { describe, expect, it } from 'vitest';
import { eventually, openTestServer, type TestServer } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { chunkRequest } from '../helpers/exchanges.ts';
import { openConnection, type RawConnection } from '../helpers/raw.ts';

interface Sending {
  readonly connection: RawConnection;
  /** What was not sent yet. */
  readonly rest: Buffer;
}

interface Watched extends TestServer {
  /** Requests with a chunk whose head was read. */
  begun(): number;
}

async function openWatched(): Promise<Watched> {
  let begun = 0;
  const server = await openTestServer(
    {},
    {
      observe: (app) =>
        app.addHook('preHandler', (request, _reply, done) => {
          if (request.method === 'POST' && request.url === '/media/chunks') begun += 1;
          done();
        }),
    },
  );
  return { ...server, begun: () => begun };
}

/** A chunk whose last bytes are not sent yet. */
async function begin(server: Watched, index: number, key = 'k'): Promise<Sending> {
  const before = server.begun();
  const { bytes } = chunkRequest({ key, fileId: 'f', index, total: 2, bytes: Buffer.alloc(200, 'x') });
  const connection = await openConnection(server.port);
  await connection.write(bytes.subarray(0, -20));
  await eventually(
    () => server.begun(),
    (count) => count > before,
  );
  return { connection, rest: bytes.subarray(-20) };
}

/**
 * A chunk that the fault holds, and a reset in the meantime. `sending` is in an object, because a bare promise would be awaited
 * here.
 */
async function resetWhileHeld(fault: string, body: object = {}) {
  const server = await openTestServer();
  const [own, test] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'k')];
  await test.admin('POST rules', { id: 'held', match: { operation: 'uploadChunk' }, fault });
  const sending = own.chunk({ total: 2 });
  await test.admin('POST rules/held/wait', {});
  await test.admin('POST reset', body);
  return { sending, test };
}

describe('a chunk that is in flight during a reset (§9.12)', () => {
  it.each([0, 1])('chunk %i is refused, and neither stored nor on record', async (index) => {
    const server = await openWatched();
    const own = new DoubleClient(server, 'k');
    if (index === 1) await own.chunk({ total: 2, bytes: 'first' });
    const { connection, rest } = await begin(server, index);
    expect((await own.admin('POST reset')).status).toBe(200);
    await connection.write(rest);
    const answer = await connection.answer();
    expect([answer?.status, answer?.text]).toEqual([409, expect.stringContaining('chunk_superseded')]);
    const { body } = await own.admin<{ requests: object[] }>('GET requests');
    const { body: listed } = await own.admin<{ uploads: object[] }>('GET uploads');
    expect([body.requests, listed.uploads]).toEqual([[], []]);
    expect((await own.chunk({ bytes: 'other' })).status).toBe(200);
  });

  it('of another key goes on', async () => {
    const server = await openWatched();
    const [own, other] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'other')];
    const { connection, rest } = await begin(server, 0, 'other');
    await own.admin('POST reset');
    await connection.write(rest);
    expect((await connection.answer())?.status).toBe(200);
    expect(await other.size()).toBe(200);
  });

  it('goes on when only the journal is reset, and is not in the new one', async () => {
    const server = await openWatched();
    const own = new DoubleClient(server, 'k');
    const { connection, rest } = await begin(server, 0);
    await own.admin('POST reset', { scope: ['journal'] });
    await connection.write(rest);
    expect((await connection.answer())?.status).toBe(200);
    expect((await own.admin('POST requests/count', {})).body).toEqual({ count: 0 });
  });
});

describe('a request that a rule holds (§9.12)', () => {
  it.each([
    'stall@headers',
    'stall@body:2',
    'stall@pre-commit',
    'stall@post-commit',
    'delay@pre-commit:10m',
    'delay@post-commit:10m',
  ])('%s, is answered 409 by a reset, and nothing of it stays', async (fault) => {
    const { sending, test } = await resetWhileHeld(fault);
    expect(await sending).toMatchObject({ status: 409, body: { error: 'chunk_superseded' } });
    expect(await test.size()).toBeNull();
    expect((await test.admin('POST requests/count', { operation: 'uploadChunk' })).body).toEqual({
      count: 0,
    });
  });

  it.each([
    ['stall@pre-commit', null],
    ['stall@post-commit', 5],
  ] as const)(
    '%s, is told to ask for the status when only the rules are reset: its upload stays',
    async (fault, size) => {
      const { sending, test } = await resetWhileHeld(fault, { scope: ['rules'] });
      const { body } = (await sending) as { body: { message?: string } };
      expect(body.message).toBe(
        'a reset of rules ended this request; ask for the status of its upload, and go on from there',
      );
      expect(await test.size()).toBe(size);
    },
  );

  it.each(['stall@response:5', 'delay@response:10m'])('%s, is ended', async (fault) => {
    const { sending, test } = await resetWhileHeld(fault);
    expect((await sending).status).toBe(0);
    expect((await test.admin('POST requests/count', { operation: 'uploadChunk' })).body).toEqual({
      count: 0,
    });
  });
});
