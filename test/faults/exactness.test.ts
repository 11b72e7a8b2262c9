// exactness.test.ts: faults happen at exact bytes, rates and moments (behaviour §10), whatever the size of the body, the order of
// its parts and the amount that the sockets had read.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { Clocks } from '../../src/core/clock.ts';
import type { NamespaceDouble } from '../../src/control/in-process.ts';
import type { RuleInput } from '../../src/faults/rule-input.ts';
import type * as sockets from '../../src/faults/sockets.ts';
import type { JournalEvent } from '../../src/journal/event-feed.ts';
import type { Exchange } from '../../src/journal/exchange.ts';
import { ask, eventually, metric, wireOf } from '../helpers/app.ts';
import { contentBytes } from '../helpers/disk.ts';
import {
  bodyUpTo,
  chunkRequest,
  finaliseRequest,
  openFaultServer,
  statusRequest,
  type Order,
  type Request,
  type SentChunk,
} from '../helpers/exchanges.ts';
import { held, released } from '../helpers/leaks.ts';
import { BOUNDARY, formOf, chunkParts } from '../helpers/multipart.ts';
import { diceOf, SEED } from '../helpers/seed.ts';
import { Wire } from '../helpers/wire.ts';

/** These waits are too long for a test. They are noted in `longHolds` and end at once. */
const VERY_LONG_MS = 10_000_000;
const longHolds: number[] = [];

vi.mock('../../src/faults/sockets.ts', async (original) => {
  const real = await original<typeof sockets>();
  const hold: typeof real.hold = async (wire, ms) => {
    if (ms === null || ms < VERY_LONG_MS) return real.hold(wire, ms);
    longHolds.push(ms);
    return true;
  };
  return { ...real, hold };
});

const KIB = 1024;
const MIB = 1024 * KIB;
const ORDERS: readonly Order[] = ['the file first', 'the fields first'];
const ABOUT = { key: 'k', fileId: 'f' };
/** Bytes that differ from place to place. */
const BYTES = diceOf(SEED).bytes(2 * MIB);

function chunk(sent: Partial<SentChunk> = {}): Request {
  return chunkRequest({ ...ABOUT, index: 0, total: 1, bytes: Buffer.from('some bytes'), ...sent });
}

function ruleOf(fault: string, fileId: string | null = null): RuleInput {
  return { id: 'r', match: { operation: 'uploadChunk', fileId }, fault };
}

interface Cut {
  readonly request: Request;
  readonly at: number;
  /** The cut is at the end of the file. */
  readonly isWhole: boolean;
}

async function fired({ rules }: NamespaceDouble, times = 1): Promise<void> {
  await eventually(
    () => rules.list().map((rule) => rule.fired),
    ([count]) => count === times,
  );
}

