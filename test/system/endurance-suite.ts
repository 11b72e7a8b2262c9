// Memory after many broken requests.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { startServer } from '../../src/index.ts';
import { floodAndReset } from '../helpers/flood.ts';
import { metric, temporaryFolder } from '../helpers/app.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const POLLING = { timeout: 60_000, interval: 50 };

export interface BrokenOff {
  /** A multiple of 20. The same number of requests goes before, until caches and counters are as full as they get. */
  readonly count: number;
  /** The heap may grow by this much. The fewer requests go before, the larger it must be. The bodies have 64 KiB each. */
  readonly growthMib: number;
}

export function brokenOffRequests({ count, growthMib }: BrokenOff): void {
  describe('many requests', () => {
    it(`${count} of them broken off leave nothing on the heap`, { timeout: 300_000 }, async () => {
      const dataDir = await temporaryFolder();
      // The journal holds one entry only, because its own bound is not tested here.
      const options = { storage: 'disk', dataDir, durability: 'none', journalEntries: 1 } as const;
      const server = await startServer(options);
      const port = Number(new URL(server.url).port);
      const breakOff = async (from: number): Promise<void> => {
        for (let n = from; n < from + count; n += 20) {
          const some = Array.from({ length: 20 }, (_, i) => ({
            fileId: `f${n + i}`,
            fileFirst: i % 2 === 0,
          }));
          const chunk = { index: 0, total: 2, bytes: 64 * KIB };
          await Promise.all(
            some.map((one, i) =>
              floodAndReset(port, { ...chunk, ...one }, () => 400 + (((n + i) * 7_919) % (63 * KIB))),
            ),
          );
        }
        await expect.poll(() => metric(server, 'open_uploads'), POLLING).toBe(0);
      };
      await breakOff(0);
      const before = memoryAfterCollection();
      await breakOff(count);
      const grown = memoryAfterCollection() - before;
      console.log(`grown by ${Math.round(grown / KIB)} KiB over ${count} requests that were broken off`);
      expect(grown).toBeLessThan(growthMib * MIB);
      await server.close();
    });
  });
}

/** Heap and buffers that are still in use. */
function memoryAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let times = 0; times < 3; times += 1) collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
