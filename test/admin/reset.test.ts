// reset.test.ts: a reset forgets what it names, by default everything, and nothing of other namespaces.
import { describe, expect, it, vi } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { eventually, openTestServer, wireOf, type TestServer } from '../helpers/app.ts';
import { contentBytes } from '../helpers/disk.ts';
import { DoubleClient } from '../helpers/double-client.ts';
import { formOf } from '../helpers/multipart.ts';
import { openConnection, requestBytes } from '../helpers/raw.ts';

/** What a namespace can hold, some of it. */
async function fill(own: DoubleClient): Promise<void> {
  // Freezes the clock at the present time: when the reset returns to the machine's clock, nothing may have expired.
  await own.admin('PUT clock', { mode: 'frozen' });
  await own.chunk({ fileId: 'half', index: 0, total: 2 });
  await own.chunk({ fileId: 'done' });
  await own.finalize('done');
  await own.admin('POST rules', [
    { id: 'armed', match: { fileId: 'none' }, fault: 'close' },
    { id: 'late', match: { fileId: 'late' }, fault: 'late-commit:1h' },
  ]);
  await own.chunk({ fileId: 'late' });
}

interface Seen {
  readonly uploads: number;
  readonly media: number;
  readonly rules: number;
  readonly journal: number;
  readonly clock: string;
}

async function look(own: DoubleClient): Promise<Seen> {
  const get = async <T>(line: string): Promise<T> => (await own.admin<T>(line)).body;
  const { count } = (await own.admin<{ count: number }>('POST requests/count', {})).body;
  return {
    uploads: (await get<{ meta: { total: number } }>('GET uploads')).meta.total,
    media: (await get<{ meta: { total: number } }>('GET media')).meta.total,
    rules: (await get<{ rules: unknown[] }>('GET rules')).rules.length,
    journal: count,
    clock: (await get<{ mode: string }>('GET clock')).mode,
  };
}

const FULL: Seen = { uploads: 2, media: 1, rules: 2, journal: 4, clock: 'frozen' };
const EMPTY: Seen = { uploads: 0, media: 0, rules: 0, journal: 0, clock: 'real' };

async function filled(
  settings: Parameters<typeof openTestServer>[0] = {},
): Promise<{ server: TestServer; own: DoubleClient }> {
  const server = await openTestServer(settings);
  const own = new DoubleClient(server, 'k');
  await fill(own);
  expect(await look(own)).toEqual(FULL);
  return { server, own };
}

