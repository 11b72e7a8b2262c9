// journal.test.ts: what is appended is found at once, bounded by entries and bytes, apart for every namespace.

import { describe, expect, it } from 'vitest';
import { approximateBytes } from '../../src/journal/exchange.ts';
import type { JournalEvent } from '../../src/journal/event-feed.ts';
import type { Head } from '../../src/journal/transport-replay.ts';
import { chunk, draft, lostAnswer, openJournal, statusQuery } from './drafts.ts';

const seqsOf = ({ exchanges }: { exchanges: readonly { seq: number }[] }): number[] =>
  exchanges.map(({ seq }) => seq);

const head = (n: number): Head => ({ headMark: () => `head ${n}` });

describe('append', () => {
  it('numbers the exchanges of the server from 1 and gives each to its namespace only', () => {
    const journal = openJournal();
    expect(journal.lastSeq).toBe(0);
    journal.append(chunk(0));
    journal.append(chunk(0, { namespace: 'ns_b' }));
    expect(journal.append(chunk(1))).toEqual({ seq: 3, suspectedTransportReplay: false, ...chunk(1) });
    expect(seqsOf(journal.find('ns_a'))).toEqual([1, 3]);
    expect(seqsOf(journal.find('ns_b'))).toEqual([2]);
    expect(seqsOf(journal.find('*'))).toEqual([1, 2, 3]);
    expect(seqsOf(journal.find('ns_c'))).toEqual([]);
    expect([journal.size, journal.lastSeq]).toEqual([3, 3]);
  });

  it('gives a number out before the exchange is put together; one that never is leaves a gap', () => {
    const journal = openJournal();
    const [one, gone, three] = [journal.number(), journal.number(), journal.number()];
    expect([one, gone, three, journal.lastSeq, journal.size]).toEqual([1, 2, 3, 3, 0]);
    journal.later(() => journal.append(chunk(0), { seq: one }));
    journal.later(() => journal.append(chunk(1), { seq: three }));
    expect(seqsOf(journal.find('ns_a'))).toEqual([1, 3]);
    expect(seqsOf(journal.find('ns_a', { sinceSeq: 1 }))).toEqual([3]);
    expect(journal.get(2)).toBeNull();
    expect(journal.append(chunk(2)).seq).toBe(4);
  });

  it('what was appended is found by the very next query, 10,000 times', () => {
    const journal = openJournal();
    for (let index = 0; index < 10_000; index += 1) {
      const { seq } = journal.append(chunk(index));
      expect(journal.count('ns_a', { chunkIndex: index, sinceSeq: seq - 1 })).toBe(1);
      expect(journal.get(seq)?.upload?.chunkIndex).toBe(index);
    }
  });

  it('masks a key in the query', () => {
    const journal = openJournal();
    journal.append(draft({ path: '/media/chunks?api_key=s3cret' }));
    expect(JSON.stringify(journal.find('*'))).not.toContain('s3cret');
  });
});

