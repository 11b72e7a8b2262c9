// 09: an uplink of 128 KiB/s. Each chunk takes longer than the client waits for an answer. The client must not treat a slow upload
// as a dead one, and must send nothing twice.
//
// From a shell:
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/rules --json \
//     '{"id": "slow", "match": {"operation": "uploadChunk"}, "fault": "throttle:128KiB/s", "times": "always"}'
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer();
const [rule] = server.rules.add({
  id: 'slow',
  match: { operation: 'uploadChunk' },
  fault: 'throttle:128KiB/s',
  times: 'always',
});
console.log(`Armed: ${rule.explain}`);

const bytes = randomBytes(2 * 192 * 1024);
const client = { url: server.url, apiKey: 'demo', fileId: 'holiday', chunkBytes: 192 * 1024, backoffMs: 100 };
const patience = { timeoutMs: 1000, slowestBytesPerSecond: 64 * 1024 };
const onRetry = (error, waitMs) => console.log(`client: ${error.message}, again in ${Math.round(waitMs)} ms`);
const entry = await upload(new Blob([bytes]), { ...client, ...patience, onRetry });
for (const { seq, operation, upload: of, response, committed, fault } of server.journal.find()) {
  const what = operation === 'uploadChunk' ? `chunk ${of.chunkIndex}` : operation;
  const kept = committed === null ? '' : `, ${committed.bytes} bytes stored`;
  const by = fault === null ? '' : ` <- ${fault.effect}@${fault.phase}, rule ${fault.ruleId}`;
  console.log(`#${seq} ${what}: ${response?.status ?? 'no answer'}${kept}${by}`);
}

for (const { timing } of server.journal.find({ operation: 'uploadChunk' })) {
  assert.ok(timing.totalMs >= 1425, `192 KiB took ${timing.totalMs} ms, less than the uplink needs`);
}
server.journal.expect({
  expect: [{ match: { operation: 'uploadChunk', status: 200 }, count: 2 }],
  never: [{ operation: 'uploadChunk', outcome: 'client-aborted' }, 'acknowledged chunk re-sent'],
});
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
assert.equal(sha256(await server.media.content(entry.id)), sha256(bytes));
assert.equal((await server.media.list()).length, 1);
await server.close();
