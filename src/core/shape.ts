// core/shape.ts: checks whether a value from JSON has the fields that its TypeScript type declares.
//
// Promises: after a positive check every field of the type may be read as it is typed. Additional fields are allowed.
// A shape must name every field of its type; otherwise it does not compile.

/** Whether a value is a `T`. */
export type Is<T> = (value: unknown) => value is T;

type OptionalKeys<T> = { [K in keyof T]-?: Partial<Pick<T, K>> extends Pick<T, K> ? K : never }[keyof T];
type RequiredFields<T> = { readonly [K in Exclude<keyof T, OptionalKeys<T>>]: Is<T[K]> };
type OptionalFields<T> = { readonly [K in OptionalKeys<T>]-?: Is<Exclude<T[K], undefined>> };

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Array.isArray would give its items the type `any`. */
export function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

export function isFlag(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

export function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

/** A whole number ≥ 0 that JavaScript can hold exactly. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && isNumber(value) && value >= 0;
}

export function isOneOf<const T extends string | number>(...values: readonly T[]): Is<T> {
  const known: ReadonlySet<unknown> = new Set(values);
  return (value): value is T => known.has(value);
}

export function isListOf<T>(isItem: Is<T>): Is<readonly T[]> {
  return (value): value is readonly T[] => isArray(value) && value.every((item) => isItem(item));
}

/** @param optional fields that may be absent; when present they must have their type */
export function isShape<T extends object>(required: RequiredFields<T>, optional: OptionalFields<T>): Is<T> {
  const needed = Object.entries<Is<unknown>>(required);
  const known = Object.entries<Is<unknown>>(optional);
  return (value): value is T =>
    isObject(value) &&
    needed.every(([name, isField]) => isField(value[name])) &&
    known.every(([name, isField]) => !Object.hasOwn(value, name) || isField(value[name]));
}
