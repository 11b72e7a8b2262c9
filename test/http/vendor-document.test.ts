// vendor-document.test.ts: what the vendor's page on chunked uploads shows, word for word but for the host.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ask, openTestServer, temporaryFolder, wireOf } from '../helpers/app.ts';
import { curl, hasCurl } from '../helpers/curl.ts';

const FINALISE = `curl -X POST https://api.xenonflare.com/media/videos \\
-H "X-API-Key: your_api_key" \\
-F "fileId=your-unique-file-id" \\
-F "platforms=[\\"youtube\\"]" \\
-F "youtube={\\"title\\": \\"My Chunked Video\\"}"`;

const HOST = 'https://api.xenonflare.com';

describe.each(['', '/api/v1'])('under the prefix "%s"', (prefix) => {
  it('check, upload in the order of the table, resume, finalise: each answer is the one shown (§1.1)', async () => {
    const server = await openTestServer();
    const check = (): Promise<unknown> =>
      ask(server, `${prefix}/media/chunks?fileId=your-unique-file-id`).then(({ text }) => JSON.parse(text));
    const upload = async (chunkIndex: number, bytes: number): Promise<unknown> => {
      const body = new FormData();
      body.append('file', new Blob([Buffer.alloc(bytes)]));
      body.append('chunkIndex', String(chunkIndex));
      body.append('totalChunks', '2');
      body.append('fileId', 'your-unique-file-id');
      return JSON.parse((await ask(server, `${prefix}/media/chunks`, { method: 'POST', body })).text);
    };
    expect(await check()).toMatchObject({ success: true, data: { exists: false } });
    expect(await upload(0, 10_485_760)).toEqual({
      success: true,
      data: { completed: false, chunkIndex: 0 },
      message: 'Chunk received',
    });
    expect(await check()).toEqual({
      success: true,
      data: { exists: true, currentSize: 10_485_760, fileId: 'your-unique-file-id' },
    });
    expect(await upload(1, 1_000)).toEqual({
      success: true,
      data: { completed: true, fileId: 'your-unique-file-id' },
      message: 'Upload complete',
    });
    const body = new FormData();
    body.append('fileId', 'your-unique-file-id');
    body.append('platforms', '["youtube"]');
    body.append('youtube', '{"title": "My Chunked Video"}');
    const made = await ask(server, `${prefix}/media/videos`, { method: 'POST', key: 'your_api_key', body });
    expect([made.status, made.body.message]).toEqual([201, 'Video uploaded']);
    const read = await ask(server, `${prefix}/media/videos/${made.body.data.id}`, { key: 'your_api_key' });
    expect(read.body.data).toMatchObject({ id: made.body.data.id, platforms: ['youtube'] });
  });

  it.skipIf(!hasCurl)('the curl lines work to the letter (K3)', async () => {
    const server = await openTestServer();
    const here = `${server.url}${prefix}`;
    const file = join(await temporaryFolder(), 'part');
    await writeFile(file, 'the bytes of a small video');
    const status = await curl(`curl '${HOST}/media/chunks?fileId=your-unique-file-id'`.replace(HOST, here));
    expect(wireOf(status.text).data).toMatchObject({ exists: false });
    const line = `curl -X POST ${HOST}/media/chunks -F "file=@${file}" -F "chunkIndex=0" -F "totalChunks=1" -F "fileId=your-unique-file-id"`;
    const complete = await curl(line.replace(HOST, here));
    expect(wireOf(complete.text).message).toBe('Upload complete');
    const made = await curl(FINALISE.replace(HOST, here));
    expect([made.status, wireOf(made.text).message]).toEqual([201, 'Video uploaded']);
    const again = await curl(FINALISE.replace(HOST, here));
    expect([again.status, wireOf(again.text).data.id]).toEqual([200, wireOf(made.text).data.id]);
  });
});
