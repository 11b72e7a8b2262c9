// accounts.test.ts: fixtures are exact or refused by name; look-ups go by native ids.

import { describe, expect, it } from 'vitest';
import {
  DEFAULT_FIXTURES,
  findProfile,
  hasAccount,
  parseFixtures,
  profilePlatforms,
  type Profile,
} from '../../src/media/accounts.ts';
import { PLATFORMS } from '../../src/media/platforms.ts';

const youtube = (channelId: string) => ({ id: `i-${channelId}`, channelId, title: 't', thumbnail: '' });
const instagram = (accountId: string) => ({ id: `i-${accountId}`, accountId, username: 'u', thumbnail: '' });
const profile = (id: string, more: Partial<Profile> = {}): Profile => ({
  id,
  name: id,
  isDefault: false,
  createdAt: '2026-02-15T09:00:00.000Z',
  ...more,
});

const refusal = (json: unknown): string => {
  try {
    parseFixtures(json, 'fixtures.json');
  } catch (error) {
    return error instanceof Error ? error.message : 'not an Error';
  }
  return 'accepted';
};

describe('the default fixtures', () => {
  it('pass their own checks', () => {
    expect(parseFixtures(structuredClone(DEFAULT_FIXTURES), 'default')).toEqual(DEFAULT_FIXTURES);
  });

  it('have an account of every platform and two of most', () => {
    const counts = PLATFORMS.map((platform) => DEFAULT_FIXTURES.channels[platform].length);
    expect(counts.every((count) => count >= 1)).toBe(true);
    expect(counts.filter((count) => count >= 2).length).toBeGreaterThanOrEqual(3);
  });

  it('have one default profile with every platform and one that lacks some', () => {
    expect(DEFAULT_FIXTURES.profiles.map(({ isDefault }) => isDefault)).toEqual([true, false]);
    expect(DEFAULT_FIXTURES.profiles.map(profilePlatforms)).toEqual([
      [...PLATFORMS],
      ['instagram', 'tiktok'],
    ]);
  });

  it('never give one id to two things', () => {
    const { channels, profiles } = DEFAULT_FIXTURES;
    const ids = [
      ...PLATFORMS.flatMap((platform) => channels[platform].map(({ id }) => id)),
      ...profiles.map((p) => p.id),
    ];
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => /^[0-9a-f]{24}$/.test(id))).toBe(true);
  });
});

describe('parseFixtures', () => {
  it('a platform left out is an empty array, profiles left out are none', () => {
    expect(parseFixtures({ channels: { instagram: [instagram('1')] } }, 'f')).toEqual({
      channels: { youtube: [], instagram: [instagram('1')], tiktok: [], linkedin: [], pinterest: [] },
      profiles: [],
    });
  });

  it('a missing key is refused with file and JSON path', () => {
    const { accountId: _left, ...item } = instagram('1');
    expect(refusal({ channels: { instagram: [instagram('0'), item] } })).toBe(
      'fixtures.json is not a valid fixtures file: $.channels.instagram[1].accountId: Invalid input: expected string, received undefined',
    );
  });

  it('every problem is in the one message', () => {
    const message = refusal({
      channels: { youtube: [{ ...youtube('UC1'), username: 'x' }], facebook: [] },
      profiles: [profile('', { createdAt: 'yesterday' })],
      extra: 1,
    });
    expect(message).toContain('$.channels.youtube[0]: Unrecognized key: "username"');
    expect(message).toContain('$.channels: Unrecognized key: "facebook"');
    expect(message).toContain('$.profiles[0].id: ');
    expect(message).toContain('$.profiles[0].createdAt: ');
    expect(message).toContain('$: Unrecognized key: "extra"');
  });

  it.each([[null], [[]], ['x'], [{}]])('%j is refused', (json) => {
    expect(refusal(json)).toMatch(/^fixtures\.json is not a valid fixtures file: \$/);
  });

  it('a native id given twice on one platform is refused, on two platforms it is fine', () => {
    expect(refusal({ channels: { instagram: [instagram('1'), instagram('1')] } })).toContain(
      '$.channels.instagram[1]: another account of this platform has the same native id',
    );
    expect(refusal({ channels: { instagram: [instagram('1')], tiktok: [instagram('1')] } })).toBe('accepted');
  });

  it('a profile id given twice is refused', () => {
    expect(refusal({ channels: {}, profiles: [profile('a'), profile('a')] })).toContain(
      '$.profiles[1].id: another profile has the same id',
    );
  });

  it('a profile that names an account which does not exist is refused', () => {
    const profiles = [profile('a', { youtubeChannelId: 'UC2', instagramAccountId: '1' })];
    expect(refusal({ channels: { youtube: [youtube('UC1')], instagram: [instagram('1')] }, profiles })).toBe(
      'fixtures.json is not a valid fixtures file: $.profiles[0].youtubeChannelId: no account of channels.youtube has this native id',
    );
  });

  it('a second default profile is refused, none at all is fine', () => {
    const profiles = [profile('a', { isDefault: true }), profile('b', { isDefault: true })];
    expect(refusal({ channels: {}, profiles })).toContain(
      '$.profiles[1].isDefault: another profile is the default',
    );
    expect(refusal({ channels: {}, profiles: [profile('a')] })).toBe('accepted');
  });

  it('__proto__ in a file is refused like any key that is not ours', () => {
    expect(refusal(JSON.parse('{"channels":{"__proto__":{"youtube":[1]}}}'))).toContain(
      '$.channels: Unrecognized key: "__proto__"',
    );
  });
});

describe('look-ups', () => {
  it('an account is found by its native id on its own platform only', () => {
    expect(hasAccount(DEFAULT_FIXTURES, 'youtube', 'UCmockNorthwindStudio001')).toBe(true);
    expect(hasAccount(DEFAULT_FIXTURES, 'linkedin', 'urn:li:person:mock000031')).toBe(true);
    expect(hasAccount(DEFAULT_FIXTURES, 'instagram', 'UCmockNorthwindStudio001')).toBe(false);
  });

  it('the internal id is not the native one', () => {
    expect(hasAccount(DEFAULT_FIXTURES, 'youtube', '67a2a5f00000000000000001')).toBe(false);
  });

  it('a profile is found by its id', () => {
    expect(findProfile(DEFAULT_FIXTURES, '67b0c0000000000000000002')?.name).toBe('Travel');
    expect(findProfile(DEFAULT_FIXTURES, 'constructor')).toBeUndefined();
  });

  it('absent, null and empty all mean that the profile lacks the platform, and are kept as written', () => {
    const lacking = profile('a', { youtubeChannelId: null, instagramAccountId: '' });
    const { profiles } = parseFixtures({ channels: {}, profiles: [lacking] }, 'f');
    expect(profiles[0]).toEqual(lacking);
    expect(profiles.map(profilePlatforms)).toEqual([[]]);
  });
});
