// units.ts: sizes, durations and lists as people write them (behaviour §11), as zod types.
//
// Must not know: which setting they are for. It is a leaf.
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

/** Bytes: `1000000`, `64MiB`, `5GiB`, or a number. */
export const size = z.union([z.number(), z.string()]).transform((value, context) => {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(String(value)) ?? [];
  const bytes = Number(digits) * (UNITS[(unit ?? '').toUpperCase()] ?? Number.NaN);
  if (Number.isSafeInteger(Math.round(bytes))) return Math.round(bytes);
  context.addIssue({ code: 'custom', message: 'expected a size such as 1000000, 64MiB or 5GiB' });
  return z.NEVER;
});

/** Milliseconds: `500ms`, `30s`, `24h`, or a number. */
export const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(String(value)) ?? [];
  const ms = Number(digits) * (TIME_UNITS[unit ?? 'ms'] ?? Number.NaN);
  if (Number.isSafeInteger(Math.round(ms))) return Math.round(ms);
  context.addIssue({ code: 'custom', message: 'expected a duration such as 500ms, 30s or 24h' });
  return z.NEVER;
});

/** A duration as `duration`, from `least` to `most`, both as a person writes them: what is beyond is refused by their names. */
export function durationWithin(least: string, most: string): z.ZodPipe<typeof duration, z.ZodNumber> {
  const error = `expected a duration from ${least} to ${most}`;
  return duration.pipe(z.number().min(duration.parse(least), error).max(duration.parse(most), error));
}

/** Items with commas between them, or an array. */
export const list = z
  .union([z.array(z.string()), z.string()])
  .transform((value) =>
    (typeof value === 'string' ? value.split(',') : value)
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );
