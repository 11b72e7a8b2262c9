// media/stored-entry.ts: what an entry's ledger holds: how it came to be, and where its content lies. Pure.
//
// Must not know: who reads or writes the ledger.
import { ContentSums, type RecordedSums } from '../integrity/content-sums.ts';
import type { StoredContent } from '../integrity/stored-content.ts';
import type { Extent, LedgerRecord, StorageKey } from '../uploads/ports.ts';
import { evolve, type Entry, type EntryEvent } from './entry.ts';

/** Where an entry's content lies, and the CRC-32s of it. The second record of its ledger. Earlier versions recorded no CRC-32s. */
type ContentRecord = {
  readonly type: 'content';
  readonly extents: readonly Extent[];
  readonly sums?: RecordedSums;
};

/** An entry as its ledger has it. */
export interface StoredEntry {
  readonly entry: Entry;
  readonly extents: readonly Extent[];
  /** Null: none are on record. */
  readonly sums: ContentSums | null;
}

export function contentRecord(extents: readonly Extent[], sums: ContentSums | null): ContentRecord {
  return { type: 'content', extents, ...(sums !== null && { sums: sums.record() }) };
}

export function foldEntry(records: readonly LedgerRecord[]): StoredEntry | null {
  let entry: Entry | null = null;
  let content: ContentRecord = { type: 'content', extents: [] };
  for (const record of records) {
    // The ledger's checksums vouch that these are the records this code wrote.
    const event = record as unknown as EntryEvent | ContentRecord;
    if (event.type === 'content') content = event;
    else entry = evolve(entry, event);
  }
  return entry && { entry, extents: content.extents, sums: sumsOf(content) };
}

function sumsOf({ sums }: ContentRecord): ContentSums | null {
  return sums === undefined ? null : ContentSums.ofRecord(sums);
}

export function contentOf({ entry, extents, sums }: StoredEntry): StoredContent {
  const { namespace, id, bytes, createdAt } = entry;
  const place = placeOf(namespace, id);
  // With a seed an id can come again, after a reset.
  return { place, extents, bytes, currentSize: bytes, sums, life: String(createdAt) };
}

export function placeOf(namespace: string, id: string): StorageKey {
  return { kind: 'media', namespace, name: id };
}
