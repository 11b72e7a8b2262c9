// contract/bodies.test.ts: what openapi.yaml promises per answer is what the server's own schemas say, and what it builds of them.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadContract } from '../../src/contract/contract.ts';
import { AppError, ERRORS, invalidFields, type ErrorCode } from '../../src/core/errors.ts';
import {
  channelsAnswerSchema,
  entryAnswerSchema,
  entryCreatedSchema,
  profilesAnswerSchema,
} from '../../src/http/routes/schemas-media.ts';
import {
  chunkBody,
  chunkReceivedSchema,
  errorBody,
  errorSchema,
  uploadCompleteSchema,
  uploadStatusBody,
  uploadStatusSchema,
} from '../../src/contract/bodies.ts';
import { schemaDifferences } from '../helpers/schema-diff.ts';

const contract = loadContract();

const videoCreated = entryCreatedSchema.extend({ message: z.literal('Video uploaded') });
const imageCreated = entryCreatedSchema.extend({ message: z.literal('Image uploaded') });

const SUCCESSES: Record<string, z.ZodType> = {
  'getUploadStatus 200': uploadStatusSchema,
  'uploadChunk 200': z.union([chunkReceivedSchema, uploadCompleteSchema]),
  'createVideo 200': videoCreated,
  'createVideo 201': videoCreated,
  'createImage 200': imageCreated,
  'createImage 201': imageCreated,
  'getVideo 200': entryAnswerSchema,
  'getImage 200': entryAnswerSchema,
  'listChannels 200': channelsAnswerSchema,
  'listProfiles 200': profilesAnswerSchema,
};

const answers = contract.operations.flatMap(({ operationId, statuses }) =>
  [...statuses].map(([status, { response, codes }]) => {
    const { schema = {} } = response.content['application/json'] ?? {};
    return { answer: `${operationId} ${status}`, operationId, status, schema, codes };
  }),
);

describe('a success', () => {
  const promised = answers.filter(({ status }) => status < 300);

  it('is promised exactly where the server has a schema for one', () => {
    expect(promised.map(({ answer }) => answer).toSorted()).toEqual(Object.keys(SUCCESSES).toSorted());
  });

  it.each(promised)('$answer lets the same values pass on both sides', ({ answer, schema }) => {
    const own = SUCCESSES[answer] ?? z.never();
    expect(schemaDifferences(schema, z.toJSONSchema(own))).toEqual([]);
  });
});

describe('a refusal', () => {
  const refusals = answers.filter(({ status }) => status >= 400);

  it('is the server’s envelope, everywhere the same one (§1.5)', () => {
    const { Error: envelope = {} } = contract.document.components.schemas;
    for (const { answer, schema } of refusals) expect(schema, answer).toBe(envelope);
    const differences = schemaDifferences(envelope, z.toJSONSchema(errorSchema));
    // The contract says more of some values (which codes, which details), and has no other key.
    const ofKeys = differences.filter((one) => /required|closed|only in/.test(one));
    expect(ofKeys.filter((one) => !one.startsWith('body.details'))).toEqual([]);
  });

  const details: Partial<Record<ErrorCode, object>> = {
    chunk_out_of_order: { expectedChunkIndex: 1, currentSize: 2 },
    total_chunks_mismatch: { totalChunks: 3 },
    upload_incomplete: { expectedChunkIndex: 1, currentSize: 2, totalChunks: 3 },
    upload_too_large: { maxBytes: 5, currentSize: 2 },
  };

  it.each(
    refusals.flatMap(({ codes, ...rest }) => codes.map((code) => ({ ...rest, code: code as ErrorCode }))),
  )('$answer $code, as the server builds it, keeps the contract', ({ operationId, status, code }) => {
    const error =
      code === 'invalid_request'
        ? invalidFields([{ field: 'fileId', message: 'missing' }])
        : new AppError(code, 'a sentence', { ...details[code] });
    const body = errorBody(error, 'request-1');
    expect(ERRORS[code].status).toBe(status);
    expect(errorSchema.parse(body)).toEqual(body);
    expect(contract.checkResponse({ operationId, status, contentType: 'application/json', body })).toEqual(
      [],
    );
  });
});

describe('the bodies that the chunk routes build', () => {
  const json = { status: 200, contentType: 'application/json' };

  it.each([
    [uploadStatusBody('f', { exists: false, currentSize: 0 }), 'getUploadStatus', uploadStatusSchema],
    [
      uploadStatusBody('f', { exists: true, currentSize: 5 * 1024 ** 3 }),
      'getUploadStatus',
      uploadStatusSchema,
    ],
    [chunkBody('f', { completed: false, chunkIndex: 0 }), 'uploadChunk', chunkReceivedSchema],
    [chunkBody('f', { completed: true, chunkIndex: 7 }), 'uploadChunk', uploadCompleteSchema],
  ] as const)('%j is of its own schema, and keeps the contract', (body, operationId, schema) => {
    expect(schema.parse(body)).toEqual(body);
    expect(contract.checkResponse({ operationId, ...json, body })).toEqual([]);
  });
});
