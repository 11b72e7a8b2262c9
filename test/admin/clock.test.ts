// clock.test.ts: the clock over HTTP: frozen, set, advanced. Whatever becomes due is done before the request is answered.
import { describe, expect, it } from 'vitest';
import { openTestServer } from '../helpers/app.ts';
import { DoubleClient, type Told } from '../helpers/double-client.ts';
import { chunkRequest } from '../helpers/exchanges.ts';
import { Wire } from '../helpers/wire.ts';

interface Clock {
  readonly mode: string;
  readonly now: string;
  readonly offsetMs: number;
  readonly settled: {
    readonly uploadsExpired: number;
    readonly entriesChanged: number;
    readonly lateCommits: number;
  };
}

interface Refused {
  readonly error: string;
  readonly details: { readonly fields: readonly object[] };
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = '2026-03-01T09:30:00.000Z';

async function frozen(settings: Parameters<typeof openTestServer>[0] = {}): Promise<DoubleClient> {
  const own = new DoubleClient(await openTestServer(settings), 'k');
  const { status } = await own.admin('PUT clock', { mode: 'frozen', now: START });
  expect(status).toBe(200);
  return own;
}

const advance = (own: DoubleClient, advanceMs: number): Promise<Told<Clock>> =>
  own.admin<Clock>('PUT clock', { advanceMs });

function expectBetween(time: number, first: number, last: number): void {
  expect(time).toBeGreaterThanOrEqual(first);
  expect(time).toBeLessThanOrEqual(last);
}

describe('the clock', () => {
  it('is the machine’s until it is touched', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    const asked = Date.now();
    const { body } = await own.admin<Clock>('GET clock');
    expect(body).toMatchObject({ mode: 'real', offsetMs: 0 });
    expectBetween(Date.parse(body.now), asked, Date.now());
  });

  it('frozen stands still, and is advanced by exactly as much as is said (§9.10)', async () => {
    const own = await frozen();
    expect((await own.admin<Clock>('GET clock')).body.now).toBe(START);
    const { body } = await advance(own, 90_061_001);
    expect(body).toEqual({
      mode: 'frozen',
      now: '2026-03-02T10:31:01.001Z',
      offsetMs: expect.any(Number),
      settled: { uploadsExpired: 0, entriesChanged: 0, lateCommits: 0 },
    });
    expect((await own.admin<Clock>('GET clock')).body.now).toBe('2026-03-02T10:31:01.001Z');
  });

  it('set or advanced while it is real runs on with an offset, and can be real again (§11.8)', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    const asked = Date.now();
    const ahead = await advance(own, HOUR);
    expect(ahead.body).toMatchObject({ mode: 'offset' });
    expectBetween(Date.parse(ahead.body.now) - HOUR, asked, Date.now());
    const set = await own.admin<Clock>('PUT clock', { now: '2030-01-01T00:00:00+02:00' });
    expect(set.body.now).toMatch(/^2029-12-31T22:00:0/);
    const real = await own.admin<Clock>('PUT clock', { mode: 'real' });
    expect(real.body).toMatchObject({ mode: 'real', offsetMs: 0 });
  });

  it('dates what is stored and what is recorded', async () => {
    const own = await frozen();
    await own.chunk();
    const upload = await own.admin<{ expiresAt: string; chunks: { at: string }[] }>('GET uploads/f');
    expect([upload.body.chunks[0]?.at, upload.body.expiresAt]).toEqual([START, '2026-03-02T09:30:00.000Z']);
    const { body } = await own.admin<{ at: string }>('GET requests/1');
    expect(body.at).toBe(START);
  });

