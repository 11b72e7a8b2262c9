// fs-walk.test.ts: calls to the disk of every kind of request fail in every way (fs-walk-suite.ts): FS_WALK_CASES of each kind, and half
// as many pairs.
import type fs from 'node:fs';
import type promises from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { walkCollector } from '../system/fs-walk-collector.ts';
import { walkReads, walkStarts } from '../system/fs-walk-reads.ts';
import { walk, type Walked } from '../system/fs-walk-suite.ts';
import { budgetOf } from '../helpers/budget.ts';
import { SEED } from '../helpers/seed.ts';

vi.mock('node:fs', async (original) => {
  const { failingFs } = await import('../helpers/failing-fs.ts');
  return failingFs(await original<typeof fs>());
});
vi.mock('node:fs/promises', async (original) => {
  const { failingPromises } = await import('../helpers/failing-fs.ts');
  return failingPromises(await original<typeof promises>());
});

const sample = budgetOf('FS_WALK_CASES', 36);
const pairs = Math.ceil(sample / 2);

/** A call that was counted may not come again, for example when a stream closes after its answer has ended. */
function tell(what: string, { cases, faults }: Walked): void {
  console.log(`${what}: ${cases} cases, ${faults} calls that failed`);
  expect(faults).toBeGreaterThan(cases / 2);
}

describe.each(['sequential', 'any'] as const)(
  `calls to the disk that fail, order %s (TEST_SEED=${SEED})`,
  (order) => {
    const how = { order, sample, pairs, seed: SEED };

    it(
      'lose nothing that was acknowledged, and store nothing that was refused',
      { timeout: 1_800_000 },
      async () => {
        tell(`requests, order ${order}`, await walk(how));
      },
    );

    it(
      'let a start come up, or say what is wrong, and a later one has everything',
      { timeout: 1_800_000 },
      async () => {
        tell(`starts, order ${order}`, await walkStarts(how));
      },
    );

    it('never pass on other bytes than were stored', { timeout: 1_800_000 }, async () => {
      tell(`reads, order ${order}`, await walkReads(how));
    });
  },
);

it(
  `calls that fail keep the collector from nothing but what it does the next time (TEST_SEED=${SEED})`,
  { timeout: 1_800_000 },
  async () => {
    tell('the collector', await walkCollector({ sample: 4 * sample, pairs, seed: SEED }));
  },
);