describe('a chunk that is cut in its file', () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 300 }),
    fc.integer({ min: 1, max: 200 * KIB }),
    fc.integer({ min: 1, max: 2 * MIB }),
  );
  const cuts = size.chain((length) =>
    fc.record({
      length: fc.constant(length),
      at: fc.oneof(fc.constantFrom(0, length), fc.nat(length)),
      effect: fc.constantFrom('close', 'reset'),
      order: fc.constantFrom(...ORDERS),
      // Whether the rule can be hit before the fields have arrived.
      isNamed: fc.boolean(),
    }),
  );

  it(`is on record to the byte, and nothing of it is stored (TEST_SEED=${SEED}) (§10.8)`, async () => {
    const server = await openFaultServer({ storage: 'disk', durability: 'none', spoolMemory: 256 * KIB });
    const double = server.double.namespace('k');
    let runs = 0;
    let sinceSeq = 0;
    const property = fc.asyncProperty(cuts, async ({ length, at, effect, order, isNamed }) => {
      const fileId = `upload-${(runs += 1)}`;
      double.rules.replace(ruleOf(`${effect}@body:${at}`, isNamed ? fileId : null));
      const request = chunk({ fileId, bytes: BYTES.subarray(0, length), order });
      const wire = await Wire.open(server.port);
      const heard = await wire.request(request.bytes);
      expect([heard.status, heard.body.length, heard.ending]).toEqual([
        null,
        0,
        effect === 'close' ? 'FIN' : 'RST',
      ]);
      // A FIN in the middle of a body does not become an RST for the bytes that are still sent.
      if (effect === 'close')
        await eventually(
          () => wire.flushedBytes,
          (bytes) => bytes === request.bytes.length,
        );
      wire.leave();
      const [exchange] = await double.journal.wait({ ruleId: 'r', sinceSeq });
      sinceSeq = exchange?.seq ?? sinceSeq;
      expect(exchange).toMatchObject({ committed: null, response: null, fault: { atByte: at } });
      expectCut(exchange?.body, { request, at, isWhole: at === length });
      expect(await double.uploads.find(fileId)).toBeNull();
      await eventually(
        () => contentBytes(server.dataDir),
        (bytes) => bytes === 0,
      );
    });
    await fc.assert(property, { seed: SEED, numRuns: 50 });
  });

  /** When the whole file is there, what stands after it in the form may be there, too. */
  function expectCut(body: Exchange['body'] | undefined, { request, at, isWhole }: Cut): void {
    const exact = bodyUpTo(request, at);
    if (!isWhole) return expect(body).toEqual(exact);
    expect(body?.fileBytes).toBe(at);
    expect(body?.parts).toEqual(expect.arrayContaining([...exact.parts]));
    expect(body?.receivedBytes).toBeGreaterThanOrEqual(exact.receivedBytes);
  }

  it.each(ORDERS)('can be sent again at once, and is then as if it had never been cut, %s', async (order) => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    const bytes = BYTES.subarray(0, MIB);
    for (const effect of ['close', 'reset', 'close']) {
      double.rules.replace(ruleOf(`${effect}@body:500000`));
      const wire = await Wire.open(server.port);
      expect((await wire.request(chunk({ bytes, order }).bytes)).status).toBeNull();
    }
    const wire = await Wire.open(server.port);
    expect((await wire.request(chunk({ bytes, order }).bytes)).status).toBe(200);
    expect((await wire.request(finaliseRequest(ABOUT).bytes)).status).toBe(201);
    const [entry] = await double.media.list();
    expect((await double.media.content(entry?.id ?? '')).equals(bytes)).toBe(true);
  });

  it('behind its end is not cut, and the rule can still fire', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    double.rules.add(ruleOf('reset@body:11'));
    const wire = await Wire.open(server.port);
    const heard = await wire.request(chunk({ bytes: Buffer.from('ten  bytes') }).bytes);
    expect([heard.status, heard.headers['x-mock-fault']]).toEqual([200, undefined]);
    await eventually(
      () => double.rules.list(),
      ([rule]) => rule?.fired === 0 && rule.remaining === 1 && !rule.exhausted,
    );
  });
});

