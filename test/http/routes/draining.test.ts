// routes/draining.test.ts: what a server that drains still answers (D4).
import { describe, expect, it } from 'vitest';
import {
  ask,
  eventually,
  metric,
  openTestServer,
  sizeOf,
  wireOf,
  type TestServer,
} from '../../helpers/app.ts';
import { fieldsFirst, formOf } from '../../helpers/multipart.ts';
import { openConnection, requestBytes, type RawConnection } from '../../helpers/raw.ts';
import { contentType, chunk } from './replies-steps.ts';

describe('a server that drains (D4)', () => {
  const OPERATIONS: [string, string, Record<string, string>][] = [
    ['getUploadStatus', 'GET /media/chunks?fileId=f', {}],
    ['uploadChunk', 'POST /media/chunks', { 'content-type': contentType }],
    ['createVideo', 'POST /media/videos', { 'content-type': 'application/json' }],
    ['createImage', 'POST /api/v1/media/images', { 'content-type': 'application/json' }],
    ['getVideo', 'GET /media/videos/0123456789abcdef01234567', {}],
    ['getImage', 'GET /media/images/0123456789abcdef01234567', {}],
    ['listChannels', 'GET /channels', {}],
    ['listProfiles', 'GET /profiles', {}],
  ];

  /** A chunk whose last bytes are not sent yet: the server waits for it. */
  async function begin(
    server: TestServer,
    fileId: string,
  ): Promise<{ connection: RawConnection; rest: Buffer }> {
    const { body } = formOf(fieldsFirst({ fileId, chunkIndex: 0, totalChunks: 1, bytes: Buffer.from('x') }));
    const whole = requestBytes('POST /media/chunks', { 'content-type': contentType, 'x-api-key': 'k' }, body);
    const connection = await openConnection(server.port);
    const before = await metric(server, 'open_uploads');
    await connection.write(whole.subarray(0, -20));
    await eventually(
      () => metric(server, 'open_uploads'),
      (count) => count > before,
    );
    return { connection, rest: whole.subarray(-20) };
  }

  it.each(OPERATIONS)(
    'ends what is running, and refuses %s on a connection that is still there',
    async (_operation, line, headers) => {
      const server = await openTestServer({ storage: 'disk' });
      const holder = await begin(server, 'held');
      const { connection, rest } = await begin(server, 'f');
      const drained = server.drain(10_000);
      await connection.write(rest);
      expect((await connection.answer())?.status, 'the chunk that was running').toBe(200);
      await connection.write(
        requestBytes(line, { ...headers, 'x-api-key': 'k' }, line.startsWith('GET') ? '' : chunk),
      );
      const answer = await connection.answer();
      expect([answer?.status, wireOf(answer?.text).error]).toEqual([503, 'shutting_down']);
      expect([answer?.headers['retry-after'], answer?.headers['connection']]).toEqual(['1', 'close']);
      expect(answer?.headers['access-control-allow-origin'], 'pages may read it').toBe('*');
      expect(answer?.headers['access-control-expose-headers']).toContain('Retry-After');
      await connection.closed();
      await holder.connection.write(holder.rest);
      expect((await holder.connection.answer())?.status).toBe(200);
      await drained;
      const again = await openTestServer({ storage: 'disk', dataDir: server.dataDir });
      expect([await sizeOf(again, 'f', 'k'), await sizeOf(again, 'held', 'k')]).toEqual([1, 1]);
    },
  );

  it('says so on ready and takes no request on new connections either, until nothing runs any more', async () => {
    const server = await openTestServer();
    const { connection, rest } = await begin(server, 'f');
    const kept = await openConnection(server.port);
    await kept.write(requestBytes('GET /__admin/ready'));
    expect((await kept.answer())?.text).toBe('{"ready":true}');
    const drained = server.drain(10_000);
    // Whoever asks anew, as a probe does each time, and on a connection that was idle.
    await kept.write(requestBytes('GET /__admin/ready'));
    const ready = await kept.answer();
    expect([ready?.status, ready?.text, ready?.headers['connection']]).toEqual([
      503,
      '{"ready":false}',
      'close',
    ]);
    expect((await ask(server, '/__admin/ready')).status).toBe(503);
    expect((await ask(server, '/__admin/health')).status).toBe(200);
    const refused = await ask(server, '/media/chunks?fileId=f', { key: 'k' });
    expect([refused.status, refused.headers.get('connection')]).toEqual([503, 'close']);
    await connection.write(rest);
    expect((await connection.answer())?.status).toBe(200);
    await drained;
    await expect(ask(server, '/__admin/ready')).rejects.toThrow('fetch failed');
  });

  it('does not wait for a silent client beyond its grace', async () => {
    const server = await openTestServer();
    const { connection } = await begin(server, 'f');
    await server.drain(50);
    await connection.closed();
    expect(connection.leftOver).toBe('');
  });
});
