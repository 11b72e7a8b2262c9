// http/routes/rate-limit.test.ts: `--max-requests-per-second`: who asks too often is refused, and nobody else.
import { describe, expect, it, vi } from 'vitest';
import { RequestRate } from '../../../src/http/routes/rate-limit.ts';
import { loadContract } from '../../../src/contract/contract.ts';
import { ask, openTestServer, sendChunk, sizeOf, type Answer, type TestServer } from '../../helpers/app.ts';

const LIMIT = 3;
const { operations } = loadContract();

const time = vi.hoisted(() => ({ ms: 0 }));
vi.mock(import('../../../src/core/machine-time.ts'), async (importOriginal) => ({
  ...(await importOriginal()),
  monotonicMs: () => time.ms,
}));

/** The machine's time stands still, so that a second lasts as long as the test wants; the date goes on. */
function openLimited(): Promise<TestServer> {
  return openTestServer({ maxRequestsPerSecond: LIMIT });
}

const status = (server: TestServer, key: string, path = '/media/chunks?fileId=f'): Promise<Answer> =>
  ask(server, path, { key });

async function useUp(server: TestServer, key: string): Promise<void> {
  for (let i = 0; i < LIMIT; i += 1) expect((await status(server, key)).status).toBe(200);
}

describe('a key that asked as often as it may', () => {
  it.each(operations.map(({ operationId, method, path }) => [operationId, method, path] as const))(
    'is refused by %s, and told when to come back',
    async (...[, method, path]) => {
      const server = await openLimited();
      await useUp(server, 'k');
      const refused = await ask(server, path.replace('{id}', '0'.repeat(24)), { method, key: 'k' });
      expect([refused.status, refused.body.error]).toEqual([429, 'too_many_requests']);
      expect(refused.body.details).toEqual({ maxRequestsPerSecond: LIMIT });
      expect(refused.headers.get('retry-after')).toBe('1');
    },
  );

  it('may ask again a second later', async () => {
    const server = await openLimited();
    await useUp(server, 'k');
    expect((await status(server, 'k')).status).toBe(429);
    time.ms += 999;
    expect((await status(server, 'k')).status).toBe(429);
    time.ms += 1;
    await useUp(server, 'k');
  });

  it('is counted for what is refused by its head, too', async () => {
    const server = await openLimited();
    const packed = (): Promise<Answer> =>
      ask(server, '/media/chunks', {
        method: 'POST',
        key: 'k',
        headers: { 'Content-Encoding': 'gzip' },
        body: 'x',
      });
    for (let i = 0; i < LIMIT; i += 1) expect((await packed()).status).toBe(415);
    expect((await packed()).status).toBe(429);
  });

  it('is counted under both prefixes together', async () => {
    const server = await openLimited();
    await useUp(server, 'k');
    expect((await status(server, 'k', '/api/v1/media/chunks?fileId=f')).status).toBe(429);
  });

  it('does nothing by what is refused: no chunk is stored, no rule is used up, and the journal has it', async () => {
    const server = await openLimited();
    const admin = (path: string, json: object): Promise<Answer> =>
      ask(server, `/__admin/${path}`, {
        method: 'POST',
        key: 'k',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(json),
      });
    const armed = await admin('rules', { match: { operation: 'uploadChunk' }, fault: 'status@headers:503' });
    expect(armed.status, armed.text).toBe(201);
    await useUp(server, 'k');
    expect((await sendChunk(server, { key: 'k' })).status).toBe(429);
    time.ms += 1000;
    expect(await sizeOf(server, 'f', 'k')).toBeNull();
    expect((await sendChunk(server, { key: 'k' })).status, 'the rule is still armed').toBe(503);
    const found = await admin('requests/find', { errorCode: 'too_many_requests' });
    expect(found.body).toMatchObject({ requests: [{ outcome: 'refused', upload: null, committed: null }] });
  });
});

describe('nobody else is refused', () => {
  it('another key', async () => {
    const server = await openLimited();
    await useUp(server, 'k');
    await useUp(server, 'another');
  });

  it('the admin plane, and preflights, for the same key', async () => {
    const server = await openLimited();
    await useUp(server, 'k');
    for (let i = 0; i < 2 * LIMIT; i += 1) {
      expect((await ask(server, '/__admin/uploads', { key: 'k' })).status).toBe(200);
      const headers = { Origin: 'http://a.example', 'Access-Control-Request-Method': 'POST' };
      expect((await ask(server, '/media/chunks', { method: 'OPTIONS', headers })).status).toBe(204);
    }
  });

  it('anybody, when no limit is set', async () => {
    const server = await openTestServer();
    const answers = await Promise.all(Array.from({ length: 300 }, () => status(server, 'k')));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
  });
});

describe('the count', () => {
  it('goes by the monotonic clock: a date that jumps changes nothing', async () => {
    const server = await openLimited();
    await useUp(server, 'k');
    const date = vi.spyOn(Date, 'now');
    for (const hours of [-5, 5]) {
      date.mockReturnValue(Date.UTC(2026, 2, 1) + hours * 3600_000);
      expect((await status(server, 'k')).status, 'still the same second').toBe(429);
      time.ms += 1000;
      await useUp(server, 'k');
    }
    date.mockRestore();
  });

  it('remembers no more than 10,000 keys, and forgets the one that asked longest ago', () => {
    const rate = new RequestRate(1, () => 0);
    for (let i = 0; i < 10_000; i += 1) expect(rate.take(`key ${i}`)).toBe(true);
    expect(rate.take('key 0')).toBe(false);
    expect(rate.take('one more')).toBe(true);
    expect([rate.take('key 0'), rate.take('key 1')]).toEqual([false, true]);
  });
});
