// media/platforms.ts: the platforms, the media types that each takes, and the settings that each knows (rule F3).
//
// Promises: settings come out nested, whether they were sent nested or under the flat keys of the older pages. The value of a
// known key is checked. An unknown key is kept as sent. A known key that is null is left out (assumed). Every problem names the
// field as the client wrote it.
// It does not know accounts and profiles (accounts.ts), or the rest of the form (entry-form.ts).

import { z } from 'zod';
import type { FieldProblem } from '../core/errors.ts';
import { isObject } from '../core/shape.ts';
import { cleanCopy, describeValue, isWithin, jsonValue } from './form-values.ts';

export const PLATFORMS = ['youtube', 'instagram', 'tiktok', 'linkedin', 'pinterest'] as const;
export type Platform = (typeof PLATFORMS)[number];

export type MediaType = 'video' | 'image';

/** The image pages list every platform but YouTube. An image for YouTube is a 400 (rule F3, assumed). */
const TAKERS: Readonly<Record<MediaType, readonly Platform[]>> = {
  video: PLATFORMS,
  image: PLATFORMS.filter((platform) => platform !== 'youtube'),
};

/** The nested key that selects accounts by their native ids, as the vendor documents it. */
export const ACCOUNT_KEY: Readonly<Record<Platform, 'channels' | 'accounts'>> = {
  youtube: 'channels',
  instagram: 'accounts',
  tiktok: 'accounts',
  linkedin: 'accounts',
  pinterest: 'accounts',
};

/** Nested settings of one platform: known keys are checked, unknown keys are as sent. All values are plain JSON. */
export type PlatformSettings = Readonly<Record<string, unknown>>;

// The limits are assumed and generous, because the pages give none. They bound the memory and disk that one entry can take.
export const MAX_TITLE_LENGTH = 1_000;
export const MAX_TEXT_LENGTH = 10_000;
export const MAX_ID_LENGTH = 256;
const MAX_ACCOUNTS = 100;
const MAX_DEPTH = 32;

const text = (maxLength: number) =>
  z
    .string({ error: 'must be a string' })
    .refine((value) => isWithin(value, maxLength), { error: `must have at most ${maxLength} characters` })
    .optional();
