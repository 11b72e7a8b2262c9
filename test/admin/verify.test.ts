// verify.test.ts: verification over HTTP: what passes, what fails and why, as JSON and as text for the output of a test.
import { describe, expect, it } from 'vitest';
import { startServer } from '../../src/index.ts';
import { eventually, openTestServer } from '../helpers/app.ts';
import { DoubleClient, type Told } from '../helpers/double-client.ts';
import { chunkRequest } from '../helpers/exchanges.ts';
import { openConnection } from '../helpers/raw.ts';

interface Failure {
  readonly kind: string;
  readonly pointer: string;
  readonly expected: object;
  readonly actual: object;
  readonly nearMisses: readonly { readonly seq: number; readonly differs: readonly object[] }[];
}

type Verdict = { readonly pass: boolean; readonly failures: readonly Failure[] } & Failure;

/** Chunk 2 loses its answer after its commit; the uploader asks for the status and sends the chunk again. */
async function resumed(): Promise<DoubleClient> {
  const own = new DoubleClient(await openTestServer(), 'k');
  await own.admin('POST rules', { id: 'lost', match: { chunkIndex: 2 }, fault: 'reset@pre-commit' });
  for (const index of [0, 1, 2]) await own.chunk({ index, total: 4 });
  await own.size();
  for (const index of [2, 3]) await own.chunk({ index, total: 4 });
  return own;
}

const failed = ({ status, body }: Told<Verdict>): [number, boolean, string[]] => [
  status,
  body.pass,
  body.failures.map(({ pointer }) => pointer),
];

const RESENT = { operation: 'uploadChunk', chunkIndex: 2 };

