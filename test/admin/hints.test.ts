// hints.test.ts: a failed verification, a wait that ran out and a rule that did not fire say why nothing matched (behaviour §11).
import { describe, expect, it } from 'vitest';
import { createDouble } from '../../src/control/in-process.ts';
import { openTestServer } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { chunkRequest } from '../helpers/exchanges.ts';
import { openConnection } from '../helpers/raw.ts';

interface Hinted {
  readonly hints?: readonly string[];
  readonly failures?: readonly { readonly hints?: readonly string[]; readonly nearMisses: object[] }[];
  readonly message?: string;
}

const CHUNK = { operation: 'uploadChunk' } as const;

async function clients(settings: Parameters<typeof openTestServer>[0] = {}) {
  const server = await openTestServer(settings);
  const own = new DoubleClient(server, 'k');
  return {
    server,
    own,
    keyless: new DoubleClient(server),
    other: new DoubleClient(server, 'other'),
    /** Of the only failure. */
    verify: async (json: unknown = {}) => (await own.admin<Hinted>('POST verify', json)).body.hints ?? [],
    wait: async (json: object) => {
      const { status, body } = await own.admin<Hinted>('POST requests/wait', { ...json, timeoutMs: 1 });
      expect(status).toBe(408);
      return body.hints ?? [];
    },
    ruleWait: async (id: string, json: object = {}) => {
      const { status, body } = await own.admin<Hinted>(`POST rules/${id}/wait`, { timeoutMs: 1, ...json });
      expect(status).toBe(408);
      return body.hints ?? [];
    },
  };
}

describe('where nothing fits, it is said (§11.9)', () => {
  it('that nothing at all is on record, and of what others did nothing more', async () => {
    const { verify, wait } = await clients();
    const none = ['nothing at all is on record for this key'];
    expect(await verify({ expect: [{ match: CHUNK }] })).toEqual(none);
    expect(await verify({ sequence: [CHUNK] })).toEqual(none);
    expect(await wait(CHUNK)).toEqual(none);
  });

  it('which condition leaves none, and what there was instead (§11.9)', async () => {
    const { own, verify, wait } = await clients();
    for (const index of [0, 1]) await own.chunk({ index, total: 3 });
    expect(await verify({ expect: [{ match: { operation: 'getUploadStatus' } }] })).toEqual([
      'no operation getUploadStatus is on record for this key, only operation uploadChunk',
    ]);
    expect(await wait({ ...CHUNK, chunkIndex: 2 })).toEqual([
      'no chunk 2 with operation uploadChunk is on record for this key, only chunk 0, 1',
    ]);
    expect(await wait({ chunkIndex: 1, attempt: 2 })).toEqual([
      'no attempt 2 with chunk 1 is on record for this key, only attempt 1',
    ]);
    expect(await wait({ chunkIndex: 1, errorCode: 'chunk_conflict' })).toEqual([
      'no error code chunk_conflict with chunk 1 is on record for this key, none has any (of 1)',
    ]);
    expect(await wait({ chunkIndex: 1, sinceSeq: 2 })).toEqual([
      'nothing with chunk 1 is on record for this key after #2; the last was #2',
    ]);
  });

  it('that a step of a sequence came, but not after the one before it', async () => {
    const { own, verify } = await clients();
    for (const index of [0, 1]) await own.chunk({ index, total: 3 });
    expect(await verify({ sequence: [{ chunkIndex: 1 }, { chunkIndex: 0 }] })).toEqual([
      'such exchanges are on record (1), but none that began after #2',
    ]);
  });

  it('that it may have made room', async () => {
    const { own, wait } = await clients({ journalEntries: 2 });
    for (let n = 0; n < 4; n += 1) await own.size();
    expect(await wait(CHUNK)).toEqual([
      'no operation uploadChunk is on record for this key, only operation getUploadStatus; 2 exchanges before are not on record any more',
    ]);
  });

  it('nothing of too many, of an order that was kept, and of what should not have been', async () => {
    const { own, keyless, verify } = await clients();
    await own.chunk();
    await keyless.chunk();
    expect(await verify({ expect: [{ match: CHUNK, count: 0 }] })).toEqual([]);
    expect(await verify({ never: [CHUNK] })).toEqual([]);
  });
});

