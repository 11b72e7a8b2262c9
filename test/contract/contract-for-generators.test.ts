// contract/contract-for-generators.test.ts: the rules by which openapi.yaml and openapi-admin.yaml are written so that client generators
// read them rightly, and the `x-…` that say what JSON Schema would have said. The generators themselves run in test/generators.

import { describe, expect, it } from 'vitest';
import { bodiesOf, loadContract, type FormPart } from '../../src/contract/contract.ts';
import { createValidate } from '../../src/contract/validator.ts';

const contract = loadContract();
const documents = [
  { name: 'openapi.yaml', document: contract },
  { name: 'openapi-admin.yaml', document: loadContract('openapi-admin.yaml') },
];

type Node = Readonly<Record<string, unknown>>;

interface StorageKey {
  readonly path: string;
  readonly node: Node;
}

/** Every object of the document but examples, which may hold anything. */
function placesIn(value: unknown, path = ''): StorageKey[] {
  if (Array.isArray(value)) return value.flatMap((item, at) => placesIn(item, `${path}/${at}`));
  if (typeof value !== 'object' || value === null) return [];
  const inside = Object.entries(value).filter(([key]) => key !== 'examples' && key !== 'example');
  const own = { path, node: value as Node };
  return [own, ...inside.flatMap(([key, item]) => placesIn(item, `${path}/${key}`))];
}

function isOfType({ type }: Node, wanted: string): boolean {
  return [type].flat().includes(wanted);
}

describe.each(documents)('$name', ({ document }) => {
  const places = placesIn(document.document);
  const paths = (found: readonly StorageKey[]): string[] => found.map(({ path }) => path);

  it('says int64 of every number that 32 bits may not hold', () => {
    const integers = places.filter(({ node }) => isOfType(node, 'integer') && !('const' in node));
    const isSmall = ({ maximum, minimum = 0 }: Node): boolean =>
      typeof maximum === 'number' && maximum < 2 ** 31 && Number(minimum) >= -(2 ** 31);
    expect(integers.length).toBeGreaterThan(5);
    expect(paths(integers.filter(({ node }) => !isSmall(node) && node['format'] !== 'int64'))).toEqual([]);
  });

  it('says of files that they are binary, by both words', () => {
    const files = places.filter(({ node }) => node['contentMediaType'] === 'application/octet-stream');
    expect(files.length).toBeGreaterThan(0);
    expect(paths(files.filter(({ node }) => node['format'] !== 'binary'))).toEqual([]);
  });

  it('has no boolean constants: some generators drop the whole answer', () => {
    const constants = places.filter(({ node }) => node['type'] === 'boolean' && 'const' in node);
    expect(paths(constants)).toEqual([]);
  });

  it('answers every refusal with one and the same schema', () => {
    const { Error: envelope } = document.document.components.schemas;
    const refusals = document.operations.flatMap(({ operationId, statuses }) =>
      [...statuses]
        .filter(([, { codes }]) => codes.length > 0)
        .map(([status, answer]) => ({ operationId, status, ...answer })),
    );
    const own = refusals.filter(({ response }) => {
      const { schema } = response.content['application/json'] ?? {};
      return schema !== envelope && schema?.oneOf?.includes(envelope ?? {}) !== true;
    });
    expect(refusals.length).toBeGreaterThan(10);
    expect(own.map(({ operationId, status }) => `${operationId} ${status}`)).toEqual([]);
  });

  it('leads by links to operations that there are, and to parameters that they have', () => {
    const links = places.filter(({ path }) => /\/links\/\w+$/.test(path));
    expect(links.length).toBeGreaterThan(5);
    for (const { path, node } of links) {
      const target = document.operations.find(({ operationId }) => operationId === node['operationId']);
      const names = target?.parameters?.map(({ name }) => name) ?? [];
      expect([path, target?.operationId], path).toEqual([path, node['operationId']]);
      expect(names, path).toEqual(expect.arrayContaining(Object.keys(Object(node['parameters']))));
      // openapi-generator accepts only a text there, and otherwise refuses the whole document.
      expect(node, path).not.toHaveProperty('requestBody');
    }
  });
});

describe('the forms of openapi.yaml', () => {
  const forms = contract.operations.flatMap(({ operationId, requestBody }) =>
    Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) => ({ operationId, type, schema })),
  );

  it('are multipart and nothing else: beside JSON, generators choose JSON and cannot send a file', () => {
    expect(forms.map(({ operationId, type }) => [operationId, type])).toEqual([
      ['uploadChunk', 'multipart/form-data'],
      ['createVideo', 'multipart/form-data'],
      ['createImage', 'multipart/form-data'],
    ]);
  });

  it.each(forms)('of $operationId is flat, and every field of it text, a number or a file', ({ schema }) => {
    const composing = ['allOf', 'anyOf', 'oneOf', 'not', 'if', 'dependentRequired', 'dependentSchemas'];
    expect(Object.keys(schema).filter((key) => composing.includes(key))).toEqual([]);
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      expect(
        Object.keys(field).filter((key) => composing.includes(key)),
        name,
      ).toEqual([]);
      expect(['string', 'integer'], name).toContain(field.type);
    }
  });

  it('are checked for JSON and urlencoded bodies, too, which the server takes beside them (F1)', () => {
    for (const operation of contract.operations.filter(({ operationId }) => operationId.startsWith('create')))
      expect(Object.keys(bodiesOf(operation))).toEqual([
        'multipart/form-data',
        'application/json',
        'application/x-www-form-urlencoded',
      ]);
  });

  const part = (name: string, value = ''): FormPart => (name === 'file' ? { name } : { name, value });

  it.each<[string, FormPart[], string]>([
    [
      'file and fileId',
      [part('file'), part('fileId', 'f'), part('profileId', 'p')],
      'exactly one schema in oneOf',
    ],
    ['neither file nor fileId', [part('profileId', 'p')], "required property 'file'"],
    ['neither platforms nor profileId', [part('file')], "required property 'platforms'"],
    ['an empty profileId', [part('file'), part('profileId')], 'profileId must NOT have fewer than 1'],
    [
      'settings that are no text of JSON',
      [part('file'), part('profileId', 'p'), part('instagram')],
      'instagram must be object',
    ],
  ])('with %s break the contract, as the journal says', (_what, fields, expected) => {
    for (const operationId of ['createVideo', 'createImage']) {
      const found = contract.checkRequest({ operationId, contentType: 'multipart/form-data', fields });
      expect(found.join('\n')).toContain(expected);
    }
  });

  it('keep it with either of two fields', () => {
    for (const fields of [
      [part('file'), part('profileId', 'p')],
      [part('fileId', 'f'), part('platforms', '["tiktok"]')],
    ])
      expect(
        contract.checkRequest({ operationId: 'createVideo', contentType: 'multipart/form-data', fields }),
      ).toEqual([]);
  });
});

describe('what a refusal promises in `x-details-of`', () => {
  const { Error: envelope = {} } = contract.document.components.schemas;

  it('is held to as if JSON Schema said it, with sentences of JSON Schema alone', () => {
    const validate = createValidate();
    const refusal = { success: false, message: 'm', error: 'upload_too_large', details: {}, requestId: 'r' };
    expect(validate(envelope, refusal, 'body')).toEqual([
      "body/details must have required property 'maxBytes'",
    ]);
    expect(validate(envelope, { ...refusal, details: { maxBytes: 5 * 1024 ** 3 } }, 'body')).toEqual([]);
    expect(validate(envelope, { ...refusal, details: { maxBytes: 1 }, success: true }, 'body')).toEqual([
      'body/success must be equal to constant (false)',
    ]);
  });
});
