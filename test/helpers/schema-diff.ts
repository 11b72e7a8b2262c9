// helpers/schema-diff.ts: finds where the contract's schema and the JSON Schema of a zod schema accept different values.
//
// Both are first brought to the same form: a value is one of several variants, and a variant is a constant, or one type with its
// limits. So `type: [string, 'null']` equals an `anyOf`, and an enum equals a union of constants. `x-const` is a constant. These
// are ignored on purpose: words for people (descriptions, examples, `x-…`), conditions (`if`/`then`), and what zod adds by itself:
// the limits of safe integers, and a pattern beside a format.

type Node = Readonly<Record<string, unknown>>;

interface Side {
  readonly schema: Node;
  /** What `#/…` refers to. */
  readonly root: Node;
}

/** The limits that have a meaning for a type. Any other keyword beside that type accepts everything. */
const LIMITS: Readonly<Record<string, readonly string[]>> = {
  string: ['format', 'pattern', 'minLength', 'maxLength'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  array: ['minItems', 'maxItems', 'uniqueItems'],
};

/** One sentence per difference, empty when both accept the same values. */
export function schemaDifferences(contractSchema: object, zodJsonSchema: object): string[] {
  const contract = { schema: { ...contractSchema }, root: { ...contractSchema } };
  const zod = { schema: { ...zodJsonSchema }, root: { ...zodJsonSchema } };
  return differences('body', contract, zod);
}

function differences(path: string, contract: Side, zod: Side): string[] {
  const [ours, theirs] = [variantsOf(contract), variantsOf(zod)];
  const isIn = (one: Side, others: readonly Side[]): boolean =>
    others.some((other) => variantDifferences(path, one, other).length === 0);
  const onlyOurs = ours.filter((variant) => !isIn(variant, theirs));
  const onlyTheirs = theirs.filter((variant) => !ours.some((other) => isIn(other, [variant])));
  const [first, second] = [onlyOurs[0], onlyTheirs[0]];
  if (first !== undefined && second !== undefined && onlyOurs.length === 1 && onlyTheirs.length === 1) {
    return variantDifferences(path, first, second);
  }
  return [
    ...onlyOurs.map(({ schema }) => `${path}: only the contract allows ${nameOf(schema)}`),
    ...onlyTheirs.map(({ schema }) => `${path}: only zod allows ${nameOf(schema)}`),
  ];
}

function variantsOf({ schema, root }: Side): readonly Side[] {
  const { anyOf, oneOf, enum: values, type, ...rest } = flatten({ schema, root });
  const options = nodes(anyOf ?? oneOf);
  if (options.length > 0) {
    return options.flatMap((option) =>
      variantsOf({ schema: { ...rest, ...flatten({ schema: option, root }) }, root }),
    );
  }
  if (Array.isArray(values)) return values.map((value: unknown) => ({ schema: { const: value }, root }));
  for (const key of ['const', 'x-const']) if (key in rest) return [{ schema: { const: rest[key] }, root }];
  const types: readonly unknown[] = Array.isArray(type) ? type : [type];
  return types.map((one) => ({ schema: { ...rest, type: one }, root }));
}

/** Without `$ref` and `allOf` at its top: it has the properties of all parts, and requires what any part requires. */
function flatten({ schema, root }: Side): Node {
  const { $ref, allOf, ...rest } = schema;
  if (typeof $ref === 'string') return flatten({ schema: { ...lookUp($ref, root), ...rest }, root });
  const parts = nodes(allOf).map((part) => flatten({ schema: part, root }));
  if (parts.length === 0) return rest;
  const all = [...parts, rest];
  return {
    ...Object.assign({}, ...all),
    properties: Object.assign({}, ...all.map((part) => part['properties'])),
    required: all.flatMap((part) => strings(part['required'])),
  };
}

function lookUp(ref: string, root: Node): Node {
  const keys = ref.slice(1).split('/').filter(Boolean);
  const found = keys.reduce<unknown>((node, key) => (isNode(node) ? node[key] : undefined), root);
  if (!isNode(found)) throw new Error(`${ref} is nowhere in the schema`);
  return found;
}

function variantDifferences(path: string, contract: Side, zod: Side): string[] {
  const [ours, theirs] = [factsOf(contract.schema), factsOf(zod.schema)];
  const keywords = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  const own = keywords
    .filter((keyword) => JSON.stringify(ours[keyword]) !== JSON.stringify(theirs[keyword]))
    .map(
      (keyword) =>
        `${path}: ${keyword} is ${show(ours[keyword])} in the contract, ${show(theirs[keyword])} in zod`,
    );
  return [...own, ...propertyDifferences(path, contract, zod), ...itemDifferences(path, contract, zod)];
}

/** Keywords whose values can be compared directly. */
function factsOf(schema: Node): Node {
  if ('const' in schema) return { const: schema['const'] };
  const { type } = schema;
  const limits = Object.entries(schema).filter(([key, value]) => isLimit(schema, key) && !isUnsafe(value));
  const shape =
    type === 'object' ? { required: strings(schema['required']).toSorted(), closed: isClosed(schema) } : {};
  return { type, ...shape, ...Object.fromEntries(limits) };
}

function isLimit({ type, format }: Node, keyword: string): boolean {
  if (keyword === 'pattern' && format !== undefined) return false;
  return (LIMITS[String(type)] ?? []).includes(keyword);
}

function isUnsafe(value: unknown): boolean {
  return value === Number.MAX_SAFE_INTEGER || value === Number.MIN_SAFE_INTEGER;
}

function isClosed(schema: Node): boolean {
  return schema['additionalProperties'] === false;
}

function propertyDifferences(path: string, contract: Side, zod: Side): string[] {
  const ours = new Map(Object.entries({ ...Object(contract.schema['properties']) }));
  const theirs = new Map(Object.entries({ ...Object(zod.schema['properties']) }));
  return [...new Set([...ours.keys(), ...theirs.keys()])].flatMap((key) => {
    const [one, other] = [ours.get(key), theirs.get(key)];
    if (!isNode(one)) return [`${path}.${key}: only in zod`];
    if (!isNode(other)) return [`${path}.${key}: only in the contract`];
    return differences(`${path}.${key}`, { ...contract, schema: one }, { ...zod, schema: other });
  });
}

function itemDifferences(path: string, contract: Side, zod: Side): string[] {
  const [one = {}, other = {}] = [contract.schema['items'], zod.schema['items']];
  if (!isNode(one) || !isNode(other)) return [];
  return Object.keys(one).length + Object.keys(other).length === 0
    ? []
    : differences(`${path}[]`, { ...contract, schema: one }, { ...zod, schema: other });
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nodes(value: unknown): readonly Node[] {
  return Array.isArray(value) ? value.filter(isNode) : [];
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function nameOf(schema: Node): string {
  const { type } = schema;
  if ('const' in schema) return JSON.stringify(schema['const']);
  return typeof type === 'string' ? type : 'anything';
}

function show(value: unknown): string {
  return value === undefined ? 'absent' : JSON.stringify(value);
}