  it('dates an exchange by its beginning, however long it takes', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.admin('PUT clock', { mode: 'frozen', now: START });
    await own.admin('POST rules', { id: 'silence', fault: 'stall@pre-commit' });
    const wire = await Wire.open(server.port);
    const chunk = { key: 'k', fileId: 'f', index: 0, total: 1, bytes: Buffer.from('x') };
    wire.send(chunkRequest(chunk).bytes);
    const fired = async (): Promise<number> =>
      (await own.admin<{ fired: number }>('GET rules/silence')).body.fired;
    await expect.poll(fired).toBe(1);
    await advance(own, HOUR);
    wire.leave();
    const at = async (): Promise<string> => (await own.admin<{ at: string }>('GET requests/1')).body.at;
    await expect.poll(at).toBe(START);
  });

  it.each<[string, unknown, string]>([
    ['a field that there is not', { advance: 1 }, 'body'],
    ['a mode that there is not', { mode: 'stopped' }, 'mode'],
    ['a text that is no instant', { now: 'tomorrow' }, 'now'],
    ['an instant without its zone', { now: '2026-03-01T09:30:00' }, 'now'],
    ['to go back', { advanceMs: -1 }, 'advanceMs'],
    ['less than a millisecond', { advanceMs: 0.5 }, 'advanceMs'],
    ['to set what is to be real', { mode: 'real', now: START }, 'mode'],
    ['to move what is to be real', { mode: 'real', advanceMs: 1 }, 'mode'],
    ['more than a date can show', { advanceMs: 9e15 }, 'advanceMs'],
    ['more than a date can show, together', { now: '9999-12-31T00:00:00Z', advanceMs: 86_400_000 }, 'now'],
    ['no object', [], 'body'],
  ])('refuses %s, and stays as it was (§11.8)', async (_name, json, field) => {
    const own = await frozen();
    const { status, body } = await own.admin<Refused>('PUT clock', json);
    expect([status, body.error]).toEqual([400, 'invalid_request']);
    expect(body.details.fields).toMatchObject([{ field }]);
    expect((await own.admin<Clock>('GET clock')).body).toMatchObject({ mode: 'frozen', now: START });
    expect((await own.chunk()).status).toBe(200);
  });
});

