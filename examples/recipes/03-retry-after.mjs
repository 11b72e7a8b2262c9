// 03: the server answers 503 with `Retry-After: 1` twice. The client comes back, but not earlier than it was told.
//
// From a shell:
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/rules --json \
//     '{"id": "busy", "match": {"chunkIndex": 1}, "fault": "status@headers:503,retryAfter=1", "times": 2}'
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer();
const [rule] = server.rules.add({
  id: 'busy',
  match: { chunkIndex: 1 },
  fault: 'status@headers:503,retryAfter=1',
  times: 2,
});
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

const [first, second, third] = server.journal.find({ chunkIndex: 1 }).map(({ at }) => Date.parse(at));
const pauses = [second - first, third - second];
console.log(`The pauses were ${pauses.join(' and ')} ms.`);
for (const ms of pauses) assert.ok(ms >= 990, `came back after ${ms} ms`);
server.journal.expect({
  expect: [
    { match: { chunkIndex: 1, status: 503 }, count: 2 },
    { match: { chunkIndex: 1, status: 200 }, count: 1 },
  ],
});
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
assert.equal(sha256(await server.media.content(entry.id)), sha256(bytes));
assert.equal((await server.media.list()).length, 1);
await server.close();
