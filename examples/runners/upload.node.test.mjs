// The double in node:test. The answer to a chunk is lost: the client must ask what the server has, and must not send the chunk
// again.
//
//   node --test upload.node.test.mjs
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer();
after(() => server.close());

await test('an upload survives a lost answer', async () => {
  server.rules.add({ match: { chunkIndex: 1 }, fault: 'reset@post-commit' });
  const video = new Blob(['bytes of three chunks']);
  const client = { url: server.url, apiKey: 'any', fileId: 'f', chunkBytes: 8, backoffMs: 10 };
  const { id } = await upload(video, client);
  server.journal.expect({
    expect: [{ match: { chunkIndex: 1 }, count: 1 }],
    sequence: [{ outcome: 'fault-reset' }, { operation: 'getUploadStatus' }, { chunkIndex: 2 }],
  });
  assert.equal(String(await server.media.content(id)), await video.text());
});
