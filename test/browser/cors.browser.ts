// cors.browser.ts: what a page of another origin can do and see under Chromium's own rules, and what Chromium does without a
// script.
import { describe, expect, it } from 'vitest';
import { useBrowser } from './chromium.ts';
import { useSite } from './site.ts';
import { Stage, type Asking, type Seen } from './stage.ts';

const browser = useBrowser();
const site = useSite();

function open(...flags: readonly string[]): Promise<Stage> {
  return Stage.open({ browser: browser(), site: site(), flags });
}

/** For what is waited for in a poll. */
const PATIENCE = { timeout: 20_000 };
const CHUNK = { fileId: 'f', chunkIndex: '0', totalChunks: '2', file: 'content' };
const ENTRY = '/media/videos/0123456789abcdef01234567';

function codeOf(seen: Seen | null): string {
  return (JSON.parse(seen?.body ?? '') as { error: string }).error;
}

describe('a page of another origin', () => {
  it('uploads, finalises and reads the entry, with an API key in either header, and others of its own', async () => {
    const stage = await open('--api-keys', 'browser');
    const own = { 'Cache-Control': 'no-cache', 'X-Requested-With': 'XMLHttpRequest', 'X-Trace': '7' };
    const bearer = { 'X-API-Key': '', Authorization: 'Bearer browser', ...own };
    const whole = { ...CHUNK, totalChunks: '1' };
    expect(await stage.ask('/media/chunks', { fields: whole, headers: own })).toMatchObject({ status: 200 });
    const fields = { fileId: 'f', platforms: '["instagram"]' };
    const made = await stage.ask('/api/v1/media/videos', { fields, headers: bearer });
    expect(made?.status).toBe(201);
    const { id } = (JSON.parse(made?.body ?? '') as { data: { id: string } }).data;
    expect(await stage.ask(`/media/videos/${id}`, { headers: bearer })).toMatchObject({ status: 200 });
  });

  it('reads why it was refused, and the request id for the support', async () => {
    const refusals: [number, string, string, Asking][] = [
      [400, 'invalid_request', '/media/chunks', { fields: { ...CHUNK, chunkIndex: 'x' } }],
      [401, 'api_key_missing', ENTRY, { headers: { 'X-API-Key': '' } }],
      [404, 'media_not_found', ENTRY, {}],
      [404, 'not_found', '/media/chunk', { fields: CHUNK }],
      [405, 'method_not_allowed', '/media/videos', {}],
      [409, 'chunk_conflict', '/media/chunks', { fields: { ...CHUNK, file: 'other content' } }],
      [415, 'unsupported_media_type', '/media/chunks', { method: 'POST', body: 'no form' }],
      [429, 'too_many_open_uploads', '/media/chunks', { fields: { ...CHUNK, fileId: 'g' } }],
    ];
    const stage = await open('--max-open-uploads', '1');
    await stage.ask('/media/chunks', { fields: CHUNK });
    for (const [status, code, path, asking] of refusals) {
      const seen = await stage.ask(path, asking);
      expect([seen?.status, codeOf(seen)]).toEqual([status, code]);
      expect(seen?.headers['x-request-id']).toMatch(/^[\da-f-]{36}$/);
      expect(seen?.headers['retry-after']).toBe(status === 429 ? '1' : undefined);
      expect(seen?.headers['allow']).toBe(status === 405 ? 'POST' : undefined);
    }
  });

  it('reads answers and refusals when it sends its cookies, too: with XMLHttpRequest and withCredentials', async () => {
    const stage = await open('--max-open-uploads', '1');
    const stored = await stage.askWithCredentials('/media/chunks', { fields: CHUNK });
    expect(JSON.parse(stored?.body ?? '')).toMatchObject({ success: true });
    for (const [status, code, path, asking] of [
      [401, 'api_key_missing', ENTRY, { headers: { 'X-API-Key': '' } }],
      [404, 'not_found', '/media/chunk', { fields: CHUNK }],
      [409, 'chunk_conflict', '/media/chunks', { fields: { ...CHUNK, file: 'other content' } }],
      [429, 'too_many_open_uploads', '/media/chunks', { fields: { ...CHUNK, fileId: 'g' } }],
    ] as const) {
      const seen = await stage.askWithCredentials(path, asking);
      expect([seen?.status, codeOf(seen)]).toEqual([status, code]);
      expect(seen?.headers['x-request-id']).toMatch(/^[\da-f-]{36}$/);
      expect(seen?.headers['retry-after']).toBe(status === 429 ? '1' : undefined);
    }
    await stage.arm({ id: 'busy', fault: 'status@headers:503,retryAfter=7' });
    const busy = await stage.askWithCredentials('/media/chunks', { fields: CHUNK });
    expect(busy).toMatchObject({ status: 503, headers: { 'retry-after': '7', 'x-mock-fault': 'busy' } });
    await stage.verify();
  });

  it('reads that a file is too large while it is still sending', async () => {
    const stage = await open('--max-file-size', '1MiB');
    const bytes = 16 * 1024 * 1024;
    const said = await stage.upload('fetch', [{ fileId: 'f', seed: 1, bytes }], { chunkBytes: bytes });
    expect(said).toContain('1048576');
    await stage.verify({ expect: [{ match: { errorCode: 'upload_too_large' }, count: 1 }] });
  });

  it('reads Retry-After of a 503, and which rule made it', async () => {
    const stage = await open();
    await stage.arm({ id: 'busy', fault: 'status@headers:503,retryAfter=7' });
    const seen = await stage.ask('/media/chunks', { fields: CHUNK });
    expect(seen).toMatchObject({ status: 503, headers: { 'retry-after': '7', 'x-mock-fault': 'busy' } });
    await stage.verify();
  });

  it('reads that the server is ending, on a connection that is still there', async () => {
    const stage = await open();
    await stage.arm({ id: 'short', match: { fileId: 'f' }, fault: 'delay@pre-commit:3s' });
    await stage.arm({ id: 'long', match: { fileId: 'g' }, fault: 'stall@pre-commit' });
    const short = stage.ask('/media/chunks', { fields: CHUNK });
    // This keeps the server from ending before the page asks again.
    const long = stage.ask('/media/chunks', { fields: { ...CHUNK, fileId: 'g' } });
    await expect.poll(() => stage.hasFired('long'), PATIENCE).toBe(true);
    await expect.poll(() => stage.hasFired('short'), PATIENCE).toBe(true);
    stage.signal('SIGTERM');
    expect(await short).toMatchObject({ status: 200 });
    // It uses the connection that is free now. A request that needs a preflight would stop there.
    const seen = await stage.ask('/media/chunks', { fields: { ...CHUNK, chunkIndex: '1' } });
    expect([seen?.status, seen?.headers['retry-after']]).toEqual([503, '1']);
    expect(codeOf(seen)).toBe('shutting_down');
    await stage.kill();
    expect(await long).toBeNull();
  });

  it('can neither read the admin plane nor change anything through it', async () => {
    const stage = await open();
    await stage.ask('/media/chunks', { fields: CHUNK });
    const json = { 'Content-Type': 'application/json' };
    for (const [path, asking] of [
      ['/__admin/uploads', {}],
      ['/__admin/reset', { method: 'POST', headers: json, body: '{}' }],
      // A browser sends these without a preflight: no own header, and a type that forms have.
      ['/__admin/reset', { method: 'POST', headers: { 'X-API-Key': '' }, body: '{}' }],
    ] as const) {
      expect(await stage.ask(path, asking)).toBeNull();
    }
    expect(await stage.uploadOf('f')).toMatchObject({ currentSize: CHUNK.file.length });
  });

  it('that --cors-origin does not name sees nothing; one that it names, everything', async () => {
    const [other, named] = [
      await open('--cors-origin', 'https://app.example'),
      await open('--cors-origin', site()),
    ];
    expect(await other.ask('/media/chunks?fileId=f')).toBeNull();
    expect(await named.ask('/media/chunks?fileId=f')).toMatchObject({ status: 200 });
    expect(codeOf(await named.ask('/media/chunk'))).toBe('not_found');
  });
});

