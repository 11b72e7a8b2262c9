// What is wrong with one upload, entry or folder does not prevent the work on the rest (rule D5): a ledger that cannot be read, and
// whatever else lies in the data folder.
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { collectOnce } from '../../src/lifecycle/collector.ts';
import { ask, finalize, openTestServer, sendAll, sendChunk, type TestServer } from '../helpers/app.ts';
import {
  filesIn,
  mediaLedger,
  namespaceOf,
  putFolderAt,
  uploadBytes,
  uploadLedger,
} from '../helpers/disk.ts';

const NAMESPACE = namespaceOf('k');

/** Makes two uploads that are not complete, and an entry; then the server is closed. */
async function stored(): Promise<{ dataDir: string; mediaId: string }> {
  const before = await openTestServer({ storage: 'disk' });
  for (const fileId of ['well', 'ill']) await sendChunk(before, { fileId, index: 0, total: 2, key: 'k' });
  await sendAll(before, { fileId: 'done', key: 'k' });
  const { id } = (await finalize(before, 'done')).body.data;
  await before.close();
  return { dataDir: before.dataDir, mediaId: id };
}

/** At every depth of the folder: a file, a folder, a link to nothing, a link to itself. */
async function strew(dataDir: string): Promise<string[]> {
  const folders = [...filesIn(dataDir).keys()].filter((name) => /^(ledgers|bytes)\/.*\/$/.test(name));
  const strewn: string[] = [];
  for (const folder of ['ledgers/', 'bytes/', ...folders]) {
    const at = join(dataDir, folder);
    await writeFile(join(at, '.DS_Store'), 'not ours');
    await mkdir(join(at, 'lost+found', 'deeper'), { recursive: true });
    await symlink('/nowhere/at/all', join(at, 'dangling link'));
    await symlink('loop~', join(at, 'loop~'));
    await writeFile(join(at, 'copy of a ledger.log'), 'not ours');
    strewn.push(join(folder, '.DS_Store'), join(folder, 'lost+found'));
  }
  return strewn;
}

interface Listed {
  readonly uploads?: readonly { readonly fileId: string }[];
  readonly media?: readonly { readonly id: string }[];
  readonly damaged: readonly { readonly name: string; readonly message: string }[];
}

async function admin<T = Listed>(server: TestServer, path: string, method = 'GET'): Promise<[number, T]> {
  const { status, text } = await ask(server, `/__admin/${path}`, { method, key: 'k' });
  return [status, (path === 'metrics' ? text : JSON.parse(text)) as T];
}

it('strays at every depth change nothing, are told once each, and stay (D5)', async () => {
  const { dataDir, mediaId } = await stored();
  const strewn = await strew(dataDir);
  const settings = {
    storage: 'disk',
    dataDir,
    seed: 's',
    maxStoredBytes: '1MiB',
    maxStoredBytesPerKey: '1MiB',
  } as const;
  const server = await openTestServer(settings);
  for (let times = 0; times < 2; times += 1) {
    const [, { uploads = [], damaged }] = await admin(server, 'uploads?namespace=*');
    expect([uploads.map(({ fileId }) => fileId).toSorted(), damaged]).toEqual([['done', 'ill', 'well'], []]);
    expect((await admin(server, 'media'))[1]).toMatchObject({ media: [{ id: mediaId }], damaged: [] });
    expect((await admin(server, 'metrics'))[0]).toBe(200);
    const [exporting, state] = await admin(server, 'state?bytes=base64');
    expect([exporting, state.damaged]).toEqual([200, undefined]);
  }
  expect((await sendChunk(server, { fileId: 'well', index: 1, total: 2, key: 'k' })).status).toBe(200);
  expect((await admin(server, 'reset', 'POST'))[1]).toMatchObject({ reset: { uploads: 3 } });
  expect((await admin(server, 'uploads'))[1]).toMatchObject({ uploads: [], damaged: [] });
  const told = server.log.filter(({ msg }) => msg === 'something in the data folder is left alone');
  expect(new Set(told.map(({ path }) => path)).size, 'each once').toBe(told.length);
  expect(told.length).toBeGreaterThan(20);
  await server.close();
  const left = await readdir(dataDir, { recursive: true });
  // What lay among the bytes of an upload was removed with them.
  const staying = strewn.filter((path) => path.split('/').length < 6);
  expect(staying.filter((path) => !left.includes(path))).toEqual([]);
});

