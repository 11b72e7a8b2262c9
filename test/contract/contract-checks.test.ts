// contract/contract-checks.test.ts: what the checks of live exchanges find, and what they must let pass.

import { describe, expect, it } from 'vitest';
import { loadContract, type FormPart, type RequestFacts } from '../../src/contract/contract.ts';

const contract = loadContract();
const JSON_TYPE = 'application/json; charset=utf-8';
const FORM_TYPE = 'multipart/form-data; boundary=b';

describe('match', () => {
  it.each([
    ['GET', '/media/chunks?fileId=a%2Fb', 'getUploadStatus', '/'],
    ['POST', '/media/chunks', 'uploadChunk', '/'],
    ['POST', '/api/v1/media/chunks', 'uploadChunk', '/api/v1'],
    ['GET', '/api/v1/media/videos/67b0?x=/media/images/1', 'getVideo', '/api/v1'],
    ['GET', '/media/images/a%2Fb', 'getImage', '/'],
    ['GET', '/profiles', 'listProfiles', '/'],
  ])('%s %s is %s under %s', (...[method, url, operationId, prefix]) => {
    expect(contract.match(method, url)).toMatchObject({ operation: { operationId }, prefix });
  });

  it.each([
    ['PUT', '/media/chunks'],
    ['HEAD', '/profiles'],
    ['GET', '/media/videos/'],
    ['GET', '/media/videos/a/b'],
    ['GET', '/api/v2/profiles'],
    ['GET', '/__admin/health'],
    ['GET', ''],
  ])('%s %s is none of them', (method, url) => {
    expect(contract.match(method, url)).toBeNull();
  });
});

describe('an answer', () => {
  const chunk = { operationId: 'uploadChunk', status: 200, contentType: JSON_TYPE };
  const received = { success: true, data: { completed: false, chunkIndex: 0 }, message: 'Chunk received' };
  const refusal = (code: string, details: object) => ({
    success: false,
    message: 'm',
    error: code,
    details,
    requestId: 'r',
  });

  it('keeps the contract as a value and as text', () => {
    expect(contract.checkResponse({ ...chunk, body: received })).toEqual([]);
    expect(contract.checkResponse({ ...chunk, body: JSON.stringify(received) })).toEqual([]);
  });

  it.each<[string, object, string]>([
    [
      'an unknown operation',
      { operationId: 'deleteChunk', body: received },
      'the operation is not in the contract',
    ],
    [
      'a status that is not promised',
      { status: 204, body: received },
      'uploadChunk 204: the status is not in the contract',
    ],
    [
      'another content type',
      { contentType: 'text/html', body: received },
      'content type is "text/html", expected application/json',
    ],
    ['no content type', { contentType: undefined, body: received }, 'content type is ""'],
    [
      'a content type that every object has',
      { contentType: 'constructor', body: received },
      'content type is "constructor"',
    ],
    ['text that is not JSON', { body: '<html>' }, 'body must be object'],
    ['a body cut in the middle', { body: '{"success":true' }, 'body must be object'],
    [
      'a mixture of both answers',
      { body: { ...received, message: 'Upload complete' } },
      'body/message must be equal to constant ("Chunk received")',
    ],
    [
      'a code of another status',
      { status: 409, body: refusal('empty_chunk', {}) },
      'body/error must be equal to one of the allowed values',
    ],
    [
      'a code of another operation',
      { operationId: 'getVideo', status: 404, body: refusal('upload_not_found', {}) },
      'body/error',
    ],
    [
      'details that lack what the code promises',
      { status: 409, body: refusal('chunk_out_of_order', { currentSize: 0 }) },
      "'expectedChunkIndex'",
    ],
    [
      'a field problem without a field',
      { status: 400, body: refusal('invalid_request', { fields: [] }) },
      'fields must NOT have fewer than 1 items',
    ],
  ])('%s is found', (_name, facts, expected) => {
    expect(contract.checkResponse({ ...chunk, body: undefined, ...facts }).join('\n')).toContain(expected);
  });

  it('without a promised header is found, once headers are given', () => {
    const status = { success: true, data: { exists: false, currentSize: 0, fileId: 'f' } };
    const facts = { operationId: 'getUploadStatus', status: 200, contentType: JSON_TYPE, body: status };
    expect(contract.checkResponse(facts)).toEqual([]);
    expect(contract.checkResponse({ ...facts, headers: {} })).toEqual([
      'getUploadStatus 200: cache-control is missing',
    ]);
    expect(contract.checkResponse({ ...facts, headers: { 'cache-control': 'public' } })).toHaveLength(1);
    expect(
      contract.checkResponse({ ...facts, headers: { 'cache-control': 'no-store', 'x-more': 1 } }),
    ).toEqual([]);
  });

  it('may give Retry-After as a number or as text', () => {
    const facts = {
      operationId: 'listChannels',
      status: 503,
      contentType: JSON_TYPE,
      body: refusal('shutting_down', {}),
    };
    for (const value of [1, '1'])
      expect(contract.checkResponse({ ...facts, headers: { 'retry-after': value } })).toEqual([]);
    expect(contract.checkResponse({ ...facts, headers: { 'retry-after': 'soon' } })).toHaveLength(1);
  });
});

