import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // What takes minutes: `npm run test:deep`, vitest.deep.config.ts.
    exclude: [...configDefaults.exclude, 'test/deep/**'],
    globalSetup: ['test/helpers/global-setup.ts'],
    // What waits, waits for an event. These only end a test that has hung, on a machine that is busy with other things, too.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    // Three files at a time: many wait for processes of their own, and some measure their own memory.
    maxWorkers: 3,
    coverage: { include: ['src/**'], reporter: ['text', 'json-summary'] },
  },
});
