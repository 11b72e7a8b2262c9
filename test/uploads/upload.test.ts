import { describe, expect, it } from 'vitest';
import { hex32 } from '../../src/core/hex32.ts';
import { AppError } from '../../src/core/errors.ts';
import type { ChunkRecord } from '../../src/uploads/chunk-table.ts';
import {
  compareResent,
  decideChunk,
  decideFinalize,
  evolve,
  isExpired,
  receiptOf,
  refuseEmpty,
  tooLarge,
  type Finalization,
  type UploadEvent,
  type UploadState,
} from '../../src/uploads/upload.ts';

const FINALIZATION: Finalization = {
  mediaId: 'a'.repeat(24),
  namespace: 'ns_1',
  fingerprint: 'print',
  spec: { type: 'video' },
  at: 99,
};

function chunk(index: number, facts: Partial<ChunkRecord> = {}): UploadEvent {
  const record = { index, segment: 'main', offset: index * 10, bytes: 10, crc32: index + 1, at: 10 + index };
  return { type: 'chunk', ...record, ...facts };
}

function stateOf(totalChunks: number, ...events: readonly UploadEvent[]): UploadState {
  const started: UploadEvent = { type: 'started', format: 1, fileId: 'f', totalChunks, at: 1 };
  let state = evolve(null, started);
  for (const event of events) state = evolve(state, event);
  return state;
}

