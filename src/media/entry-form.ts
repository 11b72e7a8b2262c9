// media/entry-form.ts: turns the fields of a request for an entry into an EntrySpec, or refuses them with 400.
//
// Promises: one answer names every bad field (rule F3). The same request gives the same spec, whether it came as a form or as
// JSON, nested or under the older flat keys. A spec is plain JSON and can be stored in a ledger. Unknown fields are ignored. A
// field that is null counts as absent (assumed).
// It does not know the bytes of the file, or whether `file` was sent (the service checks rule F2).

import { invalidFields, type FieldProblem } from '../core/errors.ts';
import { findProfile, hasAccount, profilePlatforms, type Fixtures } from './accounts.ts';
import { isArray } from '../core/shape.ts';
import { cleanCopy, describeValue, isWithin, jsonValue, parseInstant } from './form-values.ts';
import {
  ACCOUNT_KEY,
  MAX_ID_LENGTH,
  MAX_TEXT_LENGTH,
  MAX_TITLE_LENGTH,
  PLATFORMS,
  isPlatform,
  isSettingsField,
  platformsTaking,
  readFlatSettings,
  readNestedSettings,
  type MediaType,
  type Platform,
  type PlatformSettings,
  type SettingsReading,
} from './platforms.ts';

/** Top-level fields. A form sends strings. A JSON body also sends arrays, objects and booleans. */
export type EntryFields = Readonly<Record<string, unknown>>;

export interface EntrySpec {
  readonly type: MediaType;
  readonly fileId?: string;
  readonly title?: string;
  readonly description?: string;
  /** Without repetitions: first the platforms that the client named, in its order, then those that only the profile adds. */
  readonly platforms: readonly Platform[];
  /** Epoch milliseconds, as sent. An instant in the past is kept and means now (rule F3, assumed). */
  readonly scheduledAt?: number;
  readonly isDraft: boolean;
  readonly profileId?: string;
  /** One object per chosen platform. It is `{}` when nothing was set. */
  readonly settings: Readonly<Partial<Record<Platform, PlatformSettings>>>;
  /** The fields from which the spec was made, as the client sent them. Absent in specs of earlier versions. */
  readonly fields?: EntryFields;
}

const FIELDS = ['fileId', 'title', 'description', 'platforms', 'scheduledAt', 'isDraft', 'profileId'];

/** Whether `parseEntryRequest` reads a field of this name. */
export function isEntryField(name: string): boolean {
  return FIELDS.includes(name) || isSettingsField(name);
}

/** Greater than the allowed depth of settings (platforms.ts), so accepted settings are never cut. */
const MAX_SENT_DEPTH = 64;
/** The most wrong values that one message lists. */
const MAX_NAMED = 10;

export interface Reading {
  readonly type: MediaType;
  readonly fixtures: Fixtures;
  readonly problems: FieldProblem[];
  readonly get: (field: string) => unknown;
}

/** @throws AppError `invalid_request` naming every bad field */
export function parseEntryRequest(fields: EntryFields, type: MediaType, fixtures: Fixtures): EntrySpec {
  const reading = readingOf(fields, type, fixtures);
  const spec = readSpec(reading);
  if (reading.problems.length > 0) throw invalidFields(reading.problems);
  return spec;
}

export function readingOf(fields: EntryFields, type: MediaType, fixtures: Fixtures): Reading {
  const get: Reading['get'] = (field) =>
    Object.hasOwn(fields, field) ? (fields[field] ?? undefined) : undefined;
  return { type, fixtures, problems: [], get };
}

/** The fields that an entry keeps as they were sent. Unknown fields are left out, because they can contain anything. */
export function sentFields(fields: EntryFields): EntryFields {
  const own = Object.entries(fields).filter(([name]) => isEntryField(name) && name !== 'fileId');
  // Always first, because an import adds it: so its position in the request does not matter.
  if (Object.hasOwn(fields, 'fileId')) own.unshift(['fileId', fields['fileId']]);
  return Object.fromEntries(own.map(([name, value]) => [name, cleanCopy(value, MAX_SENT_DEPTH) ?? null]));
}