describe('under another key (§11.9)', () => {
  it('it is told that the client sent none, and how many such exchanges there are', async () => {
    const { own, keyless, verify, wait } = await clients();
    for (const index of [0, 1]) await keyless.chunk({ index, total: 3 });
    const hint = 'your client sent no key: 2 such exchanges in public';
    expect(await wait(CHUNK)).toEqual(['nothing at all is on record for this key', hint]);
    await own.chunk();
    expect(await verify({ expect: [{ match: CHUNK, count: 3 }] })).toEqual([hint]);
    const text = await own.ask('POST', '/__admin/verify', {
      headers: { accept: 'text/plain' },
      json: { expect: [{ match: CHUNK, count: 3 }] },
    });
    expect(text.text).toContain(`\n  hint: ${hint}\n`);
  });

  it('it is told of other keys by a count only, where every key is accepted', async () => {
    const { server, other, keyless, wait } = await clients();
    await other.chunk({ fileId: 'secret' });
    const hints = await wait(CHUNK);
    expect(hints).toContain('your client sent another key: 1 such exchange under other keys');
    expect(JSON.stringify(hints)).not.toMatch(/secret|ns_/);
    const asked = await keyless.admin<Hinted>('POST requests/wait', { ...CHUNK, timeoutMs: 1 });
    expect(asked.body.hints).toEqual([
      'nothing at all is on record without a key',
      'your client sent a key, and this asks without one: 1 such exchange under keys',
    ]);
    expect(server.queries.count('*', CHUNK)).toBe(1);
  });

  it('it is told of public only, where keys are configured, also of chunks that were not read (§11.9)', async () => {
    const { own, keyless, other, wait } = await clients({ apiKeys: ['k', 'other'] });
    await other.chunk();
    expect(await wait(CHUNK)).toEqual(['nothing at all is on record for this key']);
    expect((await keyless.chunk({ index: 2, total: 3 })).status).toBe(401);
    await own.size();
    expect(await wait({ ...CHUNK, chunkIndex: 2 })).toEqual([
      'no operation uploadChunk is on record for this key, only operation getUploadStatus',
      'your client sent no key, or none that is known here: 1 such exchange in public',
    ]);
  });
});

