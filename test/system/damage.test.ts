// Damaged bytes are never served (rule D5): changed bytes, cut files and missing files, of uploads and of entries.
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { createDouble } from '../../src/control/in-process.ts';
import { placePath } from '../../src/storage/disk/paths.ts';
import {
  ask,
  eventually,
  finalize,
  openTestServer,
  sendAll,
  sendChunk,
  type TestServer,
} from '../helpers/app.ts';
import { cutTail, flipByte } from '../helpers/damage.ts';
import { namespaceOf, uploadBytes } from '../helpers/disk.ts';

const MIB = 1024 * 1024;
const NAMESPACE = namespaceOf('k');
const CONTENT = Buffer.from('chunk 0 is good, chunk 1 is good, chunk 2 is good.');

interface Stored {
  readonly server: TestServer;
  /** The bytes of the upload `f` in three chunks, which is not finalised. */
  readonly upload: string;
  /** The bytes of two entries: one was an upload in three chunks, the other was sent directly. */
  readonly entry: string;
  readonly direct: string;
  readonly entryId: string;
  readonly directId: string;
}

async function stored(content = CONTENT): Promise<Stored> {
  const server = await openTestServer({ storage: 'disk', maxFileSize: '64MiB' });
  for (const fileId of ['f', 'done', 'neighbour'])
    await sendAll(server, { fileId, content, total: 3, key: 'k' });
  const entryId = (await finalize(server, 'done')).body.data.id;
  const form = new FormData();
  form.set('platforms', '["instagram"]');
  form.set('file', new Blob([content]), 'a.mp4');
  const made = await ask(server, '/media/videos', { method: 'POST', key: 'k', body: form });
  const directId = made.body.data.id;
  const bytesOf = (name: string): string =>
    join(placePath(join(server.dataDir, 'bytes'), { kind: 'media', namespace: NAMESPACE, name }), 'main');
  const upload = join(uploadBytes(server.dataDir, 'f', NAMESPACE), 'main');
  return { server, upload, entry: bytesOf(entryId), direct: bytesOf(directId), entryId, directId };
}

async function admin(
  server: TestServer,
  path: string,
  headers = {},
): Promise<{ status: number; text: string }> {
  return ask(server, `/__admin/${path}`, { key: 'k', headers });
}

function damagedIn(text: string): object {
  const { details } = JSON.parse(text) as { details: { chunks: object[] } };
  return details;
}

function firstIn(text: string): unknown {
  return (damagedIn(text) as { chunks?: object[] }).chunks?.[0];
}

const WHOLE = ['content', 'digest'] as const;

it.each(['upload', 'entry', 'direct'] as const)(
  'one bit of an %s that is another is refused to whoever reads it, told once, and shown (D5)',
  async (which) => {
    const { server, entryId, directId, ...paths } = await stored();
    const name = { upload: 'uploads/f', entry: `media/${entryId}`, direct: `media/${directId}` }[which];
    await flipByte(paths[which], 20, 1);
    const isDirect = which === 'direct';
    const chunk = isDirect
      ? { index: 0, offset: 0, bytes: CONTENT.length }
      : { index: 1, offset: 17, bytes: 17, expectedCrc32: expect.stringMatching(/^[0-9a-f]{8}$/) as string };
    for (const what of WHOLE) {
      const path = what === 'content' ? `${name}/content` : `${name}?digest=sha256`;
      const { status, text } = await admin(server, path);
      expect([what, status, text]).toEqual([what, 500, expect.stringContaining('upload_damaged')]);
      expect(damagedIn(text)).toMatchObject({ chunks: [{ ...chunk, problem: 'crc32' }] });
    }
    const covered = await admin(server, `${name}/content`, { range: isDirect ? 'bytes=0-' : 'bytes=17-33' });
    expect(covered.status).toBe(500);
    if (!isDirect) expect((await admin(server, `${name}/content`, { range: 'bytes=0-16' })).status).toBe(206);
    expect(JSON.parse((await admin(server, name)).text)).toMatchObject({ damaged: { chunks: [chunk] } });
    const { text } = await admin(server, `${name}?verify=true`);
    expect(JSON.parse(text)).toMatchObject({
      damaged: { chunks: [chunk] },
      verified: { ok: false, bytes: CONTENT.length, damaged: [chunk], damagedTotal: 1, uncheckedBytes: 0 },
    });
    expect(server.takeErrors()).toMatchObject([{ msg: 'upload_damaged' }]);
    const neighbour = await admin(server, 'uploads/neighbour/content');
    expect([neighbour.status, neighbour.text]).toEqual([200, CONTENT.toString()]);
    // When the file has been repaired by hand, it is right again at the next read.
    await flipByte(paths[which], 20, 1);
    expect((await admin(server, `${name}/content`)).text).toBe(CONTENT.toString());
    const mended = JSON.parse((await admin(server, `${name}?verify=true`)).text) as object;
    expect(mended).toMatchObject({ damaged: null, verified: { ok: true, chunks: isDirect ? 1 : 3 } });
  },
);

