// counters.test.ts: which exchanges a rule hits, and how often, when many come at once (behaviour §10).
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { NamespaceDouble } from '../../src/control/in-process.ts';
import type { RuleInput } from '../../src/faults/rule-input.ts';
import { startServer } from '../../src/index.ts';
import { eventually, temporaryFolder } from '../helpers/app.ts';
import {
  chunkRequest,
  finaliseRequest,
  openFaultServer,
  statusRequest,
  type FaultServer,
  type Order,
} from '../helpers/exchanges.ts';
import { Wire } from '../helpers/wire.ts';

const CONNECTIONS = 64;
const TOTAL = 8;
const KEY = 'k';

function chunk(fileId: string, index = 0, order: Order = 'the fields first'): Buffer {
  const bytes = Buffer.from(`chunk ${index} of ${fileId}`);
  return chunkRequest({ key: KEY, fileId, index, total: TOTAL, bytes, order }).bytes;
}

/** The rule that each answer was touched by, and its status. */
async function outcomesOf(wire: Wire, requests: readonly Buffer[]): Promise<string[]> {
  const outcomes: string[] = [];
  for (const request of requests) {
    const { status, headers, ending } = await wire.request(request);
    outcomes.push(ending === null ? `${status} ${headers['x-mock-fault'] ?? '-'}` : `${ending} ?`);
    if (ending !== null) break;
  }
  return outcomes;
}

function countOf(outcomes: readonly string[], wanted: string): number {
  return outcomes.filter((outcome) => outcome === wanted).length;
}

async function crowd(server: FaultServer, size = CONNECTIONS): Promise<Wire[]> {
  return Promise.all(Array.from({ length: size }, () => Wire.open(server.port)));
}

/** The first `chunks` chunks of the uploads are stored. */
async function begin(server: FaultServer, fileIds: readonly string[], chunks: number): Promise<void> {
  const wire = await Wire.open(server.port);
  for (const fileId of fileIds) {
    for (let index = 0; index < chunks; index += 1)
      expect((await wire.request(chunk(fileId, index))).status).toBe(200);
  }
  wire.leave();
}

function counters({ rules }: NamespaceDouble): unknown[] {
  return rules.list().map(({ id, matched, fired, remaining }) => ({ id, matched, fired, remaining }));
}

describe('“fail attempts 1 to 3 of chunk 5 of upload U” under 64 connections', () => {
  const PLACES = [
    'status@headers:503',
    'status@body:4,503',
    'status@pre-commit:503',
    'status@post-commit:503',
  ];

  it.each(PLACES)('fires three times, and for no other upload or chunk: %s', async (fault) => {
    const server = await openFaultServer();
    const double = server.double.namespace(KEY);
    await begin(server, ['U', 'V'], 5);
    double.rules.add({
      id: 'three',
      match: { operation: 'uploadChunk', fileId: 'U', chunkIndex: 5 },
      when: { attempt: '1-3' },
      fault,
      times: 'always',
    });
    const order = (i: number): Order => (i % 3 === 0 ? 'the file first' : 'the fields first');
    const wires = await crowd(server);
    const seen = await Promise.all(
      wires.map((wire, i) =>
        outcomesOf(wire, [
          chunk('V', 5, order(i)),
          chunk('U', 5, order(i)),
          chunk('U', 4, order(i)),
          chunk('U', 5, order(i + 1)),
        ]),
      ),
    );
    const others = seen.flatMap(([ofV, , ofChunk4]) => [ofV, ofChunk4]);
    expect(others.filter((outcome) => outcome !== '200 -')).toEqual([]);
    expect(countOf(seen.flat(), '503 three')).toBe(3);
    expect(countOf(seen.flat(), '200 -')).toBe(4 * CONNECTIONS - 3);
    const met = double.journal.find({ ruleId: 'three' });
    expect(met.map(({ upload }) => upload).toSorted(byAttempt)).toEqual(
      [1, 2, 3].map((attempt) => ({ fileId: 'U', chunkIndex: 5, attempt })),
    );
    expect(counters(double)).toEqual([{ id: 'three', matched: 3, fired: 3, remaining: null }]);
    expect(await double.uploads.find('U')).toMatchObject({ chunks: { length: 6 } });
  });

  function byAttempt(
    one: { attempt: number | null } | null,
    other: { attempt: number | null } | null,
  ): number {
    return (one?.attempt ?? 0) - (other?.attempt ?? 0);
  }

  it('fires three times when the connection is lost each time, too', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace(KEY);
    await begin(server, ['U'], 5);
    double.rules.add({
      id: 'three',
      match: { fileId: 'U', chunkIndex: 5 },
      fault: 'reset@post-commit',
      times: 3,
    });
    const wires = await crowd(server);
    const seen = await Promise.all(wires.map((wire) => outcomesOf(wire, [chunk('U', 5)])));
    expect([countOf(seen.flat(), 'RST ?'), countOf(seen.flat(), '200 -')]).toEqual([3, CONNECTIONS - 3]);
    expect(counters(double)).toMatchObject([{ fired: 3, remaining: 0 }]);
    // Of the simultaneous requests one had its bytes stored, and the others got the same answer.
    expect(
      double.journal.find().filter(({ committed, upload }) => committed !== null && upload?.chunkIndex === 5),
    ).toHaveLength(1);
  });
});

