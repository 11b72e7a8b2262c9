// fs-walk.test.ts: every call to the disk of every kind of request fails in every way (fs-walk-suite.ts).
import type fs from 'node:fs';
import type promises from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { walk } from '../fs-walk-suite.ts';
import { SEED } from '../helpers/seed.ts';

vi.mock('node:fs', async (original) => {
  const { failingFs } = await import('../helpers/failing-fs.ts');
  return failingFs(await original<typeof fs>());
});
vi.mock('node:fs/promises', async (original) => {
  const { failingPromises } = await import('../helpers/failing-fs.ts');
  return failingPromises(await original<typeof promises>());
});

describe.each(['sequential', 'any'] as const)('calls to the disk that fail, order %s', (order) => {
  it(
    'lose nothing that was acknowledged, and store nothing that was refused',
    { timeout: 1_800_000 },
    async () => {
      const count = await walk({ order, seed: SEED });
      console.log(`order ${order}: ${count} cases`);
      expect(count).toBeGreaterThan(1_000);
    },
  );
});
