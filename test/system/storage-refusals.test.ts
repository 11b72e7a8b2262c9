// system/storage-refusals.test.ts: whatever error a call to the disk gives during an operation, the answer is one that the contract
// promises for it. helpers/app.ts checks each exchange against the contract; these tests say which error code must come.
import type fs from 'node:fs';
import type promises from 'node:fs/promises';
import { describe, expect, it, vi } from 'vitest';
import { loadContract } from '../../src/contract/contract.ts';
import { openTestServer, type TestServer } from '../helpers/app.ts';
import { DoubleClient, type Told } from '../helpers/double-client.ts';
import { disk } from '../helpers/failing-fs.ts';

vi.mock('node:fs', async (original) => {
  const { failingFs } = await import('../helpers/failing-fs.ts');
  return failingFs(await original<typeof fs>());
});
vi.mock('node:fs/promises', async (original) => {
  const { failingPromises } = await import('../helpers/failing-fs.ts');
  return failingPromises(await original<typeof promises>());
});

type Ask = (own: DoubleClient, id: string) => Promise<Told>;

/** By operation. */
const OPERATIONS: Readonly<Record<string, Ask>> = {
  getUploadStatus: (own) => own.ask('GET', '/media/chunks?fileId=half'),
  getVideo: (own, id) => own.ask('GET', `/media/videos/${id}`),
  getImage: (own, id) => own.ask('GET', `/media/images/${id}`),
  getMetrics: (own) => own.admin('GET metrics'),
  listUploads: (own) => own.admin('GET uploads'),
  getUpload: (own) => own.admin('GET uploads/half'),
  getUploadContent: (own) => own.admin('GET uploads/half/content'),
  deleteUpload: (own) => own.admin('DELETE uploads/half'),
  listMedia: (own) => own.admin('GET media'),
  getMedia: (own, id) => own.admin(`GET media/${id}`),
  getMediaContent: (own, id) => own.admin(`GET media/${id}/content`),
  changeClock: (own) => own.admin('PUT clock', { advanceMs: 1 }),
  exportState: (own) => own.admin('GET state'),
  importState: (own) => own.admin('PUT state', { fixture: 'half-uploaded' }),
  reset: (own) => own.admin('POST reset', { scope: ['uploads', 'media'] }),
};

/** The errors that a call may give at any time. Nobody foresaw the last one. */
const REFUSALS = [
  ['EMFILE', 503, 'storage_unavailable'],
  ['EDQUOT', 507, 'insufficient_storage'],
  ['ENODEV', 500, 'internal_error'],
] as const;

/** Nothing that is stored is in memory. */
async function restarted(): Promise<{ server: TestServer; own: DoubleClient; id: string }> {
  const before = await openTestServer({ storage: 'disk' });
  const earlier = new DoubleClient(before, 'k');
  await earlier.chunk({ fileId: 'half', index: 0, total: 2 });
  await earlier.chunk();
  const { id } = (await earlier.finalize()).body.data;
  await before.close();
  const server = await openTestServer({ storage: 'disk', dataDir: before.dataDir });
  return { server, own: new DoubleClient(server, 'k'), id };
}

describe('of a disk of which every call fails', () => {
  it.each(REFUSALS)('with %s the answer is %i, and what is stored stays', async (code, status, error) => {
    const { server, own, id } = await restarted();
    const failure = { call: 1, times: Number.POSITIVE_INFINITY, isAfter: false, code };
    for (const [operation, ask] of Object.entries(OPERATIONS)) {
      const answer = await disk.failing(failure, () => ask(own, id));
      expect([operation, answer.status, answer.body['error']]).toEqual([operation, status, error]);
    }
    server.takeErrors();
    expect(await own.size('half')).toBe(5);
    expect((await own.admin(`GET media/${id}/content`)).text).toBe('bytes');
  });

  it('each operation that promises such an answer is asked here, or stores something', () => {
    const operations = ['openapi.yaml', 'openapi-admin.yaml'] as const;
    const promising = operations.flatMap((name) =>
      loadContract(name).operations.filter(({ statuses }) => statuses.has(507)),
    );
    const asked = [...Object.keys(OPERATIONS), 'uploadChunk', 'createVideo', 'createImage'];
    expect(promising.map(({ operationId }) => operationId).toSorted()).toEqual(asked.toSorted());
  });
});
