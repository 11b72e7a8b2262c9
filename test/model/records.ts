// model/records.ts: compares what the server has on record at the end with what the clients met and the oracle knows: the journal,
// its verification, the entries and their bytes.
//
// Promises: it fails with a sentence that names the request, the upload or the entry.
// Must not know: how requests are sent.
import { expect } from 'vitest';
import type { Exchange } from '../../src/journal/exchange.ts';
import type { Heard } from '../helpers/wire.ts';
import type { Explanations } from './explanations.ts';
import type { Op } from './oracle.ts';
import { operationOf } from './requests.ts';
import type { World } from './world.ts';

/** What an upload is called, and what is known of it. */
export interface File {
  readonly key: string;
  readonly fileId: string;
  readonly explanations: Explanations;
  /** SHA-256 of the contents that an entry can have, by its id. */
  readonly entries: Map<string, Set<string>>;
}

/** A request of the contract, and the answer that its client received; null: the client left before. */
export interface Met {
  readonly file: File;
  readonly op: Op;
  heard: Heard | null;
}

/** For one key: everything that clients met is on record, exactly once. */
export async function compareJournal(
  world: World,
  key: string,
  met: ReadonlyMap<string, Met>,
): Promise<void> {
  const { requests } = await world.admin<{ requests: Exchange[] }>('GET requests', key);
  const known = new Map(requests.map((exchange) => [exchange.requestId, exchange]));
  expect(known.size, 'no exchange is on record twice').toBe(requests.length);
  for (const [requestId, one] of met) {
    if (one.file.key !== key) continue;
    const exchange = known.get(requestId);
    expect(exchange && recordedOf(exchange), requestId).toEqual(expectedOf(one, exchange));
  }
}

/** Everything that the journal says was stored was stored exactly once. */
export async function compareStores(world: World, { key, fileId, explanations }: File): Promise<void> {
  const like = { operation: 'uploadChunk', fileId };
  const { requests } = await world.admin<{ requests: Exchange[] }>('POST requests/find', key, like);
  expect(
    explanations.states.map(({ stores }) => stores),
    `chunks of ${key} ${fileId} that the journal says were stored`,
  ).toContain(requests.filter(({ committed }) => committed !== null).length);
}

/** It asks as a test of an uploader would; every rule that is still armed must have fired. */
export async function verify(world: World, key: string, met: ReadonlyMap<string, Met>): Promise<void> {
  const counts = new Map<string, number>();
  for (const { file, op, heard } of met.values()) {
    const match = JSON.stringify({ operation: operationOf(op), status: heard?.status });
    if (file.key === key && typeof heard?.status === 'number')
      counts.set(match, (counts.get(match) ?? 0) + 1);
  }
  // Only the server knows some of these answers, because their clients had left.
  const expected = [...counts].map(([match, atLeast]) => ({ match: JSON.parse(match) as object, atLeast }));
  await world.admin('POST verify', key, { expect: expected });
}

/** There is one entry for each finalise that took effect, with the bytes of that moment, whatever happened to its upload later. */
export async function compareEntries(world: World, key: string, files: readonly File[]): Promise<void> {
  const { media } = await world.admin<{ media: { fileId: string }[] }>('GET media', key);
  for (const { fileId, explanations, entries } of files) {
    expect(
      explanations.states.map(({ entries: count }) => count),
      `entries of ${key} ${fileId}`,
    ).toContain(media.filter((entry) => entry.fileId === fileId).length);
    for (const [id, contents] of entries) {
      const { sha256 } = await world.admin<{ sha256: string }>(`GET media/${id}?digest=sha256`, key);
      expect([...contents], `the content of entry ${id}`).toContain(sha256);
    }
  }
}

/** The storage contains only what somebody can ask for: what was cut off, refused or expired has left no byte. */
export async function compareBytes(world: World, keys: Iterable<string>): Promise<void> {
  let bytes = 0;
  let anyKey = '';
  for (const key of keys) {
    anyKey = key;
    type Upload = { receivedBytes: number; finalizedAs: string | null };
    const { uploads } = await world.admin<{ uploads: Upload[] }>('GET uploads', key);
    for (const { receivedBytes, finalizedAs } of uploads) if (finalizedAs === null) bytes += receivedBytes;
    const { media } = await world.admin<{ media: { bytes: number }[] }>('GET media', key);
    for (const entry of media) bytes += entry.bytes;
  }
  if (anyKey !== '') expect(await world.storedBytes(anyKey), 'bytes in the storage').toBe(bytes);
}

interface Recorded {
  readonly operation: string;
  readonly outcome: string;
  readonly status: number | null;
  readonly isFault: boolean;
  readonly broken: readonly string[];
}

function recordedOf({ operation, outcome, response, fault, contract }: Exchange): Recorded {
  const broken = [...contract.request, ...contract.response];
  return { operation, outcome, status: response?.status ?? null, isFault: fault !== null, broken };
}

function expectedOf({ op, heard }: Met, exchange: Exchange | undefined): Recorded {
  const known = { operation: operationOf(op), broken: [] };
  if (heard === null) return { ...known, ...leftBy(exchange) };
  const { status, isWhole } = heard;
  const isFault = heard.headers['x-mock-fault'] !== undefined || !isWhole;
  return { ...known, status, isFault, outcome: isWhole ? outcomeOf(heard) : cutBy(exchange) };
}

function outcomeOf({ body }: Heard): string {
  const isRefused = body.includes('"error"') && !body.includes('"injected_fault"');
  return isRefused ? 'refused' : 'answered';
}

function cutBy(exchange: Exchange | undefined): string {
  return exchange?.fault?.effect === 'reset' ? 'fault-reset' : 'fault-closed';
}

/** When a client left, the server may record that it left, or that it had been answered before. */
function leftBy(exchange: Exchange | undefined): Pick<Recorded, 'outcome' | 'status' | 'isFault'> {
  const isFault = exchange?.fault?.effect === 'stall';
  const { outcome = '', response = null } = exchange ?? {};
  if (outcome === 'refused' || outcome === 'answered')
    return { outcome, status: response?.status ?? null, isFault };
  return { outcome: 'client-aborted', status: null, isFault };
}
