// rules.test.ts: rules over HTTP: armed, listed with their counters, fired, disarmed; each explained.
import { createDouble } from '../../src/control/in-process.ts';
import { describe, expect, it } from 'vitest';
import type { RuleView } from '../../src/faults/rule-set.ts';
import { openTestServer } from '../helpers/app.ts';
import { DoubleClient, type Told } from '../helpers/double-client.ts';

interface Listed {
  readonly rules: readonly RuleView[];
}

interface Refused {
  readonly error: string;
  readonly details: { readonly problems: readonly object[] };
}

const LOST = { id: 'lost', match: { operation: 'uploadChunk', chunkIndex: 1 }, fault: 'reset@post-commit' };

async function client(key = 'k'): Promise<DoubleClient> {
  return new DoubleClient(await openTestServer(), key);
}

const idsOf = ({ body }: Told<Listed>): string[] => body.rules.map(({ id }) => id);

describe('arming', () => {
  it('appends by POST and replaces by PUT, one rule or a list, and answers what it armed (§9.6, §11.3)', async () => {
    const own = await client();
    const added = await own.admin<Listed>('POST rules', LOST);
    expect([added.status, added.body.rules]).toEqual([
      201,
      [
        {
          ...LOST,
          matched: 0,
          fired: 0,
          remaining: 1,
          exhausted: false,
          lastFiredSeq: null,
          explain:
            'On chunk 1 of any upload, once: after the chunk is stored, reset the connection without an answer.',
        },
      ],
    ]);
    expect(idsOf(await own.admin<Listed>('POST rules', [{ id: 'b', fault: 'close' }]))).toEqual(['b']);
    expect(idsOf(await own.admin<Listed>('GET rules'))).toEqual(['lost', 'b']);
    const replaced = await own.admin<Listed>('PUT rules', [{ id: 'c', fault: 'close' }, LOST]);
    expect([replaced.status, idsOf(replaced)]).toEqual([200, ['c', 'lost']]);
    expect(idsOf(await own.admin<Listed>('PUT rules', []))).toEqual([]);
  });

  it('gives an id to a rule without one', async () => {
    const own = await client();
    const { body } = await own.admin<Listed>('POST rules', [{ fault: 'close' }, { fault: 'close' }]);
    const [one, two] = body.rules;
    expect(one?.id).toMatch(/^rule-[0-9a-f]{8}$/);
    expect(two?.id).not.toBe(one?.id);
  });

  it.each<[string, unknown, object[]]>([
    ['an unknown field', { fault: 'close', matches: {} }, [{ pointer: '/matches' }]],
    [
      'an unknown field, deep',
      [{ fault: 'close' }, { fault: 'close', match: { chunk: 2 } }],
      [{ pointer: '/1/match/chunk' }],
    ],
    [
      'several mistakes at once',
      { fault: 'explode', times: 0 },
      [{ pointer: '/fault' }, { pointer: '/times' }],
    ],
    [
      'a fault that cannot happen there',
      { match: { operation: 'listChannels' }, fault: 'reset@post-commit' },
      [{ pointer: '/fault' }],
    ],
    ['no rule at all', null, [{ pointer: '' }]],
    ['the same id twice', [LOST, LOST], [{ pointer: '/1/id' }]],
  ])('refuses %s by its JSON pointer, and arms nothing (§10.4)', async (_name, json, problems) => {
    const own = await client();
    for (const method of ['POST', 'PUT']) {
      const { status, body } = await own.admin<Refused>(`${method} rules`, json);
      expect([status, body.error]).toEqual([400, 'invalid_rule']);
      expect(body.details.problems).toMatchObject(problems);
    }
    expect(idsOf(await own.admin<Listed>('GET rules'))).toEqual([]);
  });

  it('refuses an id that is armed already; a refused PUT leaves the rules and their counters as they were', async () => {
    const own = await client();
    await own.admin('POST rules', {
      id: 'once',
      match: { operation: 'getUploadStatus' },
      fault: 'status@headers:503',
    });
    await own.ask('GET', '/media/chunks?fileId=f');
    expect((await own.admin<Refused>('POST rules', { id: 'once', fault: 'close' })).status).toBe(400);
    expect((await own.admin<Refused>('PUT rules', [{ id: 'x', fault: 'nonsense' }])).status).toBe(400);
    const { body } = await own.admin<Listed>('GET rules');
    expect(body.rules).toMatchObject([{ id: 'once', fired: 1 }]);
  });
});

