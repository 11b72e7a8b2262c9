// bench/compare/growth.ts: whether a chunk costs the same however many its upload has already.
//
// Method: one upload is filled almost to its last chunk; then windows at its end and windows at the beginning of new
// uploads are measured in turn, in the same process. Before that, as many chunks are sent as fill the journal, so that
// both find it full.
import type { Client } from '../sender/client.ts';
import { startProduct } from '../server.ts';
import { Cost, send } from './cost.ts';
import type { Scale } from './scale.ts';
import type { SpecialName } from './goals.ts';

const WINDOWS = 8;
/** The first chunks create the upload and open its files: another cost. */
const FIRST_CHUNKS = 10;

export async function measureGrowth(
  client: Client,
  { uploadChunks, warmUpChunks }: Scale,
): Promise<Partial<Record<SpecialName, number>>> {
  const server = await startProduct({ durability: 'none', hasJournal: true });
  try {
    const perWindow = Math.min(1_000, Math.floor(uploadChunks / WINDOWS / 2));
    const filled = uploadChunks - WINDOWS * perWindow;
    await send(server, client, { label: 'warm-up', maxRequests: warmUpChunks });
    await send(server, client, { label: 'long', maxRequests: filled });
    const early = new Cost();
    const late = new Cost();
    for (let n = 0; n < WINDOWS; n += 1) {
      await send(server, client, { label: `early-${n}`, maxRequests: FIRST_CHUNKS });
      const window = { label: `early-${n}`, firstIndex: FIRST_CHUNKS, maxRequests: perWindow };
      await early.count(server, client, window);
      const firstIndex = filled + n * perWindow;
      await late.count(server, client, { label: 'long', firstIndex, maxRequests: perWindow });
    }
    return { 'chunk-cost-late-to-early': late.msPerRequest / early.msPerRequest };
  } finally {
    await server.close();
  }
}
