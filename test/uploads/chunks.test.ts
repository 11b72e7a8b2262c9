// chunks.test.ts: chunks that come one after the other: stored, sent again, beyond a gap, too large, without room.
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Ledger } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';
import {
  leaseChunk,
  contentOf,
  entryContent,
  finalise,
  openService,
  send,
  sendAll,
  sizeOf,
} from '../helpers/uploads.ts';
import { PLACE, writerOf, codeOf, withBytes, withLedgers, recordTypes, settled } from './service-steps.ts';

describe('chunks in order', () => {
  it('are stored, and the last one completes the upload', async () => {
    const service = openService();
    expect(await sizeOf(service)).toBeNull();
    expect(await send(service, 'one', { index: 0, total: 2 })).toEqual({ completed: false, chunkIndex: 0 });
    expect(await sizeOf(service)).toBe(3);
    expect(await send(service, 'three', { index: 1, total: 2 })).toEqual({ completed: true, chunkIndex: 1 });
    expect(await sizeOf(service)).toBe(8);
    expect(await contentOf(service)).toBe('onethree');
    expect(service.completed).toEqual([PLACE]);
  });

  it('broken off change nothing, and can be sent again (C3)', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const lease = await leaseChunk(service, { index: 1, total: 2 });
    await writerOf(lease).write([Buffer.from('half of')]);
    await lease.end();
    expect(await sizeOf(service)).toBe(3);
    expect(await service.storage.bytes.usage()).toBe(3);
    await send(service, 'whole', { index: 1, total: 2 });
    expect(await contentOf(service)).toBe('onewhole');
  });

  it('broken off as the very first leave no upload and no byte (C3)', async () => {
    const service = openService();
    const lease = await leaseChunk(service, { index: 0, total: 2 });
    await writerOf(lease).write([Buffer.from('half of')]);
    expect(service.uploads.unfinishedCount).toBe(1);
    await lease.end();
    expect(await sizeOf(service)).toBeNull();
    expect(await service.storage.bytes.usage()).toBe(0);
    expect(service.uploads.unfinishedCount).toBe(0);
    expect(await recordTypes(service)).toEqual([]);
  });

  it('are synced before their record is, and their record before they are acknowledged (C2, D1)', async () => {
    const memory = createMemoryStorage();
    const steps: string[] = [];
    /** It reports when it begins and when it ends, which is much later. Code that does not wait for it is seen in between. */
    const slowly = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
      steps.push(step);
      const result = await work();
      await settled();
      steps.push(`${step} done`);
      return result;
    };
    const { bytes, ledgers } = memory;
    const recording = (ledger: Ledger): Ledger =>
      changed<Ledger>(ledger, { append: (records) => slowly('record', async () => ledger.append(records)) });
    const storage = {
      ...memory,
      bytes: changed(bytes, {
        write: (...args) => slowly('write', async () => bytes.write(...args)),
        adopt: (...args) => slowly('adopt', async () => bytes.adopt(...args)),
        sync: (...args) => slowly('sync', async () => bytes.sync(...args)),
      }),
      ledgers: changed(ledgers, {
        create: async (...args) => recording(await slowly('record', () => ledgers.create(...args))),
      }),
    };
    const service = openService({}, storage);
    const inOrder = (...names: string[]): string[] => names.flatMap((step) => [step, `${step} done`]);
    for (const [index, isSpooled] of [false, false, true].entries()) {
      await send(service, `<${index}>`, { index, total: 3, isSpooled });
      expect(steps.splice(0)).toEqual(inOrder(isSpooled ? 'adopt' : 'write', 'sync', 'record'));
    }
    await finalise(service);
    expect(steps.splice(0, 2)).toEqual(inOrder('record'));
  });

  it('can come from a spool', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 3 });
    await send(service, 'two', { index: 1, total: 3, isSpooled: true });
    await send(service, 'three', { index: 2, total: 3 });
    expect(await contentOf(service)).toBe('onetwothree');
    expect(await service.storage.bytes.usage()).toBe(11);
  });

  it('out of a spool that are refused leave no byte', async () => {
    const service = openService({ maxFileBytes: 5 });
    await send(service, 'one', { index: 0, total: 2 });
    const sending = { index: 1, total: 2, isSpooled: true };
    expect(await codeOf(send(service, 'three', sending))).toBe('upload_too_large');
    expect(await service.storage.bytes.usage()).toBe(3);
    expect(await sizeOf(service)).toBe(3);
  });

  it('beyond a gap are refused and leave nothing (C8)', async () => {
    const service = openService();
    expect(await codeOf(leaseChunk(service, { index: 1, total: 2 }))).toBe('chunk_out_of_order');
    expect(await sizeOf(service)).toBeNull();
    expect(service.uploads.unfinishedCount).toBe(0);
    await send(service, 'one', { index: 0, total: 3 });
    expect(await codeOf(leaseChunk(service, { index: 2, total: 3 }))).toBe('chunk_out_of_order');
    expect(await codeOf(leaseChunk(service, { index: 1, total: 2 }))).toBe('total_chunks_mismatch');
  });

  it('sent again with the same bytes get the same answer, and nothing is written (C6)', async () => {
    const service = openService();
    await sendAll(service, ['one', 'two']);
    for (let times = 0; times < 3; times += 1) {
      expect(await send(service, 'one', { index: 0, total: 2 })).toEqual({ completed: false, chunkIndex: 0 });
      expect(await send(service, 'two', { index: 1, total: 2 })).toEqual({ completed: true, chunkIndex: 1 });
    }
    expect(await recordTypes(service)).toEqual(['started', 'chunk', 'chunk']);
    expect(await service.storage.bytes.usage()).toBe(6);
  });

  it('sent again after finalising get the same answer, too (C6)', async () => {
    const service = openService();
    await sendAll(service, ['one', 'two']);
    await finalise(service);
    expect(await send(service, 'two', { index: 1, total: 2 })).toEqual({ completed: true, chunkIndex: 1 });
    expect(await codeOf(send(service, 'tow', { index: 1, total: 2 }))).toBe('chunk_conflict');
  });

  it('sent again with other bytes are a conflict, and what is stored stays (C7)', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    expect(await codeOf(send(service, 'eno', { index: 0, total: 2 }))).toBe('chunk_conflict');
    expect(await codeOf(send(service, 'ones', { index: 0, total: 2 }))).toBe('chunk_conflict');
    expect(await codeOf(send(service, '', { index: 0, total: 2 }))).toBe('empty_chunk');
    expect(await contentOf(service)).toBe('one');
  });

  it('without bytes are refused but for an empty file, which can be finalised (C14)', async () => {
    const service = openService();
    expect(await codeOf(send(service, '', { index: 0, total: 2 }))).toBe('empty_chunk');
    expect(await sizeOf(service)).toBeNull();
    expect(await send(service, '', { index: 0, total: 1 })).toEqual({ completed: true, chunkIndex: 0 });
    expect(await sizeOf(service)).toBe(0);
    expect(await entryContent(service, await finalise(service))).toBe('');
  });

  it('over the limit are refused at the right byte, and what is stored stays (C13)', async () => {
    const service = openService({ maxFileBytes: 10 });
    await send(service, 'seven77', { index: 0, total: 2 });
    const lease = await leaseChunk(service, { index: 1, total: 2 });
    const writer = writerOf(lease);
    expect(writer.room).toBe(3);
    await writer.write([Buffer.from('12')]);
    expect(writer.room).toBe(1);
    expect(await codeOf(writer.write([Buffer.from('34')]))).toBe('upload_too_large');
    await lease.end();
    expect(await sizeOf(service)).toBe(7);
    expect(await send(service, '123', { index: 1, total: 2 })).toMatchObject({ completed: true });
  });

  it('that the storage has no room for change nothing, and are taken when there is room (C16)', async () => {
    const memory = createMemoryStorage();
    let isFull = false;
    const noRoom = (): never => {
      throw new AppError('insufficient_storage', 'full');
    };
    const service = openService(
      {},
      withBytes(memory, {
        // As on a full disk: the start of the write is there.
        write: async (place, at, buffers) => {
          await memory.bytes.write(place, at, isFull ? [Buffer.from('x')] : buffers);
          if (isFull) noRoom();
        },
      }),
    );
    await send(service, 'one', { index: 0, total: 2 });
    isFull = true;
    expect(await codeOf(send(service, 'two', { index: 1, total: 2 }))).toBe('insufficient_storage');
    expect(await codeOf(send(service, 'two', { fileId: 'other' }))).toBe('insufficient_storage');
    expect(await sizeOf(service)).toBe(3);
    expect(await sizeOf(service, 'other')).toBeNull();
    expect(await memory.bytes.usage()).toBe(3);
    isFull = false;
    await send(service, 'two', { index: 1, total: 2 });
    expect(await contentOf(service)).toBe('onetwo');
  });

  it('whose record cannot be stored change nothing, and are taken the next time (C16)', async () => {
    const memory = createMemoryStorage();
    let isFull = true;
    const service = openService(
      {},
      withLedgers(memory, {
        create: (place, records) =>
          isFull
            ? Promise.reject(new AppError('insufficient_storage', 'full'))
            : memory.ledgers.create(place, records),
      }),
    );
    expect(await codeOf(send(service, 'one'))).toBe('insufficient_storage');
    expect(await sizeOf(service)).toBeNull();
    expect(await memory.bytes.usage()).toBe(0);
    isFull = false;
    expect(await send(service, 'one')).toMatchObject({ completed: true });
  });
});