describe('an armed rule', () => {
  it('fires where it says, says so on every answer it touched, and counts (§9.6)', async () => {
    const own = await client();
    const rule = {
      id: 'twice',
      match: { operation: 'uploadChunk' },
      fault: 'status@pre-commit:503,retryAfter=2',
      times: 2,
    };
    await own.admin('POST rules', rule);
    for (const left of [1, 0]) {
      const { status, headers } = await own.chunk();
      expect([status, headers['retry-after'], headers['x-mock-fault']]).toEqual([503, '2', 'twice']);
      const { body } = await own.admin<RuleView>('GET rules/twice');
      expect(body).toMatchObject({
        fired: 2 - left,
        matched: 2 - left,
        remaining: left,
        exhausted: left === 0,
      });
    }
    const { status, headers } = await own.chunk();
    expect([status, headers['x-mock-fault']]).toEqual([200, undefined]);
    const { body } = await own.admin<RuleView>('GET rules/twice');
    expect(body).toMatchObject({ matched: 2, fired: 2, lastFiredSeq: 2 });
  });

  it('of several the first that fits is the only one (§10.2)', async () => {
    const own = await client();
    await own.admin('POST rules', [
      { id: 'other', match: { fileId: 'other*' }, fault: 'status@headers:500', times: 'always' },
      { id: 'first', match: { operation: 'uploadChunk' }, fault: 'status@headers:502,html', times: 'always' },
      { id: 'second', match: { operation: 'uploadChunk' }, fault: 'status@headers:503', times: 'always' },
    ]);
    expect((await own.chunk({ fileId: 'other-1' })).headers['x-mock-fault']).toBe('other');
    const page = await own.chunk();
    expect([page.status, page.headers['x-mock-fault']]).toEqual([502, 'first']);
    expect(page.text).toContain('<html>');
  });

  it('ends after its ttlMs, on the namespace’s clock', async () => {
    const own = await client();
    await own.admin('PUT clock', { mode: 'frozen' });
    await own.admin('POST rules', {
      id: 'lease',
      fault: 'status@headers:503',
      times: 'always',
      ttlMs: '10m',
    });
    await own.admin('PUT clock', { advanceMs: 599_999 });
    expect((await own.chunk()).status).toBe(503);
    await own.admin('PUT clock', { advanceMs: 1 });
    expect((await own.chunk()).status).toBe(200);
    expect((await own.admin<RuleView>('GET rules/lease')).body).toMatchObject({
      exhausted: true,
      remaining: null,
    });
  });

  it('can be disarmed alone, or with all others (§9.6)', async () => {
    const own = await client();
    await own.admin('POST rules', [
      { id: 'a/b %', fault: 'status@headers:503', times: 'always' },
      { id: 'c', fault: 'status@headers:500', times: 'always' },
    ]);
    expect((await own.admin('DELETE rules/a%2Fb%20%25')).body).toEqual({ deleted: true });
    expect((await own.chunk()).status).toBe(500);
    expect((await own.admin('DELETE rules')).body).toEqual({ deleted: true });
    expect((await own.chunk()).status).toBe(200);
  });

  it('that there is not is 404', async () => {
    const own = await client();
    for (const method of ['GET', 'DELETE']) {
      const { status, body } = await own.admin<Refused>(`${method} rules/none`);
      expect([status, body.error]).toEqual([404, 'rule_not_found']);
    }
  });

  it('for everybody is armed and shown with ?namespace=*', async () => {
    const server = await openTestServer();
    const [one, other] = [new DoubleClient(server, 'one'), new DoubleClient(server, 'other')];
    await one.admin('POST rules?namespace=*', { id: 'all', fault: 'status@headers:503', times: 'always' });
    await other.admin('POST rules', { id: 'own', fault: 'status@headers:500' });
    expect((await one.chunk()).headers['x-mock-fault']).toBe('all');
    expect((await other.chunk()).headers['x-mock-fault'], 'its own come first').toBe('own');
    expect((await other.chunk()).headers['x-mock-fault']).toBe('all');
    expect(idsOf(await one.admin<Listed>('GET rules'))).toEqual([]);
    expect(idsOf(await one.admin<Listed>('GET rules?namespace=*'))).toEqual(['all']);
  });
});

describe('waiting for a rule', () => {
  it('ends as soon as it has fired so often, while its fault still holds the request; or with 408 and the rule', async () => {
    const server = await openTestServer();
    const [own, test] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'k')];
    const { rules } = createDouble(server).namespace('k');
    await test.admin('POST rules', { id: 'held', fault: 'stall@headers' });
    expect(await test.admin('POST rules/held/wait', { timeoutMs: 1 })).toMatchObject({
      status: 408,
      body: { timedOut: true, rule: { id: 'held', fired: 0 } },
    });
    await expect(rules.fired('held', { timeoutMs: 1 })).rejects.toThrow('it fired 0 times');
    const fired = rules.fired('held', { timeoutMs: 60_000 });
    const sending = own.chunk();
    expect(await test.admin('POST rules/held/wait')).toMatchObject({ status: 200, body: { fired: 1 } });
    expect((await fired).fired).toBe(1);
    await test.admin('POST reset');
    await sending;
    expect((await test.admin('POST rules/held/wait')).status).toBe(404);
    expect((await test.admin('POST rules/held/wait', { count: 0 })).status).toBe(400);
  });
});
