import { describe, expect, it } from 'vitest';
import { createMemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import type { Storage } from '../../src/uploads/ports.ts';
import { changed } from '../helpers/changed.ts';
import { entryContent, finalise, openService, send } from '../helpers/uploads.ts';

describe('an upload to which an earlier owner of the storage may still write (D3)', () => {
  it('is taken from it before anything is cut, and gets nothing more into a segment that is there', async () => {
    const storage = createMemoryStorage();
    const before = openService({}, storage);
    await send(before, 'one', { total: 3 });
    await before.uploads.close();
    const calls: string[] = [];
    const inherited: Storage = {
      ...storage,
      ledgers: changed(storage.ledgers, {
        async open(place) {
          const opened = await storage.ledgers.open(place);
          return opened && { ...opened, takeOver: async () => void calls.push('taken over') };
        },
      }),
      bytes: changed(storage.bytes, {
        reconcile: (...args) => {
          calls.push('reconciled');
          return storage.bytes.reconcile(...args);
        },
        write: (place, at, buffers) => {
          calls.push(`written to ${at.segment}`);
          return storage.bytes.write(place, at, buffers);
        },
      }),
    };
    const after = openService({}, inherited);
    await send(after, 'two', { index: 1, total: 3 });
    await send(after, 'three', { index: 2, total: 3 });
    expect([...new Set(calls)]).toEqual(['taken over', 'reconciled', 'written to c1', 'written to c2']);
    expect(await entryContent(after, await finalise(after))).toBe('onetwothree');
  });
});
