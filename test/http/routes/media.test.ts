// http/routes/media.test.ts: a completed upload, or a file, becomes a media entry, exactly once (F1-F8), and the entry lives (§5).
import { statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  advanceClock,
  ask,
  eventually,
  finalize,
  metric,
  openTestServer,
  sendAll,
  sendChunk,
  sizeOf,
  uploadView,
  wireOf,
  type Answer,
  type TestServer,
} from '../../helpers/app.ts';
import { flipByte } from '../../helpers/damage.ts';
import {
  contentBytes,
  filesIn,
  mediaLedger,
  namespaceOf,
  putFolderAt,
  uploadBytes,
  uploadLedger,
} from '../../helpers/disk.ts';
import { BOUNDARY, formOf, type Part } from '../../helpers/multipart.ts';
import { openConnection, requestBytes } from '../../helpers/raw.ts';

const MP4 = Buffer.concat([
  Buffer.from([0, 0, 0, 24]),
  Buffer.from('ftypmp42\0\0\0\0mp42isom'),
  Buffer.alloc(500, 1),
]);
const MOV = Buffer.concat([
  Buffer.from([0, 0, 0, 20]),
  Buffer.from('ftypqt  \0\0\0\0qt  '),
  Buffer.alloc(500, 2),
]);
const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), Buffer.alloc(500, 3)]);
const JPG = Buffer.concat([Buffer.from('ffd8ffe000104a46494600010100', 'hex'), Buffer.alloc(500, 4)]);
const GIF = Buffer.concat([Buffer.from('GIF89a'), Buffer.alloc(500, 5)]);
const WEBP = Buffer.concat([
  Buffer.from('RIFF'),
  Buffer.from([0xf4, 1, 0, 0]),
  Buffer.from('WEBPVP8 '),
  Buffer.alloc(488, 6),
]);

const VIDEO = {
  type: 'videos',
  other: 'images',
  message: 'Video uploaded',
  platforms: ['youtube', 'tiktok'],
  filename: 'clip.mp4',
  good: MP4,
  bad: PNG,
  takes: ['.mp4', '.mov'],
} as const;
const IMAGE = {
  type: 'images',
  other: 'videos',
  message: 'Image uploaded',
  platforms: ['instagram', 'tiktok'],
  filename: 'photo.png',
  good: PNG,
  bad: MP4,
  takes: ['.jpg', '.jpeg', '.png', '.webp', '.gif'],
} as const;
const KINDS = [VIDEO, IMAGE];
type Kind = (typeof KINDS)[number];

function post(
  server: TestServer,
  { type }: Pick<Kind, 'type'>,
  { contentType, body }: Sent,
): Promise<Answer> {
  const headers = { 'content-type': contentType };
  return ask(server, `/media/${type}`, { method: 'POST', key: 'k', headers, body });
}

interface Sent {
  readonly contentType: string;
  readonly body: string | Buffer;
}

const json = (value: object): Sent => ({ contentType: 'application/json', body: JSON.stringify(value) });
const urlencoded = (fields: Record<string, string> | [string, string][]): Sent => ({
  contentType: 'application/x-www-form-urlencoded',
  body: new URLSearchParams(fields).toString(),
});

/** A direct upload: the kind's own file, but for what is given here, and more parts behind it. */
function direct(
  server: TestServer,
  kind: Kind,
  { more = [], ...file }: Partial<Part> & { more?: readonly Part[] } = {},
): Promise<Answer> {
  const part = { name: 'file', value: kind.good, filename: kind.filename, ...file };
  const platforms = { name: 'platforms', value: JSON.stringify(kind.platforms) };
  return post(server, kind, formOf([platforms, part, ...more]));
}

interface EntryView {
  readonly id: string;
  readonly type: string;
  readonly fileId: string | null;
  readonly bytes: number;
  readonly sha256: string;
}

async function entries(server: TestServer, key = 'k'): Promise<readonly EntryView[]> {
  return (JSON.parse((await ask(server, '/__admin/media', { key })).text) as { media: EntryView[] }).media;
}

async function contentOf(server: TestServer, id: string): Promise<Buffer> {
  const response = await fetch(new URL(`/__admin/media/${id}/content`, server.url), {
    headers: { 'x-api-key': 'k' },
  });
  return Buffer.from(await response.arrayBuffer());
}

function fieldsOf(answer: Answer): string[] {
  return (answer.body.details as { fields: { field: string }[] }).fields.map(({ field }) => field);
}