describe('bounds', () => {
  it('the newest 10,000 of each namespace stay, the others are counted', () => {
    const journal = openJournal({ maxEntries: 10_000 });
    for (let index = 0; index < 15_000; index += 1) {
      journal.append(chunk(index, { namespace: index % 5 === 0 ? 'ns_b' : 'ns_a' }));
    }
    expect(journal.size).toBe(13_000);
    const { exchanges, total, evicted } = journal.find('*');
    expect(exchanges.map(({ seq }) => seq)).toEqual(
      exchanges.map(({ seq }) => seq).toSorted((a, b) => a - b),
    );
    expect([exchanges[0]?.seq, exchanges.at(-1)?.seq, total, evicted]).toEqual([1, 15_000, 13_000, 2000]);
    expect([journal.evicted('ns_a'), journal.evicted('ns_b'), journal.evicted('ns_c')]).toEqual([2000, 0, 0]);
    expect([journal.evicted('ns_a', 2499), journal.evicted('ns_a', 2500)]).toEqual([2000, 0]);
    expect([journal.count('ns_a'), journal.count('ns_b')]).toEqual([10_000, 3000]);
    expect([journal.get(2500), journal.get(2501)?.seq, journal.get(15_001)]).toEqual([null, 2501, null]);
    expect([journal.get(0), journal.get(1.5)]).toEqual([null, null]);
  });

  it('bytes bound it, too, however they come', () => {
    const maxBytes = 1024 * 1024;
    const journal = openJournal({ maxBytes });
    for (let index = 0; index < 10_000; index += 1) {
      journal.append(draft({ path: `/media/chunks?x=${'a'.repeat(index % 4000)}` }));
      expect(journal.bytes).toBeLessThanOrEqual(maxBytes);
    }
    const { exchanges, evicted } = journal.find('ns_a');
    expect(exchanges.length + evicted).toBe(10_000);
    expect(journal.bytes).toBe(exchanges.reduce((sum, exchange) => sum + approximateBytes(exchange), 0));
    const tooLong = { contract: { request: ['x'.repeat(maxBytes)], response: [] } };
    journal.amend(exchanges[0]?.seq ?? 0, tooLong);
    expect(journal.size).toBe(exchanges.length - 1);
    journal.amend(journal.lastSeq, tooLong);
    expect([journal.size, journal.bytes]).toEqual([0, 0]);
  });

  it('with no room at all nothing is kept, and everything is told', () => {
    const journal = openJournal({ maxEntries: 0 });
    const heard: JournalEvent[] = [];
    journal.subscribe('ns_a', (event) => heard.push(event));
    journal.append(draft());
    expect([journal.size, journal.evicted('ns_a'), heard.length]).toEqual([0, 1, 1]);
  });

  it('namespaces that come and go do not pile up', () => {
    const maxBytes = 10 * approximateBytes(draft());
    const journal = openJournal({ maxBytes });
    for (let index = 0; index < 5000; index += 1) journal.append(draft({ namespace: `ns_${index}` }));
    expect(journal.bytes).toBeLessThanOrEqual(4 * maxBytes);
    expect(journal.evicted('*')).toBeLessThanOrEqual(1001);
    expect(journal.count('*')).toBe(40);
  });

  it('of ten thousand namespaces, each is whole beside one that takes all it may', () => {
    const maxBytes = 4000 * approximateBytes(draft());
    const journal = openJournal({ maxBytes });
    for (let index = 0; index < 10_000; index += 1) {
      journal.append(draft({ namespace: `ns_${index}` }));
      journal.append(draft({ namespace: 'ns_load' }));
      journal.append(draft({ namespace: 'ns_more' }));
    }
    expect(journal.bytes).toBeLessThanOrEqual(4 * maxBytes);
    expect(journal.evicted('*')).toBe(journal.evicted('ns_load') + journal.evicted('ns_more'));
    expect([journal.count('ns_0'), journal.count('ns_9999'), journal.size]).toEqual([
      1,
      1,
      journal.count('*'),
    ]);
  });

  it('a long run takes as long as its exchanges are many, however full the journal is', () => {
    const journal = openJournal();
    const run = (): number => {
      const begin = process.cpuUsage();
      for (let index = 0; index < 20_000; index += 1) journal.append(chunk(index));
      const { user, system } = process.cpuUsage(begin);
      return (user + system) / 1000;
    };
    run();
    const whenFull = run();
    expect(run()).toBeLessThan(whenFull * 5 + 500);
  });
});