function refusalOf(work: () => unknown): AppError {
  try {
    work();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

const facts = ({ nextIndex, currentSize, receivedBytes, mainBytes, completedBy }: UploadState): object => ({
  nextIndex,
  currentSize,
  receivedBytes,
  mainBytes,
  completedBy,
});

describe('the fold of a ledger', () => {
  it('begins with an upload of which nothing came', () => {
    const state = stateOf(3);
    expect(facts(state)).toEqual({
      nextIndex: 0,
      currentSize: 0,
      receivedBytes: 0,
      mainBytes: 0,
      completedBy: null,
    });
    expect([state.fileId, state.totalChunks, state.lastActivityAt]).toEqual(['f', 3, 1]);
    expect(state.finalization).toBeNull();
  });

  it('cannot begin with anything but "started"', () => {
    expect(() => evolve(null, chunk(0))).toThrow('starts with "started"');
    expect(() => evolve(null, { type: 'finalized', ...FINALIZATION })).toThrow('not with "finalized"');
  });

  it('counts chunks in order', () => {
    const state = stateOf(3, chunk(0), chunk(1));
    expect(facts(state)).toEqual({
      nextIndex: 2,
      currentSize: 20,
      receivedBytes: 20,
      mainBytes: 20,
      completedBy: null,
    });
    expect(state.lastActivityAt).toBe(11);
  });

  it('counts beyond a gap only what was received, until the gap closes (C2, C8)', () => {
    const own = (index: number): UploadEvent => chunk(index, { segment: `c${index}`, offset: 0, bytes: 7 });
    const state = stateOf(5, chunk(0), own(2), own(4));
    expect(facts(state)).toEqual({
      nextIndex: 1,
      currentSize: 10,
      receivedBytes: 24,
      mainBytes: 10,
      completedBy: null,
    });
    evolve(state, own(1));
    expect(facts(state)).toMatchObject({ nextIndex: 3, currentSize: 24, completedBy: null });
    evolve(state, own(3));
    expect(facts(state)).toMatchObject({ nextIndex: 5, currentSize: 38, completedBy: 3 });
  });

  it('is complete with the chunk that makes the set whole, not with the last one (C5, C8)', () => {
    expect(stateOf(3, chunk(2)).completedBy).toBeNull();
    expect(stateOf(3, chunk(2), chunk(1), chunk(0)).completedBy).toBe(0);
    expect(stateOf(1, chunk(0, { bytes: 0 })).completedBy).toBe(0);
  });

  it('knows the end of the main segment, whichever chunk lies there', () => {
    expect(stateOf(3, chunk(2, { offset: 0 }), chunk(0, { offset: 10 })).mainBytes).toBe(20);
  });

  it('keeps what an upload became', () => {
    const state = stateOf(1, chunk(0), { type: 'finalized', ...FINALIZATION });
    expect(state.finalization).toMatchObject(FINALIZATION);
    expect(state.lastActivityAt).toBe(99);
    expect(state.completedBy).toBe(0);
  });

  it('is the same whenever it is made of the same records (§0.1)', () => {
    const records = [chunk(1), chunk(0), chunk(2)];
    expect(facts(stateOf(4, ...records))).toEqual(facts(stateOf(4, ...records)));
  });
});

describe('a chunk', () => {
  it('of an unknown upload is written when it is the first', () => {
    expect(decideChunk(null, { chunkIndex: 0, totalChunks: 3 }, 'sequential')).toEqual({ kind: 'write' });
  });

  it('of an unknown upload that is not the first is a gap, in order "any" it is written (C8)', () => {
    const sent = { chunkIndex: 2, totalChunks: 3 };
    const refusal = refusalOf(() => decideChunk(null, sent, 'sequential'));
    expect([refusal.code, refusal.details]).toEqual([
      'chunk_out_of_order',
      { expectedChunkIndex: 0, currentSize: 0 },
    ]);
    expect(decideChunk(null, sent, 'any')).toEqual({ kind: 'write' });
  });

  it('that is next is written', () => {
    const state = stateOf(3, chunk(0));
    for (const order of ['sequential', 'any'] as const) {
      expect(decideChunk(state, { chunkIndex: 1, totalChunks: 3 }, order)).toEqual({ kind: 'write' });
    }
  });

  it('beyond the next is refused with where to go on, in order "any" it is written (C8)', () => {
    const state = stateOf(4, chunk(0), chunk(1));
    const sent = { chunkIndex: 3, totalChunks: 4 };
    const refusal = refusalOf(() => decideChunk(state, sent, 'sequential'));
    expect(refusal.code).toBe('chunk_out_of_order');
    expect(refusal.details).toEqual({ expectedChunkIndex: 2, currentSize: 20 });
    expect(refusal.message).toBe(
      'got chunk 3, expected chunk 2; send chunk 2 from byte 20 (for an uploader that sends chunks in parallel, start the server with --chunk-order any)',
    );
    expect(decideChunk(state, sent, 'any')).toEqual({ kind: 'write' });
  });

  it('that is stored is compared, at any later time (C6)', () => {
    const before = stateOf(2, chunk(0));
    const complete = stateOf(2, chunk(0), chunk(1));
    const finalised = stateOf(2, chunk(0), chunk(1), { type: 'finalized', ...FINALIZATION });
    for (const state of [before, complete, finalised]) {
      for (const order of ['sequential', 'any'] as const) {
        const decision = decideChunk(state, { chunkIndex: 0, totalChunks: 2 }, order);
        expect(decision).toMatchObject({ kind: 'compare', stored: { index: 0, bytes: 10, crc32: 1 } });
      }
    }
  });

  it('with another totalChunks is refused with the known one, also when the chunk is stored (C9)', () => {
    const state = stateOf(3, chunk(0));
    for (const chunkIndex of [0, 1]) {
      const refusal = refusalOf(() => decideChunk(state, { chunkIndex, totalChunks: 4 }, 'any'));
      expect([refusal.code, refusal.details]).toEqual(['total_chunks_mismatch', { totalChunks: 3 }]);
      expect(refusal.message).toContain('totalChunks is 4');
    }
  });

  it('without bytes is refused, but for an empty file (C14)', () => {
    refuseEmpty({ chunkIndex: 0, totalChunks: 1 }, 0);
    refuseEmpty({ chunkIndex: 1, totalChunks: 2 }, 1);
    for (const chunkIndex of [0, 1]) {
      expect(refusalOf(() => refuseEmpty({ chunkIndex, totalChunks: 2 }, 0)).code).toBe('empty_chunk');
    }
  });
});

describe('a re-sent chunk', () => {
  const stored: ChunkRecord = { index: 4, segment: 'main', offset: 0, bytes: 10, crc32: 0xab, at: 1 };

  it('with the same length and checksum is taken (C6)', () => {
    compareResent(stored, { bytes: 10, crc32: 0xab });
  });

  it.each([
    ['another length', { bytes: 11, crc32: 0xab }],
    ['another checksum', { bytes: 10, crc32: 0xac }],
  ])('with %s is a conflict (C7)', (_what, sent) => {
    const refusal = refusalOf(() => compareResent(stored, sent));
    expect(refusal.code).toBe('chunk_conflict');
    expect(refusal.details).toEqual({ chunkIndex: 4, storedBytes: 10, sentBytes: sent.bytes });
    expect(refusal.message).toContain('CRC-32 000000ab');
  });

  it('gets the answer of its first time, also when the upload is complete by now (C6)', () => {
    const state = stateOf(2, chunk(0), chunk(1));
    expect(receiptOf(state, 0)).toEqual({ completed: false, chunkIndex: 0 });
    expect(receiptOf(state, 1)).toEqual({ completed: true, chunkIndex: 1 });
  });
});

describe('a file over the limit', () => {
  it('is refused with the limit and what is stored (C13)', () => {
    const refusal = tooLarge(stateOf(3, chunk(0)), 15);
    expect([refusal.code, refusal.details]).toEqual(['upload_too_large', { maxBytes: 15, currentSize: 10 }]);
    expect(refusal.message).toContain('10 bytes are stored and stay');
  });

  it('of which nothing is stored says so', () => {
    const refusal = tooLarge(null, 15);
    expect([refusal.code, refusal.details]).toEqual(['upload_too_large', { maxBytes: 15, currentSize: 0 }]);
  });
});

describe('finalising', () => {
  const asked = { fingerprint: 'print', namespace: 'ns_1' };
  const finalised = stateOf(1, chunk(0), { type: 'finalized', ...FINALIZATION });

  it('a complete upload makes an entry', () => {
    expect(decideFinalize(stateOf(1, chunk(0)), asked)).toEqual({ kind: 'create' });
  });

  it('an incomplete one is refused with where to go on (F4)', () => {
    const refusal = refusalOf(() => decideFinalize(stateOf(4, chunk(0), chunk(2)), asked));
    expect(refusal.code).toBe('upload_incomplete');
    expect(refusal.details).toEqual({ expectedChunkIndex: 1, currentSize: 10, totalChunks: 4 });
    expect(refusal.message).toContain('2 of 4 chunks are stored; send chunk 1 from byte 10');
  });

  it('again with the same request gives the same entry (F6)', () => {
    const decision = decideFinalize(finalised, asked);
    expect(decision).toMatchObject({ kind: 'existing', finalization: FINALIZATION });
  });

  it('again with another request is refused with the entry (F6)', () => {
    const refusal = refusalOf(() => decideFinalize(finalised, { ...asked, fingerprint: 'other' }));
    expect([refusal.code, refusal.details]).toEqual(['already_finalized', { mediaId: FINALIZATION.mediaId }]);
  });

  it('again by another key is refused without a word of the entry (K4)', () => {
    for (const fingerprint of ['print', 'other']) {
      const refusal = refusalOf(() => decideFinalize(finalised, { fingerprint, namespace: 'ns_2' }));
      expect([refusal.code, refusal.details]).toEqual(['already_finalized', {}]);
      expect(refusal.message).not.toContain(FINALIZATION.mediaId);
    }
  });
});

it('every conflict says what to do next, so that no other request is needed to find out', () => {
  const state = stateOf(4, chunk(0), chunk(1));
  const stored: ChunkRecord = { index: 1, segment: 'main', offset: 10, bytes: 10, crc32: 1, at: 1 };
  const finalised = stateOf(1, chunk(0), { type: 'finalized', ...FINALIZATION });
  const asked = { fingerprint: 'other', namespace: FINALIZATION.namespace };
  const told = [
    () => decideChunk(state, { chunkIndex: 3, totalChunks: 4 }, 'sequential'),
    () => decideChunk(state, { chunkIndex: 2, totalChunks: 5 }, 'sequential'),
    () => compareResent(stored, { bytes: 10, crc32: 2 }),
    () => decideFinalize(state, asked),
    () => decideFinalize(finalised, asked),
  ].map((refused) => refusalOf(refused).message);
  expect(told.map((message) => message.split('; ').at(-1))).toEqual([
    'send chunk 2 from byte 20 (for an uploader that sends chunks in parallel, start the server with --chunk-order any)',
    'send 4, or use a new fileId for another file',
    'use a new fileId for another file',
    'send chunk 2 from byte 20, then finalise',
    'read that entry, or upload under a new fileId',
  ]);
});

it('an upload expires a time-to-live after its last record, to the millisecond (C15)', () => {
  const state = stateOf(3, chunk(0, { at: 1_000 }));
  expect(isExpired(state, (at) => 1_499 - at, 500)).toBe(false);
  expect(isExpired(state, (at) => 1_500 - at, 500)).toBe(true);
});

it('a CRC-32 is shown with all of its digits', () => {
  expect([hex32(0), hex32(0xabc), hex32(0xffffffff)]).toEqual(['00000000', '00000abc', 'ffffffff']);
});
