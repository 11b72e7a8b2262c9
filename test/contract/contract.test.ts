// contract/contract.test.ts: openapi.yaml and openapi-admin.yaml say what the error table says; openapi.yaml says what the zod schemas
// say and marks what is assumed.
//
// That they are valid and keep their lint rules is seen by `npm run contracts`; what the checks of live exchanges find stands in contract-checks.test.ts, the page in admin/docs-page.test.ts.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  bodiesOf,
  loadContract,
  type Contract,
  type FormPart,
  type Operation,
} from '../../src/contract/contract.ts';
import { ERRORS, type ErrorCode } from '../../src/core/errors.ts';
import {
  channelsAnswerSchema,
  entryAnswerSchema,
  entryCreatedSchema,
  profilesAnswerSchema,
} from '../../src/http/routes/schemas-media.ts';
import {
  chunkReceivedSchema,
  errorSchema,
  uploadCompleteSchema,
  uploadStatusSchema,
} from '../../src/contract/bodies.ts';
import { schemaDifferences } from '../helpers/schema-diff.ts';

const contract = loadContract();
const { schemas } = contract.document.components;

const admin = loadContract('openapi-admin.yaml');
const documents = [
  { name: 'openapi.yaml', document: contract },
  { name: 'openapi-admin.yaml', document: admin },
];

/** Codes that every path can answer with, so that no operation lists them. */
const ON_ANY_PATH: readonly string[] = [
  'not_found',
  'method_not_allowed',
  'headers_too_large',
  'not_implemented',
  'http_version_not_supported',
];

function answersIn({ operations }: Contract) {
  return operations.flatMap((operation) =>
    [...operation.statuses].map(([status, answer]) => ({
      operation,
      operationId: operation.operationId,
      status,
      ...answer,
    })),
  );
}

const answers = answersIn(contract);

function promisedIn(document: Contract): Set<string> {
  return new Set(answersIn(document).flatMap(({ codes }) => codes));
}

