// helpers/after-each-test.ts: helpers register here what they must do after each test, in whichever file the test stands.
//
// Where files share a process (vitest.config.ts), a helper is evaluated only once, for the first file that imports it. An
// `afterEach` in the helper would run for that file only, and its checks would silently stop for all later files. So helpers
// register their work here. This file is one of the `setupFiles`, which are evaluated again for each test file, so its own
// `afterEach` is always active.
//
// Promises: everything registered is done, the latest first, after the file's own hooks, even if some of it fails; a failure fails
// the test.
import { afterEach } from 'vitest';

type End = () => void | Promise<void>;

/** One list for the whole process: this module is evaluated again for each file, but the helpers are not. */
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
