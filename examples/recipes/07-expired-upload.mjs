// 07: an upload that was left half done expires during the night. Later it expires again while the client is sending. The client
// starts from chunk 0.
//
// From a shell:
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/clock -X PUT --json '{"advanceMs": 90000000}'
//   curl -H 'X-API-Key: demo' http://127.0.0.1:4310/__admin/rules --json \
//     '{"id": "gone", "match": {"chunkIndex": 2}, "fault": "forget@headers"}'
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { startServer } from 'xenonflare-mock';
import { upload } from '../uploader.mjs';

const server = await startServer({ uploadTtl: '24h' });
const demo = server.namespace('demo');
await demo.state.import({ fixture: 'half-uploaded', fileId: 'holiday' });
const { uploadsExpired } = await demo.clock.advance(25 * 3600 * 1000);
assert.equal(uploadsExpired, 1);
const [rule] = demo.rules.add({ id: 'gone', match: { chunkIndex: 2 }, fault: 'forget@headers' });
console.log(`25 hours later ${uploadsExpired} upload has expired. Armed: ${rule.explain}`);

const bytes = randomBytes(1024 * 1024);
const client = { url: server.url, apiKey: 'demo', fileId: 'holiday', chunkBytes: 256 * 1024, backoffMs: 100 };
const onRetry = (error, waitMs) => console.log(`client: ${error.message}, again in ${Math.round(waitMs)} ms`);
const entry = await upload(new Blob([bytes]), { ...client, onRetry });
for (const { seq, operation, upload: of, response, committed, fault } of demo.journal.find()) {
  const what = operation === 'uploadChunk' ? `chunk ${of.chunkIndex}` : operation;
  const kept = committed === null ? '' : `, ${committed.bytes} bytes stored`;
  const by = fault === null ? '' : ` <- ${fault.effect}@${fault.phase}, rule ${fault.ruleId}`;
  console.log(`#${seq} ${what}: ${response?.status ?? 'no answer'}${kept}${by}`);
}

const sent = demo.journal.find({ operation: 'uploadChunk' }).map(({ upload: of }) => of.chunkIndex);
assert.deepEqual(sent, [0, 1, 2, 0, 1, 2, 3]);
demo.journal.expect({
  expect: [{ match: { ruleId: 'gone', status: 409, errorCode: 'chunk_out_of_order' }, count: 1 }],
});
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
assert.equal(sha256(await demo.media.content(entry.id)), sha256(bytes));
assert.equal((await demo.media.list()).length, 1);
await server.close();
