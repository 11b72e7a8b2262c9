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
    // Two files at a time: some of them start servers of their own and measure memory.
    maxWorkers: 2,
    coverage: { include: ['src/**'], reporter: ['text', 'json-summary'] },
  },
});