it.each(['upload', 'entry', 'direct'] as const)(
  'a cut or missing file of an %s is upload_damaged (D5)',
  async (which) => {
    const { server, entryId, directId, ...paths } = await stored();
    const name = { upload: 'uploads/f', entry: `media/${entryId}`, direct: `media/${directId}` }[which];
    await cutTail(paths[which], 10);
    const index = which === 'direct' ? 0 : 2;
    for (const path of [`${name}/content`, `${name}?digest=sha256`]) {
      const { status, text } = await admin(server, path);
      expect([status, firstIn(text)]).toMatchObject([500, { index, problem: 'cut' }]);
    }
    const end = which === 'direct' ? 0 : 16;
    const before = await admin(server, `${name}/content`, { range: `bytes=0-${end}` });
    expect(before.status, 'what lies before the cut').toBe(which === 'direct' ? 500 : 206);
    await rm(paths[which]);
    for (const path of [`${name}/content`, `${name}?digest=sha256`]) {
      const { status, text } = await admin(server, path);
      expect([status, firstIn(text)]).toMatchObject([500, { index: 0, problem: 'missing' }]);
    }
    const verified = JSON.parse((await admin(server, `${name}?verify=true`)).text) as object;
    expect(verified).toMatchObject({
      verified: { ok: false, bytes: 0, damagedTotal: which === 'direct' ? 1 : 3 },
    });
    expect(server.takeErrors()).toHaveLength(1);
  },
);

it('an answer too long to be checked first is cut before the last byte of a damaged chunk (D5)', async () => {
  const content = randomBytes(27 * MIB);
  const { server, upload, entry, entryId } = await stored(content);
  const whole = await fetch(`${server.url}/__admin/media/${entryId}/content`, {
    headers: { 'x-api-key': 'k' },
  });
  expect(content.equals(Buffer.from(await whole.arrayBuffer()))).toBe(true);
  for (const [file, name] of [
    // A chunk of more than 1 MiB whose file comes first gets a segment of its own.
    [join(dirname(upload), 'c1'), 'uploads/f'],
    [join(dirname(entry), 'c1'), `media/${entryId}`],
  ] as const) {
    await flipByte(file, 4 * MIB);
    const answer = await fetch(`${server.url}/__admin/${name}/content`, { headers: { 'x-api-key': 'k' } });
    expect(answer.status).toBe(200);
    let bytes = 0;
    const reading = (async () => {
      for await (const piece of answer.body ?? []) bytes += (piece as Uint8Array).length;
    })();
    await expect(reading).rejects.toThrow();
    expect(bytes).toBeLessThan(18 * MIB);
    await cutTail(file, 1);
    expect((await admin(server, `${name}/content`)).status, 'a cut one is refused first').toBe(500);
  }
  expect(server.takeErrors()).toHaveLength(2);
});

