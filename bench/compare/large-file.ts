// bench/compare/large-file.ts: sends the largest possible file chunk by chunk, and measures the cost of its end.
//
// Promises: the hash that the server computes over the entry is the hash of the sent bytes.
import type { Client } from '../sender/client.ts';
import type { SentUpload } from '../sender/job.ts';
import { startProduct } from '../server.ts';
import { BENCH_KEY } from '../wires.ts';
import type { Scale } from './scale.ts';
import { touchFilePages } from './touch.ts';
import type { SpecialName } from './goals.ts';

const CHUNK_BYTES = 8 * 1024 ** 2;
const PATIENCE_SECONDS = 600;
/** A reserve, because other processes use memory at the same time. */
const TOUCHED_TIMES = 1.4;
const HEADERS = { 'X-API-Key': BENCH_KEY, 'Content-Type': 'application/json' };

export async function measureLargeFile(
  client: Client,
  { largeFileChunks }: Scale,
): Promise<Partial<Record<SpecialName, number>>> {
  touchFilePages(largeFileChunks * CHUNK_BYTES * TOUCHED_TIMES);
  const server = await startProduct({ durability: 'none', hasJournal: true });
  try {
    const { firstRefusal, sent, lastMs, p50Ms } = await client.run({
      wire: 'form-fields-first',
      url: server.url,
      connections: 1,
      chunkBytes: CHUNK_BYTES,
      totalChunks: largeFileChunks,
      label: 'large',
      firstIndex: 0,
      chunksPerUpload: null,
      seconds: PATIENCE_SECONDS,
      maxRequests: largeFileChunks,
      digest: true,
    });
    if (firstRefusal !== null || sent === null)
      throw new Error(`a large file: ${firstRefusal ?? 'not sent'}`);
    return { 'last-chunk-to-median': lastMs / p50Ms, 'finalise-ms': await finalise(server.url, sent) };
  } finally {
    await server.close();
  }
}

/** Resolves to the milliseconds of the finalise. @throws Error when the entry differs from the sent bytes */
async function finalise(url: string, { fileId, bytes, sha256 }: SentUpload): Promise<number> {
  const body = JSON.stringify({ fileId, platforms: ['youtube'] });
  // The first `fetch` of a process loads its own code. That time does not belong to the server.
  await (await fetch(`${url}/media/chunks?fileId=${fileId}`, { headers: HEADERS })).text();
  const begun = performance.now();
  const answer = await fetch(`${url}/media/videos`, { method: 'POST', headers: HEADERS, body });
  const text = await answer.text();
  const tookMs = performance.now() - begun;
  if (answer.status !== 201) throw new Error(`finalise was answered with ${answer.status}: ${text}`);
  const { data } = JSON.parse(text) as { data: { id: string } };
  const shown = await fetch(`${url}/__admin/media/${data.id}?digest=sha256`, { headers: HEADERS });
  const entry = (await shown.json()) as { bytes?: number; sha256?: string };
  if (entry.bytes !== bytes || entry.sha256 !== sha256)
    throw new Error(`the entry has ${entry.bytes} bytes (SHA-256 ${entry.sha256}), not what was sent`);
  return tookMs;
}
