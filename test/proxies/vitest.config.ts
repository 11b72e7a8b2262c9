import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/proxies/*.proxies.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Each has an nginx and a server.
    maxWorkers: 2,
  },
});
