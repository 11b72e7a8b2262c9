// events.test.ts: server-sent events: reported as they happen, resumed without a gap, for the client's own namespace only.
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/journal/exchange.ts';
import { eventually, openTestServer, type TestServer } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { requestBytes } from '../helpers/raw.ts';

interface Told {
  readonly id: number;
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const streams = new Set<EventStream>();

afterEach(() => {
  for (const stream of streams) stream.leave();
  streams.clear();
});

/** Reads events as the WHATWG standard says: one field a line, an empty line ends an event, an id stays until the next id. */
class EventStream {
  readonly told: Told[] = [];
  lastId = '';
  hasEnded = false;
  readonly #answer: IncomingMessage;
  readonly #hidden: readonly string[];
  #rest = '';

  constructor(answer: IncomingMessage, hidden: readonly string[]) {
    this.#answer = answer;
    this.#hidden = hidden;
    answer
      .setEncoding('utf8')
      .on('data', (text: string) => this.#read(text))
      .on('end', () => (this.hasEnded = true))
      .on('error', () => undefined);
  }

  /** @param hidden events that the test ignores; by default the events that tell that an exchange begins */
  static async open(
    { url }: Pick<TestServer, 'url'>,
    {
      key = 'k',
      query = '',
      lastId,
      hidden = ['begun'],
    }: { key?: string; query?: string; lastId?: string; hidden?: readonly string[] } = {},
  ): Promise<EventStream> {
    const headers = { 'x-api-key': key, ...(lastId === undefined ? {} : { 'last-event-id': lastId }) };
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      request(`${url}/__admin/events${query}`, { headers }).on('response', resolve).on('error', reject).end();
    });
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
    const stream = new EventStream(answer, hidden);
    streams.add(stream);
    await eventually(
      () => stream.lastId,
      (id) => id !== '' || lastId !== undefined,
    );
    return stream;
  }

  leave(): void {
    this.#answer.destroy();
  }

  /** Resolves when so many events have been told. */
  async until(count: number): Promise<readonly Told[]> {
    return eventually(
      () => this.told,
      (told) => told.length >= count,
    );
  }

  #read(text: string): void {
    const blocks = `${this.#rest}${text}`.split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) this.#take(block);
  }

  #take(block: string): void {
    const fields = new Map(
      block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    );
    this.lastId = fields.get('id') ?? this.lastId;
    const data = fields.get('data');
    if (data === undefined) return;
    const event = fields.get('event') ?? 'message';
    if (this.#hidden.includes(event)) return;
    this.told.push({ id: Number(this.lastId), event, data: JSON.parse(data) as Told['data'] });
  }
}

const namesOf = (told: readonly Told[]): string[] => told.map(({ event }) => event);

describe('events', () => {
  it('tell what was stored, which fault acted and how the exchange went, as it happens (§9.8)', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    const stream = await EventStream.open(server, { hidden: [] });
    await own.admin('POST rules', { id: 'lost', match: { chunkIndex: 1 }, fault: 'reset@post-commit' });
    await own.chunk({ index: 0, total: 2, bytes: 'zero' });
    await own.chunk({ index: 1, total: 2, bytes: 'one' });
    const told = await stream.until(7);
    expect(namesOf(told)).toEqual(['begun', 'ledger', 'exchange', 'begun', 'ledger', 'fault', 'exchange']);
    expect(told.map(({ data }) => data)).toMatchObject([
      { begun: 1, operation: 'uploadChunk', seq: null },
      { operation: 'uploadChunk', fileId: 'f', chunkIndex: 0, offset: 0, bytes: 4 },
      { begun: 1, seq: 1, outcome: 'answered', response: { status: 200 } },
      { begun: 2, operation: 'uploadChunk', seq: null },
      { operation: 'uploadChunk', fileId: 'f', chunkIndex: 1, offset: 4, bytes: 3 },
      { ruleId: 'lost', phase: 'post-commit', effect: 'reset' },
      { seq: 2, outcome: 'fault-reset', fault: { ruleId: 'lost' } },
    ]);
    expect(new Set(told.map(({ data }) => data['namespace'])).size).toBe(1);
  });

  it('of a finalise name the entry', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.chunk();
    const stream = await EventStream.open(server);
    const { body } = await own.finalize();
    expect(await stream.until(2)).toMatchObject([
      { event: 'ledger', data: { operation: 'createVideo', fileId: 'f', mediaId: body.data.id } },
      { event: 'exchange' },
    ]);
  });

  it('are those of the own namespace, or with ?namespace=* of all', async () => {
    const server = await openTestServer();
    const one = await EventStream.open(server, { key: 'one' });
    const all = await EventStream.open(server, { query: '?namespace=*' });
    for (const key of ['other', 'one', 'other']) await new DoubleClient(server, key).size();
    expect((await all.until(3)).map(({ data }) => (data as unknown as Exchange).seq)).toEqual([1, 2, 3]);
    expect((await one.until(1)).map(({ data }) => (data as unknown as Exchange).seq)).toEqual([2]);
  });
});

