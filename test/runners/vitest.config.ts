import { defineConfig } from 'vitest/config';

// Jest's examples; those of the runners that need no package beyond the root's are in `npm test`.
export default defineConfig({
  test: {
    include: ['test/runners/*.runners.ts'],
    testTimeout: 300_000,
  },
});