describe('advancing settles before it answers', () => {
  it('uploads that expire, to the millisecond (§11.8)', async () => {
    const own = await frozen({ uploadTtl: '1h' });
    for (const fileId of ['a', 'b']) await own.chunk({ fileId, index: 0, total: 2 });
    expect((await advance(own, HOUR - 1)).body.settled.uploadsExpired).toBe(0);
    expect(await own.size('a')).toBe(5);
    await own.chunk({ fileId: 'b', index: 1, total: 2 });
    expect((await advance(own, 1)).body.settled.uploadsExpired).toBe(1);
    expect([await own.size('a'), await own.size('b')]).toEqual([null, 10]);
    expect((await own.admin<{ uploads: unknown[] }>('GET uploads')).body.uploads).toHaveLength(1);
  });

  it('the life cycle of an entry, step by step', async () => {
    const own = await frozen({ pendingTime: '1m', processingTime: '10m' });
    await own.chunk();
    const { body } = await own.finalize();
    const { id } = body.data;
    const seen: unknown[] = [body.data.status];
    for (const [ms, changed] of [
      [59_999, 0],
      [1, 1],
      [599_999, 0],
      [1, 1],
      [HOUR, 0],
    ] as const) {
      expect((await advance(own, ms)).body.settled.entriesChanged).toBe(changed);
      const entry = await own.entry(id);
      seen.push(entry?.status);
    }
    expect(seen).toEqual(['pending', 'pending', 'processing', 'processing', 'completed', 'completed']);
    expect(await own.entry(id)).toMatchObject({
      youtube: { status: 'published' },
      updatedAt: '2026-03-01T09:41:00.000Z',
    });
  });

  it('an entry that was scheduled', async () => {
    const own = await frozen({ pendingTime: 0, processingTime: 0 });
    await own.chunk();
    const { body } = await own.finalize('f', { scheduledAt: '2026-03-02T00:00:00Z' });
    expect(body.data.status).toBe('scheduled');
    expect(
      (await own.admin<Clock>('PUT clock', { now: '2026-03-01T23:59:59.999Z' })).body.settled.entriesChanged,
    ).toBe(0);
    expect((await advance(own, 1)).body.settled.entriesChanged).toBe(1);
    expect(await own.entry(body.data.id)).toMatchObject({ status: 'completed' });
  });

  it('late commits: the chunk and the entry are there, and no later (§9.10)', async () => {
    const own = await frozen();
    await own.admin('POST rules', [
      { id: 'late', match: { operation: 'uploadChunk' }, fault: 'late-commit:10m' },
      { id: 'later', match: { operation: 'createVideo' }, fault: 'late-commit:1h' },
    ]);
    expect((await own.chunk({ bytes: 'late' })).status).toBe(503);
    expect((await advance(own, 599_999)).body.settled.lateCommits).toBe(0);
    expect(await own.size()).toBeNull();
    expect((await advance(own, 1)).body.settled.lateCommits).toBe(1);
    expect(await own.size()).toBe(4);
    expect((await own.finalize()).status).toBe(503);
    const listed = (): Promise<Told<{ media: { createdAt: string }[] }>> => own.admin('GET media');
    expect((await listed()).body.media).toEqual([]);
    expect((await advance(own, HOUR)).body.settled.lateCommits).toBe(1);
    expect((await listed()).body.media).toMatchObject([{ createdAt: '2026-03-01T10:40:00.000Z' }]);
    expect((await own.finalize()).status, 'the same finalise again is answered as what it was').toBe(200);
  });

  it('all of it in one step (§9.10)', async () => {
    const own = await frozen({ uploadTtl: '1h', pendingTime: '1m', processingTime: '1m' });
    await own.chunk({ fileId: 'done' });
    const { body } = await own.finalize('done');
    await own.chunk({ fileId: 'half', index: 0, total: 2 });
    await own.admin('POST rules', { id: 'late', match: { fileId: 'late' }, fault: 'late-commit:30m' });
    await own.chunk({ fileId: 'late' });
    const { settled } = (await advance(own, 90 * MINUTE - 1)).body;
    expect(settled).toEqual({ uploadsExpired: 2, entriesChanged: 1, lateCommits: 1 });
    expect(await own.entry(body.data.id)).toMatchObject({ status: 'completed' });
    expect([await own.size('half'), await own.size('late')]).toEqual([null, 5]);
    // It was stored when it was due, half an hour after the start, so it has expired.
    expect((await advance(own, 1)).body.settled.uploadsExpired).toBe(1);
    expect(await own.size('late')).toBeNull();
  });

  it('in order of time: an upload that has expired is gone when a late commit of it comes', async () => {
    const own = await frozen({ uploadTtl: '1h' });
    await own.chunk({ index: 0, total: 3 });
    await own.admin('POST rules', { match: { operation: 'uploadChunk' }, fault: 'late-commit:2h' });
    expect((await own.chunk({ index: 1, total: 3 })).status).toBe(503);
    const { settled } = (await advance(own, 3 * HOUR)).body;
    expect(settled).toEqual({ uploadsExpired: 1, entriesChanged: 0, lateCommits: 0 });
    expect(await own.size()).toBeNull();
  });

  it.each([[[80]], [[30, 50]], [[29, 1, 49, 1]]])(
    'the same in steps of %j minutes: a late commit keeps its upload alive',
    async (steps) => {
      const own = await frozen({ uploadTtl: '1h' });
      await own.chunk({ index: 0, total: 2 });
      await own.admin('POST rules', { match: { operation: 'uploadChunk' }, fault: 'late-commit:30m' });
      await own.chunk({ index: 1, total: 2 });
      const sum = { uploadsExpired: 0, lateCommits: 0 };
      for (const minutes of steps) {
        const { settled } = (await advance(own, minutes * MINUTE)).body;
        sum.uploadsExpired += settled.uploadsExpired;
        sum.lateCommits += settled.lateCommits;
      }
      expect([sum, await own.size()]).toEqual([{ uploadsExpired: 0, lateCommits: 1 }, 10]);
      const { body } = await own.admin<{ chunks: { at: string }[] }>('GET uploads/f');
      expect(body.chunks.map(({ at }) => at)).toEqual([START, '2026-03-01T10:00:00.000Z']);
    },
  );

  it('uploads that somebody asks for at the same moment, too', async () => {
    const server = await openTestServer({ uploadTtl: '1h', storage: 'disk', durability: 'none' });
    const clients = Array.from({ length: 5 }, () => new DoubleClient(server, 'k'));
    const [own = new DoubleClient(server, 'k'), ...others] = clients;
    await own.admin('PUT clock', { mode: 'frozen' });
    const fileIds = Array.from({ length: 40 }, (_, n) => `f${n}`);
    for (const fileId of fileIds) await own.chunk({ fileId, index: 0, total: 2 });
    const asking = others.map(async (one, n) => {
      for (const fileId of n % 2 === 0 ? fileIds : fileIds.toReversed()) await one.size(fileId);
    });
    const { settled } = (await advance(own, HOUR)).body;
    await Promise.all(asking);
    expect(settled.uploadsExpired).toBe(fileIds.length);
  });

  it('is about its own namespace, or with ?namespace=* about all that have no clock of their own', async () => {
    const server = await openTestServer({ uploadTtl: '1h' });
    const [one, two, three] = ['one', 'two', 'three'].map((key) => new DoubleClient(server, key));
    if (one === undefined || two === undefined || three === undefined) throw new Error('three clients');
    await three.admin('PUT clock', { mode: 'frozen' });
    for (const own of [one, two, three]) await own.chunk({ index: 0, total: 2 });
    expect((await advance(one, HOUR)).body.settled.uploadsExpired).toBe(1);
    expect([await one.size(), await two.size(), await three.size()]).toEqual([null, 5, 5]);
    await one.admin('PUT clock?namespace=*', { advanceMs: HOUR });
    expect([await two.size(), await three.size()]).toEqual([null, 5]);
  });
});