describe('Last-Event-ID', () => {
  it('resumes: what came meanwhile is told first, then what comes, each once (§9.8)', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    const first = await EventStream.open(server);
    await own.size();
    await first.until(1);
    first.leave();
    for (let n = 0; n < 5; n += 1) await own.size();
    const second = await EventStream.open(server, { lastId: first.lastId });
    await own.size();
    const told = [...first.told, ...(await second.until(6))];
    expect(told.map(({ data }) => (data as unknown as Exchange).seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(told.map(({ id }) => id)).toEqual(told.map(({ id }) => id).toSorted((a, b) => a - b));
  });

  it('is known to a listener before anything was told, so that it can resume from there', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.size();
    const first = await EventStream.open(server);
    first.leave();
    await own.size();
    const second = await EventStream.open(server, { lastId: first.lastId });
    expect((await second.until(1)).map(({ data }) => (data as unknown as Exchange).seq)).toEqual([2]);
  });

  it('in the middle of a stream of events: 20 reconnections, none missed, none twice', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    const seqs: number[] = [];
    let stream = await EventStream.open(server);
    let isSending = true;
    const sending = (async () => {
      for (let n = 0; n < 300; n += 1) await own.size();
      isSending = false;
    })();
    for (let turn = 0; turn < 20 || isSending; turn += 1) {
      await eventually(
        () => stream.told.length,
        (count) => count > 0 || !isSending,
      );
      stream.leave();
      seqs.push(...stream.told.map(({ data }) => (data as unknown as Exchange).seq));
      stream = await EventStream.open(server, { lastId: stream.lastId });
    }
    await sending;
    await eventually(
      () => seqs.length + stream.told.length,
      (count) => count >= 300,
    );
    seqs.push(...stream.told.map(({ data }) => (data as unknown as Exchange).seq));
    expect(seqs).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
  });

  it('of another server, or too long ago, is answered with a gap, and one can resume from that', async () => {
    const server = await openTestServer({ logLevel: 'silent' });
    const own = new DoubleClient(server, 'k');
    const foreign = await EventStream.open(server, { lastId: '999' });
    expect(await foreign.until(1)).toEqual([{ id: 0, event: 'gap', data: { lastEventId: 999 } }]);
    for (let n = 0; n < 1_030; n += 1) await own.size();
    const late = await EventStream.open(server, { lastId: '1', hidden: [] });
    const told = await late.until(1_025);
    // Each query is two events: it begins and it ends.
    expect(told[0]).toEqual({ id: 1_036, event: 'gap', data: { lastEventId: 1 } });
    expect(told.slice(1).map(({ id }) => id)).toEqual(Array.from({ length: 1_024 }, (_, n) => n + 1_037));
  });

  it('that means nothing is no id: the stream begins now', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.size();
    for (const lastId of ['x', '-1', '1.5', '1e3']) {
      const stream = await EventStream.open(server, { lastId });
      await own.size();
      expect((await stream.until(1)).length).toBe(1);
      stream.leave();
    }
  });
});

describe('a stream', () => {
  it('ends with the server', async () => {
    const server = await openTestServer();
    const stream = await EventStream.open(server);
    await server.close();
    await eventually(
      () => stream.hasEnded,
      (hasEnded) => hasEnded,
    );
  });

  it('whose client does not read is ended before it costs memory', async () => {
    const server = await openTestServer({ logLevel: 'silent' });
    const own = new DoubleClient(server, 'k');
    const lazy = connect(server.port, '127.0.0.1');
    await once(lazy, 'connect');
    lazy.write(requestBytes('GET /__admin/events', { 'x-api-key': 'k' }));
    await once(lazy, 'readable');
    const count = 2_000;
    for (let n = 0; n < count; n += 1) await own.ask('GET', `/media/chunks?fileId=f&x=${'x'.repeat(12_000)}`);
    let received = 0;
    lazy.on('error', () => undefined).on('data', (bytes: Buffer) => (received += bytes.length));
    await once(lazy, 'close');
    // No more events than fit into the kernel's buffers plus those that were allowed to wait.
    expect(received).toBeLessThan(count * 12_000 * 0.8);
  });

  it('has no HEAD, which would never end', async () => {
    const own = new DoubleClient(await openTestServer());
    expect((await own.ask('HEAD', '/__admin/events')).status).toBe(405);
  });
});
