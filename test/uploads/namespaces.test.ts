// namespaces.test.ts: uploads of different keys never meet (K4), and each key has its own limit of unfinished ones.
import { describe, expect, it } from 'vitest';
import {
  ALICE,
  contentOf,
  finalise,
  openService,
  request,
  send,
  sizeOf,
  TTL_MS,
  type Service,
} from '../helpers/uploads.ts';
import { codeOf, restarted } from './service-steps.ts';

describe('namespaces', () => {
  const BOB = { namespace: 'ns_bob', fallback: null };
  const KEYLESS = { namespace: 'public', fallback: null };
  const CAROL = { namespace: 'ns_carol', fallback: 'public' };

  it('do not see each other: the same fileId is another upload (K4)', async () => {
    const service = openService();
    await send(service, 'of alice', { index: 0, total: 2 });
    expect(await service.uploads.status({ caller: BOB, fileId: 'f' })).toEqual({
      exists: false,
      currentSize: 0,
    });
    await send(service, 'of bob', { caller: BOB, index: 0, total: 3 });
    expect(await contentOf(service)).toBe('of alice');
    expect(await service.uploads.remove({ caller: BOB, fileId: 'f' })).toBe(true);
    expect(await contentOf(service)).toBe('of alice');
  });

  it('with a fallback see what was uploaded there, go on with it and finalise it (K3)', async () => {
    const service = openService();
    await send(service, 'one', { caller: KEYLESS, index: 0, total: 2 });
    expect(await service.uploads.status({ caller: CAROL, fileId: 'f' })).toMatchObject({ currentSize: 3 });
    await send(service, 'two', { caller: CAROL, index: 1, total: 2 });
    expect(await service.uploads.status({ caller: KEYLESS, fileId: 'f' })).toMatchObject({ currentSize: 6 });
    const { finalization, place } = await service.uploads.finalize({ caller: CAROL, fileId: 'f' }, request());
    expect([finalization.namespace, place.namespace]).toEqual(['ns_carol', 'public']);
  });

  it('with a fallback begin their own uploads in their own, and those win (K3)', async () => {
    const service = openService();
    await send(service, 'own', { caller: CAROL, index: 0, total: 2 });
    expect(await service.uploads.status({ caller: KEYLESS, fileId: 'f' })).toMatchObject({ exists: false });
    await send(service, 'shared', { caller: KEYLESS, index: 0, total: 2 });
    expect(await service.uploads.status({ caller: CAROL, fileId: 'f' })).toMatchObject({ currentSize: 3 });
  });

  it('are listed one by one', async () => {
    const service = openService();
    for (const fileId of ['a', 'b']) await send(service, fileId, { fileId });
    await send(service, 'c', { caller: BOB, fileId: 'c' });
    const seen: string[] = [];
    for await (const { state } of service.uploads.list(ALICE.namespace)) seen.push(state.fileId);
    expect(seen.toSorted()).toEqual(['a', 'b']);
    const everybody: string[] = [];
    for await (const { namespace, state } of service.uploads.list('*'))
      everybody.push(`${namespace}/${state.fileId}`);
    expect(everybody.toSorted()).toEqual(['ns_alice/a', 'ns_alice/b', 'ns_bob/c']);
  });
});

describe('unfinished uploads are limited', () => {
  it('per namespace: one more is refused, those that exist go on', async () => {
    const service = openService({ maxOpenUploads: 2 });
    const sendOne = (fileId: string, index = 0): Promise<string> =>
      codeOf(send(service, fileId, { fileId, index, total: 2 }));
    expect([await sendOne('a'), await sendOne('b')]).toEqual(['accepted', 'accepted']);
    expect(await sendOne('c')).toBe('too_many_open_uploads');
    expect(await sendOne('a', 1)).toBe('accepted');
    const bob = { caller: { namespace: 'ns_bob', fallback: null } };
    expect(await codeOf(send(service, 'x', bob))).toBe('accepted');
  });

  it.each<[string, (service: Service) => Promise<unknown>]>([
    ['finalised', (service) => finalise(service, 'a')],
    ['deleted', ({ uploads }) => uploads.remove({ caller: ALICE, fileId: 'a' })],
    [
      'expired',
      async (service) => {
        service.clock.advance(TTL_MS);
        await sizeOf(service, 'a');
      },
    ],
  ])('and one that is %s counts no more', async (_what, end) => {
    const service = openService({ maxOpenUploads: 1 });
    await send(service, 'a', { fileId: 'a' });
    expect(await codeOf(send(service, 'b', { fileId: 'b' }))).toBe('too_many_open_uploads');
    await end(service);
    expect(await codeOf(send(service, 'b', { fileId: 'b' }))).toBe('accepted');
  });

  it('and those of an earlier life count from their first touch on (D2)', async () => {
    const before = openService();
    for (const fileId of ['a', 'b']) await send(before, 'x', { fileId, index: 0, total: 2 });
    const service = restarted(before, { maxOpenUploads: 1 });
    expect(service.uploads.unfinishedCount).toBe(0);
    await sizeOf(service, 'a');
    await sizeOf(service, 'b');
    expect(service.uploads.unfinishedCount).toBe(2);
    expect(await codeOf(send(service, 'x', { fileId: 'b', index: 1, total: 2 }))).toBe('accepted');
    expect(await codeOf(send(service, 'x', { fileId: 'c' }))).toBe('too_many_open_uploads');
  });
});