const flag = z.boolean({ error: 'must be true or false (inside JSON without quotes)' }).optional();
const oneOf = (values: readonly [string, ...string[]]) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` }).optional();
const id = z
  .string({ error: 'must be a string' })
  .min(1, { error: 'must not be empty' })
  .refine((value) => isWithin(value, MAX_ID_LENGTH), {
    error: `must have at most ${MAX_ID_LENGTH} characters`,
  });
// The length is checked first, so that a list of a million wrong ids gives one problem and not a million.
const ids = z
  .array(z.unknown(), { error: 'must be an array of account ids' })
  .max(MAX_ACCOUNTS, { error: `must have at most ${MAX_ACCOUNTS} ids` })
  .pipe(z.array(id))
  .optional();

// Two keys are assumed for all five platforms: `profileId`, because the pages of the vendor disagree on its place, and
// `autoPublish`, which no page shows for linkedin and pinterest. `autoPublish: false` changes the life cycle, so a misspelt
// value must be refused and must not mean "publish".
const common = { autoPublish: flag, profileId: id.optional() };

const SETTINGS_SCHEMAS = {
  youtube: z.looseObject({
    ...common,
    title: text(MAX_TITLE_LENGTH),
    description: text(MAX_TEXT_LENGTH),
    privacy: oneOf(['public', 'private', 'unlisted']),
    channels: ids,
  }),
  instagram: z.looseObject({ ...common, caption: text(MAX_TEXT_LENGTH), accounts: ids }),
  tiktok: z.looseObject({
    ...common,
    caption: text(MAX_TEXT_LENGTH),
    privacy: oneOf(['PUBLIC_TO_EVERYONE', 'MUTUAL_FOLLOW_FRIENDS', 'SELF_ONLY']),
    disableComment: flag,
    accounts: ids,
  }),
  linkedin: z.looseObject({ ...common, accounts: ids }),
  pinterest: z.looseObject({ ...common, accounts: ids }),
} as const satisfies Record<Platform, z.ZodObject>;

type FlatKind = 'text' | 'flag' | 'list';
interface FlatKey {
  readonly key: string;
  readonly flatKey: string;
  readonly kind: FlatKind;
}

const flat = (key: string, flatKey: string, kind: FlatKind = 'text'): FlatKey => ({ key, flatKey, kind });

/** The flat keys of the older pages. For LinkedIn and Pinterest no flat key is documented, so there is none here. */
const FLAT_KEYS: Readonly<Record<Platform, readonly FlatKey[]>> = {
  youtube: [
    flat('title', 'youtubeTitle'),
    flat('description', 'youtubeDescription'),
    flat('privacy', 'youtubePrivacy'),
    flat('autoPublish', 'youtubeAutoPublish', 'flag'),
    flat('channels', 'selectedYoutubeChannels', 'list'),
  ],
  instagram: [
    flat('caption', 'instagramCaption'),
    flat('autoPublish', 'instagramAutoPublish', 'flag'),
    flat('accounts', 'selectedInstagramAccounts', 'list'),
  ],
  tiktok: [
    flat('caption', 'tiktokCaption'),
    flat('privacy', 'tiktokPrivacy'),
    flat('autoPublish', 'tiktokAutoPublish', 'flag'),
    flat('accounts', 'selectedTiktokAccounts', 'list'),
    flat('disableComment', 'tiktokDisableComment', 'flag'),
  ],
  linkedin: [],
  pinterest: [],
};

export function isPlatform(value: unknown): value is Platform {
  return PLATFORMS.some((platform) => platform === value);
}

/** Whether a form field of this name holds settings of a platform, nested or under a flat key. */
export function isSettingsField(name: string): boolean {
  return (
    isPlatform(name) || Object.values(FLAT_KEYS).some((keys) => keys.some(({ flatKey }) => flatKey === name))
  );
}

export function platformsTaking(type: MediaType): readonly Platform[] {
  return TAKERS[type];
}

/**
 * The result of reading one notation of the settings. `settings` also holds the values that `problems` refuses. So a later
 * check (account ids) can add its own bad fields to the same answer (rule F3).
 */
export interface SettingsReading {
  readonly settings: PlatformSettings;
  readonly problems: readonly FieldProblem[];
  /** The name that the client used for a nested key: `youtube.channels` or `selectedYoutubeChannels`. */
  readonly fieldOf: (key: string) => string;
}

/** Reads `youtube={"title": …}`. `value` is JSON text from a form, an object from a JSON body, or undefined. */
export function readNestedSettings(platform: Platform, value: unknown): SettingsReading {
  const fieldOf = (key: string): string => `${platform}.${key}`;
  const refuse = (message: string): SettingsReading => ({
    settings: {},
    problems: [{ field: platform, message }],
    fieldOf,
  });
  if (value === undefined || value === null) return { settings: {}, problems: [], fieldOf };
  const parsed = jsonValue(value);
  if (!isObject(parsed))
    return refuse(`must be a JSON object like {"autoPublish": true}; got ${describeValue(value)}`);
  const copy = cleanCopy(parsed, MAX_DEPTH);
  if (!isObject(copy)) return refuse(`must be nested at most ${MAX_DEPTH} levels deep`);
  return check(platform, copy, fieldOf);
}

/** Reads `youtubeTitle=…` and the other flat keys. `get` gives a top-level field or undefined. */
export function readFlatSettings(platform: Platform, get: (field: string) => unknown): SettingsReading {
  const keys = FLAT_KEYS[platform];
  const source = Object.fromEntries(
    keys.map(({ key, flatKey, kind }) => [key, fromForm(get(flatKey), kind)]),
  );
  const names = new Map(keys.map(({ key, flatKey }) => [key, flatKey]));
  return check(platform, source, (key) => names.get(key) ?? key);
}

/** Converts the text of a form. A text that cannot be converted stays as it is, so that the schema refuses it as sent. */
function fromForm(value: unknown, kind: FlatKind): unknown {
  if (typeof value !== 'string') return value;
  if (kind === 'flag' && (value === 'true' || value === 'false')) return value === 'true';
  if (kind === 'list') return value.trimStart().startsWith('[') ? (jsonValue(value) ?? value) : [value];
  return value;
}

function check(
  platform: Platform,
  source: Readonly<Record<string, unknown>>,
  fieldOf: (key: string) => string,
): SettingsReading {
  const schema = SETTINGS_SCHEMAS[platform];
  const settings = Object.fromEntries(
    Object.entries(source).filter(([key, value]) => !(isMissing(value) && Object.hasOwn(schema.shape, key))),
  );
  const issues = schema.safeParse(settings, { reportInput: true }).error?.issues ?? [];
  const problems = issues.map(({ path: [key, ...rest], message, input }) => ({
    field: [fieldOf(String(key)), ...rest].map(String).join('.'),
    message: `${message}; got ${describeValue(input)}`,
  }));
  return { settings, problems, fieldOf };
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}