describe('a rule’s counters under 64 connections', () => {
  interface Case {
    readonly name: string;
    readonly rule: Partial<RuleInput>;
    readonly fired: number;
    readonly matched: number;
  }
  const CASES: readonly Case[] = [
    { name: 'five times', rule: { times: 5 }, fired: 5, matched: 5 },
    {
      name: 'matches 5 to 7',
      rule: { when: { nth: '5-7' }, times: 'always' },
      fired: 3,
      matched: CONNECTIONS,
    },
    {
      name: 'matches 1 and 64',
      rule: { when: { nth: [1, 64] }, times: 'always' },
      fired: 2,
      matched: CONNECTIONS,
    },
    { name: 'all but 60', rule: { when: { skip: 60 }, times: 'always' }, fired: 4, matched: CONNECTIONS },
    { name: 'twice behind 10', rule: { when: { skip: 10 }, times: 2 }, fired: 2, matched: 12 },
  ];

  it.each(CASES)('count each exchange once: $name (§10.3)', async ({ rule, fired, matched }) => {
    const server = await openFaultServer();
    const double = server.double.namespace(KEY);
    double.rules.add({
      id: 'r',
      match: { operation: 'getUploadStatus' },
      fault: 'status@headers:503',
      ...rule,
    });
    const query = statusRequest({ key: KEY, fileId: 'f' }).bytes;
    const seen = await Promise.all((await crowd(server)).map((wire) => outcomesOf(wire, [query])));
    expect([countOf(seen.flat(), '503 r'), countOf(seen.flat(), '200 -')]).toEqual([
      fired,
      CONNECTIONS - fired,
    ]);
    expect(counters(double)).toMatchObject([{ fired, matched }]);
  });

  it('are right as soon as the rule fires, with the number of the exchange, and to read them puts nothing on record', async () => {
    const server = await openFaultServer();
    const { rules, journal } = server.double.namespace(KEY);
    rules.add({ id: 'lost', match: { operation: 'getUploadStatus' }, fault: 'reset@headers', times: 2 });
    const told: unknown[] = [];
    const stop = journal.subscribe(({ kind, data }) => told.push([kind, data['seq']]));
    for (const count of [1, 2]) {
      const atOnce = rules.fired('lost', { count }).then((rule) => {
        const read = [rule, ...rules.list(), rules.find('lost')];
        return {
          read: read.map(({ fired, remaining, lastFiredSeq }) => [fired, remaining, lastFiredSeq]),
          told: told.splice(0),
        };
      });
      const wire = await Wire.open(server.port);
      await outcomesOf(wire, [statusRequest({ key: KEY, fileId: 'f' }).bytes]);
      const counted = [count, 2 - count, count];
      expect(await atOnce).toEqual({ read: [counted, counted, counted], told: [] });
      await journal.wait({ ruleId: 'lost' }, { count });
      expect(told.splice(0)).toEqual([
        ['begun', null],
        ['fault', undefined],
        ['exchange', count],
      ]);
    }
    stop();
  });

  it('are a namespace’s own, however the requests mix', async () => {
    const server = await openFaultServer();
    const keys = ['k1', 'k2', 'k3', 'k4'];
    for (const [i, key] of keys.entries())
      server.double.namespace(key).rules.add({ id: `of-${key}`, fault: 'status@headers:503', times: i + 1 });
    const wires = await crowd(server);
    const seen = await Promise.all(
      wires.map((wire, i) =>
        outcomesOf(wire, [statusRequest({ key: keys[i % keys.length] ?? '', fileId: 'f' }).bytes]),
      ),
    );
    for (const [i, key] of keys.entries()) expect(countOf(seen.flat(), `503 of-${key}`)).toBe(i + 1);
    expect(countOf(seen.flat(), '200 -')).toBe(CONNECTIONS - 10);
  });
});