/** Adds every problem of the request to `reading.problems`. */
export function readSpec(reading: Reading): EntrySpec {
  const fileId = readFileId(reading);
  const title = readText(reading, 'title', MAX_TITLE_LENGTH);
  const description = readText(reading, 'description', MAX_TEXT_LENGTH);
  const profileId = readText(reading, 'profileId', MAX_ID_LENGTH);
  const platforms = readTargets(reading, profileId);
  const scheduledAt = readScheduledAt(reading);
  return {
    type: reading.type,
    ...(fileId !== undefined && { fileId }),
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
    platforms,
    ...(scheduledAt !== undefined && { scheduledAt }),
    isDraft: readFlag(reading, 'isDraft'),
    ...(profileId !== undefined && { profileId }),
    settings: readAllSettings(reading, platforms),
  };
}

function refuse(reading: Reading, field: string, message: string): undefined {
  reading.problems.push({ field, message });
}

function readText(reading: Reading, field: string, maxLength: number): string | undefined {
  const value = reading.get(field);
  if (value === undefined) return undefined;
  if (typeof value !== 'string')
    return refuse(reading, field, `must be a string; got ${describeValue(value)}`);
  if (isWithin(value, maxLength)) return value;
  return refuse(reading, field, `must have at most ${maxLength} characters; got ${describeValue(value)}`);
}

/** Applies the limits of rule C4, so that the id of every possible upload is accepted, and no other id. */
function readFileId(reading: Reading): string | undefined {
  const value = reading.get('fileId');
  if (value === undefined) return undefined;
  // The length is counted in code points, the most generous meaning of "characters": a smaller limit could refuse a stored
  // upload. JSON can contain half a surrogate pair. It would become U+FFFD on the way and name another file, so it is refused.
  const valid = typeof value === 'string' && /^[^\p{Cc}\p{Cs}]{1,256}$/u.test(value);
  return valid
    ? value
    : refuse(
        reading,
        'fileId',
        `must be 1 to 256 characters without control characters; got ${describeValue(value)}`,
      );
}

function readFlag(reading: Reading, field: string): boolean {
  const value = reading.get(field) ?? 'false';
  if (value !== true && value !== false && value !== 'true' && value !== 'false') {
    refuse(reading, field, `must be true or false; got ${describeValue(value)}`);
  }
  return value === true || value === 'true';
}

function readScheduledAt(reading: Reading): number | undefined {
  const value = reading.get('scheduledAt');
  if (value === undefined) return undefined;
  const instant = typeof value === 'string' ? parseInstant(value) : undefined;
  if (instant !== undefined) return instant;
  return refuse(
    reading,
    'scheduledAt',
    `must be ISO 8601 like "2026-03-01T09:30:00Z"; got ${describeValue(value)}`,
  );
}

/** The named platforms and those of the profile. The pages do not say how the two combine (assumed). */
function readTargets(reading: Reading, profileId: string | undefined): readonly Platform[] {
  const named = readPlatforms(reading);
  const fromProfile = profileId === undefined ? [] : readProfile(reading, profileId);
  const targets = [...new Set([...named, ...fromProfile])];
  // A refused field may have named the platforms. To say that none are named would mislead the client.
  const refused = reading.problems.some(({ field }) => field === 'platforms' || field === 'profileId');
  if (targets.length > 0 || refused) return targets;
  if (profileId === undefined) {
    const isList = reading.get('platforms[]') !== undefined;
    const hint = isList ? ' (platforms[] is not read: send one field, with a JSON array)' : '';
    refuse(
      reading,
      'platforms',
      `must name at least one platform, like ["instagram"], unless profileId is given${hint}`,
    );
  } else {
    refuse(reading, 'profileId', `this profile has no account on a platform that takes ${reading.type}s`);
  }
  return targets;
}

export function readPlatforms(reading: Reading): readonly Platform[] {
  const value = reading.get('platforms');
  if (value === undefined) return [];
  const names = jsonValue(value);
  if (!isArray(names)) {
    refuse(
      reading,
      'platforms',
      `must be a JSON array like ["instagram","tiktok"]; got ${describeValue(value)}`,
    );
    return [];
  }
  const takers = platformsTaking(reading.type);
  const bad = names.filter((name) => !isPlatform(name) || !takers.includes(name));
  if (bad.length > 0) {
    const got = [...new Set(bad.slice(0, MAX_NAMED).map(describeValue))].join(', ');
    refuse(reading, 'platforms', `${reading.type}s can go to ${takers.join(', ')}; got ${got}`);
  }
  return names.filter((name) => isPlatform(name));
}

/**
 * The platforms of the profile that take this media type. The others are left out without an error, because one profile serves
 * both types (assumed).
 */
function readProfile(reading: Reading, profileId: string): readonly Platform[] {
  const profile = findProfile(reading.fixtures, profileId);
  if (profile === undefined) {
    refuse(reading, 'profileId', unknownProfile(profileId));
    return [];
  }
  const takers = platformsTaking(reading.type);
  return profilePlatforms(profile).filter((platform) => takers.includes(platform));
}

function unknownProfile(profileId: string): string {
  return `no profile has the id ${describeValue(profileId)}; GET /profiles lists them`;
}

/**
 * Settings of platforms that were not chosen are checked and then dropped. So a form may send all its fields every time, and a
 * mistake is reported at once, and not later when the platform is chosen (assumed).
 */
function readAllSettings(reading: Reading, chosen: readonly Platform[]): EntrySpec['settings'] {
  const all = PLATFORMS.map((platform) => [platform, readSettings(reading, platform)] as const);
  return Object.fromEntries(all.filter(([platform]) => chosen.includes(platform)));
}

/** A nested key wins over the flat key of the same setting (assumed). The value of the flat key is checked, too. */
function readSettings(reading: Reading, platform: Platform): PlatformSettings {
  const flat = readFlatSettings(platform, reading.get);
  const nested = readNestedSettings(platform, reading.get(platform));
  for (const part of [flat, nested]) {
    reading.problems.push(...part.problems);
    checkAccounts(reading, platform, part);
    checkNestedProfile(reading, platform, part);
  }
  return { ...flat.settings, ...nested.settings };
}

function checkAccounts(reading: Reading, platform: Platform, { settings, fieldOf }: SettingsReading): void {
  const key = ACCOUNT_KEY[platform];
  const ids = settings[key];
  if (!isArray(ids)) return;
  const unknown = ids.filter((id) => isFilled(id) && !hasAccount(reading.fixtures, platform, id));
  if (unknown.length === 0) return;
  const named = unknown.slice(0, MAX_NAMED).map(describeValue).join(', ');
  const native = platform === 'youtube' ? 'channelId' : 'accountId';
  refuse(
    reading,
    fieldOf(key),
    `no ${platform} account has the ${native} ${named}; GET /channels lists them (send the ${native}, not the id)`,
  );
}

/**
 * Checks a `profileId` inside the settings of a platform. It selects the account of that platform only, so the profile must
 * have an account there. It adds no platform. The pages of the vendor disagree on the place of this field (assumed).
 */
function checkNestedProfile(
  reading: Reading,
  platform: Platform,
  { settings, fieldOf }: SettingsReading,
): void {
  const id = settings['profileId'];
  if (!isFilled(id)) return;
  const profile = findProfile(reading.fixtures, id);
  if (profile === undefined) {
    refuse(reading, fieldOf('profileId'), unknownProfile(id));
  } else if (!profilePlatforms(profile).includes(platform)) {
    refuse(reading, fieldOf('profileId'), `the profile ${describeValue(id)} has no ${platform} account`);
  }
}

/** Other values were refused by the check of the settings and need no second problem. */
function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
