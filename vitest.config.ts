// vitest.config.ts: what `npm test` runs, and which of its files share a process.
//
// A process that starts reads our modules and its libraries one by one and compiles what they make: a second of processor
// time for each file of tests that opens a server, which was a third of the whole run. So files share processes, one after the
// other, with what the modules of src/ and test/helpers/ hold in memory, as the uploads of one server do.
//
// Alone, in a process of its own, stays
// - a file that puts a module or the timers in another's place (`vi.mock`, `vi.useFakeTimers`): what was imported before would
//   have the real one, and what comes after the false one. These are found by what stands in them;
// - a file that measures what its own process holds in memory: MEASURES_ITSELF.
// A helper that has something to do after each test tells it in test/helpers/after-each-test.ts.
// To see that none depends on another: `npx vitest run --project shared --sequence.shuffle`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';

const REPLACES = /\bvi\.(mock|useFakeTimers|stubEnv)\(/;
const MEASURES_ITSELF = ['chunk-table', 'endurance', 'multipart-fuzz'].map((name) => `${name}.test.ts`);

// What takes minutes: `npm run test:deep`, vitest.deep.config.ts.
const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && !name.startsWith('deep') && !name.includes('node_modules'))
  .map((name) => join('test', name));
const alone = files.filter(
  (path) =>
    MEASURES_ITSELF.some((name) => path.endsWith(`/${name}`)) || REPLACES.test(readFileSync(path, 'utf8')),
);
const exclude = [...configDefaults.exclude, 'test/deep/**', ...alone];

const ofEach = {
  setupFiles: ['test/helpers/after-each-test.ts'],
  // What waits, waits for an event. These only end a test that has hung, on a machine that is busy with other things, too.
  testTimeout: 300_000,
  hookTimeout: 300_000,
  expect: { poll: { timeout: 60_000 } },
  // Three files at a time: many wait for processes of their own, and some measure their own memory.
  maxWorkers: 3,
};

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'alone', isolate: true, include: alone, ...ofEach } },
      { test: { name: 'shared', isolate: false, include: ['test/**/*.test.ts'], exclude, ...ofEach } },
    ],
    globalSetup: ['test/helpers/global-setup.ts'],
    maxWorkers: ofEach.maxWorkers,
    coverage: { include: ['src/**'], reporter: ['text', 'json-summary'] },
  },
});