describe.each(KINDS)('a finalise, $type', (kind) => {
  const asked = { type: kind.type, fields: { platforms: JSON.stringify(kind.platforms), title: 'A title' } };

  it('is answered 201 with the entry as the status query shows it, and never to be cached (F5, §1.4)', async () => {
    const server = await openTestServer({ pendingTime: '1h' });
    await sendAll(server, { total: 3, content: kind.good });
    const made = await finalize(server, 'f', asked);
    expect([made.status, made.body.message]).toEqual([201, kind.message]);
    expect(made.body.data).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{24}$/),
      title: 'A title',
      status: 'pending',
      platforms: kind.platforms,
      scheduledAt: null,
      [kind.platforms[0]]: { status: 'pending' },
      [kind.platforms[1]]: { status: 'pending' },
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    const read = await ask(server, `/media/${kind.type}/${made.body.data.id}`, { key: 'k' });
    expect([read.status, read.body]).toEqual([200, { success: true, data: made.body.data }]);
    expect([made.headers.get('cache-control'), read.headers.get('cache-control')]).toEqual([
      'no-store',
      'no-store',
    ]);
    expect((await contentOf(server, made.body.data.id)).equals(kind.good)).toBe(true);
  });

  it('twenty times in parallel makes one entry: one 201, nineteen 200, the same body (F6)', async () => {
    for (const storage of ['memory', 'disk'] as const) {
      const server = await openTestServer({ storage, pendingTime: '1h' });
      await sendAll(server, { content: kind.good });
      const answers = await Promise.all(Array.from({ length: 20 }, () => finalize(server, 'f', asked)));
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
        ...Array<number>(19).fill(200),
        201,
      ]);
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      expect(await entries(server)).toHaveLength(1);
      expect(await metric(server, `entries_created_total{type="${kind.type.slice(0, -1)}"}`)).toBe(1);
    }
  });

  it('again, later, after a restart, or after its answer was lost, gives the same entry with 200 (F6)', async () => {
    const before = await openTestServer({ storage: 'disk', pendingTime: '1h' });
    await sendAll(before, { content: kind.good });
    const lost = await openConnection(before.port);
    const { contentType, body } = formOf([
      { name: 'fileId', value: 'f' },
      ...Object.entries(asked.fields).map(([name, value]) => ({ name, value })),
    ]);
    const headers = { 'content-type': contentType, 'x-api-key': 'k' };
    await lost.write(requestBytes(`POST /media/${kind.type}`, headers, body));
    lost.reset();
    await eventually(
      () => entries(before),
      ({ length }) => length === 1,
    );
    const [entry] = await entries(before);
    const again = await finalize(before, 'f', asked);
    expect([again.status, again.body.data.id]).toEqual([200, entry?.id]);
    await before.close();
    const server = await openTestServer({ storage: 'disk', dataDir: before.dataDir, pendingTime: '1h' });
    const later = await finalize(server, 'f', asked);
    expect([later.status, later.text]).toEqual([200, again.text]);
    expect(await entries(server)).toHaveLength(1);
  });

  it('with another payload, or as the other type, is refused with the id of the entry (F6)', async () => {
    const server = await openTestServer();
    await sendAll(server, { content: kind.good });
    const made = await finalize(server, 'f', asked);
    const others = [
      { ...asked, fields: { ...asked.fields, title: 'Another title' } },
      { ...asked, fields: { ...asked.fields, platforms: '["tiktok"]' } },
      { ...asked, fields: { ...asked.fields, isDraft: 'true' } },
      { ...asked, type: kind.other, fields: { platforms: '["tiktok"]' } },
    ];
    for (const other of others) {
      const answer = await finalize(server, 'f', other);
      expect(answer.status).toBe(409);
      expect([answer.body.error, answer.body.details]).toEqual([
        'already_finalized',
        { mediaId: made.body.data.id },
      ]);
    }
    expect(await entries(server)).toHaveLength(1);
  });

  it('of different payloads in parallel makes one entry, and conflicts for the others (F6)', async () => {
    const server = await openTestServer();
    await sendAll(server, { content: kind.good });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        finalize(server, 'f', { ...asked, fields: { ...asked.fields, title: `${i % 2}` } }),
      ),
    );
    const codes = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(codes).toEqual([...Array<number>(4).fill(200), 201, ...Array<number>(5).fill(409)]);
    expect(await entries(server)).toHaveLength(1);
  });

  it('says the same in any order of platforms and keys, nested, flat, as a form or as JSON (F1, F6)', async () => {
    const server = await openTestServer({ pendingTime: '1h' });
    await sendAll(server, { content: kind.good });
    const form = formOf([
      { name: 'tiktok', value: '{"caption":"c","disableComment":true}' },
      { name: 'fileId', value: 'f' },
      { name: 'platforms', value: '["instagram","tiktok"]' },
    ]);
    const first = await post(server, kind, form);
    expect(first.status, first.text).toBe(201);
    const nested = {
      fileId: 'f',
      platforms: ['tiktok', 'instagram'],
      tiktok: { disableComment: true, caption: 'c' },
    };
    const flat = {
      fileId: 'f',
      platforms: '["tiktok","instagram"]',
      tiktokCaption: 'c',
      tiktokDisableComment: 'true',
    };
    const same = [
      await post(server, kind, json(nested)),
      await post(server, kind, {
        ...json({ ...flat, title: null, isDraft: false }),
        contentType: 'application/json; charset=utf-8',
      }),
      await post(server, kind, urlencoded(flat)),
    ];
    for (const { status, text } of same) expect([status, text]).toEqual([200, first.text]);
  });

  it('of an unknown upload is 404, of an incomplete one 409 with where to go on (F4)', async () => {
    const server = await openTestServer();
    const unknown = await finalize(server, 'never-sent', asked);
    expect([unknown.status, unknown.body.error, unknown.body.details]).toEqual([404, 'upload_not_found', {}]);
    await sendChunk(server, { index: 0, total: 3, bytes: 'four' });
    const incomplete = await finalize(server, 'f', asked);
    expect([incomplete.status, incomplete.body.error, incomplete.body.details]).toEqual([
      409,
      'upload_incomplete',
      { expectedChunkIndex: 1, currentSize: 4, totalChunks: 3 },
    ]);
    expect(await entries(server)).toEqual([]);
  });

  it('of an upload with its last chunk alone missing is 409, whatever came before, with --chunk-order any (F4)', async () => {
    const server = await openTestServer({ chunkOrder: 'any' });
    for (const index of [2, 1]) await sendChunk(server, { index, total: 3, bytes: 'four' });
    expect((await finalize(server, 'f', asked)).body.details).toEqual({
      expectedChunkIndex: 0,
      currentSize: 0,
      received: [[1, 2]],
      totalChunks: 3,
    });
  });

  it('moves the bytes and copies none (F7)', async () => {
    const server = await openTestServer({ storage: 'disk' });
    await sendAll(server, { content: kind.good, total: 2 });
    const before = statSync(`${uploadBytes(server.dataDir, 'f')}/main`);
    const { body } = await finalize(server, 'f', asked);
    const file = [...filesIn(server.dataDir).keys()].filter((name) => /^bytes\/media\/.*\/main$/.test(name));
    expect(file).toHaveLength(1);
    expect(file[0]).toContain(body.data.id);
    expect(statSync(`${server.dataDir}/${file[0]}`).ino).toBe(before.ino);
    expect(contentBytes(server.dataDir)).toBe(kind.good.length);
  });

  it('and the upload can still be asked for, and its content read', async () => {
    const server = await openTestServer({ storage: 'disk' });
    await sendAll(server, { content: kind.good, total: 2 });
    const { body } = await finalize(server, 'f', asked);
    expect(await sizeOf(server)).toBe(kind.good.length);
    const view = await uploadView(server);
    expect(view).toMatchObject({ finalizedAs: body.data.id, completed: true });
    const [entry] = await entries(server);
    expect(entry).toMatchObject({ fileId: 'f', bytes: kind.good.length, type: kind.type.slice(0, -1) });
    const digest = await ask(server, `/__admin/media/${body.data.id}?digest=sha256`, { key: 'k' });
    expect(JSON.parse(digest.text)).toMatchObject({ sha256: view.sha256 });
  });
});

