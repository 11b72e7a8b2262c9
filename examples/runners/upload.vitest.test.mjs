// The double in Vitest. The answer to a chunk is lost: the client must ask what the server has, and must not send the chunk again.
//
//   npx vitest run upload.vitest.test.mjs
import { afterAll, expect, test } from 'vitest';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer();
afterAll(() => server.close());

test('an upload survives a lost answer', async () => {
  server.rules.add({ match: { chunkIndex: 1 }, fault: 'reset@post-commit' });
  const video = new Blob(['bytes of three chunks']);
  const client = { url: server.url, apiKey: 'any', fileId: 'f', chunkBytes: 8, backoffMs: 10 };
  const { id } = await upload(video, client);
  server.journal.expect({
    expect: [{ match: { chunkIndex: 1 }, count: 1 }],
    sequence: [{ outcome: 'fault-reset' }, { operation: 'getUploadStatus' }, { chunkIndex: 2 }],
  });
  expect(String(await server.media.content(id))).toBe(await video.text());
});