describe('a throttled chunk', () => {
  const SECONDS = 1;
  const THROTTLED = [64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB].flatMap((size, i) => {
    const order = ORDERS[i % 2] ?? 'the fields first';
    return { size, order, phase: i % 2 === 0 ? 'body' : 'headers', isNamed: i % 3 === 0 };
  });

  it('takes its size by the rate, from 64 KiB to 16 MiB, and is not held up longer (§10.12)', async () => {
    const server = await openFaultServer();
    const contents = Buffer.alloc(16 * MIB, BYTES);
    // Within its time a machine may be very slow.
    const slow = { key: 'slow', fileId: 'f', bytes: contents.subarray(0, MIB) };
    server.double.namespace(slow.key).rules.add(ruleOf(`throttle@body:${Math.round(MIB / 120)}`));
    const slowest = await Wire.open(server.port);
    slowest.send(chunk(slow).bytes);
    const times = await Promise.all(
      THROTTLED.map(async ({ size, order, phase, isNamed }) => {
        const about = { key: `key-${size}`, fileId: 'f' };
        const rate = Math.round(size / SECONDS);
        server.double
          .namespace(about.key)
          .rules.add(ruleOf(`throttle@${phase}:${rate}`, isNamed ? 'f' : null));
        const wire = await Wire.open(server.port);
        const request = chunk({ ...about, bytes: contents.subarray(0, size), order });
        const begun = performance.now();
        const { status, headers } = await wire.request(request.bytes);
        expect([status, headers['x-mock-fault']]).toEqual([200, 'r']);
        return { size, ms: performance.now() - begun, leastMs: (size / rate) * 950 };
      }),
    );
    for (const { size, ms, leastMs } of times) expect(ms, `${size} bytes`).toBeGreaterThanOrEqual(leastMs);
    expect(slowest.transcript, 'what a chunk of a hundredth of the rate was answered').toHaveLength(0);
  });

  it('counts from the head of the request, not from when the upload is known', async () => {
    const server = await openFaultServer();
    server.double.namespace('k').rules.add(ruleOf('throttle@body:10', 'f'));
    const wire = await Wire.open(server.port);
    const request = chunk({ bytes: BYTES.subarray(0, 200_000), order: 'the file first' });
    wire.send(request.bytes.subarray(0, 1000));
    await eventually(
      () => server.begun(),
      (count) => count === 1,
    );
    const begun = performance.now();
    await eventually(
      () => performance.now() - begun,
      (ms) => ms > 100,
    );
    longHolds.length = 0;
    expect((await wire.request(request.bytes.subarray(1000))).status).toBe(200);
    // Of the 20,000 s that the rate asks for, these 100 ms are over.
    expect(Math.max(...longHolds)).toBeGreaterThan(VERY_LONG_MS);
    expect(Math.max(...longHolds)).toBeLessThanOrEqual(20_000_000 - 100);
  });
});