it('with a seed, an entry that a crash kept from being made keeps its id for itself (F6)', async () => {
  const settings = { storage: 'disk', seed: 'any' } as const;
  const before = await openTestServer(settings);
  await sendAll(before, { fileId: 'first', content: Buffer.from('first') });
  const { body: made } = await finalize(before, 'first');
  await before.close();
  // This is how a process leaves it that is killed after it wrote the upload's record and before it wrote the entry's.
  await rm(join(before.dataDir, 'ledgers', 'media'), { recursive: true });
  const server = await openTestServer({ ...settings, dataDir: before.dataDir });
  await sendAll(server, { fileId: 'second', content: Buffer.from('second') });
  const second = await finalize(server, 'second');
  const first = await finalize(server, 'first');
  expect(first.body.data.id).toBe(made.data.id);
  expect(second.body.data.id).not.toBe(first.body.data.id);
  const content = (id: string): Promise<Answer> => ask(server, `/__admin/media/${id}/content`, { key: 'k' });
  expect((await content(first.body.data.id)).text).toBe('first');
  expect((await content(second.body.data.id)).text).toBe('second');
});

it('with a seed, bytes that a crash left where an entry was removed are in the way of no other (F6)', async () => {
  const settings = { storage: 'disk', seed: 'any' } as const;
  const before = await openTestServer(settings);
  await sendAll(before, { fileId: 'first', content: Buffer.from('first') });
  await finalize(before, 'first');
  await before.close();
  // This is how a process leaves it that is killed while it removes the entry and its upload: ledgers are removed first.
  await rm(join(before.dataDir, 'ledgers'), { recursive: true });
  const server = await openTestServer({ ...settings, dataDir: before.dataDir });
  await sendAll(server, { fileId: 'second', content: Buffer.from('second') });
  const { status, body } = await finalize(server, 'second');
  expect(status).toBe(201);
  const content = await ask(server, `/__admin/media/${body.data.id}/content`, { key: 'k' });
  expect(content.text).toBe('second');
});