it('a ledger that cannot be read is named, and nothing else suffers (D5)', async () => {
  const { dataDir, mediaId } = await stored();
  for (const ledger of [uploadLedger(dataDir, 'ill', NAMESPACE), mediaLedger(dataDir, mediaId, NAMESPACE)]) {
    await rm(ledger);
    await symlink(ledger, ledger); // ELOOP fails for everybody: root could read the file whatever its permissions are.
  }
  const server = await openTestServer({ storage: 'disk', dataDir, seed: 's', maxStoredBytes: '1MiB' });
  const [, { uploads = [], damaged }] = await admin(server, 'uploads');
  expect(uploads.map(({ fileId }) => fileId).toSorted()).toEqual(['done', 'well']);
  expect(damaged).toMatchObject([{ kind: 'uploads', message: expect.stringContaining('ELOOP') as string }]);
  expect((await admin(server, 'media'))[1]).toMatchObject({ media: [], damaged: [{ name: mediaId }] });
  const [, metrics] = await admin<string>(server, 'metrics');
  expect(metrics).toContain('xenonflare_mock_entries{status="damaged"} 1');
  const [exporting, state] = await admin(server, 'state?bytes=base64');
  expect([exporting, state.uploads?.map(({ fileId }) => fileId)]).toEqual([200, ['well']]);
  expect(state.damaged.map(({ name }) => name)).toContain(mediaId);
  const clock = await ask(server, '/__admin/clock', { method: 'PUT', key: 'k', body: '{"advanceMs":1000}' });
  expect(clock.status).toBe(200);
  expect((await sendChunk(server, { fileId: 'well', index: 1, total: 2, key: 'k' })).status).toBe(200);
  expect((await ask(server, '/media/chunks?fileId=ill', { key: 'k' })).text).toContain('upload_damaged');
  expect((await admin(server, 'reset', 'POST'))[0]).toBe(200);
  expect((await admin(server, 'uploads'))[1]).toMatchObject({ uploads: [], damaged: [] });
  expect((await admin(server, 'media'))[1]).toMatchObject({ media: [], damaged: [] });
  expect((await sendChunk(server, { fileId: 'ill', key: 'k' })).status).toBe(200);
  expect(new Set(server.takeErrors().map(({ msg }) => msg))).toEqual(new Set(['upload_damaged']));
});

it('of a reset everything is done but what cannot be removed, and that is said (D5)', async () => {
  const { dataDir, mediaId } = await stored();
  const stuck = uploadLedger(dataDir, 'ill', NAMESPACE);
  await rm(stuck);
  putFolderAt(join(stuck, 'with something in it'));
  const server = await openTestServer({ storage: 'disk', dataDir });
  const [status, answer] = await admin<unknown>(server, 'reset', 'POST');
  expect(status).toBe(500);
  expect(JSON.stringify(answer)).toMatch(
    /upload_damaged.*"reset":\{.*"uploads":2.*"failed":\[\{"kind":"uploads"/s,
  );
  expect((await admin(server, 'uploads'))[1]).toMatchObject({
    uploads: [],
    damaged: [{ kind: 'uploads' }],
  });
  expect((await admin(server, 'media'))[1]).toMatchObject({ media: [], damaged: [] });
  expect((await ask(server, `/media/videos/${mediaId}`, { key: 'k' })).status).toBe(404);
  const deleting = await ask(server, '/__admin/uploads/ill', { method: 'DELETE', key: 'k' });
  expect([deleting.status, deleting.text]).toEqual([500, expect.stringContaining('upload_damaged')]);
  const importing = await ask(server, '/__admin/state', { method: 'PUT', key: 'k', body: '{}' });
  expect([importing.status, importing.text]).toEqual([500, expect.stringContaining('upload_damaged')]);
  await rm(stuck, { recursive: true });
  expect((await admin(server, 'reset', 'POST'))[0]).toBe(200);
  server.takeErrors();
});

it('the collector goes on behind what it cannot remove, and tells of each (D5)', async () => {
  const { dataDir } = await stored();
  const ledger = uploadLedger(dataDir, 'ill', NAMESPACE);
  await rm(ledger);
  putFolderAt(join(ledger, 'deeper'));
  await rm(uploadBytes(dataDir, 'ill', NAMESPACE), { recursive: true });
  const server = await openTestServer({ storage: 'disk', dataDir, uploadTtl: '1ms' });
  const seen: string[] = [];
  const onError = (_error: unknown, place: { name: string } | null): unknown => seen.push(place?.name ?? '');
  const tidied: string[] = [];
  const availability = { writeRefusal: () => null };
  const tidy = (): Promise<void> => Promise.resolve(void tidied.push('tidied'));
  const storage = { availability, tidy } as never;
  await collectOnce({ ...server, storage, uploadTtlMs: 0, onError });
  expect([seen, tidied]).toEqual([[expect.stringMatching(/^[0-9a-f]{40}$/)], ['tidied']]);
  expect((await admin(server, 'uploads'))[1], 'the others are gone').toMatchObject({ uploads: [] });
  expect(await readdir(dirname(ledger))).toHaveLength(1);
  await server.close(); // Its own collector reports it, too.
  server.takeErrors();
});
