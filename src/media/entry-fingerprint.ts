// media/entry-fingerprint.ts: decides by a hash whether two finalises are the same (rule F6).
import { createHash } from 'node:crypto';
import { parseExactly } from '../core/exact-json.ts';
import type { Fixtures } from './accounts.ts';
import {
  readingOf,
  readPlatforms,
  readSpec,
  type EntryFields,
  type EntrySpec,
  type Reading,
} from './entry-form.ts';
import { isObject } from '../core/shape.ts';
import { PLATFORMS, isPlatform, readFlatSettings, readNestedSettings, type MediaType } from './platforms.ts';

/**
 * A hash of the request for rule F6. Two requests with the same hash are the same finalise. The order of platforms and of
 * object keys does not change the hash, and neither does another notation of the same value. Everything else changes the hash,
 * also what the entry does not show: digits that JavaScript cannot hold, and settings that are overruled or belong to platforms
 * that were not chosen.
 */
export function requestFingerprint(fields: EntryFields, type: MediaType, fixtures: Fixtures): string {
  const exact = Object.entries(fields).map(([name, value]) => [name, exactValue(name, value)] as const);
  const reading = readingOf(Object.fromEntries(exact), type, fixtures);
  const spec = readSpec(reading);
  const unseen = unseenIn(reading, spec);
  const asked = { ...spec, platforms: spec.platforms.toSorted(), ...(unseen !== null && { unseen }) };
  return createHash('sha256').update(JSON.stringify(asked, sortedKeys)).digest('hex');
}

/** Settings are JSON. A form sends them as text, which is parsed here without a loss of digits. */
function exactValue(name: string, value: unknown): unknown {
  if (!isPlatform(name) || typeof value !== 'string') return value;
  try {
    return parseExactly(value);
  } catch {
    return value;
  }
}

/** The values that can differ between two requests although their entries are the same. Null when the request has no such value. */
function unseenIn(reading: Reading, { platforms }: EntrySpec): Readonly<Record<string, unknown>> | null {
  const settings = PLATFORMS.map((platform) => {
    const flat = readFlatSettings(platform, reading.get).settings;
    const nested = readNestedSettings(platform, reading.get(platform)).settings;
    const overruled = Object.entries(flat).filter(([key]) => Object.hasOwn(nested, key));
    const dropped = platforms.includes(platform) ? Object.fromEntries(overruled) : { ...nested, flat };
    return [platform, dropped] as const;
  });
  const named = [...readPlatforms(reading)].toSorted();
  const scheduledAt = reading.get('scheduledAt');
  const finer = typeof scheduledAt === 'string' ? /[.,]\d{3}(\d*[1-9])/.exec(scheduledAt)?.[1] : undefined;
  const unseen = {
    ...Object.fromEntries(settings.filter(([, dropped]) => !isEmpty(dropped))),
    ...(named.join() !== platforms.toSorted().join() && { named }),
    ...(finer !== undefined && { finer }),
  };
  return isEmpty(unseen) ? null : unseen;
}

function isEmpty(value: unknown): boolean {
  return !isObject(value) || Object.values(value).every((inner) => isObject(inner) && isEmpty(inner));
}

/** A replacer for JSON.stringify. The depth of settings is bounded (form-values.ts `cleanCopy`), so the stack cannot overflow. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  // Keys are unique, so no two are equal. JavaScript puts numeric keys first in any case.
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