describe('find', () => {
  const journal = openJournal();
  for (let index = 0; index < 10; index += 1) journal.append(chunk(index % 2));

  it('gives those that match, in order, and how many there are', () => {
    const found = journal.find('ns_a', { chunkIndex: 1 });
    expect([seqsOf(found), found.total, found.evicted]).toEqual([[2, 4, 6, 8, 10], 5, 0]);
    expect(journal.count('ns_a', { chunkIndex: 1, sinceSeq: 6 })).toBe(2);
  });

  it('a limit alone gives the last ones', () => {
    const found = journal.find('ns_a', { chunkIndex: 1 }, { limit: 2 });
    expect([seqsOf(found), found.total]).toEqual([[8, 10], 5]);
    expect(seqsOf(journal.find('ns_a', {}, { limit: 100 }))).toHaveLength(10);
  });

  it('a limit with sinceSeq gives the next page', () => {
    expect(seqsOf(journal.find('ns_a', {}, { sinceSeq: 0, limit: 2 }))).toEqual([1, 2]);
    expect(seqsOf(journal.find('ns_a', {}, { sinceSeq: 2, limit: 2 }))).toEqual([3, 4]);
    expect(seqsOf(journal.find('ns_a', { sinceSeq: 7 }, { limit: 2 }))).toEqual([8, 9]);
    expect(seqsOf(journal.find('ns_a', { sinceSeq: 7 }, { sinceSeq: 9, limit: 2 }))).toEqual([10]);
    expect(journal.find('ns_a', {}, { sinceSeq: 10 })).toEqual({ exchanges: [], total: 0, evicted: 0 });
  });
});

describe('amend', () => {
  it('changes what is on record and tells of it, but not of timing alone', () => {
    const journal = openJournal();
    const heard: JournalEvent[] = [];
    journal.subscribe('ns_a', (event) => heard.push(event));
    const { seq } = journal.append(draft());
    const timing = { firstByteMs: 4, bodyMs: 3, totalMs: 50 };
    journal.ended(seq, { isWhole: true, endedAfter: 3, timing });
    expect(journal.get(seq)).toMatchObject({ timing, endedAfter: 3 });
    journal.amend(seq, { outcome: 'client-aborted', timing });
    expect(journal.get(seq)).toEqual({
      seq,
      suspectedTransportReplay: false,
      ...draft({ timing, endedAfter: 3, outcome: 'client-aborted' }),
    });
    expect(heard.map(({ id, data }) => [id, 'outcome' in data ? data['outcome'] : null])).toEqual([
      [1, 'answered'],
      [2, 'client-aborted'],
    ]);
  });

  it('of one that had to make room does nothing', () => {
    const journal = openJournal({ maxEntries: 1 });
    journal.append(draft());
    journal.append(draft());
    expect(journal.amend(1, { outcome: 'client-aborted' })).toBeNull();
  });
});

describe('clear', () => {
  it('forgets one namespace and leaves the others; numbers go on', () => {
    const journal = openJournal({ maxEntries: 2 });
    for (const namespace of ['ns_a', 'ns_a', 'ns_b', 'ns_a', 'ns_b']) journal.append(draft({ namespace }));
    expect(journal.evicted('ns_a')).toBe(1);
    journal.clear('ns_a');
    expect([journal.count('ns_a'), journal.evicted('ns_a'), journal.size]).toEqual([0, 0, 2]);
    expect(journal.since('ns_a', 0).events).toEqual([]);
    expect(seqsOf(journal.find('*'))).toEqual([3, 5]);
    expect(journal.bytes).toBe(2 * approximateBytes(draft()));
    expect(journal.append(draft()).seq).toBe(6);
    journal.clear('ns_none');
    journal.clear('*');
    expect([journal.size, journal.bytes, journal.count('*')]).toEqual([0, 0, 0]);
  });

  it('churn in one namespace does not push out the exchanges of another', () => {
    const journal = openJournal({ maxEntries: 10 });
    const { seq } = journal.append(draft({ namespace: 'ns_quiet' }));
    for (let round = 0; round < 100; round += 1) {
      for (let index = 0; index < 9; index += 1) journal.append(draft());
      journal.clear('ns_a');
    }
    expect(seqsOf(journal.find('ns_quiet'))).toEqual([seq]);
  });

  it('1,100 namespaces that were evicted, filled and cleared again are counted rightly', () => {
    const journal = openJournal({ maxEntries: 1 });
    for (let index = 0; index < 900; index += 1) journal.append(draft({ namespace: `ns_${index}` }));
    for (let index = 0; index < 900; index += 1) journal.clear(`ns_${index}`);
    for (let index = 0; index < 900; index += 1) journal.append(draft({ namespace: `ns_${index}` }));
    for (let index = 0; index < 900; index += 1) journal.append(draft({ namespace: `ns_${index}` }));
    expect(journal.evicted('*')).toBe(900);
  });
});

