// system/data-folder.test.ts: what a server says and does when its data folder disappears, comes back, or belongs to another server
// (rules D3, D6).
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { openTestServer, temporaryFolder, type TestServer } from '../helpers/app.ts';
import { namespaceOf, uploadLedger } from '../helpers/disk.ts';
import { DoubleClient, type Told } from '../helpers/double-client.ts';
import { chunkParts, fieldsFirst, formOf } from '../helpers/multipart.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';

/** The tests wait for events. An event that has not come after this time has failed to come. */
const PATIENCE = { timeout: 60_000, interval: 20 };

interface Stage {
  readonly server: TestServer;
  readonly client: DoubleClient;
  readonly mediaId: string;
}

/** Of the upload `open` the first of three chunks is stored; `whole` is complete; `done` is an entry. */
async function setStage(settings: { chunkOrder?: 'any' } = {}): Promise<Stage> {
  const dataDir = join(await temporaryFolder(), 'data');
  const server = await openTestServer({ storage: 'disk', dataDir, pendingTime: '1h', ...settings });
  const client = new DoubleClient(server, 'k');
  await client.chunk({ fileId: 'open', total: 3 });
  await client.chunk({ fileId: 'whole' });
  await client.chunk({ fileId: 'done' });
  const { body } = await client.finalize('done');
  return { server, client, mediaId: body.data.id };
}

function direct(client: DoubleClient, type: 'videos' | 'images'): Promise<Told> {
  const { contentType, body } = formOf([
    { name: 'platforms', value: '["tiktok"]' },
    { name: 'file', value: 'bytes', filename: type === 'videos' ? 'v.mp4' : 'i.png' },
  ]);
  return client.ask('POST', `/media/${type}`, { headers: { 'content-type': contentType }, body });
}

/** A chunk whose bytes come first. They are too many for the memory, so they are spooled. */
function spooled(client: DoubleClient): Promise<Told> {
  const bytes = Buffer.alloc(1_500_000, 1);
  const { contentType, body } = formOf(
    chunkParts({ fileId: 'spooled', chunkIndex: 0, totalChunks: 1, bytes }),
  );
  return client.ask('POST', '/media/chunks', { headers: { 'content-type': contentType }, body });
}

/** Everything that stores, or reads what is stored. */
function everything({ client, mediaId }: Stage): [string, () => Promise<Told<unknown>>][] {
  return [
    ['the next chunk of an open upload', () => client.chunk({ fileId: 'open', index: 1, total: 3 })],
    ['a chunk that is sent again', () => client.chunk({ fileId: 'open', total: 3 })],
    ['a new upload', () => client.chunk({ fileId: 'new' })],
    ['a chunk whose bytes come first', () => spooled(client)],
    ['a finalise', () => client.finalize('whole')],
    ['a finalise that is sent again', () => client.finalize('done')],
    ['a direct video', () => direct(client, 'videos')],
    ['a direct image', () => direct(client, 'images')],
    ['the status', () => client.ask('GET', '/media/chunks?fileId=open')],
    ['the status of one that is not there', () => client.ask('GET', '/media/chunks?fileId=never')],
    ['an entry', () => client.ask('GET', `/media/videos/${mediaId}`)],
    ['an image', () => client.ask('GET', `/media/images/${mediaId}`)],
    ['the uploads', () => client.admin('GET uploads')],
    ['an upload that nobody knows', () => client.admin('GET uploads/unknown')],
    ['the bytes of an upload', () => client.admin('GET uploads/open/content')],
    ['a deletion', () => client.admin('DELETE uploads/open')],
    ['the entries', () => client.admin('GET media')],
    ['an entry that nobody knows', () => client.admin('GET media/unknown')],
    ['the bytes of an entry', () => client.admin(`GET media/${mediaId}/content`)],
    ['an export', () => client.admin('GET state')],
    ['an import', () => client.admin('PUT state', { fixture: 'half-uploaded' })],
    ['a reset', () => client.admin('POST reset', {})],
  ];
}

type Going = [string, (folder: string) => Promise<unknown>];
const WAYS: Going[] = [
  ['removed', (folder) => rm(folder, { recursive: true })],
  ['moved away', (folder) => rename(folder, `${folder}-away`)],
  [
    'moved away and a link to another is in its place',
    async (folder) => {
      await rename(folder, `${folder}-away`);
      await mkdir(`${folder}-other`);
      await symlink(`${folder}-other`, folder);
    },
  ],
  [
    'removed and made anew',
    async (folder) => {
      await rm(folder, { recursive: true });
      await mkdir(folder);
    },
  ],
];

