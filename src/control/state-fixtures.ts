// control/state-fixtures.ts: ready-made states by name, for `PUT state` and tests. Pure.
import type { Fixture, State } from './state-shapes.ts';

const TOTAL_CHUNKS = 4;
const CHUNK_BYTES = 256 * 1024;
const DAY_MS = 24 * 3600 * 1000;

export interface FixtureTime {
  /** Epoch milliseconds on the namespace's clock. */
  readonly now: number;
  /** How long an entry is pending before it is processing. */
  readonly pendingTimeMs: number;
}

/** The instants are chosen so that the state matches its name as soon as it is imported. */
export function fixtureState(
  { fixture, fileId = fixture }: Fixture,
  { now, pendingTimeMs }: FixtureTime,
): State {
  const stored = fixture === 'half-uploaded' ? TOTAL_CHUNKS / 2 : TOTAL_CHUNKS;
  const chunks = Array.from({ length: stored }, (_, index) => ({ index, bytes: CHUNK_BYTES }));
  const upload = { fileId, totalChunks: TOTAL_CHUNKS, chunks };
  if (fixture === 'half-uploaded' || fixture === 'complete-not-finalised')
    return { uploads: [upload], media: [] };
  const isScheduled = fixture === 'scheduled-for-tomorrow';
  const scheduledAt = isScheduled ? { scheduledAt: new Date(now + DAY_MS).toISOString() } : {};
  const fields = { platforms: ['youtube'], title: fixture, ...scheduledAt };
  const at = new Date(isScheduled ? now : now - pendingTimeMs).toISOString();
  return { uploads: [{ ...upload, finalize: { type: 'video', fields, at } }], media: [] };
}
