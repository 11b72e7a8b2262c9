import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/helpers/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two files at a time: some of them start servers of their own and measure memory.
    maxWorkers: 2,
    coverage: { include: ['src/**'], reporter: ['text', 'json-summary'] },
  },
});
