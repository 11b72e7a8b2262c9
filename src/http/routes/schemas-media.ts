// http/routes/schemas-media.ts: the JSON shapes of entries, channels and profiles, as zod schemas.
//
// Promises: exactly the documented keys (§1.3) are accepted. Tests compare these schemas with openapi.yaml. Entries come in `{
// success, data }`; channels and profiles come bare, as documented.
// Must not know: how an entry gets its state (media/entry.ts).

import { z } from 'zod';
import { channelsSchema, profileSchema } from '../../media/accounts.ts';
import { ENTRY_STATUSES, PLATFORM_STATUSES, type EntryView } from '../../media/entry.ts';
import { PLATFORMS } from '../../media/platforms.ts';

const instant = z.iso.datetime();
const status = z.enum(PLATFORM_STATUSES);
// Before publication, the id and the url are absent (assumed).
const later = z.string().exactOptional();

export const entrySchema = z.strictObject({
  id: z.string(),
  title: z.string().nullable(),
  status: z.enum(ENTRY_STATUSES),
  platforms: z.array(z.enum(PLATFORMS)),
  scheduledAt: instant.nullable(),
  youtube: z.strictObject({ status, videoId: later, url: later }).exactOptional(),
  instagram: z.strictObject({ status, mediaId: later, url: later }).exactOptional(),
  tiktok: z.strictObject({ status, videoId: later, url: later }).exactOptional(),
  linkedin: z.strictObject({ status, urn: later, url: later }).exactOptional(),
  pinterest: z.strictObject({ status, pinId: later, url: later }).exactOptional(),
  createdAt: instant,
  updatedAt: instant,
}) satisfies z.ZodType<EntryView>;

/** `GET /media/videos/{id}`, `GET /media/images/{id}`. */
export const entryAnswerSchema = z.strictObject({ success: z.literal(true), data: entrySchema });

/** `POST /media/videos`, `POST /media/images` (rule F5, assumed). */
export const entryCreatedSchema = entryAnswerSchema.extend({
  message: z.enum(['Video uploaded', 'Image uploaded']),
});

/** `GET /channels`: the fixtures as they are, a bare object. */
export const channelsAnswerSchema = channelsSchema;

/** `GET /profiles`: the fixtures as they are, a bare array. */
export const profilesAnswerSchema = z.array(profileSchema);
