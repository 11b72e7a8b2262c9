// deletion.test.ts: an upload is deleted while other requests send to it.
import { describe, expect, it } from 'vitest';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { StorageKey } from '../../src/uploads/ports.ts';
import {
  leaseChunk,
  contentOf,
  digestOf,
  entryContent,
  finalise,
  finish,
  openService,
  send,
  sendAll,
  sizeOf,
  TTL_MS,
  type Service,
} from '../helpers/uploads.ts';
import { REF, PLACE, writerOf, codeOf, withBytes, withLedgers, restarted, settled } from './service-steps.ts';

describe('deleting an upload', () => {
  describe.each(['bytes', 'ledgers'] as const)('that fails at the %s', (what) => {
    /** A disk that breaks, once, as soon as it is told to. */
    function opened(): { service: Service; breaks: () => void } {
      const memory = createMemoryStorage();
      let isBreaking = false;
      const remove = async (place: StorageKey): Promise<void> => {
        if (!isBreaking) return memory[what].remove(place);
        isBreaking = false;
        await settled(); // So that other requests come meanwhile.
        throw new Error('the disk broke');
      };
      const broken = what === 'bytes' ? withBytes(memory, { remove }) : withLedgers(memory, { remove });
      return { service: openService({ chunkOrder: 'any' }, broken), breaks: () => (isBreaking = true) };
    }
    const left = what === 'bytes' ? null : 3;

    it('tells nobody of a chunk that it is stored which may be gone', async () => {
      const { service, breaks } = opened();
      await send(service, 'one', { index: 0, total: 2 });
      const resending = await leaseChunk(service, { index: 0, total: 2 });
      breaks();
      await expect(service.uploads.remove(REF)).rejects.toThrow('the disk broke');
      const resent = finish(service, resending, { bytes: Buffer.from('one') });
      await expect(resent).rejects.toThrow('has to be read again');
      expect([await sizeOf(service), service.uploads.unfinishedCount]).toEqual([left, left === null ? 0 : 1]);
      await sendAll(service, ['one', 'more']);
      await resending.end();
      expect(await contentOf(service)).toBe('onemore');
      expect(await contentOf(restarted(service))).toBe('onemore');
    });

    it('fails whoever waited behind it, who can ask again', async () => {
      const { service, breaks } = opened();
      await send(service, 'one', { index: 0, total: 1 });
      breaks();
      const removing = service.uploads.remove(REF);
      await new Promise(setImmediate); // It has its turn.
      const others = [service.uploads.remove(REF), finalise(service), service.uploads.content(REF)];
      const [first, ...behind] = await Promise.allSettled([removing, ...others]);
      expect(String(first.status === 'rejected' && first.reason)).toContain('the disk broke');
      for (const result of behind)
        expect(String(result.status === 'rejected' && result.reason)).toContain('has to be read again');
      expect(await service.uploads.remove(REF)).toBe(left !== null);
      expect([await sizeOf(service), service.uploads.unfinishedCount]).toEqual([null, 0]);
    });

    it('also when it had expired', async () => {
      const { service, breaks } = opened();
      await send(service, 'one', { index: 0, total: 2 });
      service.clock.advance(TTL_MS);
      breaks();
      await expect(sizeOf(service)).rejects.toThrow('the disk broke');
      expect([await sizeOf(service), service.uploads.unfinishedCount]).toEqual([null, 0]);
      expect(service.expired).toEqual([PLACE]);
      await sendAll(service, ['once', 'more']);
      expect(await contentOf(restarted(service))).toBe('oncemore');
    });
  });

  it('frees its fileId and its room, and says whether there was one', async () => {
    const service = openService();
    expect(await service.uploads.remove(REF)).toBe(false);
    await send(service, 'one', { index: 0, total: 2 });
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(await service.uploads.remove(REF)).toBe(false);
    expect(await sizeOf(service)).toBeNull();
    expect(await service.storage.bytes.usage()).toBe(0);
    expect(service.uploads.unfinishedCount).toBe(0);
  });

  it('leaves the entry that it became', async () => {
    const service = openService();
    await sendAll(service, ['one']);
    const id = await finalise(service);
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(await entryContent(service, id)).toBe('one');
    expect(await codeOf(finalise(service))).toBe('upload_not_found');
  });

  it('ends a chunk in flight first', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const lease = await leaseChunk(service, { index: 1, total: 2 });
    await writerOf(lease).write([Buffer.from('half of')]);
    const told: string[] = [];
    writerOf(lease).onSuperseded(({ code, message }) => told.push(`${code}: ${message}`));
    let isRemoved = false;
    const removing = service.uploads.remove(REF).then(() => (isRemoved = true));
    await settled();
    expect(told).toEqual([expect.stringMatching(/^chunk_superseded: the upload was deleted during/)]);
    expect(isRemoved).toBe(false);
    expect(await codeOf(writerOf(lease).write([Buffer.from('more')]))).toBe('chunk_superseded');
    await lease.end();
    await removing;
    expect(await service.storage.bytes.usage()).toBe(0);
  });

  it('waits for a chunk that is being stored', async () => {
    const memory = createMemoryStorage();
    let synced = (): void => undefined;
    const syncing = new Promise<void>((resolve) => (synced = resolve));
    const service = openService({}, withBytes(memory, { sync: () => syncing }));
    const sending = send(service, 'one', { index: 0, total: 2 });
    await settled();
    const removing = service.uploads.remove(REF);
    await settled();
    synced();
    expect(await sending).toEqual({ completed: false, chunkIndex: 0 });
    expect(await removing).toBe(true);
    expect(await sizeOf(service)).toBeNull();
  });

  it('while a stored chunk is being sent again: that one is told that the upload is gone', async () => {
    const service = openService();
    await send(service, 'one', { index: 0, total: 2 });
    const lease = await leaseChunk(service, { index: 0, total: 2 });
    expect(await service.uploads.remove(REF)).toBe(true);
    expect(await codeOf(finish(service, lease, { bytes: Buffer.from('one') }))).toBe('chunk_superseded');
    await lease.end();
  });

  it('spares one that is not the one that is meant, and the chunk that begins it', async () => {
    const service = openService();
    const isMeant = (state: { finalization: unknown } | null): boolean =>
      (state?.finalization ?? null) !== null;
    const lease = await leaseChunk(service, { index: 0, total: 2 });
    await writerOf(lease).write([Buffer.from('one')]);
    expect(await service.uploads.remove(REF, isMeant)).toBe(false);
    await writerOf(lease).commit(digestOf(Buffer.from('one')));
    await lease.end();
    await send(service, 'two', { index: 1, total: 2 });
    expect(await service.uploads.remove(REF, isMeant)).toBe(false);
    expect(await contentOf(service)).toBe('onetwo');
    await finalise(service);
    expect(await service.uploads.remove(REF, isMeant)).toBe(true);
  });

  it('while stored chunks are being sent again: they are told so, too, when it was begun anew meanwhile', async () => {
    const service = openService();
    await sendAll(service, ['one', 'two']);
    const first = await leaseChunk(service, { index: 0, total: 2 });
    const second = await leaseChunk(service, { index: 1, total: 2 });
    expect(await service.uploads.remove(REF)).toBe(true);
    await send(service, 'new', { index: 0, total: 2 });
    for (const [lease, text] of [
      [first, 'one'],
      [second, 'two'],
    ] as const) {
      expect(await codeOf(finish(service, lease, { bytes: Buffer.from(text) }))).toBe('chunk_superseded');
      await lease.end();
    }
    expect(await contentOf(service)).toBe('new');
  });

  it('while the same chunk waits behind the one in flight: no chunk is stored without its beginning', async () => {
    const service = openService({ chunkOrder: 'any' });
    await send(service, 'one', { index: 0, total: 3 });
    const first = await leaseChunk(service, { index: 1, total: 3 });
    await writerOf(first).write([Buffer.from('half of')]);
    const second = leaseChunk(service, { index: 1, total: 3 });
    await settled();
    const removing = service.uploads.remove(REF);
    await settled();
    await first.end();
    const lease = await second;
    await settled();
    const code = await codeOf(finish(service, lease, { bytes: Buffer.from('whole chunk') }));
    await lease.end();
    expect(await removing).toBe(true);
    // Either the deletion also removed the second one, or the second one began a new upload after it.
    expect(['accepted', 'chunk_superseded']).toContain(code);
    const state = await service.uploads.inspect(REF);
    expect(state?.receivedBytes ?? 0).toBe(code === 'accepted' ? 11 : 0);
    expect(await service.storage.bytes.usage()).toBe(state?.receivedBytes ?? 0);
  });
});
