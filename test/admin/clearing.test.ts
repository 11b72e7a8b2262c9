// clearing.test.ts: what a reset and an import clear when single calls to the disk fail. What stays is reported, and nothing is
// left that promises what is gone (rule D5).
import type fs from 'node:fs';
import type promises from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { InDoubt } from '../../src/core/errors.ts';
import { openTestServer, type TestServer } from '../helpers/app.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { namespaceOf } from '../helpers/disk.ts';
import { disk } from '../helpers/failing-fs.ts';

vi.mock('node:fs', async (original) => {
  const { failingFs } = await import('../helpers/failing-fs.ts');
  return failingFs(await original<typeof fs>());
});
vi.mock('node:fs/promises', async (original) => {
  const { failingPromises } = await import('../helpers/failing-fs.ts');
  return failingPromises(await original<typeof promises>());
});

interface Refused {
  readonly error: string;
  readonly message: string;
  readonly details: { readonly failed: readonly { kind: string; namespace: string; name: string }[] };
}

async function opened(dataDir?: string): Promise<{ server: TestServer; own: DoubleClient }> {
  const server = await openTestServer({ storage: 'disk', ...(dataDir !== undefined && { dataDir }) });
  return { server, own: new DoubleClient(server, 'k') };
}

/** Every call with this name fails while `work` runs. The errors that the server logs about it are expected. */
async function failing<T>(
  server: TestServer,
  { only, code = 'EIO' }: { only: RegExp; code?: string },
  work: () => Promise<T>,
): Promise<T> {
  const done = await disk.failing(
    { call: 1, times: Number.POSITIVE_INFINITY, isAfter: false, code, only },
    work,
  );
  server.takeErrors();
  return done;
}

async function left(own: DoubleClient): Promise<{ uploads: number; media: number }> {
  const totals = ['GET uploads', 'GET media'].map(async (line) => {
    const { body } = await own.admin<{ meta: { total: number } }>(line);
    return body.meta.total;
  });
  const [uploads = 0, media = 0] = await Promise.all(totals);
  return { uploads, media };
}

describe('a reset', () => {
  it.each([
    ['of all uploads', /^opendir [^/]+\/ledgers\/uploads$/, '*'],
    ['of the namespace', /^opendir ledgers\/uploads\/ns_/, '*'],
    ['of some of its names', /^opendir uploads\/ns_\w+\/\w\w$/, '??*'],
  ])('that cannot list the folder %s says that they stay (D5)', async (_whose, only, name) => {
    const { own, server } = await opened();
    await own.chunk({ index: 0, total: 2 });
    const { status, body } = await failing(server, { only }, () => own.admin<Refused>('POST reset'));
    expect([status, body.error]).toEqual([500, 'upload_damaged']);
    expect(body.message).toMatch(/cannot be listed \(EIO\).*; everything else is reset$/);
    const [failed, ...others] = body.details.failed;
    expect([failed?.kind, failed?.namespace, others]).toEqual(['uploads', namespaceOf('k'), []]);
    expect(failed?.name.replace(/^\w\w\*/, '??*')).toBe(name);
    expect(await left(own)).toEqual({ uploads: 1, media: 0 });
    expect((await own.admin('POST reset')).status).toBe(200);
    expect(await left(own)).toEqual({ uploads: 0, media: 0 });
  });

  it('removes an upload that cannot be looked at by its place', async () => {
    const { own, server } = await opened();
    await own.chunk({ index: 0, total: 2 });
    const { body } = await failing(server, { only: /^lstat .*\.log$/ }, () =>
      own.admin<{ reset: object }>('POST reset', { scope: ['uploads'] }),
    );
    expect(body).toEqual({ reset: { uploads: 1 } });
    expect(await own.size()).toBeNull();
  });

  it.each([
    ['EMFILE', 503, 'storage_unavailable'],
    ['ENOSPC', 507, 'insufficient_storage'],
  ])('that fails of %s resets everything else, and does not say that nothing was changed', async (...row) => {
    const [code, expected, error] = row;
    const { own, server } = await opened();
    await own.chunk({ index: 0, total: 2 });
    const reset = () => own.admin<Refused>('POST reset');
    const { status, body } = await failing(server, { only: /^opendir ledgers\/uploads\/ns_/, code }, reset);
    expect([status, body.error]).toEqual([expected, error]);
    expect(body.message).toMatch(/^1 could not be removed \(.*\); everything else is reset$/);
    expect(body.details).toMatchObject({ reset: { uploads: 0, media: 0, clock: 1 } });
    expect(await left(own)).toEqual({ uploads: 1, media: 0 });
  });

  /** None of it is in memory. */
  async function entryMade(): Promise<{ server: TestServer; own: DoubleClient }> {
    const before = await opened();
    await before.own.chunk();
    await before.own.finalize();
    await before.own.chunk({ fileId: 'other', index: 0, total: 2 });
    await before.server.close();
    return opened(before.server.dataDir);
  }

  const resetMedia = (own: DoubleClient) => own.admin<Refused>('POST reset', { scope: ['media'] });

  it('of entries keeps the entry of an upload that cannot be read, which would make it anew, without bytes', async () => {
    const { own, server } = await entryMade();
    const { status, body } = await failing(server, { only: /^open .*\/\w\w\/\w{25,}\.log$/ }, () =>
      resetMedia(own),
    );
    expect([status, body.error]).toEqual([500, 'upload_damaged']);
    expect(await left(own)).toEqual({ uploads: 2, media: 1 });
    expect((await resetMedia(own)).status).toBe(200);
    expect(await left(own)).toEqual({ uploads: 1, media: 0 });
  });

  it('of entries takes the upload of an entry that cannot be read (D5)', async () => {
    const { own, server } = await entryMade();
    const { status, body } = await failing(server, { only: /^open .*\/\w\w\/[0-9a-f]{24}\.log$/ }, () =>
      resetMedia(own),
    );
    expect([status, body]).toEqual([200, { reset: { media: 1 } }]);
    expect([await own.size(), await own.size('other')]).toEqual([null, 5]);
    expect(await left(own)).toEqual({ uploads: 1, media: 0 });
  });
});

