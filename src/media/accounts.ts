// media/accounts.ts: the fixtures: connected accounts (`channels`) and posting profiles, and the functions that look them up.
//
// Promises: items have exactly the documented keys (§1.3, §5.4). Any other key is refused, so that a misspelt fixture is found
// at start-up and does not make a test pass for the wrong reason. Every account that a profile names exists. A refusal names
// the file and the JSON path.
// Format: `{ "channels": { "<platform>": [account…] }, "profiles": [profile…] }`. An absent platform is served as an empty
// array (assumed). Absent `profiles` mean that there are none.
// It does not know where a fixture file is read from.

import { z } from 'zod';
import { PLATFORMS, type Platform } from './platforms.ts';

const key = z.string().min(1);

const youtubeChannel = z.strictObject({ id: key, channelId: key, title: z.string(), thumbnail: z.string() });
const namedAccount = z.strictObject({ id: key, accountId: key, name: z.string(), thumbnail: z.string() });
const userAccount = z.strictObject({ id: key, accountId: key, username: z.string(), thumbnail: z.string() });

export const channelsSchema = z.strictObject({
  youtube: z.array(youtubeChannel),
  instagram: z.array(userAccount),
  tiktok: z.array(userAccount),
  linkedin: z.array(namedAccount),
  pinterest: z.array(userAccount),
});

// It is unknown how the real API shows a platform that a profile lacks. Here an absent key, null and "" all mean that it lacks
// the platform, and they are served as the fixture has them. The default fixture omits the key (assumed).
const profileAccount = z.string().nullable().exactOptional();

export const profileSchema = z.strictObject({
  id: key,
  name: z.string(),
  youtubeChannelId: profileAccount,
  instagramAccountId: profileAccount,
  tiktokAccountId: profileAccount,
  linkedinAccountId: profileAccount,
  pinterestAccountId: profileAccount,
  isDefault: z.boolean(),
  createdAt: z.iso.datetime(),
});

export type Channels = z.infer<typeof channelsSchema>;
export type Profile = z.infer<typeof profileSchema>;

export interface Fixtures {
  readonly channels: Channels;
  readonly profiles: readonly Profile[];
}

const PROFILE_KEY = {
  youtube: 'youtubeChannelId',
  instagram: 'instagramAccountId',
  tiktok: 'tiktokAccountId',
  linkedin: 'linkedinAccountId',
  pinterest: 'pinterestAccountId',
} as const satisfies Record<Platform, keyof Profile>;

const { youtube, instagram, tiktok, linkedin, pinterest } = channelsSchema.shape;

const fixturesSchema = z
  .strictObject({
    channels: z.strictObject({
      youtube: youtube.default([]),
      instagram: instagram.default([]),
      tiktok: tiktok.default([]),
      linkedin: linkedin.default([]),
      pinterest: pinterest.default([]),
    }),
    profiles: z.array(profileSchema).default([]),
  })
  .superRefine((fixtures, context) => {
    for (const { path, message } of inconsistencies(fixtures)) {
      context.addIssue({ code: 'custom', path, message });
    }
  });

