// state.test.ts: a namespace is exported as JSON and imported again. Every client then gets the same answers. Fixtures are imported
// by name.
import { crc32 } from 'node:zlib';
import { describe, expect, it, vi } from 'vitest';
import type { ExportedState } from '../../src/control/state-export.ts';
import { flipByte } from '../helpers/damage.ts';
import { openTestServer, uploadView, type TestServer } from '../helpers/app.ts';
import { contentBytes, mediaLedger, namespaceOf } from '../helpers/disk.ts';
import { DoubleClient, type Entry, type Told } from '../helpers/double-client.ts';
import { formOf } from '../helpers/multipart.ts';
import { diceOf, SEED } from '../helpers/seed.ts';

interface Refused {
  readonly error: string;
  readonly details: { readonly fields: readonly { field: string; message: string }[] };
}

const FROZEN = { mode: 'frozen', now: '2026-03-01T09:30:00.000Z' };

/** A server whose clock stands still, and a client of one key. */
async function stood(
  settings: Parameters<typeof openTestServer>[0] = {},
): Promise<{ server: TestServer; own: DoubleClient }> {
  const server = await openTestServer({ pendingTime: '1m', processingTime: '10m', ...settings });
  const own = new DoubleClient(server, 'k');
  await own.admin('PUT clock', FROZEN);
  return { server, own };
}

/** A file sent directly: an entry without an upload. */
async function direct(own: DoubleClient, content: string): Promise<Entry> {
  const { contentType, body } = formOf([
    { name: 'platforms', value: '["youtube"]' },
    { name: 'file', value: content, filename: 'film.mp4', type: 'video/mp4' },
  ]);
  const answer = await own.ask<{ data: Entry }>('POST', '/media/videos', {
    headers: { 'content-type': contentType },
    body,
  });
  expect(answer.status, answer.text).toBe(201);
  return answer.body.data;
}

