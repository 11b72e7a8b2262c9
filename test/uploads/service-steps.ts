// service-steps.ts: what the tests of the upload service share: the upload `f` of Alice, storages that fail or wait where a test
// says so, and a service that starts again over what another one left.
import { AppError } from '../../src/core/errors.ts';
import type { ChunkWriter } from '../../src/uploads/chunk-writer.ts';
import type { ChunkLease } from '../../src/uploads/chunk-lease.ts';
import { placeOf } from '../../src/uploads/storage-key.ts';
import type { Bytes, Ledgers, Storage } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';
import { ALICE, openService, type Service } from '../helpers/uploads.ts';

export const REF = { caller: ALICE, fileId: 'f' };

export const PLACE = placeOf(ALICE.namespace, 'f');

export function writerOf(lease: ChunkLease): ChunkWriter {
  if (lease.work.kind === 'compare') throw new Error('the chunk is stored already');
  return lease.work;
}

export function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'accepted',
    (error: unknown) => (error instanceof AppError ? error.code : String(error)),
  );
}

export function withBytes(storage: Storage, replaced: Partial<Bytes>): Storage {
  return { ...storage, bytes: changed(storage.bytes, replaced) };
}

export function withLedgers(storage: Storage, replaced: Partial<Ledgers>): Storage {
  return { ...storage, ledgers: changed(storage.ledgers, replaced) };
}

/** Another process over what this one has left. */
export function restarted(service: Service, options: Parameters<typeof openService>[0] = {}): Service {
  return openService({ clock: service.clock, ...options }, service.storage);
}

export async function recordTypes({ storage }: Service, fileId = 'f'): Promise<unknown[]> {
  const opened = await storage.ledgers.open(placeOf(ALICE.namespace, fileId));
  return opened?.records.map((record) => record['type']) ?? [];
}

/** Waits until all work is done that does not wait for time or for another request. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
}
