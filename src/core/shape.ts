// core/shape.ts: whether a value that came out of JSON is what its type says.
//
// Promises: who is told that it is may read every field of the type as it is typed; a field too many is none of its business.
// A shape names each field of its type, or it does not compile.
// Must not know: where the value comes from, what it means.

/** Tells whether a value is a `T`. */
export type Is<T> = (value: unknown) => value is T;

type OptionalKeys<T> = { [K in keyof T]-?: Partial<Pick<T, K>> extends Pick<T, K> ? K : never }[keyof T];
type RequiredFields<T> = { readonly [K in Exclude<keyof T, OptionalKeys<T>>]: Is<T[K]> };
type OptionalFields<T> = { readonly [K in OptionalKeys<T>]-?: Is<Exclude<T[K], undefined>> };

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Array.isArray would make its items `any`. */
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

/** A whole number that is not negative, and that JavaScript can hold. */
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

/** @param optional are of their type, or not there at all */
export function isShape<T extends object>(required: RequiredFields<T>, optional: OptionalFields<T>): Is<T> {
  const needed = Object.entries<Is<unknown>>(required);
  const known = Object.entries<Is<unknown>>(optional);
  return (value): value is T =>
    isObject(value) &&
    needed.every(([name, isField]) => isField(value[name])) &&
    known.every(([name, isField]) => !Object.hasOwn(value, name) || isField(value[name]));
}