describe('a late commit', () => {
  const HOUR = 3600 * 1000;

  it('stores nothing until the clock of its namespace has moved on, and then all of it (§10.14)', async () => {
    const server = await openFaultServer({ storage: 'disk', durability: 'none', spoolMemory: 1 });
    const double = server.double.namespace('k');
    await double.clock.freeze();
    double.rules.add(ruleOf(`late-commit:${HOUR}ms,status=504`));
    const wire = await Wire.open(server.port);
    const heard = await wire.request(chunk({ bytes: BYTES }).bytes);
    expect([heard.status, heard.headers['x-mock-fault']]).toEqual([504, 'r']);
    await server.double.namespace('another').clock.advance(2 * HOUR);
    await double.clock.advance(HOUR - 1);
    expect(await double.uploads.find('f')).toBeNull();
    expect(await double.clock.advance(1)).toMatchObject({ lateCommits: 1 });
    expect(await double.uploads.find('f')).toMatchObject({ currentSize: BYTES.length, completed: true });
    expect((await double.uploads.content('f')).equals(BYTES)).toBe(true);
    expect((await wire.request(chunk({ bytes: BYTES }).bytes)).status).toBe(200);
  });

  it.each([
    ['the same bytes', Buffer.from('some bytes')],
    ['other bytes', Buffer.from('other bytes, and more')],
  ])(
    'comes too late for a chunk that was sent again with %s, and changes nothing (§10.14)',
    async (_name, bytes) => {
      const server = await openFaultServer();
      const double = server.double.namespace('k');
      await double.clock.freeze();
      double.rules.add(ruleOf('late-commit:1h'));
      const wire = await Wire.open(server.port);
      expect((await wire.request(chunk().bytes)).status).toBe(503);
      expect((await wire.request(chunk({ bytes }).bytes)).status).toBe(200);
      const before = await double.uploads.find('f');
      expect(await double.clock.advance(HOUR)).toMatchObject({ lateCommits: 0 });
      expect((await double.uploads.find('f'))?.chunks).toEqual(before?.chunks);
      expect((await double.uploads.content('f')).equals(bytes)).toBe(true);
      expect(double.journal.find({ ruleId: 'r' })).toMatchObject([{ committed: null }]);
      expect(server.takeErrors()).toEqual([]);
    },
  );

  it('is on record when it has come, and told as it comes', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    await double.clock.freeze();
    double.rules.add([
      ruleOf('late-commit:1h'),
      { id: 'v', match: { operation: 'createVideo' }, fault: 'late-commit:2h' },
    ]);
    const wire = await Wire.open(server.port);
    await wire.request(chunk().bytes);
    await double.clock.advance(HOUR - 1);
    const [sent] = double.journal.find();
    expect(sent).toMatchObject({ committed: null, response: { status: 503 }, outcome: 'answered' });
    const told: JournalEvent[] = [];
    double.journal.subscribe((event) => told.push(event));
    await double.clock.advance(1);
    const committed = { offset: 0, bytes: 10 };
    expect(double.journal.find()).toEqual([{ ...sent, committed }]);
    expect(told).toMatchObject([
      { kind: 'ledger', data: { operation: 'uploadChunk', fileId: 'f', chunkIndex: 0, ...committed } },
      { kind: 'exchange', data: { seq: sent?.seq, committed } },
    ]);
    await wire.request(finaliseRequest(ABOUT).bytes);
    await double.clock.advance(2 * HOUR);
    const [entry] = await double.media.list();
    expect(double.journal.find({ ruleId: 'v' })).toMatchObject([{ committed }]);
    expect(told.filter(({ kind }) => kind === 'ledger').at(-1)).toMatchObject({
      data: { operation: 'createVideo', fileId: 'f', mediaId: entry?.id, ...committed },
    });
  });

  it('gives way to whoever is sending the chunk again: the clock does not wait for them', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    await double.clock.freeze();
    double.rules.add(ruleOf('late-commit:1h'));
    const wire = await Wire.open(server.port);
    await wire.request(chunk().bytes);
    const CUT = `file\r\n--${BOUNDARY}--\r\n`.length;
    const { bytes } = chunk({ order: 'the fields first' });
    wire.send(bytes.subarray(0, -CUT));
    await eventually(
      () => metric(server, 'open_uploads'),
      (count) => count === 1,
    );
    expect(await double.clock.advance(HOUR)).toMatchObject({ lateCommits: 0 });
    expect((await wire.request(bytes.subarray(-CUT))).status).toBe(200);
    expect(double.journal.find()).toMatchObject([{ committed: null }, { committed: { bytes: 10 } }]);
  });

  it.each([0, undefined])(
    'that has not come leaves nothing behind at the end, spoolMemory %s',
    async (spoolMemory) => {
      const server = await openFaultServer({ storage: 'disk', ...(spoolMemory === 0 && { spoolMemory }) });
      const double = server.double.namespace('k');
      await double.clock.freeze();
      double.rules.add(ruleOf('late-commit:1h'));
      const wire = await Wire.open(server.port);
      const bytes = BYTES.subarray(0, MIB); // As many bytes as are kept in memory.
      expect((await wire.request(chunk({ bytes }).bytes)).status).toBe(503);
      expect(contentBytes(server.dataDir)).toBe(spoolMemory === 0 ? MIB : 0);
      await server.close();
      expect(contentBytes(server.dataDir)).toBe(0);
    },
  );

  it('of a finalise makes one entry, also when the client has finalised again meanwhile', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    await double.clock.freeze();
    const wire = await Wire.open(server.port);
    await wire.request(chunk().bytes);
    double.rules.add({ id: 'r', match: { operation: 'createVideo' }, fault: 'late-commit:1h', times: 2 });
    for (const status of [503, 503, 201])
      expect((await wire.request(finaliseRequest(ABOUT).bytes)).status).toBe(status);
    // The client has finalised again meanwhile: these requests find the entry.
    expect(await double.clock.advance(HOUR)).toMatchObject({ lateCommits: 0 });
    expect(double.journal.find({ ruleId: 'r' })).toMatchObject([{ committed: null }, { committed: null }]);
    expect(await double.media.list()).toHaveLength(1);
    expect((await wire.request(finaliseRequest(ABOUT).bytes)).status).toBe(200);
  });

  it('comes by itself under a real clock', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    double.rules.add(ruleOf('late-commit:30ms'));
    const wire = await Wire.open(server.port);
    expect((await wire.request(chunk().bytes)).status).toBe(503);
    await eventually(
      () => double.uploads.find('f'),
      (upload) => upload?.completed === true,
    );
  });

  it('that is being done when the clock is moved is done before the clock answers', async () => {
    let machineMs = 0;
    const clocks = new Clocks({ now: () => machineMs, skippedSince: () => 0 });
    let finish: () => void = () => undefined;
    let isBegun = false;
    let isDone = false;
    const run = async (): Promise<boolean> => {
      isBegun = true;
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      isDone = true;
      return true;
    };
    clocks.schedule('ns', 0, { run, drop: () => Promise.resolve() });
    await eventually(
      () => isBegun,
      (begun) => begun,
    );
    machineMs = 10;
    const changed = clocks.change('ns', { mode: 'frozen' }).then(() => isDone);
    setImmediate(() => finish());
    expect(await changed).toBe(true);
    await clocks.close();
  });
});

