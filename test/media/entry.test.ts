// entry.test.ts: behaviour §5: what an entry shows at any instant, and what can make it fail.

import { describe, expect, it } from 'vitest';
import type { EntrySpec } from '../../src/media/entry-form.ts';
import {
  decide,
  evolve,
  isSettled,
  nextTransitionAt,
  viewEntry,
  type Entry,
  type EntryCreated,
  type EntryStatus,
  type EntryView,
} from '../../src/media/entry.ts';
import { PLATFORMS } from '../../src/media/platforms.ts';

const T0 = Date.UTC(2026, 2, 1, 12);
const timing = { pendingTimeMs: 1_000, processingTimeMs: 2_000 };
const instant = { pendingTimeMs: 0, processingTimeMs: 0 };

const spec = (more: Partial<EntrySpec> = {}): EntrySpec => ({
  type: 'video',
  platforms: ['youtube', 'tiktok'],
  isDraft: false,
  settings: { youtube: {}, tiktok: {} },
  ...more,
});

const created = (more: Partial<EntrySpec> = {}): EntryCreated => ({
  type: 'entry-created',
  at: T0,
  id: '67c000000000000000000001',
  namespace: 'n',
  spec: spec(more),
  bytes: 10,
});

const entry = (more: Partial<EntrySpec> = {}): Entry => evolve(null, created(more));
const at = (more: Partial<EntrySpec>, ms: number): EntryView => viewEntry(entry(more), T0 + ms, timing);
const statusAt = (subject: Entry, now: number): EntryStatus => viewEntry(subject, now, timing).status;

describe('the life cycle', () => {
  it.each([
    [0, 'pending', 0],
    [999, 'pending', 0],
    [1_000, 'processing', 1_000],
    [2_999, 'processing', 1_000],
    [3_000, 'completed', 3_000],
    [9_999_999, 'completed', 3_000],
  ])('after %d ms an entry is %s, updated at %d ms', (ms, status, updatedMs) => {
    const view = viewEntry(entry(), T0 + ms, timing);
    expect(view.status).toBe(status);
    expect(view.updatedAt).toBe(new Date(T0 + updatedMs).toISOString());
    expect(view.createdAt).toBe(new Date(T0).toISOString());
  });

  it.each([
    [0, 'scheduled', 0, 'pending'],
    [59_999, 'scheduled', 0, 'pending'],
    [60_000, 'pending', 60_000, 'pending'],
    [61_000, 'processing', 61_000, 'processing'],
    [63_000, 'completed', 63_000, 'published'],
  ])('scheduled for 60 s later, after %d ms it is %s', (...[ms, status, updatedMs, platform]) => {
    const view = viewEntry(entry({ scheduledAt: T0 + 60_000 }), T0 + ms, timing);
    expect(view.status).toBe(status);
    expect(view.scheduledAt).toBe(new Date(T0 + 60_000).toISOString());
    expect(view.updatedAt).toBe(new Date(T0 + updatedMs).toISOString());
    expect(view.youtube?.status).toBe(platform);
  });

  it.each([T0, T0 - 1, 0])(
    'scheduled for now or the past (%d) means now, and is shown as sent',
    (scheduledAt) => {
      const view = viewEntry(entry({ scheduledAt }), T0, timing);
      expect(view.status).toBe('pending');
      expect(view.scheduledAt).toBe(new Date(scheduledAt).toISOString());
    },
  );

  it('a draft stays a draft, whatever its date, with every platform idle (§5.2)', () => {
    const draft = entry({ isDraft: true, scheduledAt: T0 + 60_000 });
    expect(viewEntry(draft, T0 + 10 ** 9, timing)).toStrictEqual({
      id: draft.id,
      title: null,
      status: 'draft',
      platforms: ['youtube', 'tiktok'],
      scheduledAt: new Date(T0 + 60_000).toISOString(),
      youtube: { status: 'idle' },
      tiktok: { status: 'idle' },
      createdAt: new Date(T0).toISOString(),
      updatedAt: new Date(T0).toISOString(),
    });
  });

  it('without delays an entry is completed at once', () => {
    expect(viewEntry(entry(), T0, instant).status).toBe('completed');
  });

  it('a clock set back shows the entry as when it was new', () => {
    expect(viewEntry(entry(), T0 - 5_000, timing)).toEqual(viewEntry(entry(), T0, timing));
    expect(viewEntry(entry({ isDraft: true }), 0, timing).status).toBe('draft');
    expect(nextTransitionAt(entry(), T0 - 5_000, timing)).toBe(T0 + 1_000);
  });
});

