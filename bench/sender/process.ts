// bench/sender/process.ts: the client as a separate process: it receives jobs and answers each with its result.
//
// Promises: one job at a time. The process stays between jobs, so that each job finds compiled code. It ends when its parent
// ends.
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
