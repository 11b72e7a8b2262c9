import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/senders/*.senders.ts'],
    globalSetup: ['test/senders/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
