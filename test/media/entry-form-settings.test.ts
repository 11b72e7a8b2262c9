// entry-form-settings.test.ts: platform settings inside a request (rule F3), and when two requests are the same (rule F6).

import { describe, expect, it } from 'vitest';
import { DEFAULT_FIXTURES } from '../../src/media/accounts.ts';
import { requestFingerprint } from '../../src/media/entry-fingerprint.ts';
import { sentFields, type EntryFields } from '../../src/media/entry-form.ts';
import type { MediaType } from '../../src/media/platforms.ts';
import { TRAVEL, parse, refused, refusedFields, withInstagram } from './entry-request.ts';

const print = (fields: EntryFields, type: MediaType = 'video'): string =>
  requestFingerprint(fields, type, DEFAULT_FIXTURES);

describe('settings', () => {
  it('a nested value wins over a flat one, key by key', () => {
    const spec = parse(
      withInstagram({
        instagram: '{"caption":"nested"}',
        instagramCaption: 'flat',
        instagramAutoPublish: 'false',
      }),
    );
    expect(spec.settings).toEqual({ instagram: { caption: 'nested', autoPublish: false } });
  });

  it('a flat value that loses is still checked', () => {
    expect(
      refusedFields(withInstagram({ instagram: '{"autoPublish":true}', instagramAutoPublish: 'maybe' })),
    ).toEqual(['instagramAutoPublish']);
  });

  it('settings of a platform that was not chosen are dropped', () => {
    expect(parse(withInstagram({ tiktok: '{"caption":"c"}', youtubeTitle: 't' })).settings).toEqual({
      instagram: {},
    });
    expect(parse(withInstagram({ youtube: '{"title":"t"}' }), 'image').settings).toEqual({ instagram: {} });
  });

  it('settings of a platform that was not chosen are checked', () => {
    expect(refusedFields(withInstagram({ tiktok: '{"privacy":"x"}' }))).toEqual(['tiktok.privacy']);
  });

  it('known accounts are taken, an empty list means the default ones', () => {
    expect(
      refused({
        platforms: ['youtube', 'instagram'],
        youtube: { channels: ['UCmockNorthwindStudio001', 'UCmockNorthwindShorts002'] },
        instagram: { accounts: [] },
      }),
    ).toBeNull();
  });

  it('unknown accounts are refused by name, nested and flat (§5.4)', () => {
    expect(
      refused({
        platforms: ['youtube', 'instagram'],
        youtube: { channels: ['UCmockNorthwindStudio001', 'UCnope', '67a2a5f00000000000000001'] },
        selectedInstagramAccounts: '["17841400000000011","nope"]',
      }),
    ).toEqual({
      'youtube.channels':
        'no youtube account has the channelId "UCnope", "67a2a5f00000000000000001"; GET /channels lists them (send the channelId, not the id)',
      selectedInstagramAccounts:
        'no instagram account has the accountId "nope"; GET /channels lists them (send the accountId, not the id)',
    });
  });

  it('an account of another platform is unknown', () => {
    expect(refusedFields({ platforms: ['tiktok'], tiktok: { accounts: ['17841400000000011'] } })).toEqual([
      'tiktok.accounts',
    ]);
  });

  it('a nested profileId is taken when the profile has that platform, and brings in no other', () => {
    const spec = parse(withInstagram({ instagram: { profileId: TRAVEL } }));
    expect(spec.platforms).toEqual(['instagram']);
    expect(spec.settings).toEqual({ instagram: { profileId: TRAVEL } });
  });

  it('a nested profileId that is unknown or lacks the platform is refused', () => {
    expect(refused({ platforms: ['linkedin'], linkedin: { profileId: TRAVEL } })).toEqual({
      'linkedin.profileId': `the profile "${TRAVEL}" has no linkedin account`,
    });
    expect(refused({ platforms: ['linkedin'], linkedin: { profileId: 'nope' } })).toEqual({
      'linkedin.profileId': 'no profile has the id "nope"; GET /profiles lists them',
    });
  });

  it('a nested profileId does not stand in for platforms', () => {
    expect(refusedFields({ instagram: { profileId: TRAVEL } })).toEqual(['platforms']);
  });

  it('__proto__ in settings sets nothing', () => {
    const spec = parse(withInstagram({ instagram: '{"__proto__":{"autoPublish":false}}' }));
    expect(spec.settings.instagram?.['autoPublish']).toBeUndefined();
  });
});

