// bench/compare/cost.ts: measures the cost of a request on a running server, in CPU milliseconds.
//
// Promises: two costs are compared as sums over alternating windows, so that a slow moment of the machine hits both. A window
// with a refused request is an Error.
import type { Client } from '../sender/client.ts';
import type { Job } from '../sender/job.ts';
import type { BenchServer } from '../server.ts';

/** A load with a fixed number of requests, however long it takes. */
export type Window = Pick<Job, 'label' | 'maxRequests'> &
  Partial<Pick<Job, 'firstIndex' | 'chunksPerUpload' | 'totalChunks'>>;

/** Small, so that the cost of a chunk dominates the cost of its bytes. */
const CHUNK_BYTES = 1024;
const TOTAL_CHUNKS = 1_000_000;
const PATIENCE_SECONDS = 600;

/** @throws Error when any request of the window was refused */
export async function send(server: BenchServer, client: Client, window: Window): Promise<void> {
  const result = await client.run({
    wire: 'form-fields-first',
    url: server.url,
    connections: 1,
    chunkBytes: CHUNK_BYTES,
    totalChunks: TOTAL_CHUNKS,
    firstIndex: 0,
    chunksPerUpload: null,
    seconds: PATIENCE_SECONDS,
    digest: false,
    ...window,
  });
  if (result.firstRefusal !== null) throw new Error(`${window.label}: ${result.firstRefusal}`);
}

/** Adds up the costs of windows. */
export class Cost {
  #cpuSeconds = 0;
  #requests = 0;

  async count(server: BenchServer, client: Client, window: Window): Promise<void> {
    const before = await cpuOf(server);
    await send(server, client, window);
    this.#cpuSeconds += (await cpuOf(server)) - before;
    this.#requests += window.maxRequests;
  }

  get msPerRequest(): number {
    return (this.#cpuSeconds * 1000) / this.#requests;
  }
}

async function cpuOf(server: BenchServer): Promise<number> {
  const seconds = await server.cpuSeconds();
  if (seconds === null) throw new Error('the CPU time of a process is not known on this system');
  return seconds;
}
