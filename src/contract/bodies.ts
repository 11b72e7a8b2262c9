// contract/bodies.ts: the JSON bodies of the chunk routes and of every error (§1.3, §1.5).
//
// Promises: wire names stand here and in schemas-media.ts only; openapi.yaml says the same (test: contract.test.ts).
import { z } from 'zod';
import type { AppError } from '../core/errors.ts';

/** The data of a status query. */
interface UploadStatus {
  readonly exists: boolean;
  readonly currentSize: number;
}

export const uploadStatusSchema = z.strictObject({
  success: z.literal(true),
  data: z.strictObject({
    exists: z.boolean(),
    currentSize: z.int().min(0),
    fileId: z.string(),
  }),
});

export const chunkReceivedSchema = z.strictObject({
  success: z.literal(true),
  data: z.strictObject({ completed: z.literal(false), chunkIndex: z.int().min(0).max(999_999) }),
  message: z.literal('Chunk received'),
});

export const uploadCompleteSchema = z.strictObject({
  success: z.literal(true),
  data: z.strictObject({ completed: z.literal(true), fileId: z.string() }),
  message: z.literal('Upload complete'),
});

/** `error` is a string: stock uploaders (Fine Uploader, Dropzone) show it to people, an object as "[object Object]". */
export const errorSchema = z.strictObject({
  success: z.literal(false),
  message: z.string(),
  error: z.string(),
  details: z.record(z.string(), z.unknown()),
  requestId: z.string(),
});

export function uploadStatusBody(fileId: string, status: UploadStatus): z.infer<typeof uploadStatusSchema> {
  return { success: true, data: { exists: status.exists, currentSize: status.currentSize, fileId } };
}

/** What an answer to a status query says; null: it says nothing of the kind. */
export function uploadStatusIn(answer: string): UploadStatus | null {
  try {
    const { exists, currentSize } = uploadStatusSchema.parse(JSON.parse(answer)).data;
    return { exists, currentSize };
  } catch {
    return null;
  }
}

export function chunkBody(
  fileId: string,
  { completed, chunkIndex }: { readonly completed: boolean; readonly chunkIndex: number },
): z.infer<typeof chunkReceivedSchema> | z.infer<typeof uploadCompleteSchema> {
  return completed
    ? { success: true, data: { completed, fileId }, message: 'Upload complete' }
    : { success: true, data: { completed: false, chunkIndex }, message: 'Chunk received' };
}

export function errorBody(error: AppError, requestId: string): z.infer<typeof errorSchema> {
  const { code, details, message } = error;
  return { success: false, message, error: code, details: { ...details }, requestId };
}
