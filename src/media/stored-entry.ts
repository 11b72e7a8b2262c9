// media/stored-entry.ts: the content of an entry's ledger: how the entry was made, and where its content lies. Pure.
import { isCount, isFlag, isListOf, isNumber, isObject, isOneOf, isShape, isText } from '../core/shape.ts';
import { ContentSums, type RecordedSums } from '../integrity/content-sums.ts';
import type { StoredContent } from '../integrity/stored-content.ts';
import type { Extent, Ledgers, StorageKey } from '../uploads/ports.ts';
import { typedLedgers, type IsRecord } from '../uploads/typed-ledgers.ts';
import { evolve, type Entry, type EntryCreated, type PublishFailed, type PublishFailure } from './entry.ts';
import type { EntrySpec } from './entry-form.ts';
import { PLATFORMS } from './platforms.ts';

/** Where the content of an entry lies, and its CRC-32s. The second record of the ledger. Earlier versions recorded no CRC-32s. */
type ContentRecord = {
  readonly type: 'content';
  readonly extents: readonly Extent[];
  readonly sums?: RecordedSums;
};

/** The records of an entry's ledger. The first is always `entry-created`. */
export type EntryRecord = EntryCreated | PublishFailed | ContentRecord;

/** An entry as its ledger describes it. */
export interface StoredEntry {
  readonly entry: Entry;
  readonly extents: readonly Extent[];
  /** Null when no CRC-32s are on record. */
  readonly sums: ContentSums | null;
}

const isPlatform = isOneOf(...PLATFORMS);

/** The shape of a spec, as it is stored in the ledgers of entries and of finalised uploads. */
export const isEntrySpec = isShape<EntrySpec>(
  {
    type: isOneOf('video', 'image'),
    platforms: isListOf(isPlatform),
    isDraft: isFlag,
    settings: isShape<EntrySpec['settings']>(
      {},
      { youtube: isObject, instagram: isObject, tiktok: isObject, linkedin: isObject, pinterest: isObject },
    ),
  },
  {
    fileId: isText,
    title: isText,
    description: isText,
    scheduledAt: isNumber,
    profileId: isText,
    fields: isObject,
  },
);

const isCreated = isShape<EntryCreated>(
  {
    type: isOneOf('entry-created'),
    at: isNumber,
    id: isText,
    namespace: isText,
    spec: isEntrySpec,
    bytes: isCount,
  },
  { failures: isListOf(isShape<PublishFailure>({ platform: isPlatform }, { reason: isText })) },
);

const isFailed = isShape<PublishFailed>(
  { type: isOneOf('publish-failed'), at: isNumber, platform: isPlatform },
  { reason: isText },
);

const isContent = isShape<ContentRecord>(
  {
    type: isOneOf('content'),
    extents: isListOf(isShape<Extent>({ segment: isText, offset: isCount, bytes: isCount }, {})),
  },
  {
    sums: isShape<RecordedSums>(
      { bytes: isListOf(isCount), crc32: isListOf(isCount) },
      { chunks: isListOf(isCount) },
    ),
  },
);

const isEntryRecord: IsRecord<EntryRecord> = (record, number): record is EntryRecord =>
  number === 0 ? isCreated(record) : isContent(record) || isFailed(record);

export function entryLedgers(ledgers: Ledgers): Ledgers<EntryRecord> {
  return typedLedgers(ledgers, isEntryRecord);
}

export function contentRecord(extents: readonly Extent[], sums: ContentSums | null): ContentRecord {
  return { type: 'content', extents, ...(sums !== null && { sums: sums.record() }) };
}

export function foldEntry(records: readonly EntryRecord[]): StoredEntry | null {
  let entry: Entry | null = null;
  let content: ContentRecord = { type: 'content', extents: [] };
  for (const record of records) {
    if (record.type === 'content') content = record;
    else entry = evolve(entry, record);
  }
  return entry && { entry, extents: content.extents, sums: sumsOf(content) };
}

function sumsOf({ sums }: ContentRecord): ContentSums | null {
  return sums === undefined ? null : ContentSums.ofRecord(sums);
}

export function contentOf({ entry, extents, sums }: StoredEntry): StoredContent {
  const { namespace, id, bytes, createdAt } = entry;
  const place = placeOf(namespace, id);
  // With a seed the same id can be given again after a reset.
  return { place, extents, bytes, currentSize: bytes, sums, life: String(createdAt) };
}

export function placeOf(namespace: string, id: string): StorageKey {
  return { kind: 'media', namespace, name: id };
}
