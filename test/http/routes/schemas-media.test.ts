// http/routes/schemas-media.test.ts: an entry has the documented wire shape at every instant, and so have the default fixtures.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  channelsAnswerSchema,
  entryAnswerSchema,
  entryCreatedSchema,
  entrySchema,
  profilesAnswerSchema,
} from '../../../src/http/routes/schemas-media.ts';
import { DEFAULT_FIXTURES } from '../../../src/media/accounts.ts';
import type { EntrySpec } from '../../../src/media/entry-form.ts';
import { nextTransitionAt, viewEntry, type Entry, type PublishFailure } from '../../../src/media/entry.ts';
import { PLATFORMS, type MediaType } from '../../../src/media/platforms.ts';

const T0 = Date.UTC(2026, 2, 1, 12);
const FAR = T0 + 10 ** 9;

const entry = (more: Partial<EntrySpec> = {}, failures: readonly PublishFailure[] = []): Entry => ({
  id: '67c000000000000000000001',
  namespace: 'n',
  spec: { type: 'video', platforms: ['youtube', 'tiktok'], isDraft: false, settings: {}, ...more },
  createdAt: T0,
  bytes: 10,
  failures,
});

const anyEntry = fc
  .record({
    type: fc.constantFrom<MediaType>('video', 'image'),
    platforms: fc.uniqueArray(fc.constantFrom(...PLATFORMS), { minLength: 1 }),
    isDraft: fc.boolean(),
    scheduledInMs: fc.option(fc.integer({ min: -10_000, max: 10_000 }), { nil: undefined }),
    manual: fc.constantFrom(...PLATFORMS),
    failing: fc.constantFrom(...PLATFORMS),
  })
  .map(({ scheduledInMs, manual, failing, ...more }) => {
    const scheduled = scheduledInMs === undefined ? {} : { scheduledAt: T0 + scheduledInMs };
    const settings = { [manual]: { autoPublish: false } };
    return entry({ ...more, ...scheduled, settings }, [{ platform: failing }]);
  });

const anyTiming = fc.record({ pendingTimeMs: fc.nat(5_000), processingTimeMs: fc.nat(5_000) });
const anyNow = fc.integer({ min: -30_000, max: 30_000 }).map((ms) => T0 + ms);

describe('at any instant', () => {
  it('the view has the wire shape', () => {
    fc.assert(
      fc.property(anyEntry, anyNow, anyTiming, (subject, now, delays) => {
        const view = viewEntry(subject, now, delays);
        expect(entrySchema.parse(view)).toStrictEqual(view);
      }),
    );
  });

  it('the view changes at the next transition and not before', () => {
    fc.assert(
      fc.property(anyEntry, anyNow, anyTiming, (subject, now, delays) => {
        const next = nextTransitionAt(subject, now, delays);
        const view = viewEntry(subject, now, delays);
        expect(viewEntry(subject, next === null ? FAR : next - 1, delays)).toEqual(view);
        const after = viewEntry(subject, next ?? FAR, delays);
        expect(after.status === view.status).toBe(next === null);
        expect(after.updatedAt).toBe(next === null ? view.updatedAt : new Date(next).toISOString());
      }),
    );
  });
});

describe('the wire schemas', () => {
  const data = viewEntry(entry(), T0, { pendingTimeMs: 1, processingTimeMs: 1 });

  it('an answer is success and data, a created one has its message too', () => {
    expect(entryAnswerSchema.safeParse({ success: true, data }).success).toBe(true);
    expect(entryAnswerSchema.safeParse({ success: true, data, message: 'x' }).success).toBe(false);
    expect(entryCreatedSchema.safeParse({ success: true, data, message: 'Video uploaded' }).success).toBe(
      true,
    );
    expect(entryCreatedSchema.safeParse({ success: true, data }).success).toBe(false);
  });

  it('a key that no page shows is refused, inside a platform too', () => {
    expect(entrySchema.safeParse({ ...data, namespace: 'n' }).success).toBe(false);
    expect(entrySchema.safeParse({ ...data, youtube: { status: 'published', mediaId: '1' } }).success).toBe(
      false,
    );
  });

  it('the default fixtures have the wire shape', () => {
    expect(channelsAnswerSchema.safeParse(DEFAULT_FIXTURES.channels).success).toBe(true);
    expect(profilesAnswerSchema.safeParse(DEFAULT_FIXTURES.profiles).success).toBe(true);
  });
});
