// bench/compare/memory.ts: measures the memory that many large parallel chunks take beyond the idle server, in both part orders.
//
// Method: the idle memory is the resident memory after one chunk of 8 MiB. The peak is reset at that point.
import { forgetPeakRss, residentBytesOf } from '../proc.ts';
import type { Client } from '../sender/client.ts';
import type { Job } from '../sender/job.ts';
import { startProduct } from '../server.ts';
import type { Scale } from './scale.ts';
import type { SpecialName } from './goals.ts';

const MIB = 1024 ** 2;
const PATIENCE_SECONDS = 300;

export async function measureMemory(
  client: Client,
  { parallelChunks }: Scale,
): Promise<Partial<Record<SpecialName, number>>> {
  return {
    'rss-growth-fields-first': await growthMib(client, 'form-fields-first', parallelChunks),
    'rss-growth-file-first': await growthMib(client, 'form-file-first', parallelChunks),
  };
}

async function growthMib(client: Client, wire: Job['wire'], chunks: number): Promise<number> {
  const server = await startProduct({ durability: 'none', hasJournal: true });
  try {
    const job: Job = {
      wire,
      url: server.url,
      connections: 1,
      chunkBytes: 8 * MIB,
      totalChunks: 2,
      label: 'warm-up',
      firstIndex: 0,
      chunksPerUpload: null,
      seconds: PATIENCE_SECONDS,
      maxRequests: 1,
      digest: false,
    };
    await client.run(job);
    const idle = await residentBytesOf(server.pid);
    await forgetPeakRss(server.pid);
    const load = { label: 'load', connections: chunks, chunkBytes: 64 * MIB, maxRequests: chunks };
    const { firstRefusal } = await client.run({ ...job, ...load });
    if (firstRefusal !== null) throw new Error(`64 MiB in parallel: ${firstRefusal}`);
    const peak = await server.peakRssBytes();
    if (idle === null || peak === null)
      throw new Error('the memory of a process is not known on this system');
    return (peak - idle) / MIB;
  } finally {
    await server.close();
  }
}
