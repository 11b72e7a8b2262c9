// admin/docs-fields.ts: a schema as flat rows for a table: `data.exists`, its type, its limits, whether it is required.
//
// Promises: pure; every property that the schema names by itself, by composition or inside JSON text has a row.
// Must not know: HTML.

import type { Schema } from '../contract/document.ts';

export interface FieldRow {
  /** The path from the body's root: `data.currentSize`, `[].name`. Empty for the body itself. */
  readonly name: string;
  readonly type: string;
  readonly isRequired: boolean;
  readonly schema: Schema;
}

export function fieldRows(schema: Schema, prefix = ''): readonly FieldRow[] {
  const required = new Set(partsOf(schema).flatMap((part) => part.required ?? []));
  const properties = new Map(partsOf(schema).flatMap((part) => Object.entries(part.properties ?? {})));
  const own = [...properties].flatMap(([key, property]) => {
    const name = prefix === '' ? key : `${prefix}.${key}`;
    const row = { name, type: typeText(property), isRequired: required.has(key), schema: property };
    return [row, ...fieldRows(property, name)];
  });
  const inText = schema.contentSchema === undefined ? [] : fieldRows(schema.contentSchema, prefix);
  return [...own, ...itemRows(schema.items, `${prefix}[]`), ...inText];
}

/** Items that are objects: one row for the object, which may say something of its own, and its fields. */
function itemRows(items: Schema | undefined, name: string): readonly FieldRow[] {
  if (items?.properties === undefined) return [];
  return [{ name, type: typeText(items), isRequired: false, schema: items }, ...fieldRows(items, name)];
}

/** The schema and what it is composed of. Of alternatives for one value, those that have fields show them all. */
export function partsOf(schema: Schema): readonly Schema[] {
  const { allOf = [], anyOf = [], properties } = schema;
  const alternatives = properties === undefined ? anyOf : [];
  return [schema, ...allOf.flatMap(partsOf), ...alternatives.flatMap(partsOf)];
}

/** More values than these are told, not listed. */
const MAX_LISTED = 8;

export function typeText(schema: Schema): string {
  const { anyOf, allOf, type, items = {} } = schema;
  const special = contentText(schema) ?? valuesText(schema);
  if (special !== undefined) return special;
  const options = anyOf ?? allOf;
  if (type === undefined && options !== undefined) return options.map(typeText).join(' or ');
  if (type === 'array') return `array of ${typeText(items)}`;
  return [[type ?? 'any'].flat().join(' or '), ...limitTexts(schema)].join(', ');
}

/** Text or bytes that hold something else. */
function contentText({ contentSchema, contentMediaType }: Schema): string | undefined {
  if (contentSchema !== undefined) return `JSON text: ${typeText(contentSchema)}`;
  if (contentMediaType === 'application/json') return 'JSON text';
  return contentMediaType === undefined ? undefined : 'file';
}

function valuesText(schema: Schema): string | undefined {
  const { enum: values } = schema;
  for (const key of ['const', 'x-const']) if (key in schema) return JSON.stringify(schema[key]);
  if (values === undefined) return undefined;
  return values.length > MAX_LISTED
    ? `one of ${values.length} values`
    : values.map((value) => JSON.stringify(value)).join(' | ');
}

function limitTexts({ format, minimum, maximum, minLength, maxLength }: Schema): readonly string[] {
  const length =
    minLength === 1 && maxLength === undefined ? 'not empty' : rangeText(minLength, maxLength, ' characters');
  return [format, rangeText(minimum, maximum), length].filter((text) => text !== undefined);
}

function rangeText(from: number | undefined, to: number | undefined, unit = ''): string | undefined {
  if (to === undefined) return from === undefined ? undefined : `at least ${from}${unit}`;
  return from === undefined ? `at most ${to}${unit}` : `${from} to ${to}${unit}`;
}