/** Without the fields that count the requests of this server. */
async function answersOf(
  own: DoubleClient,
  asked: readonly [method: string, target: string, json?: unknown][],
): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const [method, target, json] of asked) {
    const { status, text } = await own.ask(method, target, json === undefined ? {} : { json });
    answers.push([target, status, text.replaceAll(/"requestId":"[^"]*"/g, '')]);
  }
  return answers;
}

describe('an export with bytes, put in elsewhere', () => {
  it.each(['memory', 'disk'] as const)(
    'gives the same answers to every client, in %s (§9.11)',
    async (storage) => {
      const { server, own } = await stood({ storage, chunkOrder: 'any' });
      await own.chunk({ fileId: 'half', index: 0, total: 3, bytes: 'one ' });
      await own.admin('PUT clock', { advanceMs: 1_000 });
      await own.chunk({ fileId: 'half', index: 2, total: 3, bytes: 'three' });
      for (const index of [2, 0, 1])
        await own.chunk({ fileId: 'whole', index, total: 3, bytes: `part ${index};` });
      await own.admin('POST rules', {
        match: { operation: 'createVideo' },
        fault: 'fail-publish:youtube,reason=quota',
      });
      const fields = {
        title: 'Ünïcode',
        platforms: ['tiktok', 'youtube'],
        youtube: { title: 'T', tags: ['a'] },
      };
      const made = (await own.finalize('whole', fields)).body.data;
      await own.chunk({ fileId: 'later', bytes: '' });
      const later = (await own.finalize('later', { scheduledAt: '2026-03-02T00:00:00Z' })).body.data;
      const film = await direct(own, 'a whole film');
      await own.admin('PUT clock', { advanceMs: 120_000 });

      const asked: [string, string, unknown?][] = [
        ...['half', 'whole', 'later', 'none'].map((id): [string, string] => [
          'GET',
          `/media/chunks?fileId=${id}`,
        ]),
        ...[made, later, film].map(({ id }): [string, string] => ['GET', `/media/videos/${id}`]),
        ['POST', '/media/videos', { fileId: 'whole', ...fields }],
        ['POST', '/media/videos', { fileId: 'whole', platforms: ['youtube'] }],
        ['POST', '/media/videos', { fileId: 'half', platforms: ['youtube'] }],
        ['GET', '/__admin/uploads'],
        ['GET', '/__admin/uploads/half?digest=sha256'],
        ['GET', '/__admin/uploads/whole?digest=sha256'],
        ['GET', '/__admin/media'],
        ...[made, later, film].map(({ id }): [string, string] => ['GET', `/__admin/media/${id}/content`]),
      ];
      const before = await answersOf(own, asked);
      const sizesBefore = await resent(own);
      const exported = await own.admin<ExportedState>('GET state?bytes=base64');
      expect(exported.status).toBe(200);
      expect(await answersOf(own, asked), 'looking changes nothing').toEqual(before);

      const other = await openTestServer({
        storage,
        chunkOrder: 'any',
        pendingTime: '1m',
        processingTime: '10m',
      });
      const there = new DoubleClient(other, 'k');
      await there.admin('PUT clock', { mode: 'frozen', now: exported.body.exportedAt });
      await there.chunk({ fileId: 'gone', bytes: 'was here before' });
      const put = await there.admin('PUT state', exported.body);
      expect([put.status, put.body]).toEqual([200, { uploads: 3, media: 3 }]);
      expect(await answersOf(there, asked)).toEqual(before);
      expect(await resent(there)).toEqual(sizesBefore);
      expect(await there.size('gone')).toBeNull();
      for (const ms of [600_000, 86_400_000]) {
        for (const client of [own, there]) await client.admin('PUT clock', { advanceMs: ms });
        expect(await answersOf(there, asked)).toEqual(await answersOf(own, asked));
      }
      expect((await there.admin<ExportedState>('GET state')).body.media).toHaveLength(3);
      if (storage === 'disk') expect(contentBytes(other.dataDir)).toBe(contentBytes(server.dataDir));
    },
  );

  /** The answers to every chunk that is sent again, and to a different chunk in its place. */
  async function resent(own: DoubleClient): Promise<unknown[]> {
    const answers: Told[] = [];
    for (const index of [0, 1, 2]) {
      answers.push(await own.chunk({ fileId: 'whole', index, total: 3, bytes: `part ${index};` }));
      answers.push(await own.chunk({ fileId: 'whole', index, total: 3, bytes: 'other' }));
    }
    answers.push(await own.chunk({ fileId: 'half', index: 2, total: 3, bytes: 'three' }));
    return answers.map(({ status, text }) => [status, text.replaceAll(/"requestId":"[^"]*"/g, '')]);
  }

  it('goes on where it was: the rest can be sent and finalised', async () => {
    const { own } = await stood();
    const content = diceOf(SEED).bytes(3_000);
    for (const index of [0, 1])
      await own.chunk({ index, total: 3, bytes: content.subarray(index * 1000, (index + 1) * 1000) });
    const { body } = await own.admin('GET state?bytes=base64');
    const { server, own: there } = await stood({ storage: 'disk' });
    await there.admin('PUT state', body);
    await there.chunk({ index: 2, total: 3, bytes: content.subarray(2000) });
    const { data } = (await there.finalize()).body;
    const bytes = await (
      await fetch(`${server.url}/__admin/media/${data.id}/content`, { headers: { 'x-api-key': 'k' } })
    ).arrayBuffer();
    expect(Buffer.from(bytes).equals(content)).toBe(true);
  });

  it('with a seed, ids that come later are others', async () => {
    const { own } = await stood({ seed: 's' });
    await own.chunk({ fileId: 'a' });
    const { id } = (await own.finalize('a')).body.data;
    const { body } = await own.admin('GET state');
    const { own: there } = await stood({ seed: 's' });
    await there.admin('PUT state', body);
    await there.chunk({ fileId: 'b' });
    const made = await there.finalize('b');
    expect([made.status, made.body.data.id === id]).toEqual([201, false]);
  });

  it('of a namespace of another key, or of one upload that another key finalised', async () => {
    const { server } = await stood();
    const [keyless, own] = [new DoubleClient(server), new DoubleClient(server, 'k')];
    await keyless.admin('PUT clock', FROZEN);
    await keyless.chunk();
    const { data } = (await own.finalize()).body;
    const { body: open } = await own.admin<ExportedState>('GET state?namespace=public');
    expect(open.uploads).toMatchObject([{ fileId: 'f', completedBy: 0 }]);
    expect([open.uploads[0]?.finalize, open.media]).toEqual([undefined, []]);
    const { body } = await own.admin<ExportedState>('GET state?bytes=base64');
    expect([body.uploads, body.media.map(({ id }) => id)]).toEqual([[], [data.id]]);
    const { own: there } = await stood();
    await there.admin('PUT state', body);
    expect(await there.entry(data.id)).toEqual(data);
  });
});

describe('an export without bytes', () => {
  it('is small, and stands for the same sizes: filler in the place of the bytes, the same every time (§9.11)', async () => {
    const { own } = await stood();
    for (const index of [0, 1]) await own.chunk({ index, total: 2, bytes: Buffer.alloc(3_000_000, index) });
    const { body, text } = await own.admin<ExportedState>('GET state');
    expect(text.length).toBeLessThan(1_000);
    expect(body.uploads[0]?.chunks).toMatchObject([
      { index: 0, bytes: 3_000_000, crc32: crc32(Buffer.alloc(3_000_000)).toString(16).padStart(8, '0') },
      { index: 1, bytes: 3_000_000 },
    ]);
    const views = await Promise.all(
      [1, 2].map(async () => {
        const { server, own: there } = await stood();
        await there.admin('PUT state', body);
        return uploadView(server, 'f', 'k');
      }),
    );
    expect(views[0]).toMatchObject({ currentSize: 6_000_000, completed: true });
    expect(views[1]).toEqual(views[0]);
    expect(views[0]?.chunks[0]?.crc32).not.toBe(views[0]?.chunks[1]?.crc32);
  });

  it('that is older than an upload lives has its entry still', async () => {
    const { own } = await stood({ uploadTtl: '1h' });
    for (const fileId of ['made', 'not']) await own.chunk({ fileId, bytes: 'content' });
    const { data } = (await own.finalize('made')).body;
    const { body } = await own.admin('GET state?bytes=base64');
    const { server, own: there } = await stood({ uploadTtl: '1h' });
    await there.admin('PUT clock', { advanceMs: 3_600_000 });
    expect((await there.admin('PUT state', body)).status).toBe(200);
    expect([await there.size('made'), await there.size('not')]).toEqual([null, null]);
    expect(await there.entry(data.id)).toMatchObject({
      id: data.id,
      createdAt: data['createdAt'],
      status: 'completed',
    });
    const content = await there.ask('GET', `${server.url}/__admin/media/${data.id}/content`);
    expect(content.text).toBe('content');
    expect((await there.admin<ExportedState>('GET state')).body).toMatchObject({
      uploads: [],
      media: [{ id: data.id }],
    });
  });

  it('with more contents than one JSON can hold is refused, and works without them', async () => {
    const { own } = await stood();
    const uploads = [{ fileId: 'large', totalChunks: 1, chunks: [{ index: 0, bytes: 129 * 1024 * 1024 }] }];
    expect((await own.admin('PUT state', { uploads })).body).toEqual({ uploads: 1, media: 0 });
    const { status, body } = await own.admin<Refused>('GET state?bytes=base64');
    expect([status, body.error]).toEqual([413, 'body_too_large']);
    expect((await own.admin('GET state')).status).toBe(200);
  });
});

describe('a ready-made state', () => {
  it.each([
    ['half-uploaded', { currentSize: 524_288, completed: false, finalizedAs: null }],
    ['complete-not-finalised', { currentSize: 1_048_576, completed: true, finalizedAs: null }],
    ['finalised-processing', { completed: true, finalizedAs: expect.any(String) }],
    ['scheduled-for-tomorrow', { completed: true, finalizedAs: expect.any(String) }],
  ])('%s is what its name says (§9.11)', async (fixture, upload) => {
    const { server, own } = await stood();
    const { body } = await own.admin('PUT state', { fixture });
    expect(body).toEqual({
      uploads: 1,
      media: fixture.includes('-not-') || fixture.startsWith('half') ? 0 : 1,
    });
    expect(await uploadView(server, fixture, 'k')).toMatchObject({ totalChunks: 4, ...upload });
    const { media } = (await own.admin<{ media: Entry[] }>('GET media')).body;
    const status = fixture === 'finalised-processing' ? 'processing' : 'scheduled';
    for (const entry of media) expect(entry.status).toBe(status);
  });

  it('takes another fileId, and can be gone on with', async () => {
    const { own } = await stood();
    await own.admin('PUT state', { fixture: 'half-uploaded', fileId: 'mine' });
    for (const index of [2, 3])
      expect((await own.chunk({ fileId: 'mine', index, total: 4 })).status).toBe(200);
    expect((await own.finalize('mine')).status).toBe(201);
  });

  it('processing ends, scheduled begins, on the clock', async () => {
    const { own } = await stood();
    for (const [fixture, ms] of [
      ['finalised-processing', 600_000],
      ['scheduled-for-tomorrow', 86_400_000],
    ] as const) {
      await own.admin('PUT state', { fixture });
      const [entry] = (await own.admin<{ media: Entry[] }>('GET media')).body.media;
      await own.admin('PUT clock', { advanceMs: ms - 1 });
      const before = (await own.entry(entry?.id ?? ''))?.status;
      await own.admin('PUT clock', { advanceMs: 1 });
      expect([entry?.status, before]).toEqual([before, entry?.status]);
      expect((await own.entry(entry?.id ?? ''))?.status).not.toBe(before);
    }
  });
});

describe('what cannot be put in', () => {
  const chunk = { index: 0, bytes: 2 };
  const upload = { fileId: 'f', totalChunks: 1, chunks: [chunk] };
  const finalize = { type: 'video', fields: { platforms: ['youtube'] } };

  it.each<[string, unknown, string]>([
    ['a fixture that there is not', { fixture: 'full' }, 'fixture'],
    ['a field that there is not', { upload: [] }, 'body'],
    ['another format', { format: 2 }, 'format'],
    ['no object', [], 'body'],
    ['a fileId that no client can have', { uploads: [{ ...upload, fileId: 'a\nb' }] }, 'uploads.0.fileId'],
    ['two uploads of one name', { uploads: [upload, upload] }, 'uploads.1.fileId'],
    [
      'a chunk beyond the last',
      { uploads: [{ ...upload, chunks: [{ index: 1, bytes: 2 }] }] },
      'uploads.0.chunks.0.index',
    ],
    [
      'a chunk twice',
      { uploads: [{ ...upload, totalChunks: 2, chunks: [chunk, chunk] }] },
      'uploads.0.chunks.1.index',
    ],
    [
      'an empty chunk of several',
      { uploads: [{ ...upload, totalChunks: 2, chunks: [{ index: 0, bytes: 0 }] }] },
      'uploads.0.chunks.0.bytes',
    ],
    [
      'bytes of another length',
      { uploads: [{ ...upload, chunks: [{ ...chunk, data: 'AAAA' }] }] },
      'uploads.0.chunks.0.data',
    ],
    [
      'bytes of another checksum',
      { uploads: [{ ...upload, chunks: [{ ...chunk, data: 'AAA=', crc32: '00000000' }] }] },
      'uploads.0.chunks.0.crc32',
    ],
    [
      'what is no Base64',
      { uploads: [{ ...upload, chunks: [{ ...chunk, data: 'A*A=' }] }] },
      'uploads.0.chunks.0.data',
    ],
    [
      'a time that is none',
      { uploads: [{ ...upload, chunks: [{ ...chunk, at: 'now' }] }] },
      'uploads.0.chunks.0.at',
    ],
    ['a last chunk that is not there', { uploads: [{ ...upload, completedBy: 1 }] }, 'uploads.0.completedBy'],
    [
      'an entry of half an upload',
      { uploads: [{ ...upload, totalChunks: 2, finalize }] },
      'uploads.0.finalize',
    ],
    [
      'an entry for no platform',
      { uploads: [{ ...upload, finalize: { type: 'video', fields: {} } }] },
      'platforms',
    ],
    [
      'an entry of an account that there is not',
      {
        media: [
          { ...finalize, fields: { platforms: ['youtube'], youtube: { channels: ['none'] } }, bytes: 1 },
        ],
      },
      'youtube.channels',
    ],
    ['an id of another shape', { media: [{ ...finalize, id: '../../etc', bytes: 1 }] }, 'media.0.id'],
    ['an id twice', { media: [1, 2].map(() => ({ ...finalize, id: '0'.repeat(24), bytes: 1 })) }, 'media.id'],
  ])('%s is refused by its place, and what was there stays', async (_name, json, field) => {
    const { own } = await stood();
    await own.chunk({ fileId: 'before', bytes: 'before' });
    const { status, body } = await own.admin<Refused>('PUT state', json);
    expect([status, body.error]).toEqual([400, 'invalid_request']);
    expect(body.details.fields).toContainEqual({ field, message: expect.any(String) });
    expect(await own.size('before')).toBe(6);
  });

  it('an entry without a key: nobody could read it', async () => {
    const { server } = await stood();
    const keyless = new DoubleClient(server);
    for (const json of [{ fixture: 'finalised-processing' }, { media: [{ ...finalize, bytes: 1 }] }]) {
      const { status, body } = await keyless.admin<Refused>('PUT state', json);
      expect([status, body.details.fields[0]?.field]).toEqual([400, 'namespace']);
    }
    expect((await keyless.admin('PUT state', { fixture: 'half-uploaded' })).status).toBe(200);
  });

  it('a state of all namespaces, or for all of them', async () => {
    const { own } = await stood();
    for (const line of ['GET state?namespace=*', 'PUT state?namespace=*']) {
      const { status, body } = await own.admin<Refused>(
        line,
        line.startsWith('PUT') ? { uploads: [] } : undefined,
      );
      expect([status, body.details.fields[0]?.field]).toEqual([400, 'namespace']);
    }
    expect((await own.admin('GET state?bytes=yes')).status).toBe(400);
  });

  it.each([
    [
      'a gap',
      {},
      { uploads: [{ fileId: 'f', totalChunks: 2, chunks: [{ index: 1, bytes: 1 }] }] },
      409,
      'chunk_out_of_order',
    ],
    [
      'more than a file may have',
      { maxFileSize: 10 },
      { uploads: [{ fileId: 'f', totalChunks: 1, chunks: [{ index: 0, bytes: 11 }] }] },
      413,
      'upload_too_large',
    ],
    [
      'more uploads than may be open',
      { maxOpenUploads: 1 },
      { uploads: ['a', 'b'].map((fileId) => ({ fileId, totalChunks: 2, chunks: [{ index: 0, bytes: 1 }] })) },
      429,
      'too_many_open_uploads',
    ],
    [
      'more than there is room for',
      { maxStoredBytes: 10 },
      { uploads: [{ fileId: 'f', totalChunks: 1, chunks: [{ index: 0, bytes: 11 }] }] },
      507,
      'insufficient_storage',
    ],
  ] as const)(
    '%s is what this server refuses, and then nothing is there',
    async (...[, settings, json, expected, code]) => {
      const { own } = await stood(settings);
      await own.chunk({ fileId: 'before', bytes: 'x' });
      const { status, body } = await own.admin<Refused>('PUT state', json);
      expect([status, body.error]).toEqual([expected, code]);
      expect((await own.admin<{ uploads: unknown[] }>('GET uploads')).body.uploads).toEqual([]);
      expect((await own.chunk({ fileId: 'after', bytes: 'x' })).status).toBe(200);
    },
  );
});

it('a damaged entry is named, also by an export; a reset is the end of it (D5)', async () => {
  const before = await openTestServer({ storage: 'disk' });
  const maker = new DoubleClient(before, 'k');
  await maker.chunk();
  const { id } = (await maker.finalize()).body.data;
  await before.close();
  await flipByte(mediaLedger(before.dataDir, id, namespaceOf('k')), 30);
  const server = await openTestServer({ storage: 'disk', dataDir: before.dataDir });
  const own = new DoubleClient(server, 'k');
  expect((await own.admin('GET media')).body).toMatchObject({ media: [], damaged: [{ name: id }] });
  const exported = await own.admin('GET state?bytes=base64');
  expect(exported).toMatchObject({ status: 200, body: { uploads: [], media: [], damaged: [{ name: id }] } });
  expect((await new DoubleClient(server, 'another').admin('PUT state', exported.body)).status).toBe(200);
  for (const path of [`media/${id}`, `media/${id}/content`, 'uploads/f/content']) {
    const { status, body } = await own.admin<Refused>(`GET ${path}`);
    expect([path, status, body.error]).toEqual([path, 500, 'upload_damaged']);
  }
  expect(server.takeErrors().length).toBeGreaterThan(0);
  await own.admin('POST reset');
  expect((await own.admin('GET media')).body).toMatchObject({ media: [], damaged: [] });
  expect(contentBytes(before.dataDir)).toBe(0);
});

it('a reset of the entries spares an upload that was begun anew under the fileId of one', async () => {
  const server = await openTestServer({});
  const own = new DoubleClient(server, 'k');
  await own.chunk();
  await own.finalize();
  const content = server.uploads.content.bind(server.uploads);
  vi.spyOn(server.uploads, 'content').mockImplementationOnce(async (ref) => {
    const found = await content(ref);
    await server.uploads.remove(ref);
    expect((await new DoubleClient(server, 'k').chunk({ total: 2, bytes: 'anew' })).status).toBe(200);
    return found;
  });
  expect((await own.admin('POST reset', { scope: ['media'] })).status).toBe(200);
  expect((await own.admin('GET media')).body).toMatchObject({ media: [] });
  expect(await own.size('f')).toBe(4);
});
