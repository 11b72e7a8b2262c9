// media/form-values.ts: reads the values that forms and JSON bodies carry: JSON text, ISO 8601 instants.
//
// Promises: nothing here throws, whatever the text or the JSON value. An unreadable value gives undefined, and the caller names
// the field. A copied object has a bounded depth and no `__proto__` key at any level, so it is safe to merge, stringify and
// hash it.
// It does not know which fields exist or what they mean.

import { isObject } from '../core/shape.ts';

const MAX_SHOWN_CHARACTERS = 60;

/** A short description for an error message. A structure is only named: printing a deep one could overflow the stack. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') {
    const shown = JSON.stringify(value.slice(0, MAX_SHOWN_CHARACTERS));
    return value.length > MAX_SHOWN_CHARACTERS ? `${shown}…` : shown;
  }
  if (Array.isArray(value)) return 'an array';
  if (isObject(value)) return 'an object';
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

/** Whether the text has at most `maxCharacters` code points. The contract counts code points in `maxLength`, too. */
export function isWithin(text: string, maxCharacters: number): boolean {
  if (text.length <= maxCharacters) return true;
  return text.length <= 2 * maxCharacters && Array.from(text).length <= maxCharacters;
}

/** The value of a field. A form sends JSON as text, a JSON body sends the value itself. Broken text gives undefined. */
export function jsonValue(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return undefined;
  }
}

/** A copy without `__proto__` keys, which would survive `Object.assign`. Undefined when it is deeper than `maxDepth`. */
export function cleanCopy(value: unknown, maxDepth: number): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (maxDepth === 0) return undefined;
  const entries = Object.entries(value)
    .filter(([key]) => key !== '__proto__')
    .map(([key, item]) => [key, cleanCopy(item, maxDepth - 1)] as const);
  // JSON has no undefined. So an undefined item means that the value is too deep, and the whole copy is undefined.
  if (entries.some(([, item]) => item === undefined)) return undefined;
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries);
}

const INSTANT =
  /^(\d{4}-\d{2}-\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(?:Z|([+-])(\d{2})(?::?(\d{2}))?)?)?$/i;

// An offset can move an instant out of the years 0000-9999. No answer could show it as it was sent.
const FIRST_INSTANT = Date.parse('0000-01-01T00:00:00.000Z');
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * Reads an ISO 8601 date, or date and time with `Z`, an offset (`+02:00`, `+0200`, `+02`) or none. Gives epoch milliseconds;
 * finer fractions are cut. A bare date and a time without an offset mean UTC (assumed: the pages say only "ISO 8601"). Gives
 * undefined for any other text, and for a day or time that does not exist.
 */
export function parseInstant(text: string): number | undefined {
  const match = INSTANT.exec(text);
  if (match === null) return undefined;
  const [, date = '', hours = '00', minutes = '00', seconds = '00', fraction = '', ...offset] = match;
  const local = `${date}T${hours}:${minutes}:${seconds}.${fraction.slice(0, 3).padEnd(3, '0')}Z`;
  const instant = utcOf(local) - offsetOf(offset);
  return instant >= FIRST_INSTANT && instant <= LAST_INSTANT ? instant : undefined;
}

/** NaN for a day or a time that does not exist. No comparison with NaN is true. */
function utcOf(iso: string): number {
  const epochMs = Date.parse(iso);
  // Date.parse reads 30 February as 2 March, and accepts 24:00. Comparing the text with the result refuses both.
  return !Number.isNaN(epochMs) && new Date(epochMs).toISOString() === iso ? epochMs : Number.NaN;
}

/** NaN for an offset that no time zone has. */
function offsetOf([sign, hours = '00', minutes = '00']: readonly (string | undefined)[]): number {
  if (Number(hours) > 23 || Number(minutes) > 59) return Number.NaN;
  return (sign === '-' ? -60_000 : 60_000) * (Number(hours) * 60 + Number(minutes));
}