describe('a reset', () => {
  it.each([undefined, {}])('of %j forgets everything, and says how much that was (§9.12)', async (json) => {
    const { server, own } = await filled({ storage: 'disk' });
    const { status, body } = await own.admin('POST reset', json);
    expect([status, body]).toEqual([
      200,
      { reset: { rules: 2, uploads: 2, media: 1, journal: 4, clock: 1 } },
    ]);
    expect(await look(own)).toEqual(EMPTY);
    expect(contentBytes(server.dataDir)).toBe(0);
  });

  it.each([
    ['rules', { rules: 0 }],
    ['journal', { journal: 0 }],
    ['clock', { clock: 'real' }],
    ['uploads', { uploads: 0 }],
    // With the upload that the entry was made of: it would promise an entry that is not there.
    ['media', { media: 0, uploads: 1 }],
  ])('of %s leaves the rest (§9.12)', async (scope, changed) => {
    const { own } = await filled();
    const { body } = await own.admin<{ reset: object }>('POST reset', { scope: [scope] });
    expect(Object.keys(body.reset)).toEqual([scope]);
    expect(await look(own)).toEqual({ ...FULL, ...changed });
  });

  it('of several scopes does those', async () => {
    const { own } = await filled();
    await own.admin('POST reset', { scope: ['journal', 'rules', 'journal'] });
    expect(await look(own)).toEqual({ ...FULL, rules: 0, journal: 0 });
  });

  it.each([{ scope: [] }, { scope: ['everything'] }, { scope: 'rules' }, { scopes: ['rules'] }, [], 'all'])(
    'of %j is refused, and forgets nothing',
    async (json) => {
      const { own } = await filled();
      const { status, body } = await own.admin<{ error: string }>('POST reset', json);
      expect([status, body.error]).toEqual([400, 'invalid_request']);
      expect(await look(own)).toEqual(FULL);
    },
  );

  it('touches its own namespace only; with ?namespace=* all of them (§9.12)', async () => {
    const { server, own } = await filled();
    const others = ['other', 'another'].map((key) => new DoubleClient(server, key));
    const keyless = new DoubleClient(server);
    for (const one of others) await fill(one);
    await keyless.chunk({ fileId: 'keyless' });
    await own.admin('POST reset');
    for (const one of others) expect(await look(one)).toEqual(FULL);
    expect(await keyless.size('keyless')).toBe(5);
    await own.admin('POST reset?namespace=*');
    for (const one of [...others, keyless]) expect(await look(one)).toEqual(EMPTY);
  });

  it('makes a namespace as good as new: the same script gives the same answers', async () => {
    const { own } = await filled({ seed: 'seed' });
    const media = async (): Promise<object[]> => {
      const { body } = await own.admin<{ media: { createdAt: string; updatedAt: string }[] }>('GET media');
      // The script freezes the clock at the present time.
      return body.media.map(({ createdAt: _createdAt, updatedAt: _updatedAt, ...rest }) => rest);
    };
    const first = await media();
    for (let turn = 0; turn < 3; turn += 1) {
      await own.admin('POST reset');
      await fill(own);
      expect(await look(own)).toEqual(FULL);
      expect(await media()).toEqual(first);
    }
  });

  it.each<[string, string, object | undefined]>([
    ['a whole one', 'POST reset', undefined],
    ['one of the uploads', 'POST reset', { scope: ['uploads'] }],
    ['one of the entries', 'POST reset', { scope: ['media'] }],
    ['one of the clock', 'POST reset', { scope: ['clock'] }],
    ['an import', 'PUT state', { fixture: 'half-uploaded' }],
  ])('%s forgets a late commit: it does not come into the next test', async (_what, call, body) => {
    const { own } = await filled();
    expect((await own.admin(call, body)).status).toBe(200);
    await own.admin('PUT clock', { advanceMs: 7_200_000 });
    expect(await own.size('late')).toBeNull();
  });

  const LATE_BYTES = 300 * 1024;

  /** Arms, sends, forgets. Each time it uses more than a third of what the server may hold, or may spool in memory. */
  async function commitNever(own: DoubleClient, forget: string, scope?: readonly string[]): Promise<void> {
    await own.admin('PUT clock', { mode: 'frozen' });
    await own.admin('POST rules', { id: 'late', match: { fileId: 'late' }, fault: 'late-commit:10m' });
    const { status } = await own.chunk({ fileId: 'late', bytes: Buffer.alloc(LATE_BYTES, 'late') });
    expect(status).toBe(503);
    expect((await own.admin(forget, scope && { scope })).status).toBe(200);
  }

  it.each([[undefined], [['rules', 'clock']], [['rules', 'uploads']]])(
    'of %j gives back what a late commit holds: quota and temporary files',
    async (scope) => {
      for (const storage of ['memory', 'disk'] as const) {
        const server = await openTestServer({ storage, spoolMemory: 0, maxStoredBytes: '1MiB' });
        const own = new DoubleClient(server, 'k');
        for (let turn = 0; turn < 5; turn += 1) await commitNever(own, 'POST reset', scope);
        if (storage === 'disk') expect(contentBytes(server.dataDir)).toBe(0);
        await commitNever(own, 'POST reset?namespace=*', scope);
        expect((await own.chunk({ bytes: Buffer.alloc(900 * 1024) })).status).toBe(200);
      }
    },
  );

  it('gives back the memory that a late commit holds of the spools', async () => {
    const server = await openTestServer({ storage: 'disk', spoolMemory: 2 * LATE_BYTES });
    const own = new DoubleClient(server, 'k');
    for (let turn = 0; turn < 3; turn += 1) await commitNever(own, 'POST reset');
    await own.admin('PUT clock', { mode: 'frozen' });
    await own.admin('POST rules', { id: 'late', match: { fileId: 'late' }, fault: 'late-commit:10m' });
    await own.chunk({ fileId: 'late', bytes: Buffer.alloc(LATE_BYTES) });
    expect(contentBytes(server.dataDir), 'bytes that had to go to the disk').toBe(0);
  });

  it('gives back the bytes of a file whose entry was to be made late', async () => {
    const server = await openTestServer({ storage: 'disk', maxStoredBytes: '1MiB' });
    const own = new DoubleClient(server, 'k');
    const parts = [
      { name: 'platforms', value: '["youtube"]' },
      { name: 'file', filename: 'f.mp4', value: Buffer.alloc(LATE_BYTES) },
    ];
    const { contentType, body } = formOf(parts);
    for (let turn = 0; turn < 5; turn += 1) {
      await own.admin('PUT clock', { mode: 'frozen' });
      await own.admin('POST rules', { match: { operation: 'createVideo' }, fault: 'late-commit:10m' });
      const headers = { 'content-type': contentType };
      expect((await own.ask('POST', '/media/videos', { headers, body })).status).toBe(503);
      await own.admin('POST reset');
      expect(contentBytes(server.dataDir)).toBe(0);
    }
  });

  it('forgets attempts: the first one is the first again', async () => {
    const { own } = await filled();
    await own.admin('POST reset');
    await own.admin('POST rules', {
      match: { fileId: 'half' },
      when: { attempt: 1 },
      fault: 'status@headers:503',
    });
    expect((await own.chunk({ fileId: 'half', index: 0, total: 2 })).status).toBe(503);
    expect((await own.chunk({ fileId: 'half', index: 0, total: 2 })).status).toBe(200);
  });

  it('of the media lets the same upload be made again, a keyless one, too', async () => {
    const server = await openTestServer();
    const [own, keyless] = [new DoubleClient(server, 'k'), new DoubleClient(server)];
    await keyless.chunk();
    expect((await own.finalize()).status).toBe(201);
    await own.admin('POST reset', { scope: ['media'] });
    expect([await keyless.size(), (await own.finalize()).status]).toEqual([null, 404]);
    await keyless.chunk();
    const made = await own.finalize();
    expect(made.status).toBe(201);
    expect((await own.ask('GET', `/__admin/media/${made.body.data.id}/content`)).text).toBe('bytes');
  });

  it('ends a chunk that is on its way, and what comes after it is a new upload', async () => {
    const server = await openTestServer();
    const [own, slow] = [new DoubleClient(server, 'k'), new DoubleClient(server, 'k')];
    await own.admin('POST rules', {
      id: 'held',
      match: { operation: 'uploadChunk' },
      fault: 'delay@pre-commit:300ms',
    });
    const sending = slow.chunk({ bytes: 'slow' });
    await own.admin('POST requests/wait', { ruleId: 'held', timeoutMs: 1 });
    await own.admin('POST reset', { scope: ['uploads'] });
    expect((await own.chunk({ bytes: 'quick' })).status).toBe(200);
    expect([200, 409]).toContain((await sending).status);
    expect(await own.size()).toBe(5);
  });

  it.each([
    ['videos', 'clip.mp4', 'tiktok'],
    ['images', 'photo.png', 'instagram'],
  ])('refuses a direct upload that is on its way: POST /media/%s', async (type, filename, platform) => {
    const server = await openTestServer();
    const own = new DoubleClient(server, 'k');
    const { contentType, body } = formOf([
      { name: 'platforms', value: JSON.stringify([platform]) },
      { name: 'file', value: 'bytes', filename },
    ]);
    const headers = { 'content-type': contentType, 'x-api-key': 'k' };
    const whole = requestBytes(`POST /media/${type}`, headers, body);
    const connection = await openConnection(server.port);
    await connection.write(whole.subarray(0, -50));
    await eventually(
      async () => (await own.admin<{ requests: unknown[] }>('GET requests?inFlight=true')).body.requests,
      ({ length }) => length === 1,
    );
    await own.admin('POST reset', {});
    const answer = await connection.answer();
    expect([answer?.status, wireOf(answer?.text).error]).toEqual([409, 'chunk_superseded']);
    expect(await look(own)).toEqual(EMPTY);
  });

  it('that finds no room to remove says so', async () => {
    const { server, own } = await filled();
    const full = new AppError('insufficient_storage', 'the disk of the server is full');
    vi.spyOn(server.uploads, 'removeAt').mockRejectedValue(full);
    vi.spyOn(server.uploads, 'remove').mockRejectedValue(full);
    const { status, body } = await own.admin<{ error: string }>('POST reset', { scope: ['uploads'] });
    expect([status, body.error]).toEqual([507, 'insufficient_storage']);
  });
});