describe('a verification', () => {
  it.each<[string, unknown]>([
    ['of nothing but the rules', {}],
    ['of a count', { expect: [{ match: RESENT, count: 2 }] }],
    [
      'of bounds',
      {
        expect: [
          { match: RESENT, atLeast: 1, atMost: 2 },
          { match: { status: 503 }, atMost: 0 },
        ],
      },
    ],
    ['that something came at all', { expect: [{ match: { operation: 'getUploadStatus' } }] }],
    [
      'of the order: re-sent once, after a status query',
      {
        expect: [{ match: RESENT, count: 2 }],
        sequence: [{ ...RESENT, attempt: 1 }, { operation: 'getUploadStatus' }, { ...RESENT, attempt: 2 }],
      },
    ],
    ['of what must never be', { never: ['acknowledged chunk re-sent', { operation: 'createVideo' }] }],
  ])('%s passes (§9.9, §11.7)', async (_name, json) => {
    const own = await resumed();
    const { status, body } = await own.admin('POST verify', json);
    expect([status, body]).toEqual([200, { pass: true }]);
  });

  it('that fails says what was expected, what came, and what came nearest (§9.9)', async () => {
    const own = await resumed();
    const verdict = await own.admin<Verdict>('POST verify', {
      expect: [{ match: { ...RESENT, attempt: 3 }, count: 1 }],
    });
    expect([verdict.status, verdict.body]).toEqual([
      409,
      {
        pass: false,
        failures: [expect.objectContaining({ kind: 'expect', pointer: '/expect/0' })],
        expected: { match: { ...RESENT, attempt: 3 }, count: 1 },
        hints: [
          'no attempt 3 with operation uploadChunk, chunk 2 is on record for this key, only attempt 1, 2',
        ],
        actual: { count: 0, seqs: [] },
        nearMisses: expect.arrayContaining([
          {
            seq: 5,
            differs: [{ field: 'attempt', expected: 3, actual: 2 }],
            exchange: expect.stringContaining('#5 uploadChunk (POST /media/chunks) of "f" chunk 2 attempt 2'),
          },
        ]),
      },
    ]);
  });

  it('names every check that failed (§11.7)', async () => {
    const own = await resumed();
    const verdict = await own.admin<Verdict>('POST verify', {
      expect: [{ match: RESENT, count: 1 }, { match: {}, count: 6 }, { match: { fileId: 'other' } }],
      sequence: [{ operation: 'getUploadStatus' }, { chunkIndex: 3 }, { chunkIndex: 2 }],
      never: [{ outcome: 'fault-reset' }],
    });
    expect(failed(verdict)).toEqual([409, false, ['/expect/0', '/expect/2', '/sequence/2', '/never/0']]);
    expect(verdict.body.failures[2]).toMatchObject({
      kind: 'sequence',
      expected: { match: { chunkIndex: 2 }, afterSeq: 6 },
      actual: { seqs: [4, 6] },
    });
    expect(verdict.body.failures[3]).toMatchObject({
      actual: { count: 1, seqs: [3] },
      nearMisses: [{ seq: 3, differs: [] }],
    });
  });

  it('finds a chunk that was sent again although it was acknowledged', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.chunk({ index: 0, total: 2 });
    await own.chunk({ index: 0, total: 2 });
    const verdict = await own.admin<Verdict>('POST verify', { never: ['acknowledged chunk re-sent'] });
    expect(failed(verdict)).toEqual([409, false, ['/never/0']]);
    expect(verdict.body.actual).toEqual({ count: 1, seqs: [2] });
  });

  it('does not accuse a first attempt that stalled and was noticed late, and its sequence goes by the beginnings', async () => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.admin('POST rules', { id: 'silence', match: { chunkIndex: 0 }, fault: 'stall@body:2' });
    const form = chunkRequest({ key: 'k', fileId: 'f', index: 0, total: 2, bytes: Buffer.from('bytes') });
    const first = await openConnection(server.port);
    await first.write(form.bytes);
    await eventually(
      () => own.admin<{ fired: number }>('GET rules/silence'),
      ({ body }) => body.fired === 1,
    );
    expect((await own.chunk({ index: 0, total: 2 })).status).toBe(200);
    first.destroy();
    await own.admin('POST requests/wait', { ruleId: 'silence', outcome: 'client-aborted' });
    const verdict = await own.admin('POST verify', {
      never: ['acknowledged chunk re-sent'],
      sequence: [{ ruleId: 'silence' }, { chunkIndex: 0, status: 200 }],
    });
    expect(verdict.body).toEqual({ pass: true });
  });

  it('does not accuse one of two equal chunks that were in flight at once', async () => {
    const server = await openTestServer();
    const [own, other] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'k')];
    await own.admin('POST rules', { id: 'slow', fault: 'delay@post-commit:5m' });
    const sending = own.chunk({ total: 2 });
    await eventually(
      () => other.admin<{ fired: number }>('GET rules/slow'),
      ({ body }) => body.fired === 1,
    );
    expect((await other.chunk({ total: 2 })).status).toBe(200);
    expect((await other.chunk({ total: 2 })).status).toBe(200);
    await server.close();
    await sending;
    const { exchanges } = server.queries.find('*', {});
    // The third one is guilty, because its client had been told. When the second one was sent, no client had been told.
    const never = { never: ['acknowledged chunk re-sent'], unfiredRules: false };
    expect(server.queries.verify('*', never)).toMatchObject({ actual: { count: 1 } });
    expect(exchanges.map(({ begun, endedAfter }) => [begun, endedAfter])).toContainEqual([3, 3]);
  });

  /** Every chunk loses its answer once; then the client asks for the status and goes back. */
  async function goesBack(own: DoubleClient, order: readonly number[]): Promise<Told<Verdict>> {
    const match = { operation: 'uploadChunk' };
    await own.admin('POST rules', { match, fault: 'reset@post-commit', times: order.length });
    for (const index of order) await own.chunk({ index, total: 9 });
    await own.size();
    await own.chunk({ index: 0, total: 9 });
    return own.admin<Verdict>('POST verify', { never: ['acknowledged chunk re-sent'] });
  }

  it('finds a chunk that was sent again although the status had told that it is there', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    const verdict = await goesBack(own, [0]);
    expect(failed(verdict)).toEqual([409, false, ['/never/0']]);
    expect(verdict.body.actual).toEqual({ count: 1, seqs: [3] });
  });

  it('finds it also where chunks came in any order', async () => {
    const own = new DoubleClient(await openTestServer({ chunkOrder: 'any' }), 'k');
    expect((await goesBack(own, [2, 1, 0])).body.actual).toEqual({ count: 1, seqs: [5] });
  });

  it('finds it also after a commit that came late', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.admin('PUT clock', { mode: 'frozen' });
    await own.admin('POST rules', { match: { operation: 'uploadChunk' }, fault: 'late-commit:1m' });
    await own.chunk({ total: 2 });
    expect(await own.size()).toBeNull();
    await own.admin('PUT clock', { advanceMs: 60_000 });
    expect(await own.size()).toBe(5);
    await own.chunk({ total: 2 });
    const { body } = await own.admin<Verdict>('POST verify', { never: ['acknowledged chunk re-sent'] });
    expect(body.actual).toEqual({ count: 1, seqs: [4] });
  });

  it('does not find it where the upload has expired, or was forgotten, and the client began again', async () => {
    const own = new DoubleClient(await openTestServer({ uploadTtl: '1h' }), 'k');
    const never = { never: ['acknowledged chunk re-sent'], unfiredRules: false };
    for (const lose of [
      () => own.admin('PUT clock', { advanceMs: 3_600_000 }),
      () => own.admin('DELETE uploads/f'),
      () => own.admin('POST reset', { scope: ['uploads'] }),
    ]) {
      for (const index of [0, 1]) await own.chunk({ index, total: 3 });
      await own.size();
      await lose();
      expect((await own.chunk({ index: 2, total: 3 })).status).toBe(409);
      // They are sent again twice because the first attempt is cut: none of it was acknowledged.
      await own.admin('POST rules', { match: { operation: 'uploadChunk' }, fault: 'reset@pre-commit' });
      for (let n = 0; n < 2; n += 1) await own.chunk({ index: 0, total: 3 });
      expect(await own.admin('POST verify', never)).toMatchObject({ status: 200 });
      await own.admin('DELETE uploads/f');
    }
  });

  it('looks at its own namespace only', async () => {
    const server = await openTestServer();
    await new DoubleClient(server, 'other').chunk();
    await new DoubleClient(server, 'other').admin('POST rules', { fault: 'close' });
    const own = new DoubleClient(server, 'k');
    expect((await own.admin('POST verify', { expect: [{ match: {}, count: 0 }] })).status).toBe(200);
  });

  it('that cannot be understood is refused, each place by its pointer', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    for (const [json, pointers] of [
      [{ expects: [] }, ['/expects']],
      [{ expect: [{ match: { chunk: 1 } }] }, ['/expect/0/match/chunk']],
      [{ expect: [{ match: {}, count: 1, atLeast: 1 }] }, ['/expect/0']],
      [{ never: ['a mistake'] }, ['/never/0']],
    ] as const) {
      const { status, body } = await own.admin<{
        error: string;
        details: { problems: { pointer: string }[] };
      }>('POST verify', json);
      expect([status, body.error]).toEqual([400, 'invalid_matcher']);
      expect(body.details.problems.map(({ pointer }) => pointer)).toEqual(pointers);
    }
  });
});