describe('an early answer to a client that has 8 MiB to send', () => {
  const BODY = Buffer.alloc(8 * MIB, BYTES);
  const FAULTS = ['status@headers:503', 'status@body:1000,503'].flatMap((fault) => [
    { fault, isClosing: false, variant: 'and goes on with the connection' },
    { fault: `${fault},closing`, isClosing: true, variant: 'and is told that the connection ends' },
  ]);

  it.each(FAULTS)(
    'is read before it has sent the rest, $variant: $fault (§10.11)',
    async ({ fault, isClosing }) => {
      const server = await openFaultServer();
      const double = server.double.namespace('k');
      double.rules.add(ruleOf(fault));
      const { bytes } = chunk({ bytes: BODY });
      const wire = await Wire.open(server.port);
      const heard = await wire.request(bytes.subarray(0, 64 * KIB));
      expect(heard).toMatchObject({ status: 503, isWhole: true, headers: { 'x-mock-fault': 'r' } });
      expect(heard.headers['connection']).toBe(isClosing ? 'close' : 'keep-alive');
      expect(wire.ending).toBeNull();
      wire.send(bytes.subarray(64 * KIB));
      await eventually(
        () => wire.flushedBytes,
        (flushed) => flushed === bytes.length,
      );
      if (isClosing) expect(await wire.ended()).toBe('FIN');
      else expect((await wire.request(statusRequest(ABOUT).bytes)).status).toBe(200);
      expect(await double.uploads.find('f')).toBeNull();
      expect(double.journal.find({ ruleId: 'r' })).toMatchObject([{ outcome: 'answered', committed: null }]);
    },
  );

  it.each(FAULTS)('is read by fetch, $variant: $fault', async ({ fault }) => {
    const server = await openFaultServer();
    server.double.namespace('k').rules.add(ruleOf(fault));
    const { contentType, body } = formOf(
      chunkParts({ fileId: 'f', chunkIndex: 0, totalChunks: 1, bytes: BODY }),
    );
    const headers = { 'content-type': contentType };
    for (const expected of [503, 200]) {
      const { status } = await ask(server, '/media/chunks', { method: 'POST', key: 'k', headers, body });
      expect(status).toBe(expected);
    }
  });
});

