// event-feed.test.ts: listeners hear their namespace at once, and can go on where their connection broke.

import { describe, expect, it } from 'vitest';
import { EventFeed, type JournalEvent } from '../../src/journal/event-feed.ts';

function publishTo(feed: EventFeed, namespace: string, count: number): void {
  for (let index = 0; index < count; index += 1) feed.publish(namespace, { kind: 'ledger', data: { index } });
}

const idsOf = (events: readonly JournalEvent[]): number[] => events.map(({ id }) => id);

describe('subscribe', () => {
  it('tells of its own namespace before `publish` returns; `*` of all', () => {
    const feed = new EventFeed(10);
    const [own, all]: [JournalEvent[], JournalEvent[]] = [[], []];
    feed.subscribe('ns_a', (event) => own.push(event));
    feed.subscribe('*', (event) => all.push(event));
    feed.publish('ns_a', { kind: 'fault', data: { ruleId: 'r' } });
    feed.publish('ns_b', { kind: 'ledger', data: {} });
    expect(own).toEqual([{ id: 1, namespace: 'ns_a', kind: 'fault', data: { ruleId: 'r' } }]);
    expect(idsOf(all)).toEqual([1, 2]);
  });

  it('ends when told, more than once if need be, and ends no other', () => {
    const feed = new EventFeed(10);
    const heard: JournalEvent[] = [];
    const listener = (event: JournalEvent): void => void heard.push(event);
    const [first, second] = [feed.subscribe('ns_a', listener), feed.subscribe('ns_a', listener)];
    publishTo(feed, 'ns_a', 1);
    first();
    first();
    publishTo(feed, 'ns_a', 1);
    second();
    publishTo(feed, 'ns_a', 1);
    expect(idsOf(heard)).toEqual([1, 1, 2]);
    feed.subscribe('ns_a', listener);
    second();
    publishTo(feed, 'ns_a', 1);
    expect(idsOf(heard)).toEqual([1, 1, 2, 4]);
  });
});

describe('since', () => {
  it('gives what came after the event named, of the namespace', () => {
    const feed = new EventFeed(10);
    publishTo(feed, 'ns_a', 2);
    publishTo(feed, 'ns_b', 1);
    publishTo(feed, 'ns_a', 1);
    expect(idsOf(feed.since('ns_a', 1).events)).toEqual([2, 4]);
    expect(idsOf(feed.since('*', 1).events)).toEqual([2, 3, 4]);
    expect(feed.since('ns_a', 4)).toEqual({ events: [], isGap: false });
    expect(feed.since('ns_c', 0)).toEqual({ events: [], isGap: false });
  });

  it('says when some of it is forgotten', () => {
    const feed = new EventFeed(3);
    publishTo(feed, 'ns_a', 5);
    expect(idsOf(feed.since('ns_a', 1).events)).toEqual([3, 4, 5]);
    expect(feed.since('ns_a', 1).isGap).toBe(true);
    expect(feed.since('ns_a', 2).isGap).toBe(false);
  });

  it('an id that was never given out is that of another server: everything known follows', () => {
    const feed = new EventFeed(3);
    publishTo(feed, 'ns_a', 2);
    const { events, isGap } = feed.since('ns_a', 500);
    expect([idsOf(events), isGap]).toEqual([[1, 2], true]);
  });

  it('keeps nothing when told to keep nothing', () => {
    const feed = new EventFeed(0);
    publishTo(feed, 'ns_a', 2);
    expect(feed.since('ns_a', 0)).toEqual({ events: [], isGap: true });
  });
});

it('clear forgets one namespace, or all', () => {
  const feed = new EventFeed(10);
  publishTo(feed, 'ns_a', 1);
  publishTo(feed, 'ns_b', 2);
  feed.clear('ns_b');
  expect(idsOf(feed.since('*', 0).events)).toEqual([1]);
  publishTo(feed, 'ns_b', 1);
  expect(idsOf(feed.since('ns_b', 0).events)).toEqual([4]);
  feed.clear('*');
  expect(feed.since('*', 0)).toEqual({ events: [], isGap: false });
});