describe.each(KINDS)('what a request must have, $type', (kind) => {
  const platforms = JSON.stringify(kind.platforms);
  const made = { fileId: 'f', platforms };

  it('exactly one of file and fileId, and a file that came with a fileId is not kept (F2)', async () => {
    const server = await openTestServer();
    await sendAll(server, { content: kind.good });
    const neither = formOf([{ name: 'platforms', value: platforms }]);
    const answers = [
      await post(server, kind, neither),
      await direct(server, kind, { more: [{ name: 'fileId', value: 'f' }] }),
      await post(server, kind, json({ platforms: kind.platforms })),
      await post(server, kind, {
        contentType: 'application/json',
        body: '{"__proto__":{"fileId":"f"},"platforms":["tiktok"]}',
      }),
    ];
    for (const answer of answers) {
      expect([answer.status, answer.body.error]).toEqual([400, 'invalid_request']);
      expect(fieldsOf(answer)).toEqual(['fileId']);
    }
    expect(await metric(server, 'stored_bytes')).toBe(kind.good.length);
    expect(await entries(server)).toEqual([]);
  });

  it.each<[string, Record<string, string>, string[]]>([
    ['no platforms', { platforms: '' }, ['platforms']],
    ['platforms that are no JSON', { platforms: 'tiktok' }, ['platforms']],
    ['an unknown platform', { platforms: '["vimeo","tiktok"]' }, ['platforms']],
    ['no platform in the list', { platforms: '[]' }, ['platforms']],
    ['an unknown profile', { platforms: '', profileId: 'nobody' }, ['profileId']],
    ['a date that does not exist', { scheduledAt: '2026-02-30T10:00:00Z' }, ['scheduledAt']],
    ['a date in words', { scheduledAt: 'tomorrow' }, ['scheduledAt']],
    ['a draft that is maybe one', { isDraft: 'yes' }, ['isDraft']],
    ['settings that are no JSON', { tiktok: '{caption:1}' }, ['tiktok']],
    ['a setting of the wrong kind', { tiktok: '{"autoPublish":"true"}' }, ['tiktok.autoPublish']],
    ['an unknown privacy', { tiktok: '{"privacy":"FOLLOWERS"}' }, ['tiktok.privacy']],
    ['an unknown account', { instagram: '{"accounts":["nobody"]}' }, ['instagram.accounts']],
    [
      'an unknown account under its flat name',
      { selectedTiktokAccounts: 'nobody' },
      ['selectedTiktokAccounts'],
    ],
    [
      'many mistakes at once',
      { platforms: '["x"]', scheduledAt: 'x', isDraft: 'x', instagram: 'x', profileId: 'x' },
      ['platforms', 'profileId', 'scheduledAt', 'isDraft', 'instagram'],
    ],
  ])(
    '%s: refused, each bad field named, and the upload stays as it was (F3)',
    async (_name, fields, named) => {
      const server = await openTestServer();
      await sendAll(server, { content: kind.good });
      const answer = await finalize(server, 'f', { type: kind.type, fields: { ...made, ...fields } });
      expect([answer.status, answer.body.error], answer.text).toEqual([400, 'invalid_request']);
      expect(fieldsOf(answer)).toEqual(named);
      expect((await finalize(server, 'f', { type: kind.type, fields: made })).status).toBe(201);
    },
  );

  it('a profile can stand for the platforms, or add to them (F3)', async () => {
    const server = await openTestServer();
    const [profile] = JSON.parse((await ask(server, '/profiles', { key: 'k' })).text) as { id: string }[];
    await sendAll(server, { content: kind.good });
    const { body } = await finalize(server, 'f', {
      type: kind.type,
      fields: { platforms: '', profileId: profile?.id ?? '' },
    });
    const all = ['youtube', 'instagram', 'tiktok', 'linkedin', 'pinterest'];
    expect(body.data['platforms']).toEqual(kind.type === 'videos' ? all : all.slice(1));
  });

  it('one of our fields given twice is refused, in a form and urlencoded, and nothing is made', async () => {
    const server = await openTestServer();
    await sendAll(server, { content: kind.good });
    const twice = formOf([
      { name: 'fileId', value: 'f' },
      { name: 'platforms', value: platforms },
      { name: 'title', value: 'a' },
      { name: 'title', value: 'b' },
    ]);
    const encoded = urlencoded([...Object.entries(made), ['title', 'a'], ['title', 'b'], ['title', 'c']]);
    for (const answer of [await post(server, kind, twice), await post(server, kind, encoded)]) {
      expect([answer.status, fieldsOf(answer)]).toEqual([400, ['title']]);
    }
    expect(await entries(server)).toEqual([]);
  });

  it('a field that is not UTF-8 is named and refused, in a form and urlencoded, and nothing is made', async () => {
    const server = await openTestServer();
    await sendAll(server, { content: kind.good });
    const latin1 = Buffer.from('naïve', 'latin1');
    const fields = Object.entries(made).map(([name, value]) => ({ name, value }));
    const encoded = (title: string | Buffer): Sent => {
      const { contentType, body } = urlencoded({ ...made, title: '' });
      return {
        contentType,
        body: Buffer.concat([Buffer.from(body as string), Buffer.from(title as string)]),
      };
    };
    for (const [field, sent] of [
      ['title', formOf([...fields, { name: 'title', value: latin1 }])],
      ['tiktok', formOf([{ name: 'tiktok', value: latin1 }, ...fields])],
      ['youtubeTitle', formOf([{ name: 'youtubeTitle', value: latin1 }, ...fields])],
      ['title', encoded('na%EFve')],
      ['title', encoded('100%')],
      ['title', encoded(latin1)],
    ] as const) {
      const answer = await post(server, kind, sent);
      expect([answer.status, answer.body.error, answer.body.message], field).toEqual([
        400,
        'invalid_request',
        expect.stringContaining('UTF-8'),
      ]);
      expect(fieldsOf(answer)).toEqual([field]);
    }
    expect(await entries(server)).toEqual([]);
  });

  it('a part that is no field of ours may hold anything, and is ignored', async () => {
    const server = await openTestServer();
    await sendAll(server, { content: kind.good });
    const fields = Object.entries(made).map(([name, value]) => ({ name, value }));
    const thumbnail = { name: 'thumbnail', filename: 't.png', value: PNG };
    expect((await post(server, kind, formOf([thumbnail, ...fields]))).status).toBe(201);
  });

  it.each<[string, string, string | Buffer]>([
    ['JSON that is not UTF-8', 'application/json', Buffer.from('{"fileId":"\xff"}', 'latin1')],
    ['broken JSON', 'application/json', '{"fileId":'],
    ['an empty JSON body', 'application/json', ''],
    ['a JSON array', 'application/json', '[]'],
    ['a JSON string', 'application/json', '"f"'],
  ])('%s is refused as malformed', async (_name, contentType, body) => {
    const server = await openTestServer();
    const answer = await post(server, kind, { contentType, body });
    expect([answer.status, answer.body.error]).toEqual([400, 'malformed_json']);
  });

  it.each([
    ['no boundary', 'multipart/form-data', 'x'],
    [
      'a form that is cut off',
      formOf([]).contentType,
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="fileId"\r\n\r\nf\r\n`,
    ],
    [
      'a field that is too large',
      formOf([]).contentType,
      formOf([{ name: 'title', value: 'x'.repeat(70_000) }]).body,
    ],
    [
      'fields that are too large together',
      formOf([]).contentType,
      formOf(Array.from({ length: 6 }, (_, i) => ({ name: `f${i}`, value: 'x'.repeat(60_000) }))).body,
    ],
  ])('%s is refused as malformed', async (_name, contentType, body) => {
    const server = await openTestServer();
    const answer = await post(server, kind, { contentType, body });
    expect([answer.status, answer.body.error]).toEqual([400, 'malformed_multipart']);
  });

  it('a JSON or urlencoded body beyond its limit is 413', async () => {
    const server = await openTestServer();
    for (const [contentType, body] of [
      ['application/json', JSON.stringify({ ...made, title: 'x'.repeat(70_000) })],
      ['application/x-www-form-urlencoded', `title=${'x'.repeat(70_000)}`],
    ] as const) {
      const answer = await post(server, kind, { contentType, body });
      expect([answer.status, answer.body.error]).toEqual([413, 'body_too_large']);
    }
  });

  it.each(['text/plain', 'application/xml', 'multipart/mixed; boundary=b', 'application/octet-stream'])(
    'a body of type %s is 415 (F1)',
    async (contentType) => {
      const server = await openTestServer();
      const answer = await post(server, kind, { contentType, body: 'fileId=f' });
      expect([answer.status, answer.body.error]).toEqual([415, 'unsupported_media_type']);
    },
  );

  it('with --strict JSON and urlencoded bodies are 415, and the form works (F1)', async () => {
    const server = await openTestServer({ strict: true });
    await sendAll(server, { content: kind.good });
    for (const contentType of ['application/json', 'application/x-www-form-urlencoded']) {
      const answer = await post(server, kind, { contentType, body: JSON.stringify(made) });
      expect([answer.status, answer.body.error]).toEqual([415, 'unsupported_media_type']);
    }
    expect((await finalize(server, 'f', { type: kind.type, fields: made })).status).toBe(201);
  });
});

it('youtube takes no images, and says who does (F3)', async () => {
  const server = await openTestServer();
  await sendAll(server, { content: PNG });
  const answer = await finalize(server, 'f', {
    type: 'images',
    fields: { platforms: '["youtube","tiktok"]' },
  });
  expect([answer.status, fieldsOf(answer)]).toEqual([400, ['platforms']]);
  expect(answer.body.message).toContain('instagram, tiktok, linkedin, pinterest');
});

describe.each(KINDS)('a direct upload, $type', (kind) => {
  it.each(['memory', 'disk'] as const)('becomes an entry with its bytes, in %s (F8)', async (storage) => {
    const server = await openTestServer({ storage });
    const large = Buffer.concat([kind.good, Buffer.alloc(3_000_000, 9)]);
    const answer = await direct(server, kind, { value: large });
    expect([answer.status, answer.body.message]).toEqual([201, kind.message]);
    expect((await contentOf(server, answer.body.data.id)).equals(large)).toBe(true);
    const again = await direct(server, kind);
    expect(again.status, 'a direct upload has no name: each is another entry').toBe(201);
    expect(await entries(server)).toHaveLength(2);
  });

  it('works with the file before and after its fields', async () => {
    const server = await openTestServer();
    const parts: Part[] = [
      { name: 'platforms', value: JSON.stringify(kind.platforms) },
      { name: 'title', value: 'Titel — ünïcode' },
      { name: 'file', value: kind.good, filename: kind.filename, type: 'application/octet-stream' },
    ];
    for (const order of [parts, parts.toReversed()]) {
      const { contentType, body } = formOf(order);
      const answer = await post(server, kind, { contentType, body });
      expect(answer.body.data).toMatchObject({ title: 'Titel — ünïcode' });
    }
  });

  it.each(kind.takes)('%s is taken, in capitals, too (F8)', async (extension) => {
    const server = await openTestServer();
    for (const filename of [`a${extension}`, `a.b c${extension.toUpperCase()}`])
      expect((await direct(server, kind, { filename })).status).toBe(201);
  });

  it.each([
    'notes.txt',
    'clip.mp4.exe',
    'mp4',
    '.',
    '',
    `x${'.'}${'a'.repeat(300)}`,
    VIDEO.filename,
    IMAGE.filename,
  ])('a file called %j is refused when it is of another kind, and not kept (F8)', async (filename) => {
    if (filename === kind.filename) return;
    const server = await openTestServer({ storage: 'disk' });
    const answer = await direct(server, kind, { filename });
    expect([answer.status, answer.body.error]).toEqual([415, 'unsupported_media']);
    expect(contentBytes(server.dataDir)).toBe(0);
    expect(await entries(server)).toEqual([]);
  });

  it('that is larger than a file may be is refused, early or late, and not kept (F8, C13)', async () => {
    const server = await openTestServer({ storage: 'disk', maxFileSize: '2MiB' });
    const late = await direct(server, kind, { value: Buffer.alloc(2 * 1024 * 1024 + 1) });
    expect([late.status, late.body.error]).toEqual([413, 'upload_too_large']);
    const early = await openConnection(server.port);
    const headers = {
      'content-type': formOf([]).contentType,
      'content-length': 4 * 1024 * 1024,
      'x-api-key': 'k',
    };
    await early.write(requestBytes(`POST /media/${kind.type}`, headers));
    expect((await early.answer())?.status).toBe(413);
    await eventually(
      () => contentBytes(server.dataDir),
      (bytes) => bytes === 0,
    );
  });

  it('for which there is no room is refused, and not kept', async () => {
    const server = await openTestServer({ maxStoredBytes: 600 });
    expect((await direct(server, kind)).status).toBe(201);
    const answer = await direct(server, kind);
    expect([answer.status, answer.body.error, answer.headers.get('retry-after')]).toEqual([
      507,
      'insufficient_storage',
      '1',
    ]);
    expect(await metric(server, 'stored_bytes')).toBe(kind.good.length);
  });

  it('that goes silent is 408, that is cut off is nothing; neither is kept', async () => {
    const server = await openTestServer({ storage: 'disk', idleTimeout: '150ms' });
    const { contentType, body } = formOf([
      { name: 'file', value: Buffer.alloc(50_000), filename: kind.filename },
    ]);
    const whole = requestBytes(
      `POST /media/${kind.type}`,
      { 'content-type': contentType, 'x-api-key': 'k' },
      body,
    );
    const silent = await openConnection(server.port);
    await silent.write(whole.subarray(0, -200));
    const answer = await silent.answer();
    expect([answer?.status, wireOf(answer?.text).error]).toEqual([408, 'request_timeout']);
    const cut = await openConnection(server.port);
    await cut.write(whole.subarray(0, -1));
    cut.reset();
    await eventually(
      () => contentBytes(server.dataDir),
      (bytes) => bytes === 0,
    );
    expect(await entries(server)).toEqual([]);
  });
});

it('a JSON body that goes silent is 408, like a form (§7.2)', async () => {
  const server = await openTestServer({ idleTimeout: '150ms' });
  for (const contentType of ['application/json', 'application/x-www-form-urlencoded']) {
    const connection = await openConnection(server.port);
    const headers = { 'content-type': contentType, 'content-length': 100, 'x-api-key': 'k' };
    await connection.write(requestBytes('POST /media/videos', headers, '{"fileId":'));
    const answer = await connection.answer();
    expect([answer?.status, wireOf(answer?.text).error], contentType).toEqual([408, 'request_timeout']);
  }
});

describe('--media-check', () => {
  const samples: [string, Kind, Buffer][] = [
    ['clip.mp4', VIDEO, MP4],
    ['clip.mov', VIDEO, MOV],
    ['photo.png', IMAGE, PNG],
    ['photo.jpg', IMAGE, JPG],
    ['photo.gif', IMAGE, GIF],
    ['photo.webp', IMAGE, WEBP],
  ];

  it.each(samples)(
    'content: %s with its own bytes is taken, directly and in chunks (F8)',
    async (filename, kind, value) => {
      const server = await openTestServer({ mediaCheck: 'content' });
      expect((await direct(server, kind, { filename, value })).status).toBe(201);
      await sendAll(server, { content: value, total: 5 });
      const { status } = await finalize(server, 'f', {
        type: kind.type,
        fields: { platforms: JSON.stringify(kind.platforms) },
      });
      expect(status).toBe(201);
    },
  );

  it.each(KINDS)(
    'content: other bytes are refused for $type, and the upload stays as it was (F8)',
    async (kind) => {
      const server = await openTestServer({ mediaCheck: 'content' });
      const asked = { type: kind.type, fields: { platforms: '["tiktok"]' } };
      for (const value of [kind.bad, Buffer.from('text'), Buffer.alloc(0)]) {
        const answer = await direct(server, kind, { value });
        expect([answer.status, answer.body.error]).toEqual([415, 'unsupported_media']);
      }
      expect(await metric(server, 'stored_bytes')).toBe(0);
      await sendAll(server, { content: kind.bad, total: 2 });
      const refused = await finalize(server, 'f', asked);
      expect([refused.status, refused.body.error]).toEqual([415, 'unsupported_media']);
      expect(await uploadView(server)).toMatchObject({ completed: true, finalizedAs: null });
      expect(
        (await finalize(server, 'f', { ...asked, type: kind.other })).status,
        'it is of the other kind',
      ).toBe(201);
    },
  );

  it('name: the bytes are not looked at; off: nothing is (F8)', async () => {
    const byName = await openTestServer();
    expect((await direct(byName, VIDEO, { value: PNG })).status).toBe(201);
    const off = await openTestServer({ mediaCheck: 'off' });
    expect((await direct(off, VIDEO, { value: PNG, filename: 'notes.txt' })).status).toBe(201);
  });
});

describe('the life of an entry (§5)', () => {
  const read = async (server: TestServer, id: string): Promise<Answer['body']['data']> =>
    (await ask(server, `/media/videos/${id}`, { key: 'k' })).body.data;

  it('is pending, then processing, then completed, as polling sees it (§5.1)', async () => {
    const server = await openTestServer({ pendingTime: '60ms', processingTime: '60ms' });
    await sendAll(server);
    const { body } = await finalize(server, 'f', { fields: { platforms: '["youtube","pinterest"]' } });
    const seen = [body.data.status];
    await eventually(
      async () => {
        const { status } = await read(server, body.data.id);
        if (seen.at(-1) !== status) seen.push(status);
        return status;
      },
      (status) => status === 'completed',
    );
    // A poll may come too late for a state in between, but no state comes back.
    expect(['pending', 'processing', 'completed'].filter((status) => seen.includes(status))).toEqual(seen);
    const done = await read(server, body.data.id);
    expect(done).toMatchObject({
      youtube: { status: 'published', videoId: expect.any(String), url: expect.stringContaining('https://') },
      pinterest: { status: 'published', pinId: expect.any(String) },
    });
    expect(Object.keys(done)).not.toContain('tiktok');
  });

  it('follows the namespace’s clock step by step, and an entry stays what it was after a restart (§5.1)', async () => {
    const before = await openTestServer({ storage: 'disk', pendingTime: '10s', processingTime: '20s' });
    await ask(before, '/__admin/clock', {
      method: 'PUT',
      key: 'k',
      headers: { 'content-type': 'application/json' },
      body: '{"mode":"frozen"}',
    });
    await sendAll(before);
    const { body } = await finalize(before, 'f', {
      fields: { platforms: '["youtube"]', youtube: '{"autoPublish":false}' },
    });
    const { id } = body.data;
    const steps: unknown[] = [];
    for (const ms of [0, 9_999, 1, 19_999, 1]) {
      await advanceClock(before, ms, 'k');
      const data = await read(before, id);
      steps.push([data.status, data['youtube']]);
    }
    expect(steps).toEqual([
      ['pending', { status: 'pending' }],
      ['pending', { status: 'pending' }],
      ['processing', { status: 'processing' }],
      ['processing', { status: 'processing' }],
      ['completed', { status: 'manual' }],
    ]);
    const completed = await read(before, id);
    const { now } = JSON.parse((await ask(before, '/__admin/clock', { key: 'k' })).text) as { now: string };
    await before.close();
    const times = { pendingTime: '10s', processingTime: '20s' };
    const server = await openTestServer({ storage: 'disk', dataDir: before.dataDir, ...times });
    // A clock is not stored, so the new server is told the time.
    await ask(server, '/__admin/clock', {
      method: 'PUT',
      key: 'k',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ mode: 'frozen', now }),
    });
    expect(await read(server, id)).toEqual(completed);
  });

  it('of a draft never begins; of a scheduled one, when its time has come; of a past one, now (F3, §5.1)', async () => {
    const server = await openTestServer({ pendingTime: 0, processingTime: 0 });
    const make = async (fileId: string, fields: Record<string, string>): Promise<Answer['body']['data']> => {
      await sendAll(server, { fileId });
      return (await finalize(server, fileId, { fields })).body.data;
    };
    const later = new Date(Date.now() + 3_600_000).toISOString();
    const draft = await make('draft', { isDraft: 'true' });
    const scheduled = await make('scheduled', { scheduledAt: later });
    const past = await make('past', { scheduledAt: '2020-01-01' });
    expect([draft.status, draft['instagram']]).toEqual(['draft', { status: 'idle' }]);
    expect([scheduled.status, scheduled['scheduledAt']]).toEqual(['scheduled', later]);
    expect(past.status).toBe('completed');
    await advanceClock(server, 3_700_000, 'k');
    expect((await read(server, draft.id)).status).toBe('draft');
    expect((await read(server, scheduled.id)).status).toBe('completed');
  });
});

describe.each(KINDS)('reading an entry, $type', (kind) => {
  it.each([
    '0123456789abcdef01234567',
    'unknown',
    '..',
    '%2e%2e%2f',
    '0123456789ABCDEF01234567',
    'x'.repeat(500),
  ])('of the id %s, which is none, is 404', async (id) => {
    const server = await openTestServer();
    const connection = await openConnection(server.port);
    await connection.write(requestBytes(`GET /media/${kind.type}/${id}`, { 'x-api-key': 'k' }));
    const answer = await connection.answer();
    expect([answer?.status, wireOf(answer?.text).error]).toEqual([404, 'media_not_found']);
  });

  it('as the other type is 404', async () => {
    const server = await openTestServer();
    const { body } = await direct(server, kind);
    const answer = await ask(server, `/media/${kind.other}/${body.data.id}`, { key: 'k' });
    expect([answer.status, answer.body.error]).toEqual([404, 'media_not_found']);
  });
});

describe.each(KINDS)('stored data that fails its checks, $type', (kind) => {
  it('is reported for the entry alone (D2)', async () => {
    const before = await openTestServer({ storage: 'disk' });
    const damaged = (await direct(before, kind)).body.data.id;
    const whole = (await direct(before, kind)).body.data.id;
    await before.close();
    await flipByte(mediaLedger(before.dataDir, damaged, namespaceOf('k')), 30);
    const server = await openTestServer({ storage: 'disk', dataDir: before.dataDir });
    const answer = await ask(server, `/media/${kind.type}/${damaged}`, { key: 'k' });
    expect([answer.status, answer.body.error]).toEqual([500, 'upload_damaged']);
    expect((await ask(server, `/media/${kind.type}/${whole}`, { key: 'k' })).status).toBe(200);
    expect(server.takeErrors()).toMatchObject([{ msg: 'upload_damaged' }]);
  });

  it('does not take the metrics and the list of all entries with it (D2)', async () => {
    const before = await openTestServer({ storage: 'disk' });
    const damaged = (await direct(before, kind)).body.data.id;
    const whole = (await direct(before, kind)).body.data.id;
    await before.close();
    await flipByte(mediaLedger(before.dataDir, damaged, namespaceOf('k')), 30);
    const server = await openTestServer({ storage: 'disk', dataDir: before.dataDir });
    expect((await ask(server, '/__admin/metrics')).status).toBe(200);
    expect((await entries(server)).map(({ id }) => id)).toEqual([whole]);
    server.takeErrors();
  });

  it('so that it cannot be read is reported without a word of where it lies (D5)', async () => {
    const server = await openTestServer({ storage: 'disk' });
    const id = '0123456789abcdef01234567';
    putFolderAt(mediaLedger(server.dataDir, id, namespaceOf('k')));
    putFolderAt(uploadLedger(server.dataDir, 'f', namespaceOf('k')));
    const fields = { platforms: JSON.stringify(kind.platforms) };
    for (const answer of [
      await ask(server, `/media/${kind.type}/${id}`, { key: 'k' }),
      await finalize(server, 'f', { type: kind.type, fields }),
    ]) {
      expect([answer.status, answer.text]).toEqual([500, expect.stringContaining('upload_damaged')]);
      expect(answer.text).not.toContain(server.dataDir);
    }
    expect(server.takeErrors()).toHaveLength(2);
  });

  it('of an upload stops its finalise (D2)', async () => {
    const before = await openTestServer({ storage: 'disk' });
    await sendAll(before, { content: kind.good });
    await before.close();
    await flipByte(uploadLedger(before.dataDir, 'f'), 30);
    const server = await openTestServer({ storage: 'disk', dataDir: before.dataDir });
    const answer = await finalize(server, 'f', { type: kind.type, fields: { platforms: '["tiktok"]' } });
    expect([answer.status, answer.body.error]).toEqual([500, 'upload_damaged']);
    expect(server.takeErrors()).toHaveLength(1);
  });
});

describe('what a client sent', () => {
  it('is told by the admin plane as it came, digits beyond 2^53 included; another digit is another payload (F6)', async () => {
    const server = await openTestServer();
    const board = (digit: number): string => `{"boardId":1234567890123456789${digit}}`;
    const json = (fileId: string, digit: number): Promise<Answer> =>
      ask(server, '/media/videos', {
        method: 'POST',
        key: 'k',
        headers: { 'content-type': 'application/json' },
        body: `{"fileId":"${fileId}","title":"T","platforms":["pinterest"],"pinterest":${board(digit)}}`,
      });
    const form = (fileId: string, digit: number): Promise<Answer> =>
      finalize(server, fileId, {
        fields: { platforms: '["pinterest"]', pinterest: board(digit), title: 'T' },
      });
    for (const [fileId, send] of [
      ['of-json', json],
      ['of-form', form],
    ] as const) {
      await sendChunk(server, { fileId, key: 'k' });
      const { status, body } = await send(fileId, 0);
      expect(status).toBe(201);
      expect([(await send(fileId, 0)).status, (await send(fileId, 1)).status]).toEqual([200, 409]);
      const { text } = await ask(server, `/__admin/media/${body.data.id}`, { key: 'k' });
      expect(JSON.parse(text)).toMatchObject({ fields: { fileId, title: 'T', pinterest: board(0) } });
    }
    const twice = '{"fileId":"of-json","fileId":"of-form","platforms":["pinterest"]}';
    const headers = { 'content-type': 'application/json' };
    const refused = await ask(server, '/media/videos', { method: 'POST', key: 'k', headers, body: twice });
    expect([refused.status, refused.body.details]).toMatchObject([400, { fields: [{ field: 'fileId' }] }]);
  });

  it('which chunks are there is told as runs, by the refusal and by the admin plane (C8)', async () => {
    const server = await openTestServer({ chunkOrder: 'any' });
    for (const index of [5, 1, 0, 3, 2]) await sendChunk(server, { index, total: 8, key: 'k' });
    const received = [
      [0, 3],
      [5, 5],
    ];
    expect((await finalize(server)).body).toMatchObject({
      error: 'upload_incomplete',
      details: { received },
    });
    expect(await uploadView(server, 'f', 'k')).toMatchObject({ received });
  });
});