describe('a fault of the answer to a client that is still sending', () => {
  /** It is refused as soon as its fields have arrived, because there is no chunk 0. */
  const REQUEST = chunk({ index: 1, total: 2, bytes: BYTES });

  it.each([
    ['close@response:10', 'FIN', 10],
    ['reset@response:10', 'RST', 10],
    ['truncate@response:20', 'FIN', 20],
    ['stall@response:10,20ms', 'FIN', 10],
  ])('stops at its byte: %s (§10.13)', async (fault, ending, bytes) => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    double.rules.add(ruleOf(fault));
    const wire = await Wire.open(server.port);
    const heard = await wire.request(REQUEST.bytes);
    expect([heard.status, heard.body.length, heard.ending]).toEqual([409, bytes, ending]);
    const expected = { status: 409, errorCode: 'chunk_out_of_order', bytes };
    await eventually(
      () => double.journal.find({ ruleId: 'r' })[0],
      (exchange) => exchange?.outcome === (ending === 'FIN' ? 'fault-closed' : 'fault-reset'),
    );
    expect(double.journal.find({ ruleId: 'r' })).toMatchObject([{ response: expected }]);
  });

  it.each(['delay@response:10,20ms', 'throttle@response:20000', 'empty@response'])(
    'that lets it come leaves the connection in order: %s',
    async (fault) => {
      const server = await openFaultServer();
      server.double.namespace('k').rules.add(ruleOf(fault));
      const wire = await Wire.open(server.port);
      const heard = await wire.request(REQUEST.bytes);
      expect([heard.status, heard.isWhole]).toEqual([409, true]);
      expect(wireOf(heard.body.toString()).success).toBe(fault === 'empty@response' ? undefined : false);
      expect((await wire.request(statusRequest(ABOUT).bytes)).status).toBe(200);
    },
  );
});

describe('a client that gives up', () => {
  it.each(['leave', 'tear'] as const)(
    'on a stalled server with 8 MiB on their way is on record, and nothing of it is kept (%s)',
    async (how) => {
      const server = await openFaultServer({ storage: 'disk', durability: 'none', spoolMemory: 1 });
      const double = server.double.namespace('k');
      const before = held();
      double.rules.add(ruleOf('stall@body:1000'));
      const request = chunk({ bytes: Buffer.alloc(8 * MIB, BYTES) });
      const wire = await Wire.open(server.port);
      wire.send(request.bytes);
      await fired(double);
      wire[how]();
      const [exchange] = await double.journal.wait({ outcome: 'client-aborted' });
      expect(exchange).toMatchObject({ body: bodyUpTo(request, 1000), response: null, committed: null });
      await released(before);
      await eventually(
        () => server.connections(),
        (count) => count === 0,
      );
      expect(contentBytes(server.dataDir)).toBe(0);
      expect(await double.uploads.find('f')).toBeNull();
    },
  );

  it.each([
    ['delay@headers:1h', null],
    ['delay@body:3,1h', null],
    ['delay@pre-commit:1h', null],
    ['delay@post-commit:1h', null],
    ['delay@response:0,1h', null],
    ['delay@response:10,1h', { status: 200, bytes: 10 }],
    ['stall@response:10', { status: 200, bytes: 10 }],
    ['throttle@body:1', null],
    ['throttle@response:1', { status: 200, bytes: 0 }],
  ])('ends every wait: %s (§10.10)', async (fault, response) => {
    const server = await openFaultServer();
    const double = server.double.namespace('k');
    const before = held();
    double.rules.add(ruleOf(fault));
    const wire = await Wire.open(server.port);
    wire.send(chunk().bytes);
    await fired(double);
    const side = await Wire.open(server.port);
    await side.request(statusRequest(ABOUT).bytes);
    side.leave();
    wire.leave();
    await eventually(
      () => double.journal.find({ ruleId: 'r' })[0],
      (exchange) => exchange?.outcome === 'client-aborted' && exchange.response?.bytes === response?.bytes,
    );
    expect(double.journal.find({ ruleId: 'r' })).toMatchObject([{ response }]);
    await released(before);
    await server.double.reset();
  });

  it('does not keep the server from closing', async () => {
    const server = await openFaultServer();
    server.double.namespace('k').rules.add({ ...ruleOf('stall@post-commit'), times: 'always' });
    for (const fileId of ['a', 'b', 'c']) (await Wire.open(server.port)).send(chunk({ fileId }).bytes);
    await fired(server.double.namespace('k'), 3);
    await server.close();
    expect(server.double.journal.find()).toMatchObject(
      ['client-aborted', 'client-aborted', 'client-aborted'].map((outcome) => ({ outcome })),
    );
  });
});