describe('a data folder that is not there any more (D6)', () => {
  it.each(WAYS)('%s: nothing is acknowledged, from the very next request on', async (_how, goAway) => {
    const stage = await setStage();
    const { server, client } = stage;
    for (const [, request] of everything(stage).slice(0, 1)) {
      await goAway(server.dataDir);
      const { status, headers } = await request();
      expect([status, headers['retry-after']]).toEqual([503, '1']);
    }
    for (const [what, request] of everything(stage)) {
      const { status, text } = await request();
      expect([what, status, text]).toEqual([what, 503, expect.stringContaining('storage_unavailable')]);
    }
    const ready = await client.admin('GET ready');
    expect([ready.status, ready.body]).toEqual([503, { ready: false, reason: 'storage_unavailable' }]);
    expect((await client.admin('GET health')).status).toBe(200);
    expect((await client.admin('GET metrics')).status).toBe(200);
    expect((await client.ask('GET', '/channels')).status).toBe(200);
    // It is reported once, however many requests were refused.
    expect(server.takeErrors().map(({ msg }) => msg)).toEqual([
      expect.stringMatching(/the data folder .*data .*; put (it|that one) back.*, or restart the server/),
    ]);
  });

  it.each(WAYS)('%s: each kind of request is the first to notice', async (_how, goAway) => {
    const kinds = everything(await setStage()).slice(0, 8);
    for (let kind = 0; kind < kinds.length; kind += 1) {
      const stage = await setStage({ chunkOrder: 'any' });
      const [what, request] = everything(stage)[kind] ?? ['', () => Promise.reject(new Error('none'))];
      await goAway(stage.server.dataDir);
      // A request that stores nothing looks at the folder at most every 2 ms, so its answer was true until then.
      if (what.endsWith('sent again'))
        await vi.waitFor(async () => expect((await request()).status).toBe(503), PATIENCE);
      else expect([what, (await request()).status]).toEqual([what, 503]);
      stage.server.takeErrors();
    }
  });

  it('in the middle of a chunk: it is not acknowledged', async () => {
    const { server } = await setStage();
    const bytes = Buffer.alloc(200_000, 2);
    const { contentType, body } = formOf(
      fieldsFirst({ fileId: 'slow', chunkIndex: 0, totalChunks: 1, bytes }),
    );
    const whole = requestBytes('POST /media/chunks', { 'content-type': contentType, 'x-api-key': 'k' }, body);
    const connection = await openConnection(server.port);
    await connection.write(whole.subarray(0, whole.length - 1_000));
    await vi.waitFor(async () => expect((await server.views.uploads('k')).uploads).toBeDefined(), PATIENCE);
    await rm(server.dataDir, { recursive: true });
    await connection.write(whole.subarray(whole.length - 1_000));
    expect((await connection.answer())?.status).toBe(503);
    server.takeErrors();
  });

  it('and comes back: all goes on without a restart, and nothing that was refused is there', async () => {
    const stage = await setStage();
    const { server, client, mediaId } = stage;
    const away = `${server.dataDir}-away`;
    await rename(server.dataDir, away);
    for (const [, request] of everything(stage)) expect((await request()).status).toBe(503);
    await rename(away, server.dataDir);
    await vi.waitFor(async () => expect((await client.admin('GET ready')).status).toBe(200), PATIENCE);
    expect(await client.size('open')).toBe(5);
    expect(await client.size('new')).toBeNull();
    expect((await client.chunk({ fileId: 'open', index: 1, total: 3 })).status).toBe(200);
    expect((await client.chunk({ fileId: 'open', index: 2, total: 3 })).status).toBe(200);
    expect((await client.finalize('whole')).status).toBe(201);
    expect(await client.entry(mediaId)).not.toBeNull();
    expect(server.takeErrors()).toHaveLength(1);
    expect(server.log.filter(({ msg }) => msg.endsWith('can be used again'))).toHaveLength(1);
    await server.close();
    const next = new DoubleClient(await openTestServer({ storage: 'disk', dataDir: server.dataDir }), 'k');
    expect((await next.admin('GET uploads/open/content')).text).toBe('bytesbytesbytes');
    expect(await next.size('new')).toBeNull();
  });
});

describe('a data folder that another process has taken over (D3)', () => {
  it('is not written any more, the log says so once, and the server knows that it has to end (D6)', async () => {
    const stage = await setStage();
    const { server, client } = stage;
    const path = join(server.dataDir, 'lock');
    const heir = {
      ...(JSON.parse(await readFile(path, 'utf8')) as object),
      token: 'heir',
      pid: 77,
      host: 'other',
    };
    await writeFile(`${path}.heir`, JSON.stringify(heir));
    await rename(`${path}.heir`, path);
    const ledger = uploadLedger(server.dataDir, 'open', namespaceOf('k'));
    const before = await readFile(ledger);
    for (const [what, request] of everything(stage))
      expect([what, (await request()).status]).toEqual([what, 503]);
    await server.lost;
    expect((await client.admin('GET ready')).status).toBe(503);
    await server.close();
    expect(server.takeErrors().map(({ level, msg }) => [level, msg])).toEqual([
      [60, expect.stringMatching(/was taken over by process 77 on other.*stores nothing more and ends/)],
    ]);
    expect(await readFile(ledger)).toEqual(before);
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ token: 'heir' });
  });
});
