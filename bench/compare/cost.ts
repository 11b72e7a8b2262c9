// bench/compare/cost.ts: what a request costs a running server, in CPU milliseconds, in windows that are measured in turn.
//
// Promises: two costs to be compared are sums over windows that alternate, so that a slow moment of the machine hits both;
// a window in which any request was refused is an Error.
import type { Client } from '../sender/client.ts';
import type { Job } from '../sender/job.ts';
import type { BenchServer } from '../server.ts';

/** A load of so many requests, however long it takes. */
export type Window = Pick<Job, 'label' | 'maxRequests'> &
  Partial<Pick<Job, 'firstIndex' | 'chunksPerUpload' | 'totalChunks'>>;

/** Small: the cost is that of a chunk, not of its bytes. */
const CHUNK_BYTES = 1024;
const TOTAL_CHUNKS = 1_000_000;
const PATIENCE_SECONDS = 600;

/** @throws Error when any request of it was refused */
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

/** Adds up what windows cost. */
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
