// system/fs-walk.test.ts: a sample of what test/deep/fs-walk.test.ts tests at length.
import type fs from 'node:fs';
import type promises from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { walkCollector } from './fs-walk-collector.ts';
import { walkReads, walkStarts } from './fs-walk-reads.ts';
import { walk, type Walked } from './fs-walk-suite.ts';
import { SEED } from '../helpers/seed.ts';

vi.mock('node:fs', async (original) => {
  const { failingFs } = await import('../helpers/failing-fs.ts');
  return failingFs(await original<typeof fs>());
});
vi.mock('node:fs/promises', async (original) => {
  const { failingPromises } = await import('../helpers/failing-fs.ts');
  return failingPromises(await original<typeof promises>());
});

const sample = 1;
const pairs = 1;

/** A call that was counted may not come again, for example when a stream closes after its answer has ended. */
function tell(what: string, { cases, faults }: Walked): void {
  console.log(`${what}: ${cases} cases, ${faults} calls that failed`);
  expect(faults).toBeGreaterThan(cases / 2);
}

describe.each(['sequential', 'any'] as const)(
  `calls to the disk that fail, order %s (TEST_SEED=${SEED})`,
  (order) => {
    const how = { order, sample, pairs, seed: SEED };

    it('lose nothing that was acknowledged, and store nothing that was refused', async () => {
      tell(`requests, order ${order}`, await walk(how));
    });

    it('let a start come up, or say what is wrong, and a later one has everything', async () => {
      tell(`starts, order ${order}`, await walkStarts(how));
    });

    it('never pass on other bytes than were stored', async () => {
      tell(`reads, order ${order}`, await walkReads(how));
    });
  },
);

it(`calls that fail keep the collector from nothing but what it does the next time (TEST_SEED=${SEED})`, async () => {
  tell('the collector', await walkCollector({ sample: 2 * sample, pairs, seed: SEED }));
});
