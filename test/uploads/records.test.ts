// uploads/records.test.ts: a ledger holds the records of its kind, of this version or of an earlier one, or it is damaged (rule D2).
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { entryLedgers } from '../../src/media/stored-entry.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { LedgerRecord, Ledgers, StorageKey } from '../../src/uploads/ports.ts';
import { uploadLedgers } from '../../src/uploads/upload-records.ts';
import { changed } from '../helpers/changed.ts';
import { ALICE, contentOf, finalise, openService, send } from '../helpers/uploads.ts';

const AT: StorageKey = { kind: 'uploads', namespace: 'ns_1', name: 'f' };

const started = { type: 'started', format: 1, fileId: 'f', totalChunks: 2, at: 1.5 };
const chunk = { type: 'chunk', index: 0, segment: 'main', offset: 0, bytes: 3, crc32: 7, at: 2 };
const spec = { type: 'video', platforms: ['tiktok'], isDraft: true, settings: { tiktok: {} } };
const finalized = { type: 'finalized', mediaId: 'm', namespace: 'ns_1', fingerprint: 'p', spec, at: 3 };

const created = { type: 'entry-created', at: 1, id: 'm', namespace: 'ns_1', spec, bytes: 3 };
const content = { type: 'content', extents: [{ segment: 'main', offset: 0, bytes: 3 }] };
const failed = { type: 'publish-failed', at: 2, platform: 'tiktok' };

type Kind = (ledgers: Ledgers) => Pick<Ledgers, 'open'>;

/** The records as they are given back; or what is said of the damage, and whether the file was closed. */
async function opened(kind: Kind, records: readonly LedgerRecord[]): Promise<unknown> {
  const { ledgers } = createMemoryStorage();
  await ledgers.create(AT, records);
  let isClosed = false;
  const closing = changed<Ledgers>(ledgers, {
    open: async (place) => {
      const found = await ledgers.open(place);
      if (found === null) return null;
      const ledger = changed(found.ledger, { close: async () => void (isClosed = true) });
      return { ...found, ledger };
    },
  });
  try {
    return (await kind(closing).open(AT))?.records;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return [error.code, error.details, isClosed ? 'closed' : 'left open'];
  }
}

const damaged = (record: number): unknown => ['upload_damaged', { ...AT, record }, 'closed'];

describe('the ledger of an upload (D2)', () => {
  it.each([
    ['an upload that was begun', [started]],
    ['one that is finalised', [started, chunk, finalized]],
    ['one whose entry has a time of its own', [started, chunk, { ...finalized, entryAt: 4 }]],
    ['one with a field that a later version may add', [started, { ...chunk, note: 'x' }]],
  ])('is that of %s', async (_what, records) => {
    expect(await opened(uploadLedgers, records)).toEqual(records);
  });

  it.each([
    ['a first record that is not its beginning', [chunk], 1],
    ['a format that is not known', [{ ...started, format: 2 }], 1],
    ['a second beginning', [started, started], 2],
    ['a record of an entry', [started, chunk, content], 3],
    ['a chunk without a length', [started, { ...chunk, bytes: undefined }], 2],
    ['a chunk at half a byte', [started, { ...chunk, offset: 0.5 }], 2],
    ['a finalised one without an entry', [started, chunk, { ...finalized, spec: null }], 3],
  ])('is damaged that has %s', async (_what, records, record) => {
    expect(await opened(uploadLedgers, records)).toEqual(damaged(record));
  });
});

describe('the ledger of an entry (D2)', () => {
  const sums = { bytes: [3], crc32: [7] };
  it.each([
    ['an entry', [created, content]],
    ['one whose bytes have CRC-32s', [created, { ...content, sums }]],
    ['one whose bytes have few CRC-32s', [created, { ...content, sums: { ...sums, chunks: [2] } }]],
    ['one that was put back with a failure', [{ ...created, failures: [{ platform: 'tiktok' }] }, content]],
    ['one that failed', [created, content, failed, { ...failed, reason: 'no' }]],
    [
      'one that has all that can be asked for',
      [{ ...created, spec: { ...spec, fileId: 'f', title: 't', fields: {} } }],
    ],
  ])('is that of %s', async (_what, records) => {
    expect(await opened(entryLedgers, records)).toEqual(records);
  });

  it.each([
    ['a first record that is not its creation', [content], 1],
    ['a second creation', [created, created], 2],
    ['a record of an upload', [created, chunk], 2],
    ['an entry without settings', [{ ...created, spec: { ...spec, settings: undefined } }], 1],
    ['a platform that is not known', [{ ...created, spec: { ...spec, platforms: ['myspace'] } }], 1],
    ['a place in the content that is none', [created, { ...content, extents: [{}] }], 2],
    ['CRC-32s that are none', [created, { ...content, sums: { bytes: [3] } }], 2],
    ['a failure of no platform', [created, content, { type: 'publish-failed', at: 2 }], 3],
  ])('is damaged that has %s', async (_what, records, record) => {
    expect(await opened(entryLedgers, records)).toEqual(damaged(record));
  });
});

it('an upload that is finalised with no entry of ours is damaged for who wants that entry, and can be deleted', async () => {
  const service = openService();
  await send(service, 'one');
  const asked = { fingerprint: 'print', spec: { type: 'video' }, check: async () => undefined };
  await expect(finalise(service, 'f', asked)).rejects.toMatchObject({ code: 'upload_damaged' });
  expect(await contentOf(service)).toBe('one');
  expect(await service.uploads.remove({ caller: ALICE, fileId: 'f' })).toBe(true);
  expect(await service.storage.bytes.usage()).toBe(0);
});