const chunkParts = (more: Record<string, string> = {}): FormPart[] => [
  { name: 'file' },
  ...Object.entries({ chunkIndex: '0', totalChunks: '3', fileId: 'f', ...more }).map(([name, value]) => ({
    name,
    value,
  })),
];

describe('a request', () => {
  const check = (facts: Partial<RequestFacts>): string =>
    contract.checkRequest({ operationId: 'uploadChunk', contentType: FORM_TYPE, ...facts }).join('\n');

  it.each<[string, Partial<RequestFacts>]>([
    ['a chunk without a key', { headers: {}, fields: chunkParts() }],
    [
      'a chunk with the file last and unknown parts',
      { fields: [{ name: 'x', value: '1' }, ...chunkParts().toReversed(), { name: 'x' }] },
    ],
    ['the largest numbers', { fields: chunkParts({ chunkIndex: '999999', totalChunks: '1000000' }) }],
    [
      'a status query',
      { operationId: 'getUploadStatus', headers: {}, query: { fileId: 'ümlaut/..', x: ['1', '2'] } },
    ],
    ['a key as Bearer', { operationId: 'listChannels', headers: { authorization: 'bearer k' } }],
    [
      'a finalise with flat keys',
      {
        operationId: 'createVideo',
        fields: [
          { name: 'fileId', value: 'f' },
          { name: 'profileId', value: 'p' },
          { name: 'youtubeAutoPublish', value: 'true' },
        ],
      },
    ],
    [
      'a JSON finalise with null for what is not given, and text of a form',
      {
        operationId: 'createImage',
        contentType: JSON_TYPE,
        body: {
          fileId: 'f',
          platforms: '["tiktok"]',
          isDraft: 'true',
          title: null,
          tiktok: { privacy: null, more: 1 },
        },
      },
    ],
  ])('%s passes', (_name, facts) => {
    expect(check(facts)).toBe('');
  });

  it.each<[string, Partial<RequestFacts>, string]>([
    ['an unknown operation', { operationId: 'nothing' }, 'the operation is not in the contract'],
    ['no key', { operationId: 'listChannels', headers: { 'x-api-key': '' } }, 'X-API-Key is missing'],
    ['no fileId', { operationId: 'getUploadStatus', query: { fileid: 'f' } }, 'fileId is missing'],
    [
      'a fileId given twice',
      { operationId: 'getUploadStatus', query: { fileId: ['a', 'b'] } },
      'fileId must be string',
    ],
    [
      'a control character',
      { operationId: 'getUploadStatus', query: { fileId: 'a\n' } },
      'fileId must match pattern',
    ],
    ['another content type', { contentType: 'application/json', body: {} }, 'expected multipart/form-data'],
    ['a missing part', { fields: chunkParts().slice(1) }, "'file'"],
    [
      'a part given twice',
      { fields: [...chunkParts(), { name: 'fileId', value: 'f' }] },
      'the field fileId is given twice',
    ],
    ['a sign', { fields: chunkParts({ chunkIndex: '+1' }) }, 'form/chunkIndex must be integer'],
    ['a leading zero', { fields: chunkParts({ chunkIndex: '01' }) }, 'form/chunkIndex must be integer'],
    ['no chunks', { fields: chunkParts({ totalChunks: '0' }) }, 'form/totalChunks must be >= 1'],
    [
      'file and fileId',
      {
        operationId: 'createVideo',
        fields: [
          { name: 'file' },
          { name: 'fileId', value: 'f' },
          { name: 'platforms', value: '["youtube"]' },
        ],
      },
      'must match exactly one schema in oneOf',
    ],
    [
      'an image for YouTube',
      { operationId: 'createImage', fields: [{ name: 'file' }, { name: 'platforms', value: '["youtube"]' }] },
      'platforms/0 must be equal to one of the allowed values',
    ],
    [
      'settings that are not JSON',
      {
        operationId: 'createVideo',
        fields: [{ name: 'file' }, { name: 'profileId', value: 'p' }, { name: 'youtube', value: '{"title' }],
      },
      'youtube must be object',
    ],
    [
      'a JSON body without fileId',
      { operationId: 'createVideo', contentType: JSON_TYPE, body: { platforms: ['tiktok'] } },
      "'fileId'",
    ],
  ])('%s is found', (_name, facts, expected) => {
    expect(check(facts)).toContain(expected);
  });

  it('nested deeper than the stack is looked at all the same', () => {
    const deep = `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`;
    const fields = [
      { name: 'fileId', value: 'f' },
      { name: 'profileId', value: 'p' },
      { name: 'youtube', value: deep },
    ];
    expect(check({ operationId: 'createVideo', fields })).toBe('');
  });
});