describe('requestFingerprint', () => {
  const base = {
    fileId: 'f',
    title: 'T',
    platforms: ['tiktok', 'instagram'],
    tiktok: { caption: 'c', z: { a: 1, b: 2 } },
  };

  it('is a sha256 in hex and stable', () => {
    expect(print(base)).toMatch(/^[0-9a-f]{64}$/);
    expect(print(base)).toBe(print(structuredClone(base)));
  });

  it('the order of platforms and of keys at any level does not count', () => {
    expect(
      print({
        tiktok: { z: { b: 2, a: 1 }, caption: 'c' },
        platforms: ['instagram', 'tiktok'],
        title: 'T',
        fileId: 'f',
      }),
    ).toBe(print(base));
  });

  it('form or JSON, flat or nested, an offset or Z: the same payload', () => {
    expect(
      print({ platforms: '["tiktok"]', tiktokCaption: 'c', scheduledAt: '2026-03-01T01:00+01:00' }),
    ).toBe(print({ platforms: ['tiktok'], tiktok: { caption: 'c' }, scheduledAt: '2026-03-01' }));
  });

  it('of the fields that were kept it is the same', () => {
    const kept = sentFields({ ...base, ignored: 'x' });
    expect(kept).toEqual(base);
    expect(print(JSON.parse(JSON.stringify(kept)) as typeof kept)).toBe(print(base));
  });

  const exact = (settings: string): string => print({ platforms: '["pinterest"]', pinterest: settings });

  it.each([
    ['{"boardId":12345678901234567890}', '{"boardId":12345678901234567891}'],
    ['{"boardId":1}', '{"boardId":1.0}'],
    ['{"boardId":100}', '{"boardId":1e2}'],
    ['{"boardId":0}', '{"boardId":-0}'],
    ['{"boardId":1}', '{"boardId":"1"}'],
    ['{"boardId":1.0}', '{"boardId":"\\u0000n1.0"}'],
    ['{"a":{"id":1,"id":2}}', '{"a":{"id":2}}'],
    ['{"a":{"id":1,"id":2}}', '{"a":{"id":3,"id":2}}'],
  ])('%s is another payload than %s (F6)', (one, other) => {
    expect(exact(one)).not.toBe(exact(other));
  });

  it.each([
    ['{"a":1.50,"b":"x"}', ' { "b" : "\\u0078", "a":\n1.50 } '],
    ['{"a":[{"c":1,"d":2}]}', '{"a":[{"d":2,"c":1}]}'],
  ])('%s is the same payload as %s', (one, other) => {
    expect(exact(one)).toBe(exact(other));
  });

  it.each<[string, EntryFields, EntryFields]>([
    ['settings of a platform that was not chosen', { youtube: { title: 'A' } }, { youtube: { title: 'B' } }],
    ['a flat setting that a nested one overrules', { tiktokCaption: 'A' }, { tiktokCaption: 'B' }],
    [
      'less than a millisecond',
      { scheduledAt: '2026-03-01T00:00:00.0001Z' },
      { scheduledAt: '2026-03-01T00:00:00Z' },
    ],
    [
      'a platform that the profile brings, too',
      { profileId: TRAVEL },
      { profileId: TRAVEL, platforms: ['tiktok'] },
    ],
  ])('%s makes another payload (F6)', (_, one, other) => {
    expect(print({ ...base, ...one })).not.toBe(print({ ...base, ...other }));
  });

  it.each([
    [{ title: 'U' }],
    [{ title: undefined }],
    [{ description: 'D' }],
    [{ fileId: 'g' }],
    [{ isDraft: true }],
    [{ scheduledAt: '2026-03-01' }],
    [{ profileId: TRAVEL }],
    [{ platforms: ['tiktok'] }],
    [{ tiktok: { caption: 'c', z: { a: 1, b: 3 } } }],
    [{ tiktok: { caption: 'c', z: [1, 2] } }],
  ])('%j is another payload', (change) => {
    expect(print({ ...base, ...change })).not.toBe(print(base));
  });

  it('the other media type is another payload', () => {
    expect(print(base, 'image')).not.toBe(print(base));
  });
});