describe('an import', () => {
  const GAP = {
    uploads: [{ fileId: 'f', totalChunks: 4, chunks: [0, 2].map((index) => ({ index, bytes: 3 })) }],
  };

  it('that is refused, and cannot be cleared again, does not say that nothing is there', async () => {
    const { own, server } = await opened();
    const put = () => own.admin<Refused>('PUT state', GAP);
    const { status, body } = await failing(server, { only: /^rm .*\.log$/ }, put);
    expect([status, body.error]).toEqual([500, 'upload_damaged']);
    expect(body.message).toMatch(
      /^the import failed, and the server could not remove .* may remain: 1 could not/,
    );
    expect(body.details.failed).toHaveLength(1);
    expect(await own.size()).toBe(3);
    const again = await own.admin<Refused>('PUT state', GAP);
    expect([again.status, again.body.error]).toEqual([409, 'chunk_out_of_order']);
    expect(await left(own)).toEqual({ uploads: 0, media: 0 });
  });

  it('into a namespace that cannot be cleared puts nothing in, and says that something is there', async () => {
    const { own, server } = await opened();
    await own.chunk({ fileId: 'old', index: 0, total: 2 });
    const put = () => own.admin<Refused>('PUT state', { fixture: 'half-uploaded', fileId: 'new' });
    const { status, body } = await failing(server, { only: /^opendir ledgers\/uploads\/ns_/ }, put);
    expect([status, body.error]).toEqual([500, 'upload_damaged']);
    expect(body.message).toMatch(/^the server could not empty the namespace, and imported nothing/);
    expect([await own.size('old'), await own.size('new')]).toEqual([5, null]);
  });

  it('of which it is in doubt whether it is stored, and that could be cleared, says that nothing is there', async () => {
    const { own, server } = await opened();
    const put = () => own.admin<Refused>('PUT state', { fixture: 'half-uploaded' });
    const doubt = new InDoubt('storage_unavailable', 'whether it is stored will be known later');
    vi.spyOn(server.uploads, 'leaseChunk').mockRejectedValueOnce(doubt);
    const { status, body } = await put();
    const message = 'the import failed, and the namespace is empty; send it again';
    expect([status, body.error, body.message]).toEqual([503, 'storage_unavailable', message]);
    expect(await left(own)).toEqual({ uploads: 0, media: 0 });
  });
});

it('a folder that cannot be listed is named by an export, and by the lists', async () => {
  const { own, server } = await opened();
  await own.chunk({ index: 0, total: 2 });
  interface Named {
    readonly damaged: readonly { message: string }[];
  }
  for (const line of ['GET uploads', 'GET uploads?namespace=*', 'GET state']) {
    const { status, body } = await failing(server, { only: /^opendir [^/]+\/ledgers\/uploads$/ }, () =>
      own.admin<Named>(line),
    );
    expect([line, status, body.damaged.map(({ message }) => message)]).toEqual([
      line,
      200,
      [expect.stringContaining('cannot be listed (EIO)')],
    ]);
  }
});