describe('events', () => {
  it('of every kind are resumed after Last-Event-ID, in one sequence', () => {
    const journal = openJournal();
    journal.append(draft());
    journal.publish('ns_a', 'ledger', { type: 'chunk' });
    journal.publish('ns_b', 'fault', { ruleId: 'r' });
    journal.publish('ns_a', 'fault', { ruleId: 'r' });
    const heard: JournalEvent[] = [];
    const { events, isGap } = journal.since('ns_a', 1);
    const end = journal.subscribe('ns_a', (event) => heard.push(event));
    journal.append(statusQuery());
    end();
    journal.append(statusQuery());
    expect(isGap).toBe(false);
    expect([...events, ...heard].map(({ id, kind }) => [id, kind])).toEqual([
      [2, 'ledger'],
      [4, 'fault'],
      [5, 'exchange'],
    ]);
  });

  it('older than the ring are missed, and that is said', () => {
    const journal = openJournal({ maxEvents: 2 });
    for (let index = 0; index < 4; index += 1) journal.append(draft());
    expect(journal.since('ns_a', 0)).toMatchObject({ isGap: true, events: [{ id: 3 }, { id: 4 }] });
  });
});

describe('suspectedTransportReplay', () => {
  const again = draft({ connection: { id: 2, exchange: 1, reused: false } });

  it('marks the POST that follows a lost answer at once, on a new connection', () => {
    let now = 1000;
    const journal = openJournal({ now: () => now });
    journal.append(lostAnswer({ path: '/media/chunks?key=k' }));
    now += 10;
    expect(journal.append({ ...again, path: '/media/chunks?key=k' }).suspectedTransportReplay).toBe(true);
    expect(journal.find('ns_a').exchanges.map((one) => one.suspectedTransportReplay)).toEqual([false, true]);
  });

  it('measures the gap from the loss to the beginning of the second', () => {
    let now = 1000;
    const journal = openJournal({ now: () => now, replayWindowMs: 100 });
    const { seq } = journal.append(draft({ response: { status: 200, bytes: 0 } }));
    now = 5000;
    journal.amend(seq, { outcome: 'client-aborted' });
    now = 7000;
    const timing = { firstByteMs: 1900, bodyMs: 1900, totalMs: 1950 };
    expect(journal.append({ ...again, timing }).suspectedTransportReplay).toBe(true);
    journal.clear('ns_a');
    journal.append(lostAnswer());
    now += 1950 + 101;
    expect(journal.append({ ...again, timing }).suspectedTransportReplay).toBe(false);
  });

  it('measures it from when the exchanges ended, however late they are put on record', () => {
    let now = 1000;
    const journal = openJournal({ now: () => now, replayWindowMs: 100 });
    journal.append(lostAnswer());
    now = 3000;
    expect(journal.append(again, { endedMs: 1100 }).suspectedTransportReplay).toBe(true);
  });

  it('knows the heads apart when it is told of them', () => {
    const journal = openJournal();
    journal.append(lostAnswer(), { head: head(1) });
    expect(journal.append(again, { head: head(2) }).suspectedTransportReplay).toBe(false);
    journal.clear('ns_a');
    journal.append(lostAnswer(), { head: head(1) });
    expect(journal.append(again, { head: head(1) }).suspectedTransportReplay).toBe(true);
  });

  it('does not look into another namespace, nor for ever', () => {
    const journal = openJournal();
    journal.append(lostAnswer({ namespace: 'ns_b' }));
    expect(journal.append(again).suspectedTransportReplay).toBe(false);
    journal.append(lostAnswer({ upload: { fileId: 'g', chunkIndex: 0, attempt: 1 } }));
    for (let index = 0; index < 256; index += 1) journal.append(chunk(index));
    const late = { ...again, upload: { fileId: 'g', chunkIndex: 0, attempt: 2 } };
    expect(journal.append(late).suspectedTransportReplay).toBe(false);
  });
});