it('an export leaves out what is damaged, and says so; media check by content looks, too (D5)', async () => {
  const { server, upload } = await stored();
  await flipByte(upload, 20, 1);
  const { status, text } = await admin(server, 'state?bytes=base64');
  const state = JSON.parse(text) as { uploads: { fileId: string }[]; damaged: object[] };
  expect([status, state.uploads.map(({ fileId }) => fileId).toSorted()]).toEqual([
    200,
    ['done', 'neighbour'],
  ]);
  expect(state.damaged).toMatchObject([
    { kind: 'uploads', message: expect.stringContaining('chunk 1') as string },
  ]);
  await server.close();
  const { dataDir } = server;
  const strict = await openTestServer({ storage: 'disk', dataDir, mediaCheck: 'content' });
  const refused = await finalize(strict, 'f');
  expect([refused.status, refused.text]).toEqual([500, expect.stringContaining('upload_damaged')]);
  for (const one of [server, strict]) one.takeErrors();
});

it('a scrub finds what is damaged among everything, tells how far it is, and can be cancelled (D5)', async () => {
  const { server, upload, entry, direct, entryId } = await stored(randomBytes(3 * MIB));
  for (const [file, at] of [
    [upload, 20],
    [entry, 2 * MIB],
  ] as const)
    await flipByte(file, at);
  await rm(direct);
  const own = { key: 'k' };
  expect(JSON.parse((await ask(server, '/__admin/scrub', own)).text)).toEqual({ scrub: null });
  expect(JSON.parse((await ask(server, '/__admin/scrub', { ...own, method: 'DELETE' })).text)).toEqual({
    scrub: null,
  });
  const begun = await ask(server, '/__admin/scrub', { ...own, method: 'POST' });
  const joined = await ask(server, '/__admin/scrub', { ...own, method: 'POST' });
  expect([begun.status, joined.status]).toEqual([202, 200]);
  const { scrub } = await eventually(
    async () =>
      JSON.parse((await ask(server, '/__admin/scrub', own)).text) as { scrub: Record<string, unknown> },
    (seen) => seen.scrub['state'] === 'done',
  );
  expect(scrub).toMatchObject({
    namespace: NAMESPACE,
    uploads: 3,
    media: 2,
    findingsTotal: 3,
    uncheckedBytes: 0,
  });
  expect(scrub['findings']).toMatchObject([
    { kind: 'uploads', fileId: 'f', chunks: [{ index: 0, problem: 'crc32' }] },
    ...[entryId, expect.anything()].map(() => ({ kind: 'media' })),
  ]);
  const double = createDouble(server);
  expect(await double.scrub()).toMatchObject({ namespace: '*', state: 'done', findingsTotal: 3 });
  expect(await double.namespace('other').scrub()).toMatchObject({ state: 'done', uploads: 0, findings: [] });
  const cancelled = await double.scrub({ signal: AbortSignal.abort() });
  expect(cancelled).toMatchObject({ state: 'cancelled' });
  await ask(server, '/__admin/scrub', { ...own, method: 'POST' });
  const ended = await ask(server, '/__admin/scrub', { ...own, method: 'DELETE' });
  expect(JSON.parse(ended.text)).toMatchObject({ scrub: { endedAt: expect.any(String) as string } });
  expect(server.takeErrors()).toHaveLength(3);
});

it.each(['disk', 'memory'] as const)('in process: what is well is verified whole, in %s', async (storage) => {
  const server = await openTestServer({ storage, chunkOrder: 'any' });
  for (const index of [0, 2, 3])
    await sendChunk(server, { index, total: 5, bytes: `chunk ${index}`, key: 'k' });
  const { uploads, media } = createDouble(server).namespace('k');
  expect(await uploads.verify('f')).toMatchObject({ ok: true, bytes: 21, chunks: 3, damaged: [] });
  for (const index of [1, 4]) await sendChunk(server, { index, total: 5, bytes: `chunk ${index}`, key: 'k' });
  const { id } = (await finalize(server)).body.data;
  expect(await media.verify(id)).toMatchObject({ ok: true, bytes: 35, chunks: 5 });
  expect(await uploads.verify('f'), 'its bytes are the entry’s').toMatchObject({
    ok: true,
    bytes: 35,
    chunks: 5,
  });
  await expect(uploads.verify('unknown')).rejects.toMatchObject({ code: 'upload_not_found' });
  await expect(media.verify('0'.repeat(24))).rejects.toMatchObject({ code: 'media_not_found' });
});