function isKnown(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

describe('the documents', () => {
  it('have no operationId in common, so that each is one operation', () => {
    const ids = documents.flatMap(({ document }) =>
      document.operations.map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('the document', () => {
  it('has the eight operations, each with its success (§1.2, §1.4)', () => {
    const successes = answers
      .filter(({ status }) => status < 300)
      .map(({ operationId, status }) => `${operationId} ${status}`);
    expect(successes.toSorted()).toEqual([
      'createImage 200',
      'createImage 201',
      'createVideo 200',
      'createVideo 201',
      'getImage 200',
      'getUploadStatus 200',
      'getVideo 200',
      'listChannels 200',
      'listProfiles 200',
      'uploadChunk 200',
    ]);
  });

  it('gives a reason for everything assumed, and no reason without the mark', () => {
    const marks = marksIn(contract.document);
    expect(marks.length).toBeGreaterThan(50);
    expect(marks.filter(({ isAssumed, reason }) => isAssumed !== true || !isSentence(reason))).toEqual([]);
  });

  it('marks every error answer as assumed: the vendor documents none (§1.5)', () => {
    const errors = answers.filter(({ status }) => status >= 400);
    expect(errors.filter(({ response }) => response['x-assumed'] !== true)).toEqual([]);
  });
});

function marksIn(node: unknown): { isAssumed: unknown; reason: unknown }[] {
  if (typeof node !== 'object' || node === null) return [];
  const inside = Object.values(node).flatMap(marksIn);
  if (!('x-assumed' in node) && !('x-assumed-reason' in node)) return inside;
  const { 'x-assumed': isAssumed, 'x-assumed-reason': reason } = {
    'x-assumed': null,
    'x-assumed-reason': null,
    ...node,
  };
  return [{ isAssumed, reason }, ...inside];
}

function isSentence(reason: unknown): boolean {
  return typeof reason === 'string' && /^[A-Z`].{15,}\.$/s.test(reason.trim());
}

it('every error code is in one of the documents, or comes on any path', () => {
  const promised = new Set([...promisedIn(contract), ...promisedIn(admin), ...ON_ANY_PATH]);
  expect(Object.keys(ERRORS).filter((code) => !promised.has(code))).toEqual([]);
  expect([...promised].filter((code) => !isKnown(code))).toEqual([]);
  expect(ON_ANY_PATH.filter((code) => promisedIn(contract).has(code) || promisedIn(admin).has(code))).toEqual(
    [],
  );
});

it('what is worth another try says so by its status, too: none is a 400 that clients give up on', () => {
  const worthIt = Object.entries(ERRORS).filter(([, { retryable }]) => retryable);
  const statuses = worthIt.map(([code, { status }]) => [
    code,
    [408, 409, 429].includes(status) || status >= 500,
  ]);
  expect(statuses.length).toBeGreaterThan(4);
  expect(statuses).toEqual(worthIt.map(([code]) => [code, true]));
});

describe.each(documents)('the error codes of $name', ({ document }) => {
  const all = answersIn(document);

  it('stand under the very status that the error table gives them', () => {
    const inContract = all.flatMap(({ status, codes }) => codes.map((code) => ({ code, status })));
    const inTable = inContract.map(({ code }) => ({
      code,
      status: isKnown(code) ? ERRORS[code].status : null,
    }));
    expect(inContract).toEqual(inTable);
  });

  it('are listed with the meaning and the retryability of the error table', () => {
    const promised = promisedIn(document);
    const rows = Object.entries(ERRORS).filter(
      ([code]) => promised.has(code) || ON_ANY_PATH.includes(code) || code === 'internal_error',
    );
    const listed = document.document.components.schemas['ErrorCode'];
    expect(listed?.enum).toEqual(rows.map(([code]) => code));
    expect(listed?.['x-enumDescriptions']).toEqual(
      Object.fromEntries(rows.map(([code, { meaning }]) => [code, meaning])),
    );
    expect(listed?.['x-retryable']).toEqual(
      rows.filter(([, { retryable }]) => retryable).map(([code]) => code),
    );
  });

  it('have one example each, under their own name', () => {
    for (const { codes, response } of all.filter((answer) => answer.codes.length > 0)) {
      const examples = Object.values(response.content).flatMap(({ examples: named = {} }) =>
        Object.entries(named),
      );
      expect(examples.map(([name]) => name)).toEqual(codes);
      expect(examples.map(([, { value }]) => value)).toMatchObject(codes.map((error) => ({ error })));
    }
  });
});

function shownIn(document: Contract) {
  return answersIn(document).flatMap(({ operationId, status, response }) =>
    Object.entries(response.content).flatMap(([contentType, { examples = {} }]) =>
      Object.entries(examples).map(([name, { value: body }]) => ({
        operationId,
        status,
        contentType,
        name,
        body,
      })),
    ),
  );
}

function sentIn({ operations }: Contract) {
  return operations.flatMap((operation) =>
    Object.entries(bodiesOf(operation)).flatMap(([contentType, { examples = {} }]) =>
      Object.entries(examples).map(([name, { value }]) => ({
        operationId: operation.operationId,
        contentType,
        name,
        value,
      })),
    ),
  );
}

describe.each(documents)('the examples of $name', ({ document }) => {
  it.each(shownIn(document))('of the answer $operationId $status ($name) keeps it', (facts) => {
    expect(document.checkResponse(facts)).toEqual([]);
  });

  it.each(sentIn(document))(
    'of the request $operationId $contentType ($name) keeps it',
    ({ operationId, contentType, value }) => {
      const carried = contentType.includes('json') ? { body: value } : { fields: partsOf(value) };
      expect(document.checkRequest({ operationId, contentType, ...carried })).toEqual([]);
    },
  );
});

describe('the examples', () => {
  it('are the vendor’s own where the vendor shows one', () => {
    const status = {
      success: true,
      data: { exists: true, currentSize: 10485760, fileId: 'your-unique-file-id' },
    };
    const received = { success: true, data: { completed: false, chunkIndex: 0 }, message: 'Chunk received' };
    const complete = {
      success: true,
      data: { completed: true, fileId: 'your-unique-file-id' },
      message: 'Upload complete',
    };
    const finalise = {
      fileId: 'your-unique-file-id',
      platforms: '["youtube"]',
      youtube: '{"title": "My Chunked Video"}',
    };
    const bodies = shownIn(contract).map(({ body }) => body);
    for (const body of [status, received, complete]) expect(bodies).toContainEqual(body);
    expect(sentIn(contract).map(({ value }) => value)).toContainEqual(finalise);
  });
});

function partsOf(value: unknown): FormPart[] {
  return Object.entries(Object(value)).map(([name, text]) =>
    name === 'file' ? { name } : { name, value: String(text) },
  );
}

describe('the success bodies', () => {
  it.each<[string, z.ZodType]>([
    ['UploadStatus', uploadStatusSchema],
    ['ChunkReceived', chunkReceivedSchema],
    ['UploadComplete', uploadCompleteSchema],
    ['MediaStatus', entryAnswerSchema],
    ['VideoCreated', entryCreatedSchema.extend({ message: z.literal('Video uploaded') })],
    ['ImageCreated', entryCreatedSchema.extend({ message: z.literal('Image uploaded') })],
    ['ConnectedAccounts', channelsAnswerSchema],
    ['Profiles', profilesAnswerSchema],
  ])('%s is what the server’s schema says', (name, zod) => {
    expect(schemaDifferences(schemas[name] ?? {}, z.toJSONSchema(zod))).toEqual([]);
  });

  it('the error envelope has the keys of the server’s schema; the contract says more of what is in them', () => {
    const differences = schemaDifferences(schemas['Error'] ?? {}, z.toJSONSchema(errorSchema));
    const ofKeys = differences.filter((difference) => /required|closed|only in/.test(difference));
    expect(ofKeys.filter((difference) => !difference.startsWith('body.details'))).toEqual([]);
  });

  const successes = answers.filter(({ status }) => status < 300);

  it.each(successes)(
    '$operationId $status takes no key that is not documented, at any depth (§1.3)',
    ({ operation, status }) => {
      for (const body of withOneKeyMore(exampleOf(operation, status))) {
        expect(
          contract.checkResponse({
            operationId: operation.operationId,
            status,
            contentType: 'application/json',
            body,
          }),
        ).not.toEqual([]);
      }
    },
  );
});

function exampleOf(operation: Operation, status: number): unknown {
  const [{ examples = {} } = {}] = Object.values(operation.statuses.get(status)?.response.content ?? {});
  return Object.values(examples)[0]?.value;
}

/** A copy for each object in it, in which that object has an unknown key. */
function withOneKeyMore(value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  const inside = Object.entries(value).flatMap(([key, item]) =>
    withOneKeyMore(item).map((changed) =>
      Array.isArray(value) ? value.with(Number(key), changed) : { ...value, [key]: changed },
    ),
  );
  return Array.isArray(value) ? inside : [{ ...value, notDocumented: 1 }, ...inside];
}
