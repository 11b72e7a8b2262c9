// schema-diff.test.ts: two ways to write the same schema are equal, and every difference that accepts other values is named.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { schemaDifferences } from './schema-diff.ts';

const closed = (properties: object, required: readonly string[] = Object.keys(properties)) => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});

function compare(contract: object, zod: z.ZodType): string[] {
  return schemaDifferences(contract, z.toJSONSchema(zod));
}

describe('equal in effect', () => {
  it.each<[string, object, z.ZodType]>([
    ['an integer, apart from the safe limits', { type: 'integer', minimum: 0 }, z.int().min(0)],
    ['a constant', { type: 'boolean', const: true, description: 'words' }, z.literal(true)],
    ['a nullable type', { type: ['string', 'null'] }, z.string().nullable()],
    ['an instant', { type: ['string', 'null'], format: 'date-time' }, z.iso.datetime().nullable()],
    ['an enum in another order', { type: 'string', enum: ['b', 'a'] }, z.enum(['a', 'b'])],
    ['an enum and a union', { enum: ['a', 'b'] }, z.union([z.literal('b'), z.literal('a')])],
    [
      'an optional key',
      closed({ a: { type: 'string' } }, []),
      z.strictObject({ a: z.string().exactOptional() }),
    ],
    ['an open object', { type: 'object' }, z.looseObject({})],
    [
      'an array',
      { type: 'array', items: closed({ a: { type: 'boolean' } }) },
      z.array(z.strictObject({ a: z.boolean() })),
    ],
  ])('%s', (_name, contract, zod) => {
    expect(compare(contract, zod)).toEqual([]);
  });

  it('alternatives in another order', () => {
    const [one, two] = [closed({ a: { const: 1 } }), closed({ b: { type: 'string' } })];
    const zod = z.union([z.strictObject({ b: z.string() }), z.strictObject({ a: z.literal(1) })]);
    expect(compare({ oneOf: [one, two] }, zod)).toEqual([]);
  });

  it('a composition with a part that is referred to', () => {
    const contract = {
      allOf: [{ $ref: '#/definitions/part' }, { properties: { b: { const: 'x' } } }],
      definitions: { part: closed({ a: { type: 'string' }, b: { type: 'string' } }) },
    };
    expect(compare(contract, z.strictObject({ a: z.string(), b: z.literal('x') }))).toEqual([]);
  });

  it('a schema that zod refers to', () => {
    const part = z.strictObject({ a: z.string() });
    const zod = z.toJSONSchema(z.strictObject({ one: part, two: part }), { reused: 'ref' });
    const ours = closed({ a: { type: 'string' } });
    expect(JSON.stringify(zod)).toContain('$ref');
    expect(schemaDifferences(closed({ one: ours, two: ours }), zod)).toEqual([]);
  });
});

describe('a difference is named with its place', () => {
  it.each<[string, object, z.ZodType, string[]]>([
    [
      'a key of zod alone',
      closed({}),
      z.strictObject({ a: z.string().exactOptional() }),
      ['body.a: only in zod'],
    ],
    [
      'a key of the contract alone',
      closed({ a: {} }, []),
      z.strictObject({}),
      ['body.a: only in the contract'],
    ],
    [
      'an optional key',
      closed({ a: { type: 'string' } }),
      z.strictObject({ a: z.string().exactOptional() }),
      ['body: required is ["a"] in the contract, [] in zod'],
    ],
    ['an open object', closed({}), z.looseObject({}), ['body: closed is true in the contract, false in zod']],
    [
      'a type inside',
      closed({ a: { type: 'array', items: { type: 'integer' } } }),
      z.strictObject({ a: z.array(z.number()) }),
      ['body.a[]: type is "integer" in the contract, "number" in zod'],
    ],
    [
      'a limit',
      { type: 'string', minLength: 1 },
      z.string().min(2),
      ['body: minLength is 1 in the contract, 2 in zod'],
    ],
    [
      'a value of an enum',
      { enum: ['a', 'b', 'c'] },
      z.enum(['a']),
      ['body: only the contract allows "b"', 'body: only the contract allows "c"'],
    ],
    ['a constant', { const: 'a' }, z.literal('b'), ['body: const is "a" in the contract, "b" in zod']],
    ['null', { type: 'string' }, z.string().nullable(), ['body: only zod allows null']],
    [
      'what an array holds',
      { type: 'array' },
      z.array(z.string()),
      ['body[]: type is absent in the contract, "string" in zod'],
    ],
  ])('%s', (...[, contract, zod, expected]) => {
    expect(compare(contract, zod)).toEqual(expected);
  });

  it('a reference to nowhere is an error, not an equality', () => {
    expect(() => schemaDifferences({ $ref: '#/nowhere' }, {})).toThrow('#/nowhere');
  });
});