/** @throws Error whose message lists every problem, for the person who wrote the file */
export function parseFixtures(json: unknown, source: string): Fixtures {
  const result = fixturesSchema.safeParse(json);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${jsonPath(path)}: ${message}`);
  throw new Error(`${source} is not a valid fixtures file: ${problems.join('; ')}`);
}

/** Whether the native id (`channelId` or `accountId`, not the internal `id`) is a connected account of the platform. */
export function hasAccount(fixtures: Fixtures, platform: Platform, nativeId: string): boolean {
  return nativeIds(fixtures.channels, platform).includes(nativeId);
}

export function findProfile(fixtures: Fixtures, id: string): Profile | undefined {
  return fixtures.profiles.find((profile) => profile.id === id);
}

/** The platforms on which the profile has an account, in the order of the documents. */
export function profilePlatforms(profile: Profile): readonly Platform[] {
  return PLATFORMS.filter((platform) => accountOf(profile, platform) !== '');
}

function accountOf(profile: Profile, platform: Platform): string {
  return profile[PROFILE_KEY[platform]] ?? '';
}

function nativeIds(channels: Channels, platform: Platform): readonly string[] {
  return platform === 'youtube'
    ? channels.youtube.map(({ channelId }) => channelId)
    : channels[platform].map(({ accountId }) => accountId);
}

interface Inconsistency {
  readonly path: (string | number)[];
  readonly message: string;
}

/** Problems that no single value shows: repeated ids, accounts that do not exist, two default profiles. */
function inconsistencies(fixtures: Fixtures): readonly Inconsistency[] {
  const { channels, profiles } = fixtures;
  const twiceAccounts = PLATFORMS.flatMap((platform) =>
    repeated(nativeIds(channels, platform)).map((index) => ({
      path: ['channels', platform, index],
      message: 'another account of this platform has the same native id',
    })),
  );
  const twiceProfiles = repeated(profiles.map(({ id }) => id)).map((index) => ({
    path: ['profiles', index, 'id'],
    message: 'another profile has the same id',
  }));
  const dangling = profiles.flatMap((profile, index) =>
    profilePlatforms(profile)
      .filter((platform) => !hasAccount(fixtures, platform, accountOf(profile, platform)))
      .map((platform) => ({
        path: ['profiles', index, PROFILE_KEY[platform]],
        message: `no account of channels.${platform} has this native id`,
      })),
  );
  const defaults = profiles.flatMap(({ isDefault }, index) => (isDefault ? [index] : []));
  const twiceDefault = defaults.slice(1).map((index) => ({
    path: ['profiles', index, 'isDefault'],
    message: 'another profile is the default already',
  }));
  return [...twiceAccounts, ...twiceProfiles, ...dangling, ...twiceDefault];
}

/** Indexes of the ids that are equal to an earlier id. */
function repeated(ids: readonly string[]): readonly number[] {
  return ids.flatMap((id, index) => (ids.indexOf(id) < index ? [index] : []));
}

function jsonPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (whole, step) => (typeof step === 'number' ? `${whole}[${step}]` : `${whole}.${String(step)}`),
    '$',
  );
}

const thumbnail = (name: string): string => `https://example.com/thumbnails/${name}.png`;

const user = (id: string, accountId: string, username: string) => ({
  id,
  accountId,
  username,
  thumbnail: thumbnail(username),
});

/** The fixtures without a fixture file. They never change, so tests may contain their ids. */
export const DEFAULT_FIXTURES: Fixtures = {
  channels: {
    youtube: [
      {
        id: '67a2a5f00000000000000001',
        channelId: 'UCmockNorthwindStudio001',
        title: 'Northwind Studio',
        thumbnail: thumbnail('northwind-studio'),
      },
      {
        id: '67a2a5f00000000000000002',
        channelId: 'UCmockNorthwindShorts002',
        title: 'Northwind Shorts',
        thumbnail: thumbnail('northwind-shorts'),
      },
    ],
    instagram: [
      user('67a2a5f00000000000000011', '17841400000000011', 'northwind.studio'),
      user('67a2a5f00000000000000012', '17841400000000012', 'northwind.travel'),
    ],
    tiktok: [
      user('67a2a5f00000000000000021', 'mock-tiktok-0000000021', 'northwindstudio'),
      user('67a2a5f00000000000000022', 'mock-tiktok-0000000022', 'northwindtravel'),
    ],
    linkedin: [
      {
        id: '67a2a5f00000000000000031',
        accountId: 'urn:li:person:mock000031',
        name: 'Nora Northwind',
        thumbnail: thumbnail('nora-northwind'),
      },
    ],
    pinterest: [
      user('67a2a5f00000000000000041', '549755885175000041', 'northwindstudio'),
      user('67a2a5f00000000000000042', '549755885175000042', 'northwindtravel'),
    ],
  },
  profiles: [
    {
      id: '67b0c0000000000000000001',
      name: 'Studio',
      youtubeChannelId: 'UCmockNorthwindStudio001',
      instagramAccountId: '17841400000000011',
      tiktokAccountId: 'mock-tiktok-0000000021',
      linkedinAccountId: 'urn:li:person:mock000031',
      pinterestAccountId: '549755885175000041',
      isDefault: true,
      createdAt: '2026-02-15T09:00:00.000Z',
    },
    {
      id: '67b0c0000000000000000002',
      name: 'Travel',
      instagramAccountId: '17841400000000012',
      tiktokAccountId: 'mock-tiktok-0000000022',
      isDefault: false,
      createdAt: '2026-02-15T09:30:00.000Z',
    },
  ],
};
