// config/units.ts: reads sizes, durations and lists as people write them (behaviour §11).
import { z } from 'zod';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
  TIB: 1024 ** 4,
};
const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/** Bytes from `1000000`, `64MiB`, `5GiB` or a number. Null: not a size. */
export function parseBytes(value: unknown): number | null {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(textOf(value)) ?? [];
  return whole(Number(digits) * (UNITS[(unit ?? '').toUpperCase()] ?? Number.NaN));
}

/** Milliseconds from `500ms`, `30s`, `24h` or a number. Null: not a duration. */
export function parseDuration(value: unknown): number | null {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(textOf(value)) ?? [];
  return whole(Number(digits) * (TIME_UNITS[unit ?? 'ms'] ?? Number.NaN));
}

/** Items from a text with commas or from an array. Empty items are dropped. Null: not a list. */
export function parseList(value: unknown): readonly string[] | null {
  const items: unknown = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(items) || !items.every((item) => typeof item === 'string')) return null;
  return items.map((item) => item.trim()).filter((item) => item !== '');
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function whole(number: number): number | null {
  const rounded = Math.round(number);
  return Number.isSafeInteger(rounded) ? rounded : null;
}

/** A size in a rule. */
export const size = z.union([z.number(), z.string()]).transform((value, context) => {
  const bytes = parseBytes(value);
  if (bytes !== null) return bytes;
  context.addIssue({ code: 'custom', message: 'expected a size such as 1000000, 64MiB or 5GiB' });
  return z.NEVER;
});

/** A duration in a rule. */
export const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const ms = parseDuration(value);
  if (ms !== null) return ms;
  context.addIssue({ code: 'custom', message: 'expected a duration such as 500ms, 30s or 24h' });
  return z.NEVER;
});