describe('of a rule that did not fire it is said (§11.9)', () => {
  it('that the client sent no key', async () => {
    const { own, keyless, verify, ruleWait } = await clients();
    await own.admin('POST rules', { id: 'lost', match: { chunkIndex: 1 }, fault: 'reset@post-commit' });
    for (const index of [0, 1]) await keyless.chunk({ index, total: 2 });
    const hints = [
      'nothing at all is on record for this key',
      'your client sent no key: 1 such exchange in public',
    ];
    expect(await verify()).toEqual(hints);
    expect(await ruleWait('lost')).toEqual(hints);
  });

  it('that its place was never reached, and the exchange is the nearest (§11.9)', async () => {
    const { own, verify } = await clients();
    await own.admin('POST rules', { id: 'far', match: { chunkIndex: 2 }, fault: 'reset@body:5000' });
    for (const index of [0, 1, 2]) await own.chunk({ index, total: 3, bytes: 'x'.repeat(1_000) });
    expect(await verify()).toEqual(['chunk 2 (#3) came with 1,000 bytes; body:5000 was never reached']);
    const { body } = await own.admin<Hinted>('POST verify');
    expect(body.failures?.[0]?.nearMisses[0]).toMatchObject({
      seq: 3,
      differs: [{ field: 'ruleId', expected: 'far', actual: null }],
    });
  });

  it('that the exchange was refused before its place', async () => {
    const { own, verify } = await clients();
    await own.admin('POST rules', { id: 'late', match: { chunkIndex: 2 }, fault: 'reset@post-commit' });
    await own.chunk({ index: 2, total: 3 });
    expect(await verify()).toEqual([
      'chunk 2 (#1) ended before (refused, answered 409 chunk_out_of_order); post-commit was never reached',
    ]);
  });

  it('that its place is not reached yet', async () => {
    const { server, own, ruleWait } = await clients();
    await own.admin('POST rules', { id: 'held', match: { chunkIndex: 0 }, fault: 'reset@body:4' });
    const { bytes } = chunkRequest({
      key: 'k',
      fileId: 'f',
      index: 0,
      total: 1,
      bytes: Buffer.from('bytes!'),
    });
    const sender = await openConnection(server.port);
    await sender.write(bytes.subarray(0, bytes.indexOf('bytes!') + 2));
    const held = '1 exchange that it has is in flight and did not come to body:4 yet';
    // Only the events show whether it has begun.
    for (let seen: readonly string[] = []; seen[0] !== held;) seen = await ruleWait('held', { timeoutMs: 5 });
  });

  it('that it expired', async () => {
    const { own, verify, ruleWait } = await clients();
    await own.admin('POST rules', { id: 'brief', match: CHUNK, fault: 'close', ttlMs: 60_000 });
    await own.admin('PUT clock', { advanceMs: 60_000 });
    await own.chunk();
    const [expired, before] = await verify();
    expect(expired).toBe(
      'rule brief has expired: its ttlMs of 1m is over since it was armed, and it cannot fire any more',
    );
    expect(before).toContain('1 exchange on record would fit (#1), and never met rule brief');
    expect(await ruleWait('brief')).toEqual([expired, before]);
  });

  it('that it is used up', async () => {
    const { own, ruleWait, wait } = await clients();
    await own.admin('POST rules', { id: 'once', match: CHUNK, fault: 'status@headers:503' });
    for (let n = 0; n < 2; n += 1) await own.chunk();
    const usedUp = 'rule once has fired once, which is all it may (times: 1): it cannot fire again';
    expect(await ruleWait('once', { count: 2 })).toEqual([usedUp]);
    expect(await wait({ ruleId: 'once', count: 2 })).toEqual([usedUp]);
  });

  it('that an earlier rule came first, of this key or before one of all (§11.9)', async () => {
    const { own, verify } = await clients();
    await own.admin('POST rules', {
      id: 'first',
      match: CHUNK,
      fault: 'status@headers:503',
      times: 'always',
    });
    await own.admin('POST rules', { id: 'second', match: { chunkIndex: 0 }, fault: 'close' });
    await own.admin('POST rules?namespace=*', { id: 'of-all', match: CHUNK, fault: 'close' });
    for (let n = 0; n < 2; n += 1) await own.chunk();
    const { body } = await own.admin<Hinted>('POST verify', {});
    const masked =
      'an earlier rule took 2 exchanges that it fits, the last time first: the first rule that fits an exchange is its only one';
    expect(body.failures?.map(({ hints }) => hints)).toEqual([[masked], [masked]]);
    expect(await verify({ unfiredRules: false })).toEqual([]);
  });

  it.each<[string, object, string]>([
    [
      'attempt',
      { attempt: 2 },
      'no attempt 2 with operation uploadChunk, chunk 0 is on record for this key, only attempt 1',
    ],
    ['nth', { nth: 3 }, 'it matched 1 exchange, and fires only at match 3 (when.nth)'],
    ['skip', { skip: 2 }, 'it matched 1 exchange, and lets the first 2 pass (when.skip)'],
    [
      'probability',
      { probability: 1e-12 },
      'it matched 1 exchange, and 1 of them were not drawn (when.probability 1e-12)',
    ],
  ])('that its `when` was not met: %s', async (_field, when, hint) => {
    const { own, verify } = await clients();
    await own.admin('POST rules', { id: 'never', match: { chunkIndex: 0 }, when, fault: 'close' });
    await own.chunk();
    expect(await verify()).toEqual([hint]);
  });

  it('that what would fit came before it was armed', async () => {
    const { own, verify } = await clients();
    await own.chunk();
    await own.admin('POST rules', { id: 'late', match: { fileId: 'f*' }, fault: 'close' });
    const [hint] = await verify();
    expect(hint).toContain('1 exchange on record would fit (#1), and never met rule late');
  });

  it('that no upload or no last chunk like that came', async () => {
    const { own, verify } = await clients();
    await own.size();
    await own.admin('POST rules', { id: 'other', match: { fileId: 'g*' }, fault: 'close' });
    expect(await verify()).toEqual([
      'no fileId "g*" with operation getUploadStatus or uploadChunk or createVideo or createImage is on record for this key, only fileId f',
    ]);
    await own.admin('PUT rules', { id: 'last', match: { chunkIndex: 'last' }, fault: 'close' });
    expect(await verify()).toEqual([
      'no operation uploadChunk is on record for this key, only operation getUploadStatus',
    ]);
  });

  it('that it was removed: a wait for it ends at once, one for its exchanges when its time is over', async () => {
    const { server, wait } = await clients();
    const double = createDouble(server).namespace('k');
    const { rules } = double;
    for (const remove of [
      async () => rules.remove('gone'),
      async () => rules.clear(),
      async () => rules.replace([]),
      () => double.reset(['rules']),
      () => createDouble(server).reset(['rules']),
    ]) {
      rules.replace({ id: 'gone', match: CHUNK, fault: 'close' });
      const fired = rules.fired('gone', { timeoutMs: 600_000 });
      const told = expect(fired).rejects.toMatchObject({ code: 'rule_not_found' });
      await remove();
      await told;
    }
    rules.add({ id: 'gone', match: CHUNK, fault: 'close' });
    rules.remove('gone');
    expect(await wait({ ruleId: 'gone' })).toEqual([
      'rule gone is not armed any more: it was removed, or the rules were replaced or reset',
    ]);
  });

  it('to those who wait for it while another takes its place by its id, when that one fires', async () => {
    const { server, own } = await clients();
    const { rules } = createDouble(server).namespace('k');
    rules.add({ id: 'same', match: { chunkIndex: 7 }, fault: 'close' });
    const fired = rules.fired('same', { timeoutMs: 60_000 });
    rules.replace({ id: 'same', match: CHUNK, fault: 'status@headers:503' });
    await own.chunk();
    expect(await fired).toMatchObject({ id: 'same', fired: 1 });
  });
});

