// admin/state-fixtures.ts: ready-made states by name, for `PUT state` and tests. Pure.
import type { ExportedUpload, FixtureName } from './state-shapes.ts';

const TOTAL_CHUNKS = 4;
const CHUNK_BYTES = 256 * 1024;
const DAY_MS = 24 * 3600 * 1000;

/** @param now epoch milliseconds on the namespace's clock */
export function fixtureState(name: FixtureName, now: number, fileId: string = name): ExportedUpload[] {
  const stored = name === 'half-uploaded' ? TOTAL_CHUNKS / 2 : TOTAL_CHUNKS;
  const chunks = Array.from({ length: stored }, (_, index) => ({ index, bytes: CHUNK_BYTES }));
  const upload = { fileId, totalChunks: TOTAL_CHUNKS, chunks };
  if (name === 'half-uploaded' || name === 'complete-not-finalised') return [upload];
  const scheduledAt =
    name === 'scheduled-for-tomorrow' ? { scheduledAt: new Date(now + DAY_MS).toISOString() } : {};
  return [
    {
      ...upload,
      finalize: { type: 'video', fields: { platforms: ['youtube'], title: name, ...scheduledAt } },
    },
  ];
}
