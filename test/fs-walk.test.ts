// fs-walk.test.ts: a sample of what test/deep/fs-walk.test.ts walks whole.
import type fs from 'node:fs';
import type promises from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { KINDS, walk } from './fs-walk-suite.ts';
import { SEED } from './helpers/seed.ts';

vi.mock('node:fs', async (original) => {
  const { failingFs } = await import('./helpers/failing-fs.ts');
  return failingFs(await original<typeof fs>());
});
vi.mock('node:fs/promises', async (original) => {
  const { failingPromises } = await import('./helpers/failing-fs.ts');
  return failingPromises(await original<typeof promises>());
});

const SAMPLE = 12;

describe.each(['sequential', 'any'] as const)(
  `calls to the disk that fail, order %s (TEST_SEED=${SEED})`,
  (order) => {
    it('lose nothing that was acknowledged, and store nothing that was refused', async () => {
      expect(await walk({ order, sample: SAMPLE, seed: SEED })).toBe(SAMPLE * KINDS.length);
    });
  },
);
