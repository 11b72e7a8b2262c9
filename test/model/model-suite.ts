// Random lives of a few uploads over real HTTP, checked against an oracle. Clients overlap, break off, send again and send
// something else; they meet faults, expiry and restarts. Every answer must be explained (explanations.ts).
//
// The sequences are divided between memory and disk, and between chunks in sequence and in any order. A failing sequence is shrunk;
// TEST_SEED repeats the run.
import fc from 'fast-check';
import { describe, it } from 'vitest';
import type { ConfigInput } from '../../src/config/options.ts';
import { SEED } from '../helpers/seed.ts';
import { commands, contentsOf } from './commands.ts';
import { TTL_MS, type ChunkOrder } from './oracle.ts';
import { Sequence } from './sequence.ts';
import { World } from './world.ts';

function settingsOf(storage: 'memory' | 'disk', chunkOrder: ChunkOrder): ConfigInput {
  return {
    storage,
    chunkOrder,
    durability: 'none', // A process that starts on the same machine cannot see what fsync adds (crash.test.ts).
    uploadTtl: TTL_MS,
    takeoverAfter: '50ms',
    pendingTime: 0,
    seed: 'model', // Every sequence gets the same entry ids.
    processingTime: 0, // Then an entry looks the same at any time.
  };
}

/** The number of sequences, rounded up a little. */
export function randomSequences(runs: number): void {
  describe.each([
    ['memory', 'sequential', 0.3],
    ['memory', 'any', 0.3],
    ['disk', 'sequential', 0.2],
    ['disk', 'any', 0.2],
  ] as const)('random sequences of requests, in %s, chunk order %s', (storage, order, share) => {
    const numRuns = Math.ceil(runs * share);

    it(
      `are those of the oracle: ${numRuns} sequences (TEST_SEED=${SEED}) (C2, C6, C7, C8, C9, F6)`,
      { timeout: 300_000 + numRuns * 1_000 },
      async () => {
        let world = await World.open(settingsOf(storage, order));
        let played = 0;
        const property = fc.asyncProperty(commands(storage === 'disk' ? 6 : 2), async (sequenceOf) => {
          played += 1;
          const sequence = new Sequence(world, `run${played}`, order);
          try {
            await fc.asyncModelRun(() => ({ model: sequence, real: sequence }), sequenceOf);
            await sequence.end(contentsOf);
          } catch (error) {
            // Nothing that is left of it may meet the next sequence.
            await world.close();
            world = await World.open(settingsOf(storage, order));
            const { message } = error as Error;
            throw new Error(`${message}\nwhat happened:\n  ${sequence.told.join('\n  ')}`, { cause: error });
          }
        });
        try {
          await fc.assert(property, { numRuns, seed: SEED, includeErrorInReport: true });
        } finally {
          await world.close();
        }
      },
    );
  });
}
