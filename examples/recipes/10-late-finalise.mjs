// 10: the server makes the video, but its answer comes later than the client waits. The client asks again and gets the same entry.
//
// From a shell:
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/rules --json \
//     '{"id": "late", "match": {"operation": "createVideo"}, "fault": "delay@post-commit:10s"}'
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer();
const [rule] = server.rules.add({
  id: 'late',
  match: { operation: 'createVideo' },
  fault: 'delay@post-commit:10s',
});
console.log(`Armed: ${rule.explain}`);

const bytes = randomBytes(1024 * 1024);
const client = { url: server.url, apiKey: 'demo', fileId: 'holiday', chunkBytes: 256 * 1024, backoffMs: 100 };
const patience = { timeoutMs: 1500 };
const onRetry = (error, waitMs) => console.log(`client: ${error.message}, again in ${Math.round(waitMs)} ms`);
const entry = await upload(new Blob([bytes]), { ...client, ...patience, onRetry });
for (const { seq, operation, upload: of, response, committed, fault } of server.journal.find()) {
  const what = operation === 'uploadChunk' ? `chunk ${of.chunkIndex}` : operation;
  const kept = committed === null ? '' : `, ${committed.bytes} bytes stored`;
  const by = fault === null ? '' : ` <- ${fault.effect}@${fault.phase}, rule ${fault.ruleId}`;
  console.log(`#${seq} ${what}: ${response?.status ?? 'no answer'}${kept}${by}`);
}

server.journal.expect({
  expect: [{ match: { operation: 'createVideo', status: 201 }, count: 0 }],
  sequence: [
    { ruleId: 'late', outcome: 'client-aborted' },
    { operation: 'createVideo', status: 200 },
  ],
});
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
assert.equal(sha256(await server.media.content(entry.id)), sha256(bytes));
assert.equal((await server.media.list()).length, 1);
await server.close();
