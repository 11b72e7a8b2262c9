// 08: an answer is lost, and the next status query reports less than is stored, as a replica does that lags behind. The client
// believes the status and sends a chunk that the server already has: nothing is written twice.
//
// From a shell:
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/rules --json \
//     '[{"id": "lost-answer", "match": {"chunkIndex": 2}, "fault": "reset@post-commit"},
//      {"id": "stale", "match": {"operation": "getUploadStatus"}, "when": {"attempt": 2}, "fault": "stale-status"}]'
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer();
const rules = server.rules.add([
  { id: 'lost-answer', match: { chunkIndex: 2 }, fault: 'reset@post-commit' },
  { id: 'stale', match: { operation: 'getUploadStatus' }, when: { attempt: 2 }, fault: 'stale-status' },
]);
for (const { explain } of rules) console.log(`Armed: ${explain}`);

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

const sent = server.journal.find({ chunkIndex: 2 });
assert.deepEqual(
  sent.map(({ committed }) => committed?.bytes),
  [256 * 1024, undefined],
);
server.journal.expect({
  sequence: [
    { ruleId: 'lost-answer' },
    { ruleId: 'stale' },
    { chunkIndex: 2, status: 200 },
    { chunkIndex: 3, status: 200 },
  ],
});
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
assert.equal(sha256(await server.media.content(entry.id)), sha256(bytes));
assert.equal((await server.media.list()).length, 1);
await server.close();
