// control/state-shapes.ts: the JSON shape of a namespace's state (`GET state`, `PUT state`).
//
// A state is valid if and only if it is `{"fixture": <name>}`, or an object of `uploads` and `media` as below whose parts fit
// together: each index is below `totalChunks` and comes once, `data` has the length `bytes` and the checksum `crc32`, and
// `finalize` is present only if every chunk is present. The import chooses omitted instants and ids.
// Must not know: how a state is made or imported.
import { NAMESPACE_PATTERN } from '../core/namespace.ts';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { invalidFields, type FieldProblem } from '../core/errors.ts';
import { PLATFORMS } from '../media/platforms.ts';
import { hex32 } from '../core/hex32.ts';
import { MAX_TOTAL_CHUNKS } from '../uploads/upload.ts';

const FIXTURE_NAMES = [
  'half-uploaded',
  'complete-not-finalised',
  'finalised-processing',
  'scheduled-for-tomorrow',
] as const;

/** The fileId of rule C4. */
const fileId = z.string().regex(/^\P{Cc}{1,256}$/u, 'expected 1 to 256 characters, no control characters');
const instant = z.iso.datetime({ offset: true, error: 'expected an ISO 8601 date-time with Z or an offset' });
const byteCount = z.int().min(0);
/** A repeated group in the pattern would be too slow for many megabytes. */
const base64 = z
  .string()
  .refine((text) => !/[^A-Za-z0-9+/=]/.test(text) && text.length % 4 === 0, 'expected Base64');

const chunkSchema = z.strictObject({
  index: z
    .int()
    .min(0)
    .max(MAX_TOTAL_CHUNKS - 1),
  bytes: byteCount,
  crc32: z
    .string()
    .regex(/^[0-9a-f]{8}$/, 'expected eight hexadecimal digits')
    .optional(),
  at: instant.optional(),
  data: base64.optional(),
});

const entryFields = {
  type: z.enum(['video', 'image']),
  /** The fields as a client would send them, as JSON. */
  fields: z.record(z.string(), z.unknown()),
  id: z
    .string()
    .regex(/^[0-9a-f]{24}$/, 'expected 24 hexadecimal digits')
    .optional(),
  at: instant.optional(),
  failures: z
    .array(z.strictObject({ platform: z.enum(PLATFORMS), reason: z.string().min(1).max(1000).optional() }))
    .max(PLATFORMS.length)
    .optional(),
};

const uploadSchema = z.strictObject({
  fileId,
  totalChunks: z.int().min(1).max(MAX_TOTAL_CHUNKS),
  chunks: z.array(chunkSchema).max(MAX_TOTAL_CHUNKS),
  /** The chunk that completed the upload; the default is the last chunk. */
  completedBy: z.int().min(0).optional(),
  finalize: z.strictObject(entryFields).optional(),
});

const entrySchema = z.strictObject({ ...entryFields, bytes: byteCount, data: base64.optional() });

const stateSchema = z.strictObject({
  format: z.literal(1).default(1),
  namespace: z.string().optional(),
  exportedAt: z.string().optional(),
  /** What an export could not read. An import ignores it. */
  damaged: z
    .array(
      z.strictObject({
        kind: z.enum(['uploads', 'media']),
        namespace: z.string().regex(NAMESPACE_PATTERN, 'expected `public`, or the `ns_…` of a key'),
        name: z.string(),
        message: z.string(),
      }),
    )
    .optional(),
  uploads: z.array(uploadSchema).default([]),
  media: z.array(entrySchema).default([]),
});

const fixtureSchema = z.strictObject({ fixture: z.enum(FIXTURE_NAMES), fileId: fileId.optional() });

