import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // What takes minutes: `npm run test:deep`, vitest.deep.config.ts.
    exclude: [...configDefaults.exclude, 'test/deep/**'],
    globalSetup: ['test/helpers/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Two files at a time: some of them start servers of their own and measure memory.
    maxWorkers: 2,
    coverage: { include: ['src/**'], reporter: ['text', 'json-summary'] },
  },
});
