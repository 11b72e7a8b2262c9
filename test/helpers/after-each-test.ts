// helpers/after-each-test.ts: what a helper that opened something does after each test, in whichever file the test stands.
//
// Where files share a process (vitest.config.ts), a helper is evaluated once, for the first file that imports it: an
// `afterEach` at its top would hold for that file only, and what it checks would be checked no more. So helpers tell it here;
// this file is among the `setupFiles`, which are evaluated anew for each file of tests, and so is its own `afterEach`.
//
// Promises: everything is done, also when some of it fails, the latest first, after the file's own hooks; and it fails the test.
import { afterEach } from 'vitest';

type End = () => void | Promise<void>;

/** Of the whole process: this module is evaluated again for each file, the helpers are not. */
const ends = ((globalThis as { afterEachTestEnds?: End[] }).afterEachTestEnds ??= []);

export function afterEachTest(end: End): void {
  ends.unshift(end);
}

afterEach(async () => {
  const errors: unknown[] = [];
  for (const end of ends) {
    try {
      await end();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, 'several things went wrong after the test');
});
