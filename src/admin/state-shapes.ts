// admin/state-shapes.ts: how a namespace's state looks as JSON (`GET state`, `PUT state`).
//
// Must not know: how it is made or put in.
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { MAX_TOTAL_CHUNKS } from '../uploads/upload.ts';

const FIXTURE_NAMES = [
  'half-uploaded',
  'complete-not-finalised',
  'finalised-processing',
  'scheduled-for-tomorrow',
] as const;

export type FixtureName = (typeof FIXTURE_NAMES)[number];

const MAX_FILLER_BYTES = 64 * 1024 * 1024;

export const chunkSchema = z.strictObject({
  index: z
    .int()
    .min(0)
    .max(MAX_TOTAL_CHUNKS - 1),
  bytes: z.int().min(0).max(MAX_FILLER_BYTES),
  crc32: z.string().optional(),
  at: z.string().optional(),
  data: z.base64().optional(),
});

export const finalizeSchema = z.strictObject({
  type: z.enum(['video', 'image']),
  fields: z.record(z.string(), z.unknown()),
});

const uploadSchema = z.strictObject({
  fileId: z.string().min(1).max(512),
  totalChunks: z.int().min(1).max(MAX_TOTAL_CHUNKS),
  chunks: z.array(chunkSchema).max(MAX_TOTAL_CHUNKS),
  finalize: finalizeSchema.optional(),
});

const importSchema = z.union([
  z.strictObject({ fixture: z.enum(FIXTURE_NAMES), fileId: z.string().min(1).max(256).optional() }),
  z.strictObject({
    format: z.literal(1).default(1),
    namespace: z.string().optional(),
    exportedAt: z.string().optional(),
    uploads: z.array(uploadSchema).default([]),
  }),
]);

export type ExportedUpload = z.infer<typeof uploadSchema>;

/** @throws AppError `invalid_request` */
export function parseImport(json: unknown): z.infer<typeof importSchema> {
  const parsed = importSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const fields = [{ field: 'body', message: z.prettifyError(parsed.error) }];
  const message = `a state is {"fixture": one of ${FIXTURE_NAMES.join(', ')}} or what GET state gave: ${fields[0]?.message ?? ''}`;
  throw new AppError('invalid_request', message, { fields });
}