describe('with a seed', () => {
  const JITTER_MS = 240;

  /** How long the server lets its requests wait. */
  async function delays(seed: string): Promise<number[]> {
    const server = await openFaultServer({ seed });
    const fault = { effect: 'delay', ms: VERY_LONG_MS, jitterMs: JITTER_MS } as const;
    server.double.namespace('k').rules.add({ match: { operation: 'uploadChunk' }, fault, times: 'always' });
    const wire = await Wire.open(server.port);
    longHolds.length = 0;
    for (let i = 0; i < 6; i += 1) await wire.request(chunk({ fileId: `f${i}` }).bytes);
    return [...longHolds];
  }

  it('the jitter of a delay is the same sequence each time (§10.10)', async () => {
    const first = await delays('a seed');
    expect(first).toHaveLength(6);
    expect(Math.max(...first) - Math.min(...first)).toBeGreaterThan(JITTER_MS / 4);
    expect(Math.max(...first)).toBeLessThanOrEqual(VERY_LONG_MS + JITTER_MS);
    expect(await delays('a seed')).toEqual(first);
  });

  const SCRIPT = { uploads: 12, chunks: 3 };

  /** The parts of a log line that stay the same between runs: without ports, times and request ids. */
  async function journalOf(seed: string): Promise<unknown[]> {
    const server = await openFaultServer({ seed });
    const double = server.double.namespace('k');
    double.rules.add([
      {
        id: 'drop',
        match: { operation: 'uploadChunk' },
        when: { probability: 0.2 },
        fault: 'reset@body:5',
        times: 'always',
      },
      { id: 'busy', when: { probability: 0.3 }, fault: 'status@headers:503', times: 'always' },
      {
        id: 'lose',
        match: { operation: 'createVideo' },
        when: { probability: 0.5 },
        fault: 'close@post-commit',
        times: 'always',
      },
      { id: 'noise', when: { probability: 0.2 }, fault: 'garbage@response:9', times: 'always' },
    ]);
    let wire = await Wire.open(server.port);
    const say = async (request: Request): Promise<string> => {
      const heard = await wire.request(request.bytes);
      // What ends a connection may be behind its answer.
      if (heard.status === null || heard.headers['x-mock-fault'] === 'noise')
        wire = await Wire.open(server.port);
      return `${heard.status} ${heard.body.toString('latin1').replaceAll(/"requestId":"[^"]*"/g, '')}`;
    };
    const heard: string[] = [];
    for (let at = 0; at < SCRIPT.uploads; at += 1) {
      const about = { key: 'k', fileId: `f${at}` };
      for (let index = 0; index < SCRIPT.chunks; index += 1)
        heard.push(await say(chunk({ ...about, index, total: SCRIPT.chunks })));
      heard.push(await say(finaliseRequest(about)), await say(statusRequest(about)));
    }
    const exchanges = double.journal
      .find()
      .map(({ requestId: _id, at: _at, timing: _timing, ...rest }) => rest);
    return [...exchanges, ...heard.map(withoutTimes), double.rules.list()];
  }

  function withoutTimes(text: string): string {
    return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '');
  }

  it('the same script gives the same journal, answers and counters each time, and another one for another seed', async () => {
    const [first, second, other] = await Promise.all(['one', 'one', 'another'].map(journalOf));
    expect(first).toEqual(second);
    expect(other).not.toEqual(first);
  });
});
