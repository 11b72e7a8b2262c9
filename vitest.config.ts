// vitest.config.ts: what `npm test` runs, and which of its files share a process.
//
// A process that starts must load and compile the modules and libraries of the server. That takes a second of processor time for
// each test file that opens a server, which was a third of the whole run. So test files share processes and run in them one after
// the other. They also share what the modules of src/ and test/helpers/ hold in memory.
//
// These files run alone, in a process of their own:
// - a file that replaces a module or the timers (`vi.mock`, `vi.useFakeTimers`). Modules imported before would still use the real
//   one, and files that run later would get the replacement. Such files are found by their text;
// - a file that measures what its own process holds in memory: MEASURES_ITSELF.
// A helper that must do something after each test registers it with test/helpers/after-each-test.ts.
// To check that no file depends on another: `npx vitest run --project shared --sequence.shuffle`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';

const REPLACES = /\bvi\.(mock|useFakeTimers|stubEnv)\(/;
const MEASURES_ITSELF = ['chunk-table', 'endurance', 'multipart-fuzz'].map((name) => `${name}.test.ts`);

// Tests that take minutes run by `npm run test:deep`: see vitest.deep.config.ts.
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
  // Tests wait for events. These limits only end a test that hangs; they are long because the machine may be busy.
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
