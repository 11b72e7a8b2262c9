// direct-uploads.test.ts: a file that is sent in one request and is broken by faults or by its client: what is kept, and what is on
// record (behaviour §10). A library reads media forms; these tests must hold for any reader.
import { expect, it } from 'vitest';
import { ask, eventually, metric } from '../helpers/app.ts';
import { contentBytes } from '../helpers/disk.ts';
import { directRequest, openFaultServer, wholeBody, type FaultServer } from '../helpers/exchanges.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { Wire } from '../helpers/wire.ts';

const BYTES = diceOf(SEED).bytes(3_000_000);
const REQUEST = directRequest({ key: 'k', bytes: BYTES });
/** The end of the form, after the file. */
const BEHIND = 400;

async function expectNothingKept(server: FaultServer): Promise<void> {
  await eventually(
    () => contentBytes(server.dataDir),
    (bytes) => bytes === 0,
  );
  await eventually(
    () => metric(server, 'stored_bytes'),
    (bytes) => bytes === 0,
  );
  expect(await server.double.namespace('k').media.list()).toEqual([]);
}

it('a whole one is on record part by part, with lengths and digests, whatever the parts are called', async () => {
  const server = await openFaultServer();
  const wire = await Wire.open(server.port);
  const { status } = await wire.request(REQUEST.bytes);
  expect(status).toBe(201);
  const double = server.double.namespace('k');
  expect(double.journal.find()).toMatchObject([
    { body: wholeBody(REQUEST), contract: { request: [], response: [] }, outcome: 'answered' },
  ]);
  const [entry] = await double.media.list();
  const content = await fetch(new URL(`/__admin/media/${entry?.id}/content`, server.url), {
    headers: { 'x-api-key': 'k' },
  });
  expect(Buffer.from(await content.arrayBuffer()).equals(BYTES)).toBe(true);
});

it.each([
  { fault: 'reset@body:0', atByte: 0, ending: 'RST', outcome: 'fault-reset' },
  { fault: 'reset@body:5', atByte: 5, ending: 'RST', outcome: 'fault-reset' },
  { fault: 'close@body:2999999', atByte: 2_999_999, ending: 'FIN', outcome: 'fault-closed' },
  { fault: 'reset@body:3000000', atByte: 3_000_000, ending: 'RST', outcome: 'fault-reset' },
])('$fault ends it there, once, and nothing of it is kept', async ({ fault, atByte, ending, outcome }) => {
  const server = await openFaultServer({ storage: 'disk' });
  const double = server.double.namespace('k');
  double.rules.add({ id: 'r', match: { operation: 'createVideo' }, fault });
  const wire = await Wire.open(server.port);
  expect(await wire.request(REQUEST.bytes)).toMatchObject({ status: null, ending });
  await expectNothingKept(server);
  expect(double.journal.find()).toMatchObject([
    { fault: { ruleId: 'r', atByte }, response: null, committed: null, outcome },
  ]);
  const again = await Wire.open(server.port);
  expect((await again.request(REQUEST.bytes)).status).toBe(201);
});

it('status@body answers while the client is still sending, and the next request on the connection is not poisoned', async () => {
  const server = await openFaultServer({ storage: 'disk' });
  const double = server.double.namespace('k');
  double.rules.add({ id: 'r', match: { operation: 'createVideo' }, fault: 'status@body:1000,503' });
  const wire = await Wire.open(server.port);
  const small = directRequest({ key: 'k', bytes: BYTES.subarray(0, 100_000) });
  expect(await wire.request(small.bytes)).toMatchObject({ status: 503 });
  await expectNothingKept(server);
  expect((await wire.request(small.bytes)).status).toBe(201);
});

it('a stall at a byte lasts until the client leaves; a reset ends it, too', async () => {
  const server = await openFaultServer({ storage: 'disk' });
  const double = server.double.namespace('k');
  double.rules.add({ id: 'r', match: { operation: 'createVideo' }, fault: 'stall@body:1000', times: 2 });
  const first = await Wire.open(server.port);
  first.send(REQUEST.bytes);
  await double.rules.fired('r');
  first.leave();
  await expectNothingKept(server);
  const second = await Wire.open(server.port);
  const answer = second.request(REQUEST.bytes);
  await double.rules.fired('r', { count: 2 });
  await ask(server, '/__admin/reset', { method: 'POST', key: 'k' });
  expect((await answer).status).toBe(409);
  await expectNothingKept(server);
});

it('a client that leaves before the last byte, or resets its connection, leaves nothing (C3)', async () => {
  const server = await openFaultServer({ storage: 'disk' });
  const double = server.double.namespace('k');
  for (const cut of [1, 3, BEHIND, 1_000_000]) {
    const wire = await Wire.open(server.port);
    wire.send(REQUEST.bytes.subarray(0, -cut));
    await eventually(
      () => double.journal.inFlight(),
      (all) => all.some(({ body }) => body.receivedBytes > 0),
    );
    wire.leave();
    await expectNothingKept(server);
  }
  await eventually(
    () => double.journal.find(),
    (all) => all.length === 4,
  );
  for (const exchange of double.journal.find())
    expect(exchange).toMatchObject({ outcome: 'client-aborted', response: null, committed: null });
});
