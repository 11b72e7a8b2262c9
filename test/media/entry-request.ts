// entry-request.ts: what the tests of entry requests share: parse one, or get its refusal by field.

import { AppError } from '../../src/core/errors.ts';
import { DEFAULT_FIXTURES } from '../../src/media/accounts.ts';
import { parseEntryRequest, type EntryFields, type EntrySpec } from '../../src/media/entry-form.ts';
import type { MediaType } from '../../src/media/platforms.ts';

/** Ids of the default profiles: one with an account everywhere, one with instagram and tiktok only. */
export const STUDIO = '67b0c0000000000000000001';
export const TRAVEL = '67b0c0000000000000000002';

export const parse = (
  fields: EntryFields,
  type: MediaType = 'video',
  fixtures = DEFAULT_FIXTURES,
): EntrySpec => parseEntryRequest(fields, type, fixtures);

export const withInstagram = (fields: EntryFields): EntryFields => ({
  platforms: '["instagram"]',
  ...fields,
});

/** The problems by field, or null when the request was taken. */
export const refused = (
  fields: EntryFields,
  type: MediaType = 'video',
  fixtures = DEFAULT_FIXTURES,
): Record<string, string> | null => {
  try {
    parse(fields, type, fixtures);
    return null;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'invalid_request') throw error;
    const problems = error.details['fields'] as readonly { field: string; message: string }[];
    return Object.fromEntries(problems.map(({ field, message }) => [field, message]));
  }
};

export const refusedFields = (...request: Parameters<typeof refused>): readonly string[] =>
  Object.keys(refused(...request) ?? {}).toSorted();
