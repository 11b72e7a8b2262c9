// media/entry-form.ts: what a client asked for when it creates an entry: raw fields → EntrySpec, or a 400.
//
// Promises: every bad field is named in one answer (rule F3); the same request gives the same spec whether it
// came as a form, as JSON, nested or under the older flat keys; a spec is plain JSON and survives a ledger.
// Fields that are not ours are ignored; a field that is null counts as not given (assumed).
// Must not know: the file's bytes, whether `file` was sent (rule F2 is the service's), time, HTTP.

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

/** Top-level fields: strings from a form; arrays, objects and booleans too from a JSON body. */
export type EntryFields = Readonly<Record<string, unknown>>;

export interface EntrySpec {
  readonly type: MediaType;
  readonly fileId?: string;
  readonly title?: string;
  readonly description?: string;
  /** Each once: first those named, in the client's order, then those that only the profile brings in. */
  readonly platforms: readonly Platform[];
  /** Epoch milliseconds, as sent: an instant in the past is kept and means now (rule F3, assumed). */
  readonly scheduledAt?: number;
  readonly isDraft: boolean;
  readonly profileId?: string;
  /** One object per chosen platform, `{}` when nothing was set. */
  readonly settings: Readonly<Partial<Record<Platform, PlatformSettings>>>;
  /** The fields that made it, as the client sent them. Absent: made before they were kept. */
  readonly fields?: EntryFields;
}

const FIELDS = ['fileId', 'title', 'description', 'platforms', 'scheduledAt', 'isDraft', 'profileId'];

/** Whether `parseEntryRequest` reads a field of this name. */
export function isEntryField(name: string): boolean {
  return FIELDS.includes(name) || isSettingsField(name);
}

/** Deeper than settings may be (platforms.ts): what was taken is never cut. */
const MAX_SENT_DEPTH = 64;
/** How many wrong values one message lists. */
const MAX_NAMED = 10;

export interface Reading {
  readonly type: MediaType;
  readonly fixtures: Fixtures;
  readonly problems: FieldProblem[];
  readonly get: (field: string) => unknown;
}

/** Throws AppError `invalid_request` naming every bad field. */
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

/** What an entry keeps of them as they were sent: ours only, what others add may be anything. */
export function sentFields(fields: EntryFields): EntryFields {
  const own = Object.entries(fields).filter(([name]) => isEntryField(name) && name !== 'fileId');
  if (Object.hasOwn(fields, 'fileId')) own.unshift(['fileId', fields['fileId']]); // Wherever it stood: an import adds it.
  return Object.fromEntries(own.map(([name, value]) => [name, cleanCopy(value, MAX_SENT_DEPTH) ?? null]));
}

/** Whatever is wrong with it is among the reading's problems. */
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

/** The limits of rule C4, so that no upload's id is refused here and none is accepted that cannot exist. */
function readFileId(reading: Reading): string | undefined {
  const value = reading.get('fileId');
  if (value === undefined) return undefined;
  // Counted in code points, the longest reading of "characters": a shorter one could refuse a stored upload. Half a
  // surrogate pair, which JSON can spell, would become U+FFFD on the way and name another file.
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

/** The platforms named plus those of the profile (how the two combine is cut off in the pages: assumed). */
function readTargets(reading: Reading, profileId: string | undefined): readonly Platform[] {
  const named = readPlatforms(reading);
  const fromProfile = profileId === undefined ? [] : readProfile(reading, profileId);
  const targets = [...new Set([...named, ...fromProfile])];
  // A refused field may have been meant to name them: saying that none are named would mislead.
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

/** A profile's platforms that do not take this type are left out silently: a profile is made once, for both (assumed). */
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
 * Settings of platforms that were not chosen are checked all the same and then dropped: a form that sends all its
 * fields every time works, and a mistake in it shows at once and not on the day the platform is chosen (assumed).
 */
function readAllSettings(reading: Reading, chosen: readonly Platform[]): EntrySpec['settings'] {
  const all = PLATFORMS.map((platform) => [platform, readSettings(reading, platform)] as const);
  return Object.fromEntries(all.filter(([platform]) => chosen.includes(platform)));
}

/** Nested wins over flat, key by key (assumed); what loses is checked too. */
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
 * A `profileId` inside a platform's settings (the vendor’s pages disagree on its place; assumed): it selects the account of
 * that platform only, so the profile must have one, and it brings in no platform.
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

/** Values that the settings' own check refuses already need no second problem. */
function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