describe('what a platform shows', () => {
  it('a platform that was not chosen has no key (§5.3)', () => {
    expect(
      Object.keys(at({}, 3_000)).filter((key) => (PLATFORMS as readonly string[]).includes(key)),
    ).toEqual(['youtube', 'tiktok']);
  });

  it('before publication there is a status and nothing else', () => {
    expect(at({}, 0).youtube).toStrictEqual({ status: 'pending' });
    expect(at({}, 1_000).tiktok).toStrictEqual({ status: 'processing' });
  });

  it.each([
    ['youtube', 'videoId', /^[\w-]{11}$/, 'https://www.youtube.com/watch?v=ID'],
    ['tiktok', 'videoId', /^7\d{18}$/, 'https://www.tiktok.com/@xenonflare-mock/video/ID'],
    ['linkedin', 'urn', /^urn:li:share:7\d{18}$/, 'https://www.linkedin.com/feed/update/ID/'],
    ['pinterest', 'pinId', /^7\d{17}$/, 'https://www.pinterest.com/pin/ID/'],
  ] as const)(
    'published, %s has its %s and a url made of it (§5.2)',
    (...[platform, idKey, pattern, url]) => {
      const view = at({ platforms: PLATFORMS, settings: {} }, 3_000)[platform];
      const id = view?.[idKey] ?? '';
      expect(id).toMatch(pattern);
      expect(view).toStrictEqual({ status: 'published', [idKey]: id, url: url.replace('ID', id) });
    },
  );

  it('published, instagram has its mediaId and a url of its own', () => {
    const view = at({ platforms: ['instagram'], settings: {} }, 3_000).instagram;
    expect(view).toStrictEqual({
      status: 'published',
      mediaId: expect.stringMatching(/^7\d{16}$/),
      url: expect.stringMatching(/^https:\/\/www\.instagram\.com\/reel\/[\w-]{11}\/$/),
    });
  });

  it('an image is published where images are', () => {
    const view = at({ type: 'image', platforms: ['instagram', 'tiktok'] }, 3_000);
    expect(view.instagram?.url).toContain('/p/');
    expect(view.tiktok?.url).toContain('/photo/');
  });

  it('ids stay the same and differ between entries', () => {
    const other = evolve(null, { ...created(), id: '67c000000000000000000002' });
    expect(at({}, 3_000)).toEqual(at({}, 3_000));
    expect(viewEntry(other, T0 + 3_000, timing).youtube?.videoId).not.toBe(at({}, 3_000).youtube?.videoId);
  });

  it('autoPublish false ends manual, without an id, and counts as completed (§5.2)', () => {
    const more = { settings: { youtube: { autoPublish: false }, tiktok: { autoPublish: true } } };
    expect(at(more, 2_999).youtube).toStrictEqual({ status: 'processing' });
    expect(at(more, 3_000)).toMatchObject({ status: 'completed', tiktok: { status: 'published' } });
    expect(at(more, 3_000).youtube).toStrictEqual({ status: 'manual' });
  });

  it('the title is the one of the form, null when there is none', () => {
    expect(at({ title: '' }, 0).title).toBe('');
    expect(at({ settings: { youtube: { title: 'not this one' } } }, 0).title).toBeNull();
  });
});

