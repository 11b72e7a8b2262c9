// bench/sender/process.ts: the client, a process of its own: it gets jobs and answers each with what came of it.
//
// Promises: one job at a time; the process stays, so that every job finds it as warm as the one before. It ends when its
// parent does.
import { Payloads, poolBytesFor, randomPool } from './payloads.ts';
import { LeanLoad } from './load.ts';
import type { Job } from './job.ts';

let pool: Buffer = Buffer.alloc(0);

async function run(job: Job): Promise<void> {
  if (pool.length < poolBytesFor(job.chunkBytes)) pool = randomPool(job.chunkBytes);
  try {
    const result = await new LeanLoad(job, new Payloads(job.chunkBytes, pool)).run();
    process.send?.({ result });
  } catch (error) {
    process.send?.({ error: (error as Error).message });
  }
}

process.on('message', (job: Job) => void run(job));
process.once('disconnect', () => process.exit(0));
