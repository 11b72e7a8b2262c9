// 02: the connection breaks in the middle of a chunk. A chunk is stored completely or not at all: the client sends this chunk
// again, once, and no other chunk.
//
// From a shell:
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/rules --json \
//     '{"id": "drop", "match": {"chunkIndex": 2}, "fault": "reset@body:128KiB"}'
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer();
const [rule] = server.rules.add({ id: 'drop', match: { chunkIndex: 2 }, fault: 'reset@body:128KiB' });
console.log(`Armed: ${rule.explain}`);

const bytes = randomBytes(1024 * 1024);
const client = { url: server.url, apiKey: 'demo', fileId: 'holiday', chunkBytes: 256 * 1024, backoffMs: 100 };
const onRetry = (error, waitMs) => console.log(`client: ${error.message}, again in ${Math.round(waitMs)} ms`);
const entry = await upload(new Blob([bytes]), { ...client, onRetry });
for (const { seq, operation, upload: of, response, committed, fault } of server.journal.find()) {
  const what = operation === 'uploadChunk' ? `chunk ${of.chunkIndex}` : operation;
  const kept = committed === null ? '' : `, ${committed.bytes} bytes stored`;
  const by = fault === null ? '' : ` <- ${fault.effect}@${fault.phase}, rule ${fault.ruleId}`;
  console.log(`#${seq} ${what}: ${response?.status ?? 'no answer'}${kept}${by}`);
}

const [broken] = server.journal.find({ ruleId: 'drop' });
assert.equal(broken.body.fileBytes, 128 * 1024);
assert.equal(broken.committed, null);
server.journal.expect({
  expect: [
    { match: { chunkIndex: 2 }, count: 2 },
    { match: { operation: 'uploadChunk', status: 200 }, count: 4 },
  ],
  never: ['acknowledged chunk re-sent'],
});
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
assert.equal(sha256(await server.media.content(entry.id)), sha256(bytes));
assert.equal((await server.media.list()).length, 1);
await server.close();
