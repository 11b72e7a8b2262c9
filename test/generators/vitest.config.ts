import { defineConfig } from 'vitest/config';

// A generator starts a JVM or compiles a client. That takes seconds, and minutes where its tools must be fetched first.
export default defineConfig({
  test: {
    include: ['test/generators/*.generators.ts'],
    globalSetup: ['test/generators/global-setup.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
  },
});
