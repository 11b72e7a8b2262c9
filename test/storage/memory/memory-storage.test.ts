import { expect, it } from 'vitest';
import { createMemoryStorage } from '../../../src/storage/memory/memory-storage.ts';
import { describeStorage, place } from '../../helpers/storage-suite.ts';

describeStorage(
  'memory storage',
  () => {
    const storage = createMemoryStorage();
    return Promise.resolve({ storage, dispose: () => storage.close() });
  },
  { reopening: false },
);

it('a write that would leave a hole is a defect of the caller, and refused', async () => {
  const { bytes } = createMemoryStorage();
  await expect(async () =>
    bytes.write(place(), { segment: 'main', offset: 1 }, [Buffer.from('x')]),
  ).rejects.toMatchObject({ code: 'internal_error' });
});

it('two storages share nothing (§8.8)', async () => {
  const [one, other] = [createMemoryStorage(), createMemoryStorage()];
  await one.ledgers.create(place(), [{ n: 1 }]);
  await one.bytes.write(place(), { segment: 'main', offset: 0 }, [Buffer.from('x')]);
  expect(await other.ledgers.open(place())).toBeNull();
  expect(await other.bytes.usage()).toBe(0);
});

it('the spool of another storage is not adopted', async () => {
  const [one, other] = [createMemoryStorage(), createMemoryStorage()];
  const foreign = { bytes: 0, append: () => Promise.resolve(), discard: () => Promise.resolve() };
  await expect(one.bytes.adopt(foreign, place(), 'c0')).rejects.toThrow('of another storage');
  expect(await other.bytes.usage()).toBe(0);
});
