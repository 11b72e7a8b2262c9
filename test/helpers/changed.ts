// helpers/changed.ts: an object with some of its methods replaced, for failures and delays that a real object does not show on
// demand.

/** All other members come from `target`, which is not changed. */
export function changed<T extends object>(target: T, replaced: Partial<T>): T {
  return new Proxy(target, {
    get(object, key) {
      const source = key in replaced ? replaced : object;
      const value: unknown = Reflect.get(source, key, source);
      return typeof value === 'function' ? (value.bind(source) as unknown) : value;
    },
  });
}