describe('no verdict rests on what is not on record any more', () => {
  it('it is inconclusive, says how many, and no other key’s traffic brings it about (§11.10)', async () => {
    const server = await openTestServer({ journalEntries: 10 });
    const [own, other] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'load')];
    await own.admin('POST rules', { match: {}, fault: 'status@headers:503' });
    await own.ask('GET', '/media/chunks?fileId=f');
    const never = { never: [{ status: 503 }] };
    for (let n = 0; n < 12; n += 1) await other.size();
    expect(failed(await own.admin<Verdict>('POST verify', never))).toEqual([409, false, ['/never/0']]);
    for (let n = 0; n < 12; n += 1) await own.size();
    for (const json of [
      never,
      { expect: [{ match: {}, atMost: 20 }] },
      { expect: [{ match: {}, count: 13 }] },
    ])
      expect(await own.admin('POST verify', json)).toMatchObject({
        status: 409,
        body: { pass: false, inconclusive: true, evicted: 3 },
      });
    const since = { sinceSeq: 16 };
    const later = { never: [{ ...since, status: 503 }], expect: [{ match: since, count: 9 }] };
    expect((await own.admin('POST verify', later)).body).toEqual({ pass: true });
    await own.admin('DELETE requests');
    expect((await own.admin('POST verify', never)).body).toEqual({ pass: true });
  });
});