describe('in process', () => {
  it('errors of waits and verifications have the hints', async () => {
    const { server, keyless } = await clients();
    const { rules, journal } = createDouble(server).namespace('k');
    rules.add({ id: 'lost', match: CHUNK, fault: 'close' });
    await keyless.chunk();
    const hint = '\n  hint: your client sent no key: 1 such exchange in public';
    await expect(rules.fired('lost', { timeoutMs: 1 })).rejects.toThrow(hint);
    await expect(journal.wait(CHUNK, { timeoutMs: 1 })).rejects.toThrow(hint);
    expect(() => journal.expect()).toThrow(hint);
    expect(journal.verify()).toMatchObject({
      hints: ['nothing at all is on record for this key', expect.stringContaining('no key')],
    });
  });

  it('a wait for a rule ends at once when the server is closed, and says so (§11.9)', async () => {
    const { server } = await clients();
    const { rules } = createDouble(server).namespace('k');
    rules.add({ id: 'never', match: CHUNK, fault: 'close' });
    const fired = rules.fired('never', { timeoutMs: 600_000 });
    const told = expect(fired).rejects.toThrow(
      'the server was closed while somebody waited for rule never to fire 1 times',
    );
    await server.close();
    await told;
    await expect(rules.fired('never')).rejects.toThrow('the server was closed');
  });

  it('without a journal a rule says that there is none to look at', async () => {
    const { server, own } = await clients({ noJournal: true });
    const { rules } = createDouble(server).namespace('k');
    rules.add({ id: 'never', match: { chunkIndex: 7 }, fault: 'close' });
    await own.chunk();
    await expect(rules.fired('never', { timeoutMs: 1 })).rejects.toThrow('this server keeps no journal');
  });
});