describe('Chromium sends a chunk again by itself when a used connection dies', () => {
  it.each([
    ['after a chunk', 1],
    // The preflight made it a used one.
    ['after a preflight', 0],
  ])(
    '%s: the script sees one answer, the journal both, and one chunk is stored',
    async (_what, chunkIndex) => {
      const stage = await open();
      if (chunkIndex === 1) await stage.ask('/media/chunks', { fields: CHUNK });
      await stage.arm({ id: 'lost', match: { chunkIndex }, fault: 'reset@post-commit' });
      const fields = { ...CHUNK, chunkIndex: String(chunkIndex) };
      expect(await stage.ask('/media/chunks', { fields })).toMatchObject({ status: 200 });
      const exchanges = (await stage.chunkExchanges()).filter(
        ({ upload }) => upload?.chunkIndex === chunkIndex,
      );
      expect(exchanges).toMatchObject([
        { outcome: 'fault-reset', committed: { bytes: 7 }, suspectedTransportReplay: false },
        { outcome: 'answered', committed: null, suspectedTransportReplay: true },
      ]);
      expect(await stage.uploadOf('f')).toMatchObject({ receivedBytes: (chunkIndex + 1) * 7 });
      await stage.verify();
    },
  );

  it.each(['reset@post-commit', 'reset@body:3', 'close@headers'])(
    'and a rule of %s that ignores replays is seen by the script, once',
    async (fault) => {
      const stage = await open();
      await stage.arm({ id: 'lost', match: { chunkIndex: 0 }, fault, ignoreReplays: true });
      expect(await stage.ask('/media/chunks', { fields: CHUNK })).toBeNull();
      expect(await stage.ask('/media/chunks', { fields: CHUNK })).toMatchObject({ status: 200 });
      expect(await stage.chunkExchanges()).toMatchObject([
        { fault: { ruleId: 'lost' }, upload: { attempt: 1 }, suspectedTransportReplay: false },
        { fault: { ruleId: 'lost' }, upload: { attempt: 1 }, suspectedTransportReplay: true },
        { fault: null, upload: { attempt: 2 }, suspectedTransportReplay: false },
      ]);
      await stage.verify();
    },
  );
});