describe('a matcher whose values no exchange can have', () => {
  it.each<[string, object]>([
    ['operation', { operation: 'uploadChunks' }],
    ['operation', { operation: '__proto__' }],
    ['errorCode', { errorCode: 'chunk_conflicts' }],
    ['errorCode', { errorCode: 'toString' }],
    ['outcome', { outcome: 'aborted' }],
    ['status', { status: 199 }],
    ['status', { status: 600 }],
    ['status', { status: '200' }],
    ['chunkIndex', { chunkIndex: 1_000_000 }],
    ['ruleId', { ruleId: 'misspelt' }],
    ['ruleId', { ruleId: 'constructor' }],
    ['ruleId', { ruleId: 'of-another' }],
    ['__proto__', JSON.parse('{"__proto__":{"status":200}}') as object],
  ])('is refused wherever it stands, with its pointer: %s %j', async (field, matcher) => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    await own.admin('POST rules', { id: 'known', fault: 'close' });
    await new DoubleClient(server, 'other').admin('POST rules', { id: 'of-another', fault: 'close' });
    const text = JSON.stringify(matcher);
    for (const [line, body, pointer] of [
      ['requests/count', text, `/${field}`],
      ['requests/find', text, `/${field}`],
      ['requests/wait', text, `/${field}`],
      ['verify', `{"never":[${text}]}`, `/never/0/${field}`],
      ['verify', `{"sequence":[{},${text}]}`, `/sequence/1/${field}`],
      ['verify', `{"expect":[{"match":${text},"count":0}]}`, `/expect/0/match/${field}`],
    ] as const) {
      const asked = { body, headers: { 'content-type': 'application/json' } };
      const refused = await own.ask('POST', `/__admin/${line}`, asked);
      expect(refused, line).toMatchObject({
        status: 400,
        body: { error: 'invalid_matcher', details: { problems: [{ pointer }] } },
      });
    }
  });

  it('of a rule is known as long as the rule was ever armed for the key or for all, until the rules are reset', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.admin('POST rules', { id: 'removed', fault: 'close' });
    await own.admin('POST rules?namespace=*', { id: 'of-all', fault: 'status@headers:503' });
    await own.admin('PUT rules', []);
    for (const ruleId of ['removed', 'of-all', '*'])
      expect((await own.admin('POST requests/count', { ruleId })).status).toBe(200);
    await own.ask('GET', '/media/chunks?fileId=f');
    await own.admin('POST reset', { scope: ['rules'] });
    await own.admin('POST reset?namespace=*', { scope: ['rules'] });
    // What is on record is known, too.
    expect((await own.admin('POST requests/count', { ruleId: 'of-all' })).body).toEqual({ count: 1 });
    expect((await own.admin('POST requests/count', { ruleId: 'removed' })).status).toBe(400);
  });
});

describe('a rule that never fired', () => {
  it('fails the verification of all namespaces, whichever it is armed for', async () => {
    const server = await openTestServer();
    const [own, other] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'other')];
    await own.admin('POST rules', { id: 'of-one', match: {}, fault: 'status@headers:503' });
    await other.size();
    const verdict = await other.admin<Verdict>('POST verify?namespace=*');
    expect(failed(verdict)).toEqual([409, false, ['/unfiredRules']]);
    // Of whom it is, since ids are a namespace's own; what others did comes near to it no more than nothing.
    expect(verdict.body).toMatchObject({
      expected: { ruleId: 'of-one', namespace: expect.stringMatching(/^ns_/) },
      nearMisses: [],
    });
    expect((await other.admin('POST verify')).status).toBe(200);
    expect((await own.chunk()).status).toBe(503);
    expect((await other.admin('POST verify?namespace=*')).status).toBe(200);
  });

  it('fails every verification, with the exchanges that come nearest to it (§9.9)', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.admin('POST rules', {
      id: 'never',
      match: { operation: 'uploadChunk', chunkIndex: 7 },
      fault: 'close',
    });
    for (const index of [0, 1]) await own.chunk({ index, total: 2 });
    await own.size();
    for (const json of [undefined, {}, { expect: [{ match: {}, count: 3 }] }]) {
      const verdict = await own.admin<Verdict>('POST verify', json);
      expect(failed(verdict)).toEqual([409, false, ['/unfiredRules']]);
      expect(verdict.body).toMatchObject({
        expected: { ruleId: 'never', explain: expect.stringContaining('On chunk 7 of any upload, once') },
        actual: { fired: 0 },
        nearMisses: [
          { seq: 2, differs: [{ field: 'chunkIndex', expected: 7, actual: 1 }] },
          { seq: 1 },
          { seq: 3 },
        ],
      });
    }
  });

  it('is no failure when that is asked for, when it is disarmed, or once it has fired', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.admin('POST rules', {
      id: 'late',
      match: { operation: 'uploadChunk' },
      fault: 'status@headers:503',
    });
    expect((await own.admin('POST verify', { unfiredRules: false })).status).toBe(200);
    expect((await own.admin('POST verify')).status).toBe(409);
    await own.chunk();
    expect((await own.admin('POST verify')).status).toBe(200);
    await own.admin('POST rules', { id: 'other', fault: 'close' });
    expect((await own.admin('POST verify')).status).toBe(409);
    await own.admin('DELETE rules/other');
    expect((await own.admin('POST verify')).status).toBe(200);
  });
});