describe('a publication that fails', () => {
  const fail = { type: 'fail-publish', platform: 'tiktok', reason: 'quota' } as const;
  const moment = { now: T0 + 500, timing };

  it('shows when processing ends: the platform and the whole failed, the other platform published (§5.1, §10.16)', () => {
    const event = decide(entry(), fail, moment);
    expect(event).toStrictEqual({
      type: 'publish-failed',
      at: T0 + 500,
      platform: 'tiktok',
      reason: 'quota',
    });
    const failing = event === null ? entry() : evolve(entry(), event);
    expect(failing.failures).toEqual([{ platform: 'tiktok', reason: 'quota' }]);
    expect(statusAt(failing, T0 + 2_999)).toBe('processing');
    expect(viewEntry(failing, T0 + 3_000, timing)).toMatchObject({
      status: 'failed',
      youtube: { status: 'published' },
      updatedAt: new Date(T0 + 3_000).toISOString(),
    });
    expect(viewEntry(failing, T0 + 3_000, timing).tiktok).toStrictEqual({ status: 'failed' });
  });

  it('wins over manual', () => {
    const failing = evolve(entry({ settings: { tiktok: { autoPublish: false } } }), {
      type: 'publish-failed',
      at: T0,
      platform: 'tiktok',
    });
    expect(viewEntry(failing, T0 + 3_000, timing).tiktok?.status).toBe('failed');
  });

  it('needs no reason', () => {
    const event = decide(entry(), { type: 'fail-publish', platform: 'tiktok' }, moment);
    expect(event).toStrictEqual({ type: 'publish-failed', at: T0 + 500, platform: 'tiktok' });
    expect(event === null ? [] : evolve(entry(), event).failures).toStrictEqual([{ platform: 'tiktok' }]);
  });

  it('is no event for a platform that was not chosen, has failed, or is settled, nor for a draft', () => {
    const failed = evolve(entry(), { type: 'publish-failed', at: T0, platform: 'tiktok' });
    expect(decide(entry({ platforms: ['youtube'] }), fail, moment)).toBeNull();
    expect(decide(failed, fail, moment)).toBeNull();
    expect(decide(entry(), fail, { now: T0 + 3_000, timing })).toBeNull();
    expect(decide(entry({ isDraft: true }), fail, moment)).toBeNull();
  });

  it('can be known from the start, so that an entry without delays fails at once', () => {
    const failing = evolve(null, { ...created(), failures: [{ platform: 'youtube' }] });
    expect(viewEntry(failing, T0, instant)).toMatchObject({
      status: 'failed',
      youtube: { status: 'failed' },
    });
  });

  it('recorded twice counts once, with the first reason', () => {
    const events = ['a', 'b'].map(
      (reason) => ({ type: 'publish-failed', at: T0, platform: 'tiktok', reason }) as const,
    );
    const folded = events.reduce((state, event) => evolve(state, event), entry());
    expect(folded.failures).toEqual([{ platform: 'tiktok', reason: 'a' }]);
  });
});

describe('evolve', () => {
  it('keeps what the first event says', () => {
    expect(entry()).toStrictEqual({
      id: '67c000000000000000000001',
      namespace: 'n',
      spec: spec(),
      createdAt: T0,
      bytes: 10,
      failures: [],
    });
  });

  it('a ledger that creates twice, or never, is no entry', () => {
    expect(() => evolve(entry(), created())).toThrow('created twice');
    expect(() => evolve(null, { type: 'publish-failed', at: T0, platform: 'tiktok' })).toThrow('must begin');
  });
});

describe('nextTransitionAt and isSettled', () => {
  it('name each transition in turn, then none', () => {
    const scheduled = entry({ scheduledAt: T0 + 60_000 });
    const seen: number[] = [];
    for (let now: number | null = T0; now !== null; now = nextTransitionAt(scheduled, now, timing))
      seen.push(now - T0);
    expect(seen).toEqual([0, 60_000, 61_000, 63_000]);
  });

  it('phases without length are not stopped at', () => {
    const scheduled = entry({ scheduledAt: T0 + 60_000 });
    expect(nextTransitionAt(scheduled, T0, instant)).toBe(T0 + 60_000);
    expect(nextTransitionAt(scheduled, T0 + 60_000, instant)).toBeNull();
  });

  it('a draft is settled from the start, another entry at the end of processing', () => {
    expect(isSettled(entry({ isDraft: true }), T0, timing)).toBe(true);
    expect(isSettled(entry(), T0 + 2_999, timing)).toBe(false);
    expect(isSettled(entry(), T0 + 3_000, timing)).toBe(true);
  });
});
