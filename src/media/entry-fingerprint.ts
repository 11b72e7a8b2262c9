// media/entry-fingerprint.ts: when two finalises are the same (rule F6).
//
// Must not know: what becomes of a second one.
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
 * A hash of what was asked for, for rule F6: two requests with the same one are the same finalise. The order of platforms and of
 * object keys does not count, nor how a value that is the same is written; all else does, also what the entry does not show: digits
 * that JavaScript cannot hold, settings of platforms that were not chosen or that are overruled.
 */
export function requestFingerprint(fields: EntryFields, type: MediaType, fixtures: Fixtures): string {
  const exact = Object.entries(fields).map(([name, value]) => [name, exactValue(name, value)] as const);
  const reading = readingOf(Object.fromEntries(exact), type, fixtures);
  const spec = readSpec(reading);
  const unseen = unseenIn(reading, spec);
  const asked = { ...spec, platforms: spec.platforms.toSorted(), ...(unseen !== null && { unseen }) };
  return createHash('sha256').update(JSON.stringify(asked, sortedKeys)).digest('hex');
}

/** Settings are JSON: of a form their text is. */
function exactValue(name: string, value: unknown): unknown {
  if (!isPlatform(name) || typeof value !== 'string') return value;
  try {
    return parseExactly(value);
  } catch {
    return value;
  }
}

/** What two requests can differ in whose entries are the same. Null: nothing of the kind was sent. */
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

/** A JSON.stringify replacer. Settings have a bounded depth (form-values.ts `cleanCopy`), so it cannot overflow. */
function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  // Names are unique, so the comparison never meets two equal ones. Numeric keys come first whatever the order.
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