describe('a rule', () => {
  it('whose fault could not happen gives the time that it had taken back', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace(KEY);
    double.rules.add({ id: 'r', match: { operation: 'uploadChunk' }, fault: 'reset@body:1MiB' });
    const wire = await Wire.open(server.port);
    for (let index = 0; index < 3; index += 1)
      expect((await wire.request(chunk('f', index))).status).toBe(200);
    await eventually(
      () => counters(double),
      ([rule]) => JSON.stringify(rule) === JSON.stringify({ id: 'r', matched: 3, fired: 0, remaining: 1 }),
    );
    expect(double.journal.verify()).toMatchObject({ pass: false });
  });

  it('ends when its time to live is over on the namespace’s clock, not sooner and not by the machine’s (§10.1)', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace(KEY);
    await double.clock.freeze();
    double.rules.add({ id: 'r', fault: 'status@headers:503', times: 'always', ttlMs: 60_000 });
    const wire = await Wire.open(server.port);
    const query = statusRequest({ key: KEY, fileId: 'f' }).bytes;
    expect(await outcomesOf(wire, [query])).toEqual(['503 r']);
    await double.clock.advance(59_999);
    expect(await outcomesOf(wire, [query])).toEqual(['503 r']);
    expect(double.rules.list()).toMatchObject([{ exhausted: false }]);
    await double.clock.advance(1);
    expect(await outcomesOf(wire, [query])).toEqual(['200 -']);
    expect(double.rules.list()).toMatchObject([{ exhausted: true, fired: 2, remaining: null }]);
  });

  it('stands back behind one before it that fits, and is met when that is used up', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace(KEY);
    double.rules.add([
      { id: 'first', match: { fileId: 'f*' }, fault: 'status@headers:500', times: 2 },
      { id: 'second', match: { operation: 'getUploadStatus' }, fault: 'status@headers:501', times: 2 },
      { id: 'third', fault: 'status@headers:503' },
    ]);
    const wire = await Wire.open(server.port);
    const query = (fileId: string): Buffer => statusRequest({ key: KEY, fileId }).bytes;
    const asked = ['f1', 'g', 'f2', 'f3', 'f4', 'f5'].map(query);
    expect(await outcomesOf(wire, asked)).toEqual([
      '500 first',
      '501 second',
      '500 first',
      '501 second',
      '503 third',
      '200 -',
    ]);
    expect(counters(double)).toMatchObject([
      { id: 'first', matched: 2, fired: 2 },
      { id: 'second', matched: 2, fired: 2 },
      { id: 'third', matched: 1, fired: 1 },
    ]);
  });

  it('is met once by an exchange, whatever else of it would fit', async () => {
    const server = await openFaultServer();
    const double = server.double.namespace(KEY);
    double.rules.add([
      { id: 'slow', match: { operation: 'uploadChunk' }, fault: 'delay@headers:1ms' },
      { id: 'lost', match: { operation: 'uploadChunk' }, fault: 'reset@post-commit' },
    ]);
    const wire = await Wire.open(server.port);
    expect(await outcomesOf(wire, [chunk('f')])).toEqual(['200 slow']);
    expect(counters(double)).toMatchObject([{ fired: 1 }, { fired: 0, matched: 0 }]);
    expect(await outcomesOf(wire, [chunk('f')])).toEqual(['RST ?']);
  });
});

describe('rules for everybody', () => {
  it('are met by every key, behind those of the key’s own', async () => {
    const server = await openFaultServer();
    server.double.rules.add({
      id: 'all',
      match: { operation: 'getUploadStatus' },
      fault: 'status@headers:503',
      times: 3,
    });
    server.double.namespace('k1').rules.add({ id: 'own', fault: 'status@headers:500' });
    const wire = await Wire.open(server.port);
    const queries = ['k1', 'k2', 'k1', 'k3', 'k4'].map((key) => statusRequest({ key, fileId: 'f' }).bytes);
    expect(await outcomesOf(wire, queries)).toEqual(['500 own', '503 all', '503 all', '503 all', '200 -']);
    expect(server.double.rules.list()).toMatchObject([{ id: 'all', matched: 3, fired: 3, remaining: 0 }]);
    expect(server.double.namespace('k2').journal.find()).toMatchObject([{ fault: { ruleId: 'all' } }]);
  });

  it('count attempts for each key by itself', async () => {
    const server = await openFaultServer();
    server.double.rules.add({
      id: 'all',
      match: { operation: 'getUploadStatus' },
      when: { attempt: 1 },
      fault: 'status@headers:503',
      times: 'always',
    });
    const wires = await crowd(server, 16);
    const seen = await Promise.all(
      wires.map((wire, i) =>
        outcomesOf(wire, Array(4).fill(statusRequest({ key: `k${i % 4}`, fileId: 'f' }).bytes) as Buffer[]),
      ),
    );
    expect(countOf(seen.flat(), '503 all')).toBe(4);
    expect(countOf(seen.flat(), '200 -')).toBe(60);
  });

  it('come from a file at start, are gone with their own reset, and stay with a key’s', async () => {
    const file = join(await temporaryFolder(), 'rules.yaml');
    await writeFile(file, '- fault: status@headers:503\n  match: { operation: createVideo }\n  times: 2\n');
    const server = await startServer({ rules: file });
    try {
      const port = Number(new URL(server.url).port);
      const wire = await Wire.open(port);
      const finalise = (key: string): Buffer => finaliseRequest({ key, fileId: 'f' }).bytes;
      expect(await outcomesOf(wire, [finalise('k1')])).toEqual(['503 rule-1']);
      await server.namespace('k1').reset();
      expect(await outcomesOf(wire, [finalise('k1')])).toEqual(['503 rule-1']);
      expect(await outcomesOf(wire, [finalise('k1')])).toEqual(['404 -']);
      expect(server.rules.list()).toMatchObject([{ id: 'rule-1', fired: 2, exhausted: true }]);
      await server.reset();
      expect(server.rules.list()).toEqual([]);
    } finally {
      await server.close();
    }
  });
});
