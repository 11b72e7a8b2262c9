// bench/compare/growth.ts: measures whether the cost of a chunk depends on the number of chunks that its upload has.
//
// Method: one upload is filled almost to its last chunk. Then windows at its end and windows at the beginning of new uploads are
// measured in turn in the same process. Before that, enough chunks are sent to fill the journal, so that it is full for both.
import type { Client } from '../sender/client.ts';
import { startProduct } from '../server.ts';
import { Cost, send } from './cost.ts';
import type { Scale } from './scale.ts';
import type { SpecialName } from './goals.ts';

const WINDOWS = 8;
/** Not measured: the first chunks create the upload and open its files, which has another cost. */
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