describe('a rule that is armed for everybody', () => {
  const forAll = {
    id: 'for-all',
    match: { operation: 'uploadChunk' },
    fault: 'status@headers:503',
  } as const;

  it('fails the verification of every key while it has fired for nobody, and then of none', async () => {
    const server = await openTestServer();
    const [own, other] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'other')];
    await own.admin('POST rules?namespace=*', forAll);
    await own.size();
    const verdict = await own.admin<Verdict>('POST verify');
    expect(failed(verdict)).toEqual([409, false, ['/unfiredRules']]);
    expect(verdict.body).toMatchObject({ expected: { ruleId: 'for-all' }, nearMisses: [{ seq: 1 }] });
    expect((await own.admin('POST verify', { unfiredRules: false })).status).toBe(200);
    expect(failed(await own.admin<Verdict>('POST verify?namespace=*'))).toEqual([
      409,
      false,
      ['/unfiredRules'],
    ]);
    expect((await other.chunk()).status).toBe(503);
    for (const client of [own, other]) expect((await client.admin('POST verify')).status).toBe(200);
    expect((await own.admin('POST verify?namespace=*')).status).toBe(200);
  });

  it('is named beside those of the key', async () => {
    const own = new DoubleClient(await openTestServer(), 'k');
    await own.admin('POST rules?namespace=*', forAll);
    await own.admin('POST rules', { ...forAll, id: 'own' });
    const { body } = await own.admin<Verdict>('POST verify');
    expect(body.failures.map(({ expected }) => expected)).toMatchObject([
      { ruleId: 'own' },
      { ruleId: 'for-all' },
    ]);
  });

  it('does so in process, too', async () => {
    const server = await startServer();
    try {
      server.rules.add(forAll);
      const [own, other] = [server.namespace('k'), server.namespace('other')];
      expect(own.journal.verify()).toMatchObject({ pass: false, expected: { ruleId: 'for-all' } });
      expect(() => own.journal.expect()).toThrow('rule for-all fires');
      await new DoubleClient(server, 'other').chunk();
      for (const { journal } of [own, other, server]) expect(journal.verify()).toEqual({ pass: true });
    } finally {
      await server.close();
    }
  });
});

describe('as text', () => {
  const asked = async (own: DoubleClient, accept: string, json: unknown): Promise<Told> =>
    own.ask('POST', '/__admin/verify', { headers: { accept }, json });

  it('says the same for a person', async () => {
    const own = await resumed();
    const passed = await asked(own, 'text/plain', {});
    expect([passed.status, passed.headers['content-type'], passed.text]).toEqual([
      200,
      'text/plain; charset=utf-8',
      'PASS\n',
    ]);
    const { status, text } = await asked(own, 'text/plain', {
      expect: [{ match: { ...RESENT, attempt: 3 }, count: 1 }],
      never: [{ outcome: 'fault-reset' }],
    });
    expect(status).toBe(409);
    const [title, first = '', second = ''] = text.trimEnd().split('\n\n');
    expect(title).toBe('FAIL: 2 checks failed');
    expect(first.split('\n').slice(0, 6)).toEqual([
      'expect /expect/0',
      '  expected: operation uploadChunk, chunkIndex 2, attempt 3: 1 times',
      '  actual: 0 times',
      '  nearest:',
      '    #5 uploadChunk (POST /media/chunks) of "f" chunk 2 attempt 2: 200, answered',
      '      but attempt is 2, not 3',
    ]);
    expect(second.split('\n')).toEqual([
      'never /never/0',
      '  expected: never: outcome fault-reset',
      '  actual: 1 times (#3)',
      '  these:',
      '    #3 uploadChunk (POST /media/chunks) of "f" chunk 2 attempt 1: no answer, fault-reset, fault reset@pre-commit of rule lost',
    ]);
  });

  it.each([
    ['text/plain', 'text'],
    ['text/plain, */*', 'text'],
    ['text/plain; charset=utf-8', 'text'],
    ['text/*', 'text'],
    ['text/plain;q=0.9, application/json;q=0.5', 'text'],
    ['text/plain, application/json', 'text'],
    // As axios and its like send with every request.
    ['application/json, text/plain, */*', 'json'],
    ['application/json, text/plain;q=0.5', 'json'],
    ['text/plain;q=0', 'json'],
    ['text/plain;q=0.5, */*', 'json'],
    ['text/html', 'json'],
    ['*/*', 'json'],
    ['', 'json'],
  ])('for "%s" it is %s', async (accept, kind) => {
    const own = new DoubleClient(await openTestServer(), 'k');
    const { headers } = await asked(own, accept, {});
    expect(headers['content-type']).toContain(kind);
    expect(headers['vary']?.toLowerCase()).toContain('accept');
  });
});