export type StoredChunk = z.infer<typeof chunkSchema>;
export type StoredFinalize = z.infer<z.ZodObject<typeof entryFields>>;
export type StoredUpload = z.infer<typeof uploadSchema>;
/** An entry without its upload: the entry was made directly, or its upload has expired. */
export type StoredMedia = z.infer<typeof entrySchema>;
export type State = Pick<z.infer<typeof stateSchema>, 'uploads' | 'media'>;
export type Fixture = z.infer<typeof fixtureSchema>;

/** The most problems in one refusal; a longer list is hard to read. */
const MAX_PROBLEMS = 20;

/** @throws AppError `invalid_request` naming each bad value by its place */
export function parseImport(json: unknown): State | Fixture {
  const isFixture = typeof json === 'object' && json !== null && 'fixture' in json;
  const parsed = (isFixture ? fixtureSchema : stateSchema).safeParse(json);
  const problems = parsed.success
    ? problemsIn(parsed.data)
    : parsed.error.issues.map(({ path, message }) => problem(path, message));
  if (parsed.success && problems.length === 0) return parsed.data;
  throw invalidFields(problems.slice(0, MAX_PROBLEMS));
}

function problem(path: readonly PropertyKey[], message: string): FieldProblem {
  return { field: path.map(String).join('.') || 'body', message };
}

function problemsIn(state: State | Fixture): FieldProblem[] {
  if ('fixture' in state) return [];
  const seen = new Set<string>();
  const ofUploads = state.uploads.flatMap((upload, at) => {
    const isTwice = seen.has(upload.fileId);
    seen.add(upload.fileId);
    const twice = isTwice ? [problem(['uploads', at, 'fileId'], 'given twice')] : [];
    return [...twice, ...uploadProblems(upload, ['uploads', at])];
  });
  return [
    ...ofUploads,
    ...state.media.flatMap((entry, at) => contentProblems(entry, ['media', at])),
    ...idProblems(state),
  ];
}

function uploadProblems(upload: StoredUpload, path: readonly PropertyKey[]): FieldProblem[] {
  const { chunks, totalChunks, completedBy, finalize } = upload;
  const indexes = new Set<number>();
  const problems = chunks.flatMap((chunk, at) => {
    const isTwice = indexes.has(chunk.index);
    indexes.add(chunk.index);
    const place = [...path, 'chunks', at];
    const found = contentProblems(chunk, place);
    if (isTwice) found.push(problem([...place, 'index'], 'given twice'));
    if (chunk.index >= totalChunks) found.push(problem([...place, 'index'], 'not below totalChunks'));
    if (chunk.bytes === 0 && totalChunks > 1)
      found.push(problem([...place, 'bytes'], 'a chunk of several is not empty'));
    return found;
  });
  if (completedBy !== undefined && !indexes.has(completedBy))
    problems.push(problem([...path, 'completedBy'], 'there is no such chunk'));
  if (finalize !== undefined && indexes.size < totalChunks)
    problems.push(problem([...path, 'finalize'], `${indexes.size} of ${totalChunks} chunks are there`));
  return problems;
}

function contentProblems(
  { bytes, data, ...rest }: { bytes: number; data?: string | undefined; crc32?: string | undefined },
  path: readonly PropertyKey[],
): FieldProblem[] {
  if (data === undefined) return [];
  const content = Buffer.from(data, 'base64');
  if (content.length !== bytes) {
    return [problem([...path, 'data'], `${content.length} bytes, and \`bytes\` says ${bytes}`)];
  }
  const isSame = rest.crc32 === undefined || rest.crc32 === hex32(crc32(content));
  return isSame ? [] : [problem([...path, 'crc32'], `of these bytes it is ${hex32(crc32(content))}`)];
}

function idProblems({ uploads, media }: State): FieldProblem[] {
  const ids = [...uploads.map(({ finalize }) => finalize?.id), ...media.map(({ id }) => id)];
  const given = ids.filter((id) => id !== undefined);
  const twice = given.filter((id, at) => given.indexOf(id) !== at);
  return [...new Set(twice)].map((id) => problem(['media', 'id'], `${id} is given twice`));
}
