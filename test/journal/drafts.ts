// drafts.ts: exchanges for tests: chunk 0 of upload `f` on a reused connection, stored and answered, unless told otherwise.

import type { Exchange, ExchangeDraft } from '../../src/journal/exchange.ts';
import { Journal, type JournalOptions } from '../../src/journal/journal.ts';

export function draft(changes: Partial<ExchangeDraft> = {}): ExchangeDraft {
  return {
    begun: 1,
    endedAfter: 1,
    namespace: 'ns_a',
    at: '2026-03-01T09:30:00.000Z',
    connection: { id: 1, exchange: 2, reused: true },
    operation: 'uploadChunk',
    method: 'POST',
    path: '/media/chunks',
    upload: { fileId: 'f', chunkIndex: 0, attempt: 1 },
    body: {
      declaredBytes: 500,
      receivedBytes: 500,
      fileBytes: 100,
      parts: [
        { name: 'fileId', bytes: 1, crc32: '76d32be0' },
        { name: 'file', filename: 'f.mp4', bytes: 100, crc32: '0a1b2c3d' },
      ],
    },
    committed: { offset: 0, bytes: 100 },
    told: null,
    fault: null,
    response: { status: 200, bytes: 90 },
    outcome: 'answered',
    contract: { request: [], response: [] },
    timing: { firstByteMs: 4, bodyMs: 3, totalMs: 5 },
    ...changes,
  };
}

export function exchange(seq: number, changes: Partial<ExchangeDraft> = {}): Exchange {
  return { seq, suspectedTransportReplay: false, ...draft(changes) };
}

export function chunk(chunkIndex: number, changes: Partial<ExchangeDraft> = {}): ExchangeDraft {
  const committed = { offset: 100 * chunkIndex, bytes: 100 };
  return draft({ upload: { fileId: 'f', chunkIndex, attempt: 1 }, committed, ...changes });
}

/** A status query of upload `f`. */
export function statusQuery(changes: Partial<ExchangeDraft> = {}): ExchangeDraft {
  return draft({
    operation: 'getUploadStatus',
    method: 'GET',
    path: '/media/chunks?fileId=f',
    upload: { fileId: 'f', chunkIndex: null, attempt: null },
    body: { declaredBytes: null, receivedBytes: 0, fileBytes: 0, parts: [] },
    committed: null,
    ...changes,
  });
}

/** Exchanges one after the other, each over before the next one begins. */
export function inARow(...drafts: readonly ExchangeDraft[]): Exchange[] {
  return drafts.map((one, index) => exchange(index + 1, { ...one, begun: index + 1, endedAfter: index + 1 }));
}

/** Stored, and the connection was reset before a byte of the answer. */
export function lostAnswer(changes: Partial<ExchangeDraft> = {}): ExchangeDraft {
  return draft({
    fault: { ruleId: 'lose-it', phase: 'post-commit', effect: 'reset' },
    response: null,
    outcome: 'fault-reset',
    ...changes,
  });
}

export function openJournal(options: Partial<JournalOptions> = {}): Journal {
  return new Journal({ maxEntries: 10_000, maxBytes: 64 * 1024 * 1024, ...options });
}
